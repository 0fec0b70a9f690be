"""Read judgements that people gave elsewhere into a project: who said what of which texts."""

import shutil
from argparse import ArgumentParser, BooleanOptionalAction, RawDescriptionHelpFormatter
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import ngettext_lazy

from annotation.core.errors import InvalidInput
from annotation.importing.judgements.census import Settled
from annotation.importing.judgements.mapping import FIELDS, JudgementWords
from annotation.importing.judgements.numbers import SCHEMES
from annotation.importing.judgements.report import assumptions, describe, described_people, in_numbers, read_as
from annotation.importing.judgements.run import Recorded, import_judgements
from annotation.importing.run import ImportRefused, import_folder
from annotation.management.commands.import_prompts import progress_bar, rehearsal, remedies
from annotation.models import Project
from annotation.preparation.files import FORMATS, ReadOptions, identify
from annotation.preparation.mapping import MappingWords

HELP = f"""\
Read recorded judgements: pairs, rankings, best of several and scores, with the person who answered. Each pair, ranking
or scored text becomes a task of one closed batch, each answer an annotation by its person. A worker's e-mail finds an
account; others get one of their own, without sign-in. The same file adds nothing the second time.

Columns are found by their names or named here: those of import_prompts for prompts and candidates, and
{", ".join(FIELDS)}.
An answer names a text by its column, its origin, its model, a letter or number by place, or is its text; or tie,
both_bad, A>B=C. What could mean several things is refused with what may be meant.

  manage.py import_judgements concierge pairs.csv --map worker=judge --map answer=winner
  manage.py import_judgements concierge three.jsonl --worker-column annotator1 --worker-column annotator2 --answer 0=tie
  manage.py import_judgements concierge scores.jsonl --worker hana@example.org --scale helpfulness=0..4
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
            metavar="COLUMN=TEXT",
            dest="ranks",
            help="A column with the place of a text, 1 the best; equal places are ties.",
        )
        parser.add_argument(
            "--winner-column",
            **repeatable,
            metavar="COLUMN=TEXT",
            dest="winners",
            help="A column that is true where this text (or tie, or both_bad) is the answer. Once for each.",
        )
        parser.add_argument(
            "--best", default="", metavar="TEXT", help="The text that is the better one in every row, such as chosen."
        )
        parser.add_argument(
            "--model",
            **repeatable,
            metavar="COLUMN=CANDIDATE_COLUMN",
            dest="models",
            help="A column with the name of the model that wrote this candidate: its origin, and a name in answers.",
        )
        parser.add_argument(
            "--score",
            **repeatable,
            metavar="COLUMN=ASPECT@TEXT",
            dest="scores",
            help="A column of scores, with the aspect that they are about (default: the column's name) and, where a "
            "row has several texts, the text.",
        )
        parser.add_argument(
            "--aspect", default="", metavar="ASPECT", help="The answers are scores of this aspect of the row's text."
        )
        parser.add_argument(
            "--scale",
            **repeatable,
            metavar="ASPECT=WORST..BEST",
            dest="scales",
            help="The worst and the best possible score of an aspect, such as helpfulness=0..4.",
        )
        parser.add_argument(
            "--answer",
            **repeatable,
            metavar="VALUE=MEANING",
            dest="meanings",
            help="What an answer means: a text, tie, both_bad or skip (leave it out); such as 0=tie.",
        )
        parser.add_argument(
            "--numbers",
            default="",
            choices=["", *SCHEMES],
            metavar="MEANING",
            help="What numbers mean as answers: " + "; ".join(f"{name}: {text}" for name, text in SCHEMES.items()),
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
                        best=options["best"],
                        aspect=options["aspect"],
                        numbers=options["numbers"],
                        **{
                            name: tuple(options[name])
                            for name in ("ranks", "winners", "models", "scores", "meanings", "scales")
                        },
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
        record, tally = recorded.record, recorded.tally
        report = record.report
        found = report["judgements"]
        lines = [
            f"read as {', '.join(report['reading'])}",
            f"columns: {'; '.join(report['columns'])}",
            *assumptions(Settled.from_dict(found["settled"])),
            f"answers: {' · '.join(read_as(found['verdicts'])) or 'none'}",
            *map(describe, report["notes"]),
            described_people(found["people_known"], found["people_new"]),
        ]
        if record.rest_path:
            lines.append(f"The rows with errors: {settings.VAR / record.rest_path}")
        counts = [
            counted(record.rows_read, ngettext_lazy("%(count)s row", "%(count)s rows", "n")),
            counted(record.prompts_added, ngettext_lazy("%(count)s prompt added", "%(count)s prompts added", "n")),
            counted(
                record.candidates_added, ngettext_lazy("%(count)s candidate added", "%(count)s candidates added", "n")
            ),
            counted(tally.tasks, ngettext_lazy("%(count)s task added", "%(count)s tasks added", "n")),
            counted(tally.added, ngettext_lazy("%(count)s answer added", "%(count)s answers added", "n")),
        ]
        line = ", ".join(counts) + (f" in batch {recorded.batch.pk}" if recorded.batch else "")
        return [*lines, f"dry run, nothing written; {line}" if dry_run else f"import {record.pk}: {line}"]


def counted(count: int, sentence: Any) -> str:
    return str(sentence % {"count": in_numbers(count), "n": count})
