from dataclasses import fields
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.template.defaultfilters import pluralize

from annotation.checks.shares import Amounts, Shares, amounts_for, open_checked_batch
from annotation.core.errors import DomainError
from annotation.models import Kind, Project
from annotation.queue.arms import SELECT
from annotation.queue.batch_plan import SURE
from annotation.queue.preview import Preview, preview_batch, preview_of
from annotation.queue.prompt_selection import FRESH, HELD_OUT, TRAINING, WHICH, PromptSelection


class Command(BaseCommand):
    help = (
        "Open a batch of tasks on a project's prompts. It says how many answers and hours that is; where there are too "
        "few people for it, it warns and opens the batch all the same: try --dry-run first."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("project", help="the project's slug")
        parser.add_argument("kind", choices=Kind.values, help="what annotators are asked to do")
        parser.add_argument("--name", help="what the batch is called (default: the kind)")
        parser.add_argument("--overlap", type=int, help="how many people do each task (default: the project's)")
        parser.add_argument(
            "--overlap-most",
            type=int,
            help="choosing only: a task whose label is unsure gets more annotators, one at a time, up to so many",
        )
        parser.add_argument(
            "--sure",
            type=float,
            help=f"with --overlap-most: the probability from which on a label is sure (default {SURE})",
        )
        parser.add_argument("--priority", type=int, default=0, help="higher is served first (default 0)")
        parser.add_argument("--seed", type=int, help="of the shuffle and of which candidate is shown on which side")
        which = parser.add_mutually_exclusive_group()
        which.add_argument(
            "--which",
            choices=list(WHICH),
            default=PromptSelection.which,
            help="without: prompts without a task of this kind yet (default); fresh: without any task; all",
        )
        which.add_argument("--fresh", dest="which", action="store_const", const=FRESH, help="the same as --which fresh")
        parser.add_argument(
            "--only", choices=[TRAINING, HELD_OUT], default="", help="only prompts of this side of the split"
        )
        parser.add_argument("--limit", type=int, help="at most this many prompts, a random sample by the seed")
        parser.add_argument(
            "--select",
            choices=list(SELECT),
            default=PromptSelection.select,
            help="which prompts, with --limit: random (default); uncertain: the smallest margins of the "
            "checkpoint, as compute_margins stored them; diverse: the least alike texts; mix: half of each",
        )
        parser.add_argument(
            "--random-share",
            type=float,
            default=PromptSelection.random_share,
            metavar="SHARE",
            help="how much of such a selection is drawn at random all the same, to compare with (default 0.2)",
        )
        parser.add_argument(
            "--origin", action="append", help="take candidates of this origin; give it twice to compare two"
        )
        parser.add_argument(
            "--alternatives",
            type=int,
            help="texts in a task: choosing 2 to 6 (from 3 up they are ranked), scoring 1 to 6 side by side",
        )
        parser.add_argument(
            "--requires-review",
            action="store_true",
            help="answers count only once a reviewer accepted or corrected them",
        )
        checks = parser.add_argument_group("checks", "Tasks that check people; see docs/managers.md.")
        checks.add_argument(
            "--gold", type=int, default=0, help="hidden tasks with a known answer, percent of the tasks"
        )
        checks.add_argument("--repeats", type=int, default=0, help="tasks that people get again, percent of the tasks")
        checks.add_argument(
            "--twins", type=int, default=0, help="damaged texts beside the original, percent of the tasks"
        )
        checks.add_argument("--tutorial", type=int, default=0, help="practice items that each person does first")
        parser.add_argument(
            "--dry-run", action="store_true", help="show tasks, answers, hours and warnings, and open nothing"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        project = Project.objects.filter(slug=options["project"]).first()
        if project is None:
            raise CommandError(f"no project {options['project']!r}")
        arguments: dict[str, Any] = {
            "project": project,
            "kind": Kind(options["kind"]),
            "overlap": options["overlap"],
            "prompts": PromptSelection(
                which=options["which"],
                side=options["only"],
                limit=options["limit"],
                select=options["select"],
                random_share=options["random_share"],
            ),
            "origins": options["origin"],
            "alternatives": options["alternatives"],
            "seed": options["seed"],
            "overlap_most": options["overlap_most"],
            "sure": options["sure"],
        }
        shares = Shares(**{one.name: options[one.name] for one in fields(Shares)})
        if options["sure"] is not None and options["overlap_most"] is None:
            raise CommandError("--sure needs --overlap-most")
        try:
            if options["dry_run"]:
                preview = preview_batch(**arguments)
                self.describe(preview, amounts_for(preview.batch, shares))
                self.stdout.write("dry run, nothing opened")
                return
            amounts: list[Amounts] = []
            batch = open_checked_batch(
                **arguments,
                shares=shares,
                report=amounts.append,
                name=options["name"] or str(Kind(options["kind"]).label),
                actor=None,
                priority=options["priority"],
                requires_review=options["requires_review"],
            )
        except DomainError as error:
            raise CommandError(str(error)) from error
        self.describe(preview_of(batch), *amounts)
        count = batch.selection["tasks"]
        overlap = str(batch.overlap) if batch.overlap_most is None else f"{batch.overlap} to {batch.overlap_most}"
        self.stdout.write(f"batch {batch.pk}: {count} task{pluralize(count)}, overlap {overlap}")

    def describe(self, preview: Preview, *amounts: Amounts) -> None:
        for sentence in [*preview.sentences(), *(line for one in amounts for line in one.sentences())]:
            self.stdout.write(sentence)
        if warning := preview.warning():
            self.stderr.write(self.style.WARNING(warning))
