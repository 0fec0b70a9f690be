"""How an import ends, on its record."""

import contextlib

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from annotation.core.events import record as record_event
from annotation.core.messages import stored
from annotation.core.outage import outage_status
from annotation.models import Import
from annotation.preparation.rejected_rows import FaultLog


def describe_faults(record: Import, faults: FaultLog) -> None:
    record.fault_count = faults.count
    record.faults = [
        {"row": fault.row, "column": fault.column, **stored(fault.message)} for fault in sorted(faults.first)
    ]
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
        "report": record.report.get("notes", []),
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


def begin(record: Import) -> bool:
    """Take a waiting import up, or one whose worker died; False when it is finished.

    While it is read, the report in the database counts the attempts; it is written again at the end.
    """
    record.refresh_from_db()
    attempts = {"attempts": record.report.get("attempts", 0) + 1}
    waiting = Import.objects.filter(pk=record.pk, status__in=[Import.Status.QUEUED, Import.Status.RUNNING])
    if not waiting.update(status=Import.Status.RUNNING, report=attempts):
        return False
    record.status, record.report = Import.Status.RUNNING, {}
    return True


def interrupt(record: Import, error: Exception) -> None:
    """An import broke off. An upload that waits stays RUNNING, and is done again, if only the database was away or the
    disk was full: it was accepted. Everything else failed."""
    if record.path and outage_status(error) is not None:
        with contextlib.suppress(DatabaseError):  # it is not the file that ends its workers: begin to count again
            Import.objects.filter(pk=record.pk).update(report={})
        return
    fail(record, f"{type(error).__name__}: {error}")
