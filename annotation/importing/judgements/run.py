"""The import of recorded judgements: all of a file or nothing.

A file's rows become prompts and candidates as in any import; each pair, ranking or text becomes a task, and each answer
an annotation by its person, in one closed batch. From there on they are labels like any others.
"""

import hashlib
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path

from django.conf import settings
from django.db import connection, transaction
from django.utils.translation import gettext_noop

from annotation.core.errors import Conflict, InvalidInput
from annotation.core.events import record as record_event
from annotation.core.locks import Lock, hold_lock
from annotation.core.messages import Message
from annotation.importing import run, staging
from annotation.importing.cross_checks import cross_faults, fields_of
from annotation.importing.judgements import staging as answers_staging
from annotation.importing.judgements.answers import RecordedAnswer
from annotation.importing.judgements.aspects import recorded_aspects
from annotation.importing.judgements.mapping import JudgementWords
from annotation.importing.judgements.people import Workers
from annotation.importing.judgements.reading import RowReader
from annotation.importing.judgements.report import Tally, notes_of_tally
from annotation.importing.judgements.understanding import understood
from annotation.importing.judgements.writing import Recorder
from annotation.importing.locks import import_lock, lock_project
from annotation.importing.outcome import begin, describe_faults, finish, interrupt, refusal, refuse
from annotation.importing.report import Note, note
from annotation.models import Batch, Import, Kind, Project, User
from annotation.preparation.apart import memory_limit
from annotation.preparation.files import ReadOptions, Unreadable
from annotation.preparation.formats import Table, open_table
from annotation.preparation.mapping import Mapping, MappingWords
from annotation.preparation.parsed import ParsedPrompt
from annotation.preparation.rejected_rows import FaultLog, write_rest

ANSWERS_AT_ONCE = 2_000
ROWS_AT_ONCE = 2_000
# After an insert this large the planner's statistics are stale, and reading the labels would join rows one by one.
ANALYZE_FROM_ANSWERS = 1_000


@dataclass(frozen=True)
class Recorded:
    """`batch` is None where nothing was new."""

    record: Import
    batch: Batch | None
    tally: Tally


def import_judgements(
    *,
    project: Project,
    path: Path,
    filename: str,
    actor: User | None,
    mapping: MappingWords,
    judgements: JudgementWords,
    options: ReadOptions | None = None,
    name: str = "",
    keep_good: bool = False,
    progress: run.Progress | None = None,
) -> Recorded:
    """Read a file of recorded judgements into the project: prompts, candidates, tasks, accounts and annotations.

    All rows are checked before anything is written, and all is written in one transaction; with `keep_good` the good
    rows are, and the Import names a file with the rest. What is there already is not added again.

    Raises:
        ImportRefused: the file, or a row of it, is at fault; the Import says where, and nothing was written.
    """
    record = Import.objects.create(
        project=project,
        filename=filename[:255],
        mapping={
            **run.stored_mapping(mapping, options or ReadOptions()),
            "judgements": {"columns": None, "words": asdict(judgements), "name": name},
        },
        keep_good=keep_good,
        created_by=actor,
    )
    return run_judgements(record=record, path=path, progress=progress)


def run_judgements(*, record: Import, path: Path, progress: run.Progress | None = None) -> Recorded:
    """Do a waiting import, or do again one whose worker died: until the end nothing of it is in the project.

    Raises:
        Conflict: it is finished, or another worker is at it.
        ImportRefused: see `import_judgements`.
    """
    # One file of judgements at a time: what is there already is counted when an import begins.
    with import_lock(record.pk) as mine, hold_lock(Lock.JUDGEMENTS, record.project_id):
        if not mine or not begin(record):
            raise Conflict(f"the import of {record.filename} is finished, or being read by another worker")
        try:
            return read_judgements(record, path, progress)
        except InvalidInput as error:
            if isinstance(error, Unreadable) and error.row and not record.faults:
                message = {"message": str(error)}
                if isinstance(error.args[0], Message):
                    message = error.args[0].as_dict()
                record.faults = [{"row": error.row, "column": error.column, **message}]
                record.fault_count = 1
            elif isinstance(error.args[0], Message):
                record.report = {**record.report, "error": error.args[0].as_dict()}
            refuse(record, str(error))
            if isinstance(error, run.ImportRefused):
                raise
            raise run.ImportRefused(str(error), record, error) from error
        except Exception as error:
            interrupt(record, error)
            raise


def read_judgements(record: Import, path: Path, progress: run.Progress | None) -> Recorded:
    project = record.project
    options = ReadOptions(**record.mapping["read"])
    with memory_limit(record.filename, run.MEMORY):
        table = open_table(path, record.filename, options, settings.UPLOAD_LIMIT_BYTES, run.languages_of(project))
    with path.open("rb") as file:
        record.sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    mapping, found = understood(record, table)
    reader = RowReader(mapping, found, project, table.format)
    report = run.reporter(record, progress)
    words = [*mapping.in_words(), *found.judgements.in_words()]
    record.report = {"reading": table.reading(), "columns": words, "notes": []}
    try:
        with FaultLog(run.import_folder(record) / "faults.csv") as faults:
            staging.open_staging()
            answers_staging.open_answers()
            with memory_limit(record.filename, run.MEMORY):
                record.rows_read = stage_rows(table, reader, faults, lambda rows, share: report(rows, share / 2))
            check_whole(record, reader)
            in_progress = Import.objects.values_list("report", flat=True).get(pk=record.pk)
            Import.objects.filter(pk=record.pk).update(
                rows_read=record.rows_read, share_read=0.5, report={**in_progress, "writing": reader.summary.answers}
            )
            with transaction.atomic():
                return write_all(record, table, mapping, reader, faults, progress)
    finally:
        if not connection.needs_rollback and connection.is_usable():
            staging.close_staging()
            answers_staging.close_answers()


