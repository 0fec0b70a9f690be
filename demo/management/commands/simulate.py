"""manage.py simulate: simulated annotators answer a project's open tasks."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.template.defaultfilters import pluralize
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from annotation.core.errors import DomainError
from annotation.models import Assignment, Batch, Project
from demo.accounts import simulated_annotators
from demo.simulation import Tally, simulate


class Command(BaseCommand):
    help = (
        "Let simulated annotators answer the open tasks of a demonstration project. They are accounts of their own, "
        "called “Simulated annotator 1” and so on, and go through the same actions as people. They judge by what the "
        "texts say: how formal an answer is, how well it fits what the guest mentioned, and whether its sentences "
        "are whole. One cares most for the first, one for the second, one lets small differences pass; all err."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("project", help="the project's slug, such as concierge")
        parser.add_argument("--batch", type=int, metavar="ID", help="only this batch (default: all open batches)")
        parser.add_argument("--annotators", type=int, default=3, metavar="N", help="how many (default: %(default)s)")
        parser.add_argument(
            "--error",
            type=float,
            default=0.05,
            metavar="SHARE",
            help="share of answers against their own rule (default: %(default)s)",
        )
        parser.add_argument("--limit", type=int, metavar="N", help="stop after this many answers")
        parser.add_argument("--seed", type=int, default=17, help="of their mistakes and wording (default: %(default)s)")

    def handle(self, *args: Any, **options: Any) -> None:
        project = Project.objects.filter(slug=options["project"]).first()
        if project is None:
            raise CommandError(f"no project {options['project']!r}")
        if not project.is_demo:
            raise CommandError(f"{project.slug} is no demonstration: simulated answers do not belong among people's")
        if not 1 <= options["annotators"] <= 20:
            raise CommandError("--annotators: 1 to 20")
        if not 0 <= options["error"] <= 1:
            raise CommandError("--error: a share from 0 to 1")
        batches = Batch.objects.select_related("project").filter(project=project, status=Batch.Status.OPEN)
        if options["batch"] is not None:
            batches = batches.filter(pk=options["batch"])
            if not batches:
                raise CommandError(f"{project.slug} has no open batch {options['batch']}")
        try:
            annotators = simulated_annotators(project, options["annotators"])
            tally = self.run(list(batches), annotators, options)
        except DomainError as error:
            raise CommandError(str(error)) from error
        skipped = f", {tally.skipped} skipped" if tally.skipped else ""
        answers = f"{tally.answered:,} simulated annotation{pluralize(tally.answered)}{skipped}"
        self.stdout.write(f"{answers} by {len(annotators)} annotator{pluralize(annotators)}")

    def run(self, batches: list[Batch], annotators: list[Any], options: dict[str, Any]) -> Tally:
        free = Assignment.objects.filter(batch__in=batches, state=Assignment.State.FREE).count()
        total = free if options["limit"] is None else min(free, options["limit"])
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True)) as bar:
            shown = bar.add_task("Simulated annotators", total=total)
            return simulate(
                batches=batches,
                annotators=annotators,
                error=options["error"],
                seed=options["seed"],
                limit=options["limit"],
                progress=lambda tally: bar.update(shown, completed=tally.answered),
            )
