"""Judgements that people gave elsewhere, as such: who said what of which texts, and when.

A file's rows become prompts and candidates as in any import; each pair or ranking becomes a task, and each answer an
annotation by its person, in one closed batch. From there on they are labels like any others.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from annotation.core.errors import InvalidInput
from annotation.core.events import record as record_event
from annotation.importing import judgements_staging, outcome, run, staging
from annotation.importing.cross_checks import cross_faults
from annotation.importing.judgements_answers import AnswerReader, RecordedAnswer, Verdict, without_look_alikes
from annotation.importing.judgements_mapping import JudgementMapping, checked_judgements
from annotation.importing.judgements_people import Workers
from annotation.importing.judgements_writing import Recorder, Tally
from annotation.importing.locks import import_lock, lock_project
from annotation.models import Batch, Import, Project, User
from annotation.preparation.files import ReadOptions, Unreadable
from annotation.preparation.formats import Table, open_table
from annotation.preparation.mapping import Mapping, checked_mapping
from annotation.preparation.parsed import Fault, ParsedPrompt
from annotation.preparation.prompts import PromptParser
from annotation.preparation.rejected_rows import FaultLog, write_rest
from annotation.text.normalization import normal_form

ANSWERS_AT_ONCE = 2_000
ROWS_AT_ONCE = 2_000
# After an insert this large the planner's statistics are stale, and reading the labels would join rows one by one.
ANALYZE_FROM_ANSWERS = 1_000
JUDGEMENTS_LOCK = 0x4B6D_0003  # a class of advisory locks, see `importing.run`
WHICH_ARE_TEXTS = "say which columns they are in (--candidate COLUMN=ORIGIN, once for each)"


@dataclass
class Summary:
    """What was read and what came of it; for the command, the event and `Import.mapping["judgements"]`."""

    answers: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    rows_of_one_text: int = 0
    rows_without_answer: int = 0
    zones_unknown: int = 0
    durations_dropped: int = 0
    ids_not_kept: int = 0
    blank_rows: int = 0
    unused_columns: list[str] = field(default_factory=list)
    people_known: int = 0
    people_new: int = 0
    written: Tally = field(default_factory=Tally)

    def as_dict(self) -> dict[str, Any]:
        return {**vars(self), "verdicts": dict(self.verdicts), "written": asdict(self.written)}


@dataclass(frozen=True)
class Recorded:
    """`batch` is None where nothing was new."""

    record: Import
    batch: Batch | None
    summary: Summary


def import_judgements(
    *,
    project: Project,
    path: Path,
    filename: str,
    actor: User | None,
    mapping: Mapping,
    judgements: JudgementMapping,
    options: ReadOptions | None = None,
    name: str = "",
    keep_good: bool = False,
    progress: run.Progress | None = None,
) -> Recorded:
    """Read a file of recorded judgements into the project: prompts, candidates, tasks, accounts and annotations.

    All rows are checked before anything is written; with `keep_good` the good ones are written, and the Import names a
    file with the rest. Prompts and candidates are added in one transaction, answers in chunks, each in its own: an
    import that was interrupted goes on when the same file is imported again. What is there already is not added again.

    Raises:
        ImportRefused: the file, or a row of it, is at fault; the Import says where, and nothing was written.
    """
    options = options or ReadOptions()
    record = Import.objects.create(
        project=project,
        filename=filename[:255],
        mapping={**run.stored_mapping(mapping, options), "judgements": judgements.as_dict()},
        keep_good=keep_good,
        status=Import.Status.RUNNING,
        created_by=actor,
    )
    with import_lock(record.pk), judgements_lock(project):
        try:
            return read_judgements(record, path, mapping, judgements, options, name, progress)
        except run.ImportRefused as error:
            outcome.refuse(record, str(error))
            raise
        except InvalidInput as error:
            if isinstance(error, Unreadable) and error.row and not record.faults:
                record.faults = [{"row": error.row, "column": error.column, "message": str(error)}]
                record.fault_count = 1
            outcome.refuse(record, str(error))
            raise run.ImportRefused(str(error), record) from error
        except Exception as error:
            outcome.fail(record, f"{type(error).__name__}: {error}")
            raise


@contextmanager
def judgements_lock(project: Project) -> Iterator[None]:
    """One file of judgements at a time: what is there already is counted when an import begins."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s, %s)", [JUDGEMENTS_LOCK, project.pk % 2**31])
    try:
        yield
    finally:
        if not connection.needs_rollback and connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [JUDGEMENTS_LOCK, project.pk % 2**31])


