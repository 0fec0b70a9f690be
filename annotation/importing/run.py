"""Files → prompts and candidates: all or nothing, with row and column of every fault."""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from annotation.core.errors import Conflict, InvalidInput
from annotation.core.events import record as record_event
from annotation.importing import staging
from annotation.models import Import, Project, User
from annotation.preparation.files import ReadOptions, Unreadable
from annotation.preparation.formats import Table, open_table
from annotation.preparation.mapping import Mapping, checked_mapping, detect_mapping
from annotation.preparation.prompts import Fault, ParsedPrompt, PromptParser
from annotation.preparation.rejected_rows import FaultLog, write_rest

Progress = Callable[[int, float], None]  # rows read so far, share of the file (0…1)

CHUNK_ROWS = 5000
CHUNK_CHARACTERS = 16 * 1024 * 1024
PROGRESS_SECONDS = 0.5
# Classes of PostgreSQL advisory locks: one import is read by one worker, one project is written by one import.
IMPORT_LOCK = 0x4B6D_0001
PROJECT_LOCK = 0x4B6D_0002


class ImportRefused(InvalidInput):
    """Nothing was written. `record` is the Import with the first faults; `problems` are (place, message)."""

    def __init__(self, message: str, record: Import) -> None:
        faults = [(f"row {fault['row']}, column {fault['column']}", fault["message"]) for fault in record.faults]
        super().__init__(message, faults)
        self.record = record


def import_file(
    *,
    project: Project,
    path: Path,
    filename: str,
    actor: User | None,
    mapping: Mapping | None = None,
    options: ReadOptions | None = None,
    keep_good: bool = False,
    progress: Progress | None = None,
) -> Import:
    """Read a CSV, TSV, JSONL or Parquet file into the project's prompts and candidates.

    Without a mapping, the columns' names decide. All rows are written or none; with `keep_good` the good ones are,
    and the Import names a file with the rest. A prompt that the project has already is not added again (it gains
    the file's new candidates), so the same file adds nothing the second time.

    Raises:
        ImportRefused: the file, or a row of it, is at fault; the Import says where and nothing was written.
    """
    record = Import.objects.create(
        project=project,
        filename=filename[:255],
        mapping=stored_mapping(mapping, options or ReadOptions()),
        keep_good=keep_good,
        created_by=actor,
    )
    return run_import(record=record, path=path, progress=progress)


def import_folder(record: Import) -> Path:
    """Where the import's faults and the rows it did not keep are written."""
    return Path(settings.VAR) / "imports" / str(record.pk)


def stored_mapping(mapping: Mapping | None, options: ReadOptions) -> dict[str, Any]:
    """How `Import.mapping` keeps them; `columns` is null when the columns' names decide."""
    return {"columns": mapping.as_dict() if mapping else None, "read": asdict(options)}


def run_import(*, record: Import, path: Path, progress: Progress | None = None) -> Import:
    """Do a waiting import, or do again one whose worker died: until the end nothing of it is in the project.

    Raises:
        Conflict: it is finished, or another worker is at it.
        ImportRefused: see `import_file`.
    """
    with import_lock(record.pk) as mine:
        waiting = Import.objects.filter(pk=record.pk, status__in=[Import.Status.QUEUED, Import.Status.RUNNING])
        if not mine or not waiting.update(status=Import.Status.RUNNING):
            raise Conflict(f"the import of {record.filename} is finished, or being read by another worker")
        record.refresh_from_db()
        try:
            read_into_project(record, path, progress)
        except InvalidInput as error:
            if not isinstance(error, ImportRefused):
                if isinstance(error, Unreadable) and error.row and not record.faults:
                    record.faults = [{"row": error.row, "column": error.column, "message": str(error)}]
                    record.fault_count = 1
                refuse(record, str(error))
                raise ImportRefused(str(error), record) from error
            raise
        except Exception as error:
            fail(record, f"{type(error).__name__}: {error}")
            raise
    return record


def read_into_project(record: Import, path: Path, progress: Progress | None) -> None:
    project = record.project
    options = ReadOptions(**record.mapping["read"])
    table = open_table(path, record.filename, options, settings.UPLOAD_LIMIT_BYTES)
    told = record.mapping["columns"]
    mapping = Mapping.from_dict(told) if told else detect_mapping(table.columns)
    open_ended = table.format == "jsonl"
    checked_mapping(mapping, table.columns, record.filename, open_ended=open_ended)
    with path.open("rb") as file:
        record.sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    folder = import_folder(record)
    parser = PromptParser(mapping, format=table.format, seed=project.slug, share=project.held_out_share)
    try:
        with FaultLog(folder / "faults.csv") as faults:
            staging.open_staging()
            unseen = set(mapping.used_columns()) - set(table.columns)
            try:
                record.rows_read = stage_rows(table, parser, faults, unseen, reporter(record, progress))
                if unseen:
                    raise Unreadable(f"{record.filename}: no row has the key {min(unseen)!r} that the mapping names")
                if not record.rows_read:
                    raise Unreadable(f"{record.filename} has column names (row 1) and no rows; export it again", row=1)
            except Unreadable as error:
                if faults.count:  # they were found before: they are reported as well
                    faults.add(Fault(error.row or 0, error.column, str(error)))
                    faults.close()
                    describe_faults(record, faults)
                raise
            with transaction.atomic():
                lock_project(project)
                columns = {"external_id": mapping.external_id, "held_out": mapping.held_out}
                for fault in staging.cross_faults(project, columns):
                    faults.add(fault)
                if faults.count:
                    faults.close()
                    describe_faults(record, faults)
                if faults.count and (not record.keep_good or faults.rows == record.rows_read):
                    raise ImportRefused(refusal(record, faults), record)
                if faults.count:
                    rest = folder / f"rest.{table.format}"
                    write_rest(table, rest, faults.is_faulty)
                    record.rest_path = str(rest.relative_to(settings.VAR))
                    staging.unstage(row for row in range(len(faults.faulty)) if faults.is_faulty(row))
                record.prompts_added, record.candidates_added = staging.add_staged(project, record.pk)
                finish(record, Import.Status.DONE, "prompts.imported")
    except ImportRefused as error:
        refuse(record, str(error))
        raise
    finally:
        if not connection.needs_rollback and connection.is_usable():
            staging.close_staging()


