"""An uploaded file's way into a project: received, looked at, confirmed, read in the background."""

import secrets
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from celery import current_app
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from annotation.core.errors import Conflict, InvalidInput
from annotation.core.events import record as record_event
from annotation.importing.report import Note
from annotation.importing.run import languages_of, stored_mapping
from annotation.importing.survey import Survey, survey
from annotation.models import Import, Project, User
from annotation.preparation.apart import TableApart
from annotation.preparation.files import ReadOptions, identify
from annotation.preparation.mapping import Mapping, checked_mapping

CELL_SHOWN = 300


class IntoUploads(FileUploadHandler):
    """Streams an upload to a file in UPLOADS_DIR; a broken-off one leaves nothing."""

    file: Any = None

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        folder = Path(settings.UPLOADS_DIR)
        folder.mkdir(parents=True, exist_ok=True)
        self.file = tempfile.NamedTemporaryFile(dir=folder, prefix="incoming-", delete=False)  # noqa: SIM115

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self.file.write(raw_data)

    def file_complete(self, file_size: int) -> UploadedFile:
        self.file.flush()
        self.file.seek(0)
        return UploadedFile(self.file, self.file_name, self.content_type, file_size, self.charset)

    def upload_interrupted(self) -> None:
        self.discard()

    def discard(self) -> None:
        """Remove the file unless it has been given its place."""
        if self.file is not None:
            self.file.close()
            Path(self.file.name).unlink(missing_ok=True)


def receive_upload(
    *, project: Project, upload: UploadedFile, actor: User, judgements: dict[str, Any] | None = None
) -> Import:
    """Keep an upload that came through `IntoUploads`; a person confirms its columns next. `judgements` is for a file of
    recorded answers (see `importing.judgements`).

    Raises:
        InvalidInput: it is not a file that can be read; nothing of it is kept.
    """
    waiting = Path(str(upload.file.name))  # type: ignore[union-attr]
    filename = Path(upload.name or "upload").name[:255]
    try:
        upload.close()
        identify(waiting, filename, ReadOptions(), settings.UPLOAD_LIMIT_BYTES)
        path = Path(str(project.pk)) / f"{secrets.token_hex(16)}{Path(filename).suffix.lower()}"
        target = Path(settings.UPLOADS_DIR) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        waiting.rename(target)
    finally:
        waiting.unlink(missing_ok=True)
    with transaction.atomic():
        record = Import.objects.create(
            project=project,
            filename=filename,
            path=str(path),
            mapping=stored_mapping(None, ReadOptions()) | ({"judgements": judgements} if judgements else {}),
            status=Import.Status.UPLOADED,
            created_by=actor,
        )
        after = {"file": filename, "bytes": target.stat().st_size}
        record_event(verb="import.uploaded", target=record, actor=actor, project=project, after=after)
    return record


@dataclass
class Preview:
    """The first rows of an upload, as its read options see them, and what an import would do with all of them.
    `samples` are values of columns that are empty in the first rows: column → (row, cell). `problem` says why there is
    nothing to see, and `encodings` in which encodings the text would read how."""

    mapping: Mapping = field(default_factory=Mapping)
    columns: list[str] = field(default_factory=list)
    rows: list[tuple[int, list[str], str]] = field(default_factory=list)  # number, cells, fault
    samples: dict[str, tuple[int, str]] = field(default_factory=dict)
    format: str = ""
    reading: list[str] = field(default_factory=list)
    survey: Survey | None = None
    problem: str = ""
    encodings: tuple[tuple[str, str], ...] = ()

    @property
    def notes(self) -> list[Note]:
        return self.survey.notes if self.survey else []


def upload_path(record: Import) -> Path:
    """Where the upload waits; InvalidInput when it is gone, or would lie outside of the uploads."""
    root = Path(settings.UPLOADS_DIR).resolve()
    path = (root / record.path).resolve()
    if not record.path or not path.is_relative_to(root) or not path.is_file():
        raise InvalidInput(
            _("the uploaded file %(filename)s is no longer here; upload it again") % {"filename": record.filename}
        )
    return path


