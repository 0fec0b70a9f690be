"""Read judgements that people gave elsewhere into a project: who said what of which texts."""

import shutil
from argparse import ArgumentParser, BooleanOptionalAction, RawDescriptionHelpFormatter
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from annotation.core.errors import InvalidInput
from annotation.importing.judgements import Recorded, import_judgements
from annotation.importing.judgements_mapping import FIELDS, JudgementWords
from annotation.importing.run import ImportRefused, import_folder
from annotation.management.commands.import_prompts import progress_bar, rehearsal, remedies
from annotation.models import Project
from annotation.preparation.files import FORMATS, ReadOptions, identify
from annotation.preparation.mapping import MappingWords

HELP = f"""\
Read recorded judgements: pairs and rankings, with the person who answered. Each pair or ranking becomes a task of one
closed batch, each answer an annotation by its person. A worker's e-mail finds an account; others get one of their own,
without sign-in. The same file adds nothing the second time.

Columns are found by their names or named here: those of import_prompts for prompts and candidates, and
{", ".join(FIELDS)}.
An answer names a text by its column, its origin, a letter or number by place, or is its text; or tie, both_bad, A>B=C.

  manage.py import_judgements concierge pairs.csv --map worker=judge --map answer=winner
  manage.py import_judgements concierge three.jsonl --candidate response1=import:one --candidate response2=import:two \\
      --worker-column annotator1 --worker-column annotator2 --answer 0=tie --answer 1=one --answer 2=two
"""


