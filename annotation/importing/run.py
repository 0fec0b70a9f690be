"""Files → prompts and candidates: all or nothing, with row and column of every fault."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from annotation.core.collection import rare_collection
from annotation.core.errors import Conflict, InvalidInput
from annotation.importing import staging
from annotation.importing.cross_checks import cross_faults, fields_of
from annotation.importing.locks import import_lock, lock_project
from annotation.importing.outcome import begin, describe_faults, finish, interrupt, refusal, refuse
from annotation.importing.report import LeftOut, notes_on_adding, reading
from annotation.models import Import, Project, User
from annotation.preparation.apart import memory_limit
from annotation.preparation.files import ReadOptions, Unreadable
from annotation.preparation.formats import Table, open_table
from annotation.preparation.mapping import Mapping, MappingError, MappingWords, checked_mapping
from annotation.preparation.parsed import Fault, ParsedPrompt
from annotation.preparation.prompts import PromptParser
from annotation.preparation.rejected_rows import FaultLog, write_rest

Progress = Callable[[int, float], None]  # rows read so far, share of the file (0…1)

CHUNK_ROWS = 5000
CHUNK_CHARACTERS = 16 * 1024 * 1024
PROGRESS_SECONDS = 0.5
MEMORY = 2 << 30  # bytes that reading a file may take, whatever it unpacks to


class ImportRefused(InvalidInput):
    """Nothing was written. `record` is the Import with the first faults; `problems` are (place, message). `options` and
    `commands` help on the command line: see `files.Unreadable`."""

    def __init__(self, message: str, record: Import, cause: InvalidInput | None = None) -> None:
        faults = [(f"row {fault['row']}, column {fault['column']}", fault["message"]) for fault in record.faults]
        super().__init__(message, faults)
        self.record = record
        self.options: tuple[str, ...] = getattr(cause, "options", ())
        self.commands: tuple[str, ...] = getattr(cause, "commands", ())


def import_file(
    *,
    project: Project,
    path: Path,
    filename: str,
    actor: User | None,
    mapping: Mapping | MappingWords | None = None,
    options: ReadOptions | None = None,
    keep_good: bool = False,
    progress: Progress | None = None,
) -> Import:
    """Read a CSV, TSV, JSONL, JSON or Parquet file into the project's prompts and candidates.

    The columns' names decide what the mapping does not say; they are those of the whole file, however late a key
    occurs. All rows are written or none; with `keep_good` the good ones are,
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


def stored_mapping(
    mapping: Mapping | MappingWords | None, options: ReadOptions, shown: list[str] | None = None
) -> dict[str, Any]:
    """How `Import.mapping` keeps them; `columns` is null when the columns' names, and `words` about them, decide.
    `shown` are the columns that a person saw when choosing."""
    stored: dict[str, Any] = {"columns": None, "read": asdict(options)}
    if isinstance(mapping, Mapping):
        stored["columns"] = mapping.as_dict()
    elif mapping:
        stored["words"] = asdict(mapping)
    if shown is not None:
        stored["shown"] = shown
    return stored


def mapping_of(record: Import, table: Table) -> Mapping:
    """What the table's columns mean, as far as they are known."""
    if chosen := record.mapping["columns"]:
        shown = record.mapping.get("shown")
        if shown is not None and (late := [column for column in table.columns if column not in shown]):
            message = (
                f"{record.filename}: not in the first rows, and so not shown when the columns were chosen: "
                f"{', '.join(map(repr, late[:20]))}. Look at the columns again"
            )
            record.mapping["shown"] = table.columns
            raise MappingError(message)
        return Mapping.from_dict(chosen)
    words = {name: tuple(values) for name, values in record.mapping.get("words", {}).items()}
    return MappingWords(**words).on(table.columns)


def languages_of(project: Project) -> tuple[str, ...]:
    return tuple(language for language in (project.source_language, project.target_language) if language)


def run_import(*, record: Import, path: Path, progress: Progress | None = None) -> Import:
    """Do a waiting import, or do again one whose worker died: until the end nothing of it is in the project.

    Raises:
        Conflict: it is finished, or another worker is at it.
        ImportRefused: see `import_file`.
    """
    with import_lock(record.pk) as mine:
        if not mine or not begin(record):
            raise Conflict(f"the import of {record.filename} is finished, or being read by another worker")
        try:
            read_into_project(record, path, progress)
        except InvalidInput as error:
            if not isinstance(error, ImportRefused):
                if isinstance(error, Unreadable) and error.row and not record.faults:
                    record.faults = [{"row": error.row, "column": error.column, "message": str(error)}]
                    record.fault_count = 1
                refuse(record, str(error))
                raise ImportRefused(str(error), record, error) from error
            raise
        except Exception as error:
            interrupt(record, error)
            raise
    return record


