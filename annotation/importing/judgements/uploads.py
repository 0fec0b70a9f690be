"""An uploaded file of judgements: looked at, confirmed, read in the background."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

from celery import current_app
from django.db import transaction
from django.utils import timezone

from annotation.core.errors import InvalidInput
from annotation.core.events import record as record_event
from annotation.core.messages import Message, stored
from annotation.importing.judgements.detection import choose
from annotation.importing.judgements.mapping import JudgementMapping, JudgementWords, checked_judgements
from annotation.importing.judgements.survey import JudgementSurvey, first_of, survey
from annotation.importing.run import stored_mapping
from annotation.importing.uploads import changeable, shown, upload_path, upload_table
from annotation.models import Import
from annotation.preparation.files import ReadOptions
from annotation.preparation.formats import Table
from annotation.preparation.mapping import Mapping, MappingError, MappingWords, checked_mapping

UNDECIDED: dict[str, Any] = {"columns": None, "words": {}, "name": ""}


@dataclass
class Preview:
    """The first rows of an upload and what an import would do with all of them. `problem` (a stored message) says why
    there is nothing to see; `mistake` why these columns cannot be used."""

    mapping: Mapping = field(default_factory=Mapping)
    judgements: JudgementMapping = field(default_factory=JudgementMapping)
    columns: list[str] = field(default_factory=list)
    rows: list[tuple[int, list[str], str]] = field(default_factory=list)  # number, cells, fault
    format: str = ""
    reading: list[str] = field(default_factory=list)
    survey: JudgementSurvey | None = None
    problem: dict[str, Any] | None = None
    mistake: dict[str, Any] | None = None
    encodings: tuple[tuple[str, str], ...] = ()


def message_of(error: InvalidInput) -> dict[str, Any]:
    return stored(error.args[0] if error.args and isinstance(error.args[0], Message) else str(error))


def preview_judgements(
    record: Import, mapping: Mapping | None = None, judgements: JudgementMapping | None = None
) -> Preview:
    """Look at an upload, with the columns given or stored, else those that its columns' names suggest."""
    try:
        with upload_table(record) as table:
            return look(record, table, mapping, judgements)
    except InvalidInput as error:
        return Preview(problem=message_of(error), encodings=getattr(error, "encodings", ()))


def look(record: Import, table: Table, mapping: Mapping | None, judgements: JudgementMapping | None) -> Preview:
    path = upload_path(record)
    first = first_of(table)
    if table.format == "jsonl" and path.stat().st_size < 2**24:
        for _ in table.rows():  # for the keys of later rows
            pass
    chosen = record.mapping["judgements"]["columns"]
    if mapping is None and chosen:
        mapping, judgements = Mapping.from_dict(record.mapping["columns"]), JudgementMapping.from_dict(chosen)
    if mapping is None or judgements is None:
        values = [row.values for row in first if row.values]
        mapping, judgements = choose(MappingWords(), JudgementWords(), table.columns, values)
    columns = list(dict.fromkeys([*table.columns, *record.mapping.get("shown", ())]))
    preview = Preview(mapping, judgements, columns, format=table.format, reading=table.reading())
    for row in first:
        cells = [shown(row.values.get(column)) for column in columns] if row.values is not None else []
        preview.rows.append((row.number, cells, row.fault))
    try:
        check(record, table, mapping, judgements)
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        preview.survey = survey(table, record.project, mapping, judgements, record.filename, sha256)
    except InvalidInput as error:
        preview.mistake = message_of(error)
    if columns != record.mapping.get("shown"):
        record.mapping["shown"] = columns
        Import.objects.filter(pk=record.pk).update(mapping=record.mapping)
    return preview


def check(record: Import, table: Table, mapping: Mapping, judgements: JudgementMapping) -> None:
    open_ended = table.format == "jsonl"
    checked_mapping(mapping, table.columns, record.filename, open_ended=open_ended)
    checked_judgements(judgements, table.columns, mapping.used_columns(), record.filename, open_ended=open_ended)


def confirm_judgements(
    *, record: Import, mapping: Mapping, judgements: JudgementMapping, name: str, keep_good: bool, actor: Any
) -> None:
    """Queue a waiting (or refused) upload to be read with these columns, in the background.

    Raises:
        InvalidInput: the columns do not fit, or leave open what an answer means; or the file is gone.
        Conflict: it is being read, or has been.
    """
    preview = preview_judgements(record, mapping, judgements)
    problem = preview.problem or preview.mistake or (preview.survey.question if preview.survey else None)
    if problem:
        values = problem.get("values", {})
        raise MappingError(Message(problem["msgid"], **values) if "msgid" in problem else problem["message"])
    options = ReadOptions(**record.mapping["read"])
    with transaction.atomic():
        changeable(
            record,
            lambda rows: rows.update(
                mapping={
                    **stored_mapping(mapping, options, record.mapping.get("shown") or preview.columns),
                    "judgements": {"columns": judgements.as_dict(), "words": {}, "name": name},
                },
                keep_good=keep_good,
                status=Import.Status.QUEUED,
                faults=[],
                fault_count=0,
                faults_path="",
                rest_path="",
                error="",
                report={},
                rows_read=0,
                share_read=0,
                created_at=timezone.now(),
                finished_at=None,
            ),
        )
        after = {"columns": mapping.as_dict(), "judgements": judgements.as_dict(), "keep_good": keep_good}
        record_event(verb="import.confirmed", target=record, actor=actor, project=record.project, after=after)
        # Without the broker the import waits: `resume_imports` finds it.
        transaction.on_commit(
            lambda: current_app.send_task("annotation.jobs.import_file", args=[record.pk], retry=False), robust=True
        )
    record.refresh_from_db()