def upload_table(record: Import) -> TableApart:
    """The waiting upload, opened with its read options in a process of its own; a context manager."""
    options = ReadOptions(**record.mapping["read"])
    languages = languages_of(record.project)
    return TableApart(upload_path(record), record.filename, options, settings.UPLOAD_LIMIT_BYTES, languages)


def preview_upload(record: Import, mapping: Mapping | None = None) -> Preview:
    """Look at an upload, with the mapping given or stored, else the one that its columns' names suggest."""
    stored = record.mapping["columns"]
    try:
        with upload_table(record) as table:
            result = survey(table, record.project, mapping or (Mapping.from_dict(stored) if stored else None))
    except InvalidInput as error:
        return Preview(problem=str(error), encodings=getattr(error, "encodings", ()))
    columns = list(dict.fromkeys([*table.columns, *record.mapping.get("shown", ())]))
    preview = Preview(
        mapping=result.mapping, columns=columns, format=table.format, reading=table.reading(), survey=result
    )
    for row in result.first:
        cells = [shown(row.values.get(column)) for column in columns] if row.values is not None else []
        preview.rows.append((row.number, cells, row.fault))
    preview.samples = {column: (number, shown(value)) for column, (number, value) in result.samples.items()}
    return preview


def columns_of(record: Import, preview: Preview | None = None) -> list[str]:
    """The columns that a person is shown; of a JSONL file they are the keys of all rows that could be looked at."""
    if preview is None and record.mapping.get("shown"):
        return list(record.mapping["shown"])
    preview = preview or preview_upload(record)
    if preview.columns and preview.columns != record.mapping.get("shown"):
        record.mapping["shown"] = preview.columns
        Import.objects.filter(pk=record.pk).update(mapping=record.mapping)
    return preview.columns


def shown(value: Any) -> str:
    text = "" if value is None else value if isinstance(value, str) else repr(value)
    text = text[:CELL_SHOWN] + ("…" if len(text) > CELL_SHOWN else "")
    return text.replace("\0", "␀").encode(errors="replace").decode()


def reread_upload(*, record: Import, options: ReadOptions) -> None:
    """Look at a waiting upload with other read options; the columns are detected again."""
    mapping = stored_mapping(None, options)
    if kept := record.mapping.get("judgements"):
        mapping["judgements"] = {**kept, "columns": None}
    changeable(record, lambda rows: rows.update(mapping=mapping))


def confirm_import(*, record: Import, mapping: Mapping, keep_good: bool, actor: User) -> Import:
    """Queue a waiting (or refused) upload to be read with this mapping, in the background.

    Raises:
        InvalidInput: the mapping does not fit the columns, or the file is gone.
        Conflict: it is being read, or has been.
    """
    with upload_table(record) as table:
        pass  # its columns are known once it is open
    checked_mapping(mapping, table.columns, record.filename, open_ended=table.format == "jsonl")
    with transaction.atomic():
        changeable(
            record,
            lambda rows: rows.update(
                mapping=stored_mapping(
                    mapping, ReadOptions(**record.mapping["read"]), record.mapping.get("shown") or table.columns
                ),
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
        after = {"columns": mapping.as_dict(), "keep_good": keep_good}
        record_event(verb="import.confirmed", target=record, actor=actor, project=record.project, after=after)
        # A lost message costs a minute: `resume_imports` finds what waits.
        transaction.on_commit(
            lambda: current_app.send_task("annotation.jobs.import_file", args=[record.pk], retry=False), robust=True
        )
    record.refresh_from_db()
    return record


def changeable(record: Import, change: Callable[[Any], int]) -> None:
    rows = Import.objects.filter(pk=record.pk, status__in=[Import.Status.UPLOADED, Import.Status.REFUSED])
    if not change(rows):
        raise Conflict(
            _("%(filename)s is being read or has been read; upload it again to change its columns")
            % {"filename": record.filename}
        )
