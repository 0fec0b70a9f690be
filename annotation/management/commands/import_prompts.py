"""Read a file of prompts, with candidates if it has some, into a project."""

import shutil
from argparse import ArgumentParser, BooleanOptionalAction, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.template.defaultfilters import pluralize
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from annotation.core.errors import InvalidInput
from annotation.importing.report import describe
from annotation.importing.run import ImportRefused, import_file, import_folder
from annotation.models import Import, Project
from annotation.preparation.files import FORMATS, ReadOptions, identify
from annotation.preparation.mapping import FIELDS, MappingWords

HELP = f"""\
Read prompts from a CSV, TSV, JSONL, JSON or Parquet file, all rows or none.

Columns are found by their names (text, prompt or source; messages; reference; id; document; split; candidates;
candidate_NAME; chosen; rejected; metadata.KEY …) or named here. Fields: {", ".join(FIELDS)}.
What was not read is named at the end. The same file adds nothing the second time; a prompt that is there already gains
the file's new candidates.

  manage.py import_prompts concierge reviews.csv
  manage.py import_prompts en-ja pairs.jsonl --map text=source --map metadata.domain=domain \\
      --candidate formal=import:formal --candidate informal=import:informal
"""


class Command(BaseCommand):
    help = HELP

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        return super().create_parser(prog_name, subcommand, formatter_class=RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project", metavar="PROJECT", help="The project's slug.")
        parser.add_argument("file", metavar="FILE", type=Path, help="A .csv, .tsv, .jsonl, .json or .parquet file.")
        parser.add_argument(
            "--map",
            action="append",
            default=[],
            metavar="FIELD=COLUMN",
            dest="fields",
            help="Which column a field is read from; an empty COLUMN means none. May be repeated.",
        )
        parser.add_argument(
            "--candidate",
            action="append",
            default=[],
            metavar="COLUMN=ORIGIN",
            dest="candidates",
            help="A column of candidates and the origin it is given, such as formal=import:formal; an empty "
            "ORIGIN means no candidate. May be repeated.",
        )
        parser.add_argument(
            "--ignore",
            action="append",
            default=[],
            metavar="COLUMN",
            dest="ignored",
            help="A column to leave out, although its name is recognised. May be repeated.",
        )
        parser.add_argument("--keep-good", action="store_true", help="Write the good rows, and a file with the rest.")
        parser.add_argument("--dry-run", action="store_true", help="Check every row and write nothing.")
        parser.add_argument("--format", choices=FORMATS, default="", help="The format, where the ending misleads.")
        parser.add_argument("--encoding", default="", help="Such as cp932 or cp1252; UTF-8 otherwise, or by its mark.")
        parser.add_argument("--delimiter", default="", help="What separates CSV cells: one character, or tab.")
        parser.add_argument(
            "--quoted",
            action=BooleanOptionalAction,
            default=None,
            help="Whether quotation marks enclose cells. Default: they do in CSV, and in TSV if its content shows it.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        project = Project.objects.filter(slug=options["project"]).first()
        if project is None:
            known = ", ".join(Project.objects.order_by("slug").values_list("slug", flat=True)[:20]) or "none yet"
            raise CommandError(f"there is no project {options['project']!r}. Projects: {known}")
        path: Path = options["file"]
        read = ReadOptions(**{name: options[name] for name in ("format", "encoding", "delimiter", "quoted")})
        try:
            identify(path, path.name, read, settings.UPLOAD_LIMIT_BYTES)
            mapping = MappingWords(**{name: tuple(options[name]) for name in ("fields", "candidates", "ignored")})
            with rehearsal() if options["dry_run"] else nullcontext(), progress_bar(path.name) as progress:
                record = import_file(
                    project=project,
                    path=path,
                    filename=path.name,
                    actor=None,
                    mapping=mapping,
                    options=read,
                    keep_good=options["keep_good"],
                    progress=progress,
                )
        except ImportRefused as refused:
            message = self.refusal(refused, options["dry_run"])
            if options["dry_run"]:
                shutil.rmtree(import_folder(refused.record), ignore_errors=True)
            raise CommandError(message) from refused
        except InvalidInput as error:
            raise CommandError("\n".join([str(error), *remedies(error)])) from error
        if options["dry_run"]:
            shutil.rmtree(import_folder(record), ignore_errors=True)
        self.stdout.write(self.result(record, options["dry_run"]))

    def refusal(self, refused: ImportRefused, dry_run: bool) -> str:
        record = refused.record
        lines = [str(refused)]
        lines += remedies(refused)
        if record.fault_count > 1:
            lines += [
                f"  row {fault['row']}"
                + (f", column {fault['column']}" if fault["column"] else "")
                + f": {fault['message']}"
                for fault in record.faults
            ]
            if record.fault_count > len(record.faults):
                lines.append(f"  … and {record.fault_count - len(record.faults):,} more")
        if record.faults_path and not dry_run:
            lines.append(f"All faults: {settings.VAR / record.faults_path}")
        return "\n".join(lines)

    def result(self, record: Import, dry_run: bool) -> str:
        report = record.report
        lines = [
            f"read as {', '.join(report['reading'])}",
            f"columns: {'; '.join(report['columns'])}",
            *(describe(note) for note in report["notes"]),
        ]
        line = (
            f"import {record.pk}: {record.rows_read:,} row{pluralize(record.rows_read)}, "
            f"{record.prompts_added:,} prompt{pluralize(record.prompts_added)} and "
            f"{record.candidates_added:,} candidate{pluralize(record.candidates_added)} added"
        )
        if record.fault_count:
            line += f", {record.fault_count:,} fault{pluralize(record.fault_count)}"
            if not dry_run:
                line += f" ({settings.VAR / record.faults_path}), the rest in {settings.VAR / record.rest_path}"
        return "\n".join([*lines, f"dry run, nothing written; {line.partition(': ')[2]}" if dry_run else line])


def remedies(error: InvalidInput) -> list[str]:
    """What helps on the command line, one way a line."""
    options = [f"Option: {option}" for option in getattr(error, "options", ())]
    return [*options, *(f"Command: {command}" for command in getattr(error, "commands", ()))]


@contextmanager
def rehearsal() -> Iterator[None]:
    """Whatever is written to the database inside is undone."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[int, float], None]]:
    columns = [
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[rows]} rows"),
        TimeRemainingColumn(),
    ]
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"Reading {label}", total=1.0, rows="0")
        yield lambda rows, share: bar.update(task, completed=share, rows=f"{rows:,}")