def stage_rows(
    table: Table, parser: PromptParser, faults: FaultLog, unseen: set[str], report: Callable[[int, float], None]
) -> int:
    """Parse every row into the staging tables; takes from `unseen` the columns that turn up. Returns the row count."""

    count = size = 0
    waiting: list[ParsedPrompt] = []
    for row in table.rows():
        count += 1
        if unseen and row.values:
            unseen.difference_update(row.values)
        parsed = parser.parse(row)
        if isinstance(parsed, ParsedPrompt):
            waiting.append(parsed)
            size += len(parsed.text) + len(parsed.reference) + len(parsed.messages or "")
            size += sum(len(candidate.text) for candidate in parsed.candidates)
        else:
            for fault in parsed:
                faults.add(fault)
        if not count % CHUNK_ROWS or size > CHUNK_CHARACTERS:
            staging.stage(waiting)
            waiting, size = [], 0
            report(count, table.share_read())
    staging.stage(waiting)
    report(count, table.share_read())
    return count


def describe_faults(record: Import, faults: FaultLog) -> None:
    record.fault_count = faults.count
    record.faults = [fault._asdict() for fault in sorted(faults.first)]
    record.faults_path = str(faults.path.relative_to(settings.VAR))


def refusal(record: Import, faults: FaultLog) -> str:
    count = f"{faults.count:,} fault{'' if faults.count == 1 else 's'} in {faults.rows:,} of {record.rows_read:,} rows"
    first = record.faults[0]
    place = f"row {first['row']:,}" + (f", column {first['column']!r}" if first["column"] else "")
    return f"{record.filename}: {count}; nothing was written. {place}: {first['message']}"


def finish(record: Import, status: Import.Status, verb: str) -> None:
    record.status, record.finished_at, record.share_read = status, timezone.now(), 1.0
    record.save()
    after = {
        "file": record.filename,
        "sha256": record.sha256,
        "rows": record.rows_read,
        "prompts": record.prompts_added,
        "candidates": record.candidates_added,
        "faults": record.fault_count,
    }
    record_event(verb=verb, target=record, actor=record.created_by, project=record.project, after=after)


def refuse(record: Import, message: str) -> None:
    record.error = message.replace("\0", "␀")
    record.prompts_added = record.candidates_added = 0
    with transaction.atomic():
        finish(record, Import.Status.REFUSED, "import.refused")


def fail(record: Import, message: str) -> None:
    """Say that our side broke. Where even that cannot be written, the import stays RUNNING and is done again."""
    if connection.needs_rollback or not connection.is_usable():
        return
    Import.objects.filter(pk=record.pk).update(
        status=Import.Status.FAILED, error=message.replace("\0", "␀"), finished_at=timezone.now()
    )
    record.refresh_from_db()


def reporter(record: Import, progress: Progress | None) -> Progress:
    """Write how far we are where the page can see it, twice a second at most. Staging is outside of the transaction."""
    last = 0.0

    def report(rows: int, share: float) -> None:
        nonlocal last
        if progress:
            progress(rows, share)
        if time.monotonic() - last > PROGRESS_SECONDS:
            last = time.monotonic()
            Import.objects.filter(pk=record.pk).update(rows_read=rows, share_read=share)

    return report


@contextmanager
def import_lock(import_id: int) -> Iterator[bool]:
    """Hold the import's advisory lock, which PostgreSQL lets go when this connection dies; False: someone has it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [IMPORT_LOCK, import_id % 2**31])
        mine = bool(cursor.fetchone()[0])
    try:
        yield mine
    finally:
        if mine and not connection.needs_rollback and connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [IMPORT_LOCK, import_id % 2**31])


def lock_project(project: Project) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [PROJECT_LOCK, project.pk % 2**31])


def stranded_imports() -> list[int]:
    """Uploads whose job was lost: still waiting after a while, or being read by a worker that is no more.

    A redo is safe, because nothing of an import is in the project before its end. One that has killed its workers
    for a day is given up.
    """
    now = timezone.now()
    uploads = Import.objects.exclude(path="")
    waiting = uploads.filter(status=Import.Status.QUEUED, created_at__lt=now - timedelta(seconds=30))
    stranded = list(waiting.values_list("pk", flat=True))
    for record in uploads.filter(status=Import.Status.RUNNING):
        with import_lock(record.pk) as dead:
            if dead and record.created_at < now - timedelta(days=1):
                fail(record, "Its worker died again and again. Split the file, or give the worker more memory.")
            elif dead:
                stranded.append(record.pk)
    return stranded