def stage_rows(table: Table, reader: RowReader, faults: FaultLog, report: run.Progress) -> int:
    """Every row into the staging tables; returns how many there were."""
    count = 0
    prompts: list[ParsedPrompt] = []
    answers: list[tuple[int, int, RecordedAnswer, list[int]]] = []
    for row in table.rows():
        count += 1
        parsed, answered, at_fault = reader.read(row, table.columns)
        for fault in at_fault:
            faults.add(fault)
        if parsed is not None:
            prompts.append(parsed)
            answers += [(row.number, place, *every) for place, every in enumerate(answered)]
        if len(prompts) >= ROWS_AT_ONCE:
            staging.stage(prompts)
            answers_staging.stage_answers(answers)
            prompts, answers = [], []
            report(count, table.share_read())
    staging.stage(prompts)
    answers_staging.stage_answers(answers)
    report(count, 1.0)
    return count


def check_whole(record: Import, reader: RowReader) -> None:
    """What only shows when all rows have been read."""
    summary = reader.summary
    if record.rows_read == summary.blank_rows:
        text = gettext_noop("%(file)s has column names (row 1) and no rows; export it again")
        raise Unreadable(Message(text, file=record.filename), row=1)
    short = summary.left_out["rows of one text"] + summary.left_out["rows without a text"]
    if short + summary.blank_rows == record.rows_read:
        text = gettext_noop("%(file)s: no row has the texts that were judged; say which columns they are in")
        raise Unreadable(
            Message(text, file=record.filename), options=("--candidate COLUMN=ORIGIN (once for each column)",)
        )


def write_all(
    record: Import, table: Table, mapping: Mapping, reader: RowReader, faults: FaultLog, progress: run.Progress | None
) -> Recorded:
    """Everything that the file adds. Call it inside a transaction."""
    project, actor, judgements = record.project, record.created_by, reader.settled.judgements
    notes = add_prompts(record, table, mapping, reader, faults)
    keys, added = recorded_aspects(project, reader.settled.scales, actor)
    name = record.mapping["judgements"].get("name", "")
    recorder = Recorder(
        record,
        actor,
        name,
        Workers(project, actor),
        kind=Kind.SCORING if judgements.is_scoring else Kind.CHOOSING,
        aspects=keys,
    )
    done = 0
    for chunk in answers_staging.staged_answers(ANSWERS_AT_ONCE):
        recorder.write(chunk)
        done += len(chunk)
        if progress:
            progress(record.rows_read, 0.5 + done / max(1, reader.summary.answers) / 2)
    recorder.close()
    if recorder.tally.added >= ANALYZE_FROM_ANSWERS:
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE annotation_task, annotation_assignment, annotation_annotation")
    if added:
        notes.append(note("new aspects", len(added), name=", ".join(added)))
    record.report["notes"] = [*notes_of_tally(recorder.tally), *reader.notes(), *notes]
    record.report["judgements"] = {
        "answers": reader.summary.answers,
        "scores": reader.summary.scores,
        "verdicts": dict(reader.summary.verdicts),
        "people_known": recorder.workers.matched,
        "people_new": recorder.workers.created,
        "batch": recorder.batch.pk if recorder.batch else None,
        "tally": asdict(recorder.tally),
        "settled": reader.settled.as_dict(),
    }
    finish_judgements(record)
    return Recorded(record, recorder.batch, recorder.tally)


def add_prompts(record: Import, table: Table, mapping: Mapping, reader: RowReader, faults: FaultLog) -> list[Note]:
    """Move the staged prompts and candidates into the project; ImportRefused where rows are at fault."""
    project = record.project
    notes = []
    lock_project(project)
    if dropped := answers_staging.drop_other_ids(project):
        notes.append(note("ids not kept", dropped))
    staging.find_in_project(project)
    for fault in cross_faults(project, fields_of(mapping)):
        faults.add(fault)
    if faults.count:
        faults.close()
        describe_faults(record, faults)
        if not record.keep_good or faults.rows == record.rows_read:
            refused = run.ImportRefused(refusal(record, faults), record)
            unknown = [value for value, _count in reader.unknown.most_common(9)]
            refused.options = tuple(shlex.quote(f"--answer={value}=MEANING") for value in unknown)
            raise refused
        rest = run.import_folder(record) / f"rest.{table.format}"
        write_rest(table, rest, faults.is_faulty)
        record.rest_path = str(rest.relative_to(settings.VAR))
        rows = [row for row in range(len(faults.faulty)) if faults.is_faulty(row)]
        staging.unstage(rows)
        answers_staging.unstage_answers_of(rows)
        notes.append(note("faulty rows", faults.rows))
    record.prompts_added, record.candidates_added = staging.add_staged(project, record.pk)
    answers_staging.locate_answers(project)
    return notes


def finish_judgements(record: Import) -> None:
    finish(record, Import.Status.DONE, "prompts.imported")
    after = {"file": record.filename, "sha256": record.sha256, **record.report["judgements"]}
    record_event(
        verb="judgements.imported", target=record, actor=record.created_by, project=record.project, after=after
    )
