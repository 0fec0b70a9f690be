"""Export every answer of a project, with reasons, marks, comments, times and versions."""

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.template.defaultfilters import filesizeformat, pluralize
from django.utils.timezone import is_naive
from rich.console import Console

from annotation.core.errors import DomainError
from annotation.core.time_zones import zone_of
from annotation.exchange.columns import COLUMNS
from annotation.exchange.export import Exported, export_answers
from annotation.exchange.outcome import EXCLUDED, LEFT_OUT, NEVER, in_words
from annotation.exchange.selection import checked_selection, end_of_day, start_of_day
from annotation.exchange.writers import WRITERS
from annotation.models import Kind, Project


class Command(BaseCommand):
    help = (
        "Export a project's answers, one row for each version of an answer and each skipped task, with prompt, texts, "
        "reasons, marks, comments, times, versions and person. docs/exports.md describes the columns. The file is "
        "whole or not there."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project", metavar="PROJECT", help="The project's slug.")
        parser.add_argument(
            "--format",
            choices=list(WRITERS),
            help="jsonl (the default), csv or parquet; without it, by the ending of --output.",
        )
        parser.add_argument(
            "--output", type=Path, metavar="PATH", help="The file; PROJECT-answers.FORMAT in this folder by default."
        )
        parser.add_argument("--force", action="store_true", help="Replace the file if it exists.")
        parser.add_argument("--batch", type=int, action="append", metavar="ID", help="Only this batch; repeatable.")
        parser.add_argument("--kind", choices=Kind.values, action="append", help="Only this kind; repeatable.")
        parser.add_argument(
            "--person", action="append", metavar="EMAIL", help="Only what this person answered; repeatable."
        )
        parser.add_argument(
            "--since",
            type=day_or_time,
            metavar="TIME",
            help="Only what was submitted since then: a day (2026-11-01) or a time (2026-11-01T09:00).",
        )
        parser.add_argument(
            "--until",
            type=day_or_time,
            metavar="TIME",
            help="Only what was submitted until then: a day, which counts, or a time.",
        )
        parser.add_argument(
            "--current", action="store_true", help="Leave out versions that were replaced or withdrawn."
        )
        parser.add_argument("--without-skips", action="store_true", help="Leave out skipped tasks.")
        parser.add_argument(
            "--pseudonyms", action="store_true", help="Write pseudonyms instead of names, addresses and ids of people."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        project = Project.objects.filter(slug=options["project"]).first()
        if project is None:
            known = ", ".join(Project.objects.order_by("slug").values_list("slug", flat=True)[:20]) or "none yet"
            raise CommandError(f"there is no project {options['project']!r}. Projects: {known}")
        format = options["format"] or format_of(options["output"])
        path = options["output"] or Path(f"{project.slug}-answers.{format}")
        try:
            selection = checked_selection(
                project,
                batches=options["batch"],
                kinds=options["kind"],
                people=options["person"],
                since=moment(options["since"], project, start_of_day),
                until=moment(options["until"], project, end_of_day),
                current_only=options["current"],
                without_skips=options["without_skips"],
                pseudonyms=options["pseudonyms"],
            )
            with Console(stderr=True).status(f"Exporting {project.slug}") as status:
                exported = export_answers(
                    project=project,
                    format=format,
                    path=path,
                    selection=selection,
                    replace=options["force"],
                    actor=None,
                    progress=lambda done, total: status.update(f"Exporting {project.slug}: {done:,} of {total:,} rows"),
                )
        except DomainError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"{path} could not be written, and nothing was: {error.strerror or error}") from error
        self.report(exported)

    def report(self, exported: Exported) -> None:
        counts = exported.counts
        for line in in_words(counts.left_out, LEFT_OUT):
            self.stdout.write(f"left out: {line}")
        for line in in_words(counts.never, NEVER):
            self.stdout.write(f"never exported: {line}")
        for line in in_words({"excluded": counts.excluded}, EXCLUDED):
            self.stdout.write(f"exported: {line}")
        self.stdout.write(str(exported.path))
        left_out = counts.left_out.total()
        self.stdout.write(
            f"export: {exported.answers:,} answer{pluralize(exported.answers)}, "
            f"{exported.skips:,} skipped task{pluralize(exported.skips)}, {left_out:,} row{pluralize(left_out)} left "
            f"out, {len(COLUMNS)} columns, {filesizeformat(exported.size)}, sha256 {exported.sha256}".replace(
                "\xa0", " "
            )
        )


def format_of(path: Path | None) -> str:
    """By the file's ending."""
    if path is None:
        return "jsonl"
    format = {"ndjson": "jsonl"}.get(ending := path.suffix.lower().lstrip("."), ending)
    if format not in WRITERS:
        raise CommandError(f"{path} does not end in {', '.join(f'.{name}' for name in WRITERS)}: name the --format")
    return format


def day_or_time(text: str) -> date | datetime:
    try:
        return date.fromisoformat(text) if len(text) == len("2026-11-01") else datetime.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is no day (2026-11-01) and no time (2026-11-01T09:00)") from error


def moment(value: date | datetime | None, project: Project, of_day: Callable[[date, Project], datetime]) -> Any:
    """A time without an offset, and a day, are in the project's time zone."""
    try:
        if isinstance(value, datetime):
            return value.replace(tzinfo=zone_of(project)) if is_naive(value) else value
        return of_day(value, project) if value else None
    except OverflowError as error:
        raise CommandError(f"{value} is no day that can be compared") from error
