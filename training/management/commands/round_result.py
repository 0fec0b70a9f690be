import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from annotation.core.errors import Conflict
from training.cli.progress import get_project, plain_errors
from training.models import Round
from training.results.preferences import in_words, outcome_of, reasons_in_words


class Command(BaseCommand):
    help = "Say which checkpoint people preferred in a round, with the share of decided comparisons and its interval."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("project", help="the project's slug")
        parser.add_argument("--round", type=int, metavar="NUMBER", help="default: the newest that compares checkpoints")
        parser.add_argument("--json", action="store_true", help="print the figures that promote --if can name as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        with plain_errors():
            project = get_project(options["project"])
            rounds = Round.objects.filter(project=project, checkpoint__isnull=False).order_by("-number")
            if options["round"] is not None:
                rounds = rounds.filter(number=options["round"])
            newest = rounds.select_related("checkpoint__parent", "checkpoint__project").first()
            if newest is None or newest.checkpoint is None:
                which = "" if options["round"] is None else f" {options['round']}"
                raise Conflict(f"the project {project.slug} has no round{which} that compares checkpoints: start_round")
            outcome = outcome_of(newest.checkpoint, newest.batches.values_list("pk", flat=True))
        if options["json"]:
            figures = {"round": newest.number, "checkpoint": newest.checkpoint.pk, **outcome.figures()}
            self.stdout.write(json.dumps(figures))
            return
        sentence = in_words(outcome, newest.checkpoint) or "nobody has compared the two yet"
        self.stdout.write(f"round {newest.number}: {sentence}")
        if reasons := reasons_in_words(outcome):
            self.stdout.write(reasons)
