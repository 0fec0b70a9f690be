"""What a collection will take, by a pilot (see `annotation.planning`)."""

from datetime import date
from typing import IO, Any, cast

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from annotation.core.errors import DomainError
from annotation.core.time_zones import today_in
from annotation.dashboards.wording import number
from annotation.models import Batch, Kind, Project
from annotation.planning import sentences
from annotation.planning.estimate import Planned, plan
from annotation.planning.pilot_sentences import pilot_sentence, too_early_sentence, warnings
from annotation.planning.wanted import Wanted, check_wanted


class Command(BaseCommand):
    help = (
        "Say what a collection will take, by the answers of a pilot: hours, working days and cost with 95 % intervals, "
        "how well agreement will be known, and the chance to see 55/45 between two checkpoints. Nothing is written."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--project", required=True, help="the project's short name")
        parser.add_argument(
            "--pilot", required=True, help=f"the id of a batch, or all answers of a kind: {', '.join(Kind.values)}"
        )
        parser.add_argument("--tasks", type=int, required=True)
        parser.add_argument("--overlap", type=int, help="how many people do each task (default: the project's)")
        parser.add_argument("--people", type=int, required=True, help="how many people work")
        parser.add_argument("--hours", type=float, help="hours a week of each (default: as in the pilot)")
        parser.add_argument("--start", type=date.fromisoformat, help="the first day (default: today)")
        parser.add_argument("--first", type=date.fromisoformat, help="of the pilot, only answers from this day on")
        parser.add_argument("--last", type=date.fromisoformat, help="of the pilot, only answers until this day")
        parser.add_argument("--width", type=int, help="table width in characters; default: the terminal's")

    def handle(self, *args: Any, **options: Any) -> None:
        project = Project.objects.filter(slug=options["project"]).first()
        if project is None:
            raise CommandError(f"no project {options['project']!r}")
        kind, batch = pilot_named(project, options["pilot"])
        today = today_in(project)
        wanted = Wanted(
            tasks=options["tasks"],
            overlap=project.default_overlap if options["overlap"] is None else options["overlap"],
            people=options["people"],
            hours=options["hours"],
            start=options["start"] or today,
        )
        try:
            check_wanted(wanted, today)
        except DomainError as error:
            raise CommandError(str(error)) from error
        planned = plan(project, kind=kind, wanted=wanted, batch=batch, first=options["first"], last=options["last"])
        self.describe(planned, today, options["width"])

    def describe(self, planned: Planned, today: date, width: int | None) -> None:
        console = Console(file=cast(IO[str], self.stdout), width=width, highlight=False, markup=False)
        console.print(pilot_sentence(planned.pilot))
        if planned.basis is None:
            console.print(too_early_sentence(planned.pilot))
            return
        for line in warnings(planned):
            console.print(line)
        if planned.basis.observed:
            console.print(sentences.agreement_sentence(planned.basis.observed))
        console.print(figures_table(planned, today))
        console.print(alternatives_table(planned, today))


def pilot_named(project: Project, name: str) -> tuple[str, Batch | None]:
    """(kind, batch) of an id or a kind."""
    if name in Kind.values:
        return name, None
    batch = project.batches.filter(pk=int(name)).first() if name.isascii() and name.isdecimal() else None
    if batch is None:
        raise CommandError(f"--pilot {name}: no such batch in {project.slug}, and no kind ({', '.join(Kind.values)})")
    return batch.kind, batch


def figures_table(planned: Planned, today: date) -> Table:
    printed = Table(box=SIMPLE_HEAD, show_header=False, pad_edge=False)
    printed.add_column(max_width=22)
    printed.add_column(justify="right")
    printed.add_column()
    for row in sentences.figures(planned, today):
        interval = row.interval if row.interval != row.value else ""
        printed.add_row(row.label, row.value or sentences.UNKNOWN, " ".join(filter(None, (interval, row.note))))
    return printed


def alternatives_table(planned: Planned, today: date) -> Table:
    """At most 80 columns wide."""
    printed = Table("tasks", "overlap", "answers", "hours", "done", "cost", "alpha", "55/45", box=SIMPLE_HEAD)
    printed.pad_edge, printed.collapse_padding = False, True
    for wanted, results in planned.rows:
        printed.add_row(number(wanted.tasks), str(wanted.overlap), *sentences.cells(wanted, results, today))
    return printed
