from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.template.defaultfilters import pluralize

from annotation.core.errors import DomainError
from annotation.models import Kind, Project, Prompt
from annotation.queue.batches import open_batch
from annotation.queue.left_out import left_out_sentences


class Command(BaseCommand):
    help = "Open a batch of tasks on a project's prompts."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("project", help="the project's slug")
        parser.add_argument("kind", choices=Kind.values, help="what annotators are asked to do")
        parser.add_argument("--name", help="what the batch is called (default: the kind)")
        parser.add_argument("--overlap", type=int, help="how many people do each task (default: the project's)")
        parser.add_argument("--priority", type=int, default=0, help="higher is served first (default 0)")
        parser.add_argument("--seed", type=int, help="of the shuffle and of which candidate is shown on which side")
        parser.add_argument("--only", choices=["train", "held-out"], help="only prompts of this side of the split")
        parser.add_argument("--limit", type=int, help="at most this many prompts, the oldest first")
        parser.add_argument("--fresh", action="store_true", help="only prompts without a task in any batch")
        parser.add_argument(
            "--origin", action="append", help="take candidates of this origin; give it twice to compare two"
        )
        parser.add_argument(
            "--alternatives",
            type=int,
            help="texts in a task: choosing 2 to 6 (from 3 up they are ranked), scoring 1 to 6 side by side",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        project = Project.objects.filter(slug=options["project"]).first()
        if project is None:
            raise CommandError(f"no project {options['project']!r}")
        prompts = Prompt.objects.filter(project=project)
        if options["only"]:
            prompts = prompts.filter(held_out=options["only"] == "held-out")
        if options["fresh"]:
            prompts = prompts.filter(tasks=None)
        if options["limit"]:
            prompts = prompts.order_by("id")[: options["limit"]]
        try:
            batch = open_batch(
                project=project,
                kind=Kind(options["kind"]),
                name=options["name"] or str(Kind(options["kind"]).label),
                actor=None,
                overlap=options["overlap"],
                prompts=prompts,
                origins=options["origin"],
                priority=options["priority"],
                alternatives=options["alternatives"],
                seed=options["seed"],
            )
        except DomainError as error:
            raise CommandError(str(error)) from error
        for sentence in left_out_sentences(batch.selection):
            self.stdout.write(sentence)
        count = batch.tasks.count()
        self.stdout.write(f"batch {batch.pk}: {count} task{pluralize(count)}, overlap {batch.overlap}")