class Command(BaseCommand):
    help = HELP

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        return super().create_parser(prog_name, subcommand, formatter_class=RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project", metavar="PROJECT", help="The project's slug.")
        parser.add_argument("file", metavar="FILE", type=Path, help="A .csv, .tsv, .jsonl, .json or .parquet file.")
        repeatable: dict[str, Any] = {"action": "append", "default": []}
        parser.add_argument(
            "--map", **repeatable, metavar="FIELD=COLUMN", dest="fields", help="Which column a field is read from."
        )
        parser.add_argument(
            "--candidate",
            **repeatable,
            metavar="COLUMN=ORIGIN",
            dest="candidates",
            help="A column of candidates and the origin it is given, such as response1=import:one.",
        )
        parser.add_argument("--ignore", **repeatable, metavar="COLUMN", dest="ignored", help="A column to leave out.")
        parser.add_argument(
            "--worker-column",
            **repeatable,
            metavar="COLUMN",
            dest="workers",
            help="A column with the answers of one person, who is called like the column.",
        )
        parser.add_argument(
            "--worker", default="", metavar="NAME", help="Who answered, where no column says it: an e-mail or a name."
        )
        parser.add_argument(
            "--rank",
            **repeatable,
            metavar="COLUMN=CANDIDATE",
            dest="ranks",
            help="A column with the place of a candidate, 1 the best; equal places are ties.",
        )
        parser.add_argument(
            "--answer",
            **repeatable,
            metavar="VALUE=MEANING",
            dest="meanings",
            help="What an answer means: a candidate, tie or both_bad; such as 0=tie.",
        )
        parser.add_argument("--name", default="", help="What the batch is called (default: Recorded: FILE).")
        parser.add_argument("--keep-good", action="store_true", help="Write the good rows, and a file with the rest.")
        parser.add_argument("--dry-run", action="store_true", help="Check every row and write nothing.")
        parser.add_argument("--format", choices=FORMATS, default="", help="The format, where the ending misleads.")
        parser.add_argument("--encoding", default="", help="Such as cp932 or cp1252; UTF-8 otherwise, or by its mark.")
        parser.add_argument("--delimiter", default="", help="What separates CSV cells: one character, or tab.")
        parser.add_argument(
            "--quoted", action=BooleanOptionalAction, default=None, help="Whether quotation marks enclose cells."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        project = Project.objects.filter(slug=options["project"]).first()
        if project is None:
            known = ", ".join(Project.objects.order_by("slug").values_list("slug", flat=True)[:20]) or "none yet"
            raise CommandError(f"there is no project {options['project']!r}. Projects: {known}")
        path: Path = options["file"]
        read = ReadOptions(**{name: options[name] for name in ("format", "encoding", "delimiter", "quoted")})
        own = [word for word in options["fields"] if word.partition("=")[0].strip() in FIELDS]
        others = [word for word in options["fields"] if word not in own]
        try:
            identify(path, path.name, read, settings.UPLOAD_LIMIT_BYTES)
            with rehearsal() if options["dry_run"] else nullcontext(), progress_bar(path.name) as progress:
                recorded = import_judgements(
                    project=project,
                    path=path,
                    filename=path.name,
                    actor=None,
                    mapping=MappingWords(
                        fields=tuple(others),
                        candidates=tuple(options["candidates"]),
                        ignored=tuple(options["ignored"]),
                    ),
                    judgements=JudgementWords(
                        fields=tuple(own),
                        workers=tuple(options["workers"]),
                        worker_name=options["worker"],
                        ranks=tuple(options["ranks"]),
                        meanings=tuple(options["meanings"]),
                    ),
                    options=read,
                    name=options["name"],
                    keep_good=options["keep_good"],
                    progress=progress,
                )
        except ImportRefused as refused:
            raise CommandError(self.refusal(refused, options["dry_run"])) from refused
        except InvalidInput as error:
            raise CommandError("\n".join([str(error), *remedies(error)])) from error
        for line in self.result(recorded, options["dry_run"]):
            self.stdout.write(line)
        if options["dry_run"]:
            shutil.rmtree(import_folder(recorded.record), ignore_errors=True)

    def refusal(self, refused: ImportRefused, dry_run: bool) -> str:
        record = refused.record
        lines = [str(refused), *remedies(refused)]
        if record.fault_count > 1:
            lines += [
                f"  row {fault['row']}"
                + (f", column {fault['column']}" if fault["column"] else "")
                + f": {fault['message']}"
                for fault in record.faults
            ]
            if record.fault_count > len(record.faults):
                lines.append(f"  … and {record.fault_count - len(record.faults):,} more")
        if dry_run:
            shutil.rmtree(import_folder(record), ignore_errors=True)
        elif record.faults_path:
            lines.append(f"All faults: {settings.VAR / record.faults_path}")
        return "\n".join(lines)

    def result(self, recorded: Recorded, dry_run: bool) -> list[str]:
        record, summary, written = recorded.record, recorded.summary, recorded.summary.written
        verdicts = " · ".join(f"{what} {count:,}" for what, count in summary.verdicts.most_common())
        counts = {
            "rows with fewer than two texts, left out": summary.rows_of_one_text,
            "rows without an answer": summary.rows_without_answer,
            "answers that are in the project already": written.there_already,
            "answers that stand twice in the file, with the same time": written.twice,
            "answers about texts that read the same, left out": written.look_alikes,
            "further answers of a person about the same texts, in tasks of their own": written.repeated,
            "times without a time zone, read as UTC": summary.zones_unknown,
            "durations of more than a day, left out": summary.durations_dropped,
            "rows with an id that is not the prompt's own; the id is not kept": summary.ids_not_kept,
            "blank rows": summary.blank_rows,
            f"rows at fault, left out (in {record.rest_path and settings.VAR / record.rest_path})": record.fault_count,
        }
        lines = [f"answers read as: {verdicts}"] if verdicts else []
        lines += [f"{count:,} {what}" for what, count in counts.items() if count]
        if summary.unused_columns:
            lines.append(f"columns not used: {', '.join(summary.unused_columns)}")
        lines.append(f"people: {summary.people_known:,} had an account, {summary.people_new:,} were given one")
        batch = f" in batch {recorded.batch.pk}" if recorded.batch else ""
        line = (
            f"{record.rows_read:,} rows, {record.prompts_added:,} prompts and {record.candidates_added:,} candidates "
            f"added; {written.tasks:,} tasks and {written.added:,} answers added{batch}"
        )
        return [*lines, f"dry run, nothing written; {line}" if dry_run else f"import {record.pk}: {line}"]