def read_into_project(record: Import, path: Path, progress: Progress | None) -> None:
    project = record.project
    options = ReadOptions(**record.mapping["read"])
    with memory_limit(record.filename, MEMORY):
        table = open_table(path, record.filename, options, settings.UPLOAD_LIMIT_BYTES, languages_of(project))
    mapping = mapping_of(record, table)
    with path.open("rb") as file:
        record.sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    folder = import_folder(record)
    try:
        while True:
            with FaultLog(folder / "faults.csv") as faults:
                with memory_limit(record.filename, MEMORY), rare_collection():
                    left_out = stage_file(record, table, mapping, faults, progress)
                # Keys of later rows may mean something: then the file is read again with what they mean.
                whole = mapping_of(record, table)
                if whole != mapping:
                    mapping = whole
                    continue
                if faults.count and faults.rows == record.rows_read - left_out.blank_rows:
                    checked_mapping(mapping, table.columns, record.filename, open_ended=False)  # is anything asked?
                add_to_project(record, table, mapping, faults, left_out)
                return
    except ImportRefused as error:
        refuse(record, str(error))
        raise
    finally:
        if not connection.needs_rollback and connection.is_usable():
            staging.close_staging()


def stage_file(record: Import, table: Table, mapping: Mapping, faults: FaultLog, progress: Progress | None) -> LeftOut:
    """Every row into the staging tables."""
    project = record.project
    open_ended = table.format == "jsonl"
    checked_mapping(mapping, table.columns, record.filename, open_ended=open_ended)
    parser = PromptParser(
        mapping, format=table.format, seed=project.slug, share=project.held_out_share, persona=project.persona
    )
    left_out = LeftOut(mapping)
    staging.open_staging()
    try:
        record.rows_read = stage_rows(table, parser, faults, left_out, reporter(record, progress))
        if unseen := set(mapping.used_columns()) - set(table.columns):
            raise Unreadable(f"{record.filename}: no row has the key {min(unseen)!r} that the mapping names")
        if record.rows_read == left_out.blank_rows:
            raise Unreadable(f"{record.filename} has column names (row 1) and no rows; export it again", row=1)
    except Unreadable as error:
        if faults.count:  # they were found before: they are reported as well
            faults.add(Fault(error.row or 0, error.column, str(error)))
            faults.close()
            describe_faults(record, faults)
        raise
    record.report = reading(table, mapping)
    record.report["notes"] = left_out.notes(parser.cells)
    return left_out


def add_to_project(record: Import, table: Table, mapping: Mapping, faults: FaultLog, left_out: LeftOut) -> None:
    project = record.project
    with transaction.atomic():
        lock_project(project)
        staging.find_in_project(project)
        for fault in cross_faults(project, fields_of(mapping)):
            faults.add(fault)
        if faults.count:
            faults.close()
            describe_faults(record, faults)
        if faults.count and (not record.keep_good or faults.rows == record.rows_read - left_out.blank_rows):
            raise ImportRefused(refusal(record, faults), record)
        if faults.count:
            rest = import_folder(record) / f"rest.{table.format}"
            write_rest(table, rest, faults.is_faulty)
            record.rest_path = str(rest.relative_to(settings.VAR))
            staging.unstage(row for row in range(len(faults.faulty)) if faults.is_faulty(row))
        record.prompts_added, record.candidates_added = staging.add_staged(project, record.pk)
        record.report["notes"] += notes_on_adding(project, record.prompts_added, record.candidates_added)
        finish(record, Import.Status.DONE, "prompts.imported")


def stage_rows(
    table: Table, parser: PromptParser, faults: FaultLog, left_out: LeftOut, report: Callable[[int, float], None]
) -> int:
    """Parse every row into the staging tables; returns the row count."""
    count = size = 0
    waiting: list[ParsedPrompt] = []
    for row in table.rows():
        count += 1
        parsed = parser.parse(row)
        if isinstance(parsed, ParsedPrompt):
            waiting.append(parsed)
            size += len(parsed.text) + len(parsed.reference) + len(parsed.messages or "")
            size += sum(len(candidate.text) for candidate in parsed.candidates)
        elif parsed is None:
            left_out.count_blank(row)
        else:
            for fault in parsed:
                faults.add(fault)
        left_out.count(table.columns, row)
        if not count % CHUNK_ROWS or size > CHUNK_CHARACTERS:
            staging.stage(waiting)
            waiting, size = [], 0
            report(count, table.share_read())
    staging.stage(waiting)
    report(count, table.share_read())
    return count


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