def read_judgements(
    record: Import,
    path: Path,
    mapping: Mapping,
    judgements: JudgementMapping,
    options: ReadOptions,
    name: str,
    progress: run.Progress | None,
) -> Recorded:
    project, summary = record.project, Summary()
    table = open_table(path, record.filename, options, settings.UPLOAD_LIMIT_BYTES)
    checked_mapping(mapping, table.columns, record.filename, open_ended=False)
    checked_judgements(judgements, table.columns, mapping.used_columns(), record.filename)
    used = {*mapping.used_columns(), *judgements.used_columns()}
    summary.unused_columns = [column for column in table.columns if column not in used]
    with path.open("rb") as file:
        record.sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    folder = run.import_folder(record)
    parser = PromptParser(mapping, format=table.format, seed=project.slug, share=project.held_out_share)
    reader = AnswerReader(mapping, judgements, now=timezone.now() + timedelta(days=1))  # clocks differ
    report = Halves(run.reporter(record, progress))
    try:
        with FaultLog(folder / "faults.csv") as faults:
            staging.open_staging()
            judgements_staging.open_answers()
            record.rows_read = stage_rows(table, parser, reader, faults, summary, report.first)
            if not record.rows_read:
                raise Unreadable(f"{record.filename} has column names (row 1) and no rows; export it again", row=1)
            if summary.rows_of_one_text == record.rows_read:
                raise InvalidInput(f"{record.filename}: no row has two texts to judge; {WHICH_ARE_TEXTS}")
            with transaction.atomic():
                add_prompts(record, table, mapping, faults, summary)
            recorder = Recorder(record, record.created_by, name, Workers(project, record.created_by))
            done = 0
            for chunk in judgements_staging.staged_answers(ANSWERS_AT_ONCE):
                with transaction.atomic():
                    lock_project(project)
                    recorder.write(chunk)
                done += len(chunk)
                report.second(record.rows_read, done / max(1, summary.answers))
        with transaction.atomic():
            recorder.close()
            summary.written = recorder.tally
            summary.people_known, summary.people_new = recorder.workers.matched, recorder.workers.created
            finish(record, recorder.batch, summary)
        if summary.written.added >= ANALYZE_FROM_ANSWERS:
            with connection.cursor() as cursor:
                cursor.execute("ANALYZE annotation_task, annotation_assignment, annotation_annotation")
    finally:
        if not connection.needs_rollback and connection.is_usable():
            staging.close_staging()
            judgements_staging.close_answers()
    return Recorded(record, recorder.batch, summary)


def stage_rows(
    table: Table, parser: PromptParser, reader: AnswerReader, faults: FaultLog, summary: Summary, report: run.Progress
) -> int:
    """Parse every row into the staging tables; returns how many there were."""
    count = 0
    prompts: list[ParsedPrompt] = []
    answers: list[tuple[int, int, RecordedAnswer, list[int]]] = []
    for row in table.rows():
        count += 1
        parsed = parser.parse(row)
        if parsed is None:
            summary.blank_rows += 1
            continue
        if not isinstance(parsed, ParsedPrompt) or row.values is None:
            add_faults(faults, [] if isinstance(parsed, ParsedPrompt) else parsed)
            continue
        if len(parsed.candidates) < 2:  # the other one was empty: models say nothing at times
            summary.rows_of_one_text += 1
            continue
        found, at_fault = reader.read(row.number, row.values, parsed.candidates)
        if at_fault:
            add_faults(faults, at_fault)
            continue
        prompts.append(parsed)
        summary.rows_without_answer += not found
        readings = [normal_form(candidate.text) for candidate in parsed.candidates]
        for place, answer in enumerate(found):
            verdict, kept = without_look_alikes(answer.verdict, readings)
            answers.append((row.number, place, replace(answer, verdict=verdict), kept))
            summarise(summary, answer)
        if len(prompts) >= ROWS_AT_ONCE:
            staging.stage(prompts)
            judgements_staging.stage_answers(answers)
            prompts, answers = [], []
            report(count, table.share_read())
    staging.stage(prompts)
    judgements_staging.stage_answers(answers)
    report(count, 1.0)
    return count


def add_prompts(record: Import, table: Table, mapping: Mapping, faults: FaultLog, summary: Summary) -> None:
    """Move the staged prompts and candidates into the project; ImportRefused where rows are at fault."""
    project = record.project
    lock_project(project)
    # Ids are not checked: one that does not tell prompts apart is the pair's or the answer's, and is not kept.
    summary.ids_not_kept = judgements_staging.drop_other_ids(project)
    staging.find_in_project(project)
    for fault in cross_faults(project, {"held_out": mapping.held_out}):
        faults.add(fault)
    if faults.count:
        faults.close()
        outcome.describe_faults(record, faults)
        if not record.keep_good or faults.rows == record.rows_read:
            raise run.ImportRefused(outcome.refusal(record, faults), record)
        rest = run.import_folder(record) / f"rest.{table.format}"
        write_rest(table, rest, faults.is_faulty)
        record.rest_path = str(rest.relative_to(settings.VAR))
        rows = [row for row in range(len(faults.faulty)) if faults.is_faulty(row)]
        staging.unstage(rows)
        judgements_staging.unstage_answers_of(rows)
    record.prompts_added, record.candidates_added = staging.add_staged(project, record.pk)
    judgements_staging.locate_answers(project)


def finish(record: Import, batch: Batch | None, summary: Summary) -> None:
    record.mapping = {**record.mapping, "judgements": {**record.mapping["judgements"], "summary": summary.as_dict()}}
    outcome.finish(record, Import.Status.DONE, "prompts.imported")
    after = {
        "file": record.filename,
        "sha256": record.sha256,
        "batch": batch.pk if batch else None,
        **summary.as_dict(),
    }
    record_event(
        verb="judgements.imported", target=record, actor=record.created_by, project=record.project, after=after
    )


def add_faults(faults: FaultLog, found: Iterable[Fault]) -> None:
    for fault in found:
        faults.add(fault)


def summarise(summary: Summary, answer: RecordedAnswer) -> None:
    summary.answers += 1
    summary.zones_unknown += answer.zone_unknown
    summary.durations_dropped += answer.too_long
    summary.verdicts[described(answer.verdict)] += 1


def described(verdict: Verdict) -> str:
    count = sum(len(group) for group in verdict.groups)
    if not verdict.groups:
        return "all bad"
    if verdict.is_tie:
        return "tie"
    if count > 2:
        return f"ranking of {count}"
    return "first text" if verdict.groups[0] == (0,) else "second text"


@dataclass(frozen=True)
class Halves:
    """Reading a file and writing its answers, each as half of the progress."""

    report: run.Progress

    def first(self, rows: int, share: float) -> None:
        self.report(rows, share / 2)

    def second(self, rows: int, share: float) -> None:
        self.report(rows, 0.5 + share / 2)
