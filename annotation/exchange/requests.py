"""Exports that managers ask for on the page: queued, written in the background, cancelled, downloaded, deleted.

What is due is in the database: a job may be lost or run twice. A worker that dies leaves no file; its export is started
again (`due_exports`).
"""

import contextlib
import logging
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

from celery import current_app
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from annotation.core.errors import Conflict, DomainError
from annotation.core.events import record as record_event
from annotation.core.locks import Lock, try_lock
from annotation.core.outage import outage_status
from annotation.exchange.export import Exported, write_answers
from annotation.exchange.selection import Selection
from annotation.models import AnswerExport, Project, User

log = logging.getLogger(__name__)

Status = AnswerExport.Status
LIVE = (Status.QUEUED, Status.RUNNING)
DAYS_KEPT = 7
ATTEMPTS = 10
PROGRESS_SECONDS = 0.5
WAITING_SECONDS = 30  # a job that was not started by then was lost
DIED = "Its worker died again and again. Export fewer batches at once, or give the worker more memory."
NO_SPACE = "The disk was full, and nothing was written. Make space, then export again."


class Cancelled(DomainError):
    """Somebody asked to stop."""


# ---- what people do ----


def request_export(*, project: Project, format: str, selection: Selection, actor: User) -> AnswerExport:
    """Queue an export; the same one, where this person has asked for the same and it is not finished."""
    stored = selection.as_dict()
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=actor.pk)  # a double click is one request
        own = AnswerExport.objects.filter(project=project, created_by=actor, status__in=LIVE, cancel_requested=False)
        if same := own.filter(format=format, selection=stored).first():
            return same
        export = AnswerExport.objects.create(
            project=project, format=format, selection=stored, created_by=actor, queued_at=timezone.now()
        )
        after = {"format": format, "selection": stored}
        record_event(verb="answers.export_requested", target=export, actor=actor, project=project, after=after)
        send(export)
    return export


def cancel_export(*, export: AnswerExport, actor: User | None) -> AnswerExport:
    """Stop a waiting export at once, and one that is being written within a second or two. Raises Conflict when it is
    finished."""
    with transaction.atomic():
        rows = AnswerExport.objects.filter(pk=export.pk)
        waiting = rows.filter(status=Status.QUEUED)
        if not waiting.update(status=Status.CANCELLED, finished_at=timezone.now()) and not rows.filter(
            status=Status.RUNNING
        ).update(cancel_requested=True):
            raise Conflict(_("This export is finished already."))
        record_event(verb="answers.export_cancelled", target=export, actor=actor, project=export.project)
    export.refresh_from_db()
    return export


def restart_export(*, export: AnswerExport, actor: User) -> AnswerExport:
    """Begin a cancelled, failed or deleted export again, with the answers as they are now; Conflict for others."""
    with transaction.atomic():
        over = AnswerExport.objects.filter(pk=export.pk, status__in=[Status.CANCELLED, Status.FAILED, Status.DELETED])
        if not over.update(
            status=Status.QUEUED,
            cancel_requested=False,
            attempts=0,
            rows_written=0,
            rows_total=0,
            report={},
            error="",
            queued_at=timezone.now(),
            finished_at=None,
        ):
            raise Conflict(_("This export is waiting, being written or done."))
        record_event(verb="answers.export_restarted", target=export, actor=actor, project=export.project)
        send(export)
    export.refresh_from_db()
    return export


def delete_export_file(*, export: AnswerExport, actor: User | None) -> AnswerExport:
    """Delete the file; the export stays in the list. Raises Conflict when there is none."""
    with transaction.atomic():
        done = AnswerExport.objects.filter(pk=export.pk, status=Status.DONE)
        if not done.update(status=Status.DELETED, path=""):
            raise Conflict(_("This export has no file."))
        record_event(verb="answers.export_deleted", target=export, actor=actor, project=export.project)
        # Last: where the file cannot be deleted, the export still has it.
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(folder_of(export.pk))
    export.refresh_from_db()
    return export


def send(export: AnswerExport) -> None:
    """A lost message costs a minute: `due_exports` finds what waits."""
    transaction.on_commit(
        lambda: current_app.send_task("annotation.jobs.export_answers", args=[export.pk], retry=False), robust=True
    )


# ---- what workers do ----


def run_export(export: AnswerExport) -> AnswerExport:
    """Write a waiting export's file, or do one again whose worker died.

    Raises:
        Conflict: it is finished or cancelled, or another worker is at it.
    """
    with try_lock(Lock.ANSWER_EXPORT, export.pk) as mine:
        if not mine or not begin(export):
            raise Conflict(f"export {export.pk} is finished, or being written by another worker")
        try:
            with watched(export) as progress:
                exported = write_answers(
                    export.project,
                    export.format,
                    path_of(export),
                    Selection.from_dict(export.selection),
                    replace=True,
                    progress=progress,
                )
            finish(export, exported)
        except Cancelled:
            shutil.rmtree(folder_of(export.pk), ignore_errors=True)
            end(export, Status.CANCELLED)
        except Exception as error:
            outage = outage_status(error)
            if outage == HTTPStatus.INSUFFICIENT_STORAGE:
                end(export, Status.FAILED, error=NO_SPACE)
            elif outage is None:
                end(export, Status.FAILED, error=f"{type(error).__name__}: {error}")
            raise  # where the database was away, it stays RUNNING and is done again
    return export


def begin(export: AnswerExport) -> bool:
    """Take a waiting export up, or one whose worker died; False when it is finished or was cancelled."""
    AnswerExport.objects.filter(pk=export.pk, status=Status.RUNNING, cancel_requested=True).update(
        status=Status.CANCELLED, finished_at=timezone.now()
    )
    waiting = AnswerExport.objects.filter(pk=export.pk, status__in=LIVE)
    began = waiting.update(status=Status.RUNNING, attempts=F("attempts") + 1, rows_written=0)
    export.refresh_from_db()
    if began:
        folder_of(export.pk).mkdir(parents=True, exist_ok=True)
    return bool(began)


@contextmanager
def watched(export: AnswerExport) -> Iterator[Callable[[int, int], None]]:
    """A function to report progress with, twice a second at most. It raises Cancelled when somebody asked to stop.

    It has a connection of its own: the one that reads the answers sees the database as it was at the beginning, and
    nobody sees what it writes before it is done.
    """
    last = 0.0
    own = connection.copy()
    statement = """UPDATE annotation_answerexport SET rows_written = %s, rows_total = %s WHERE id = %s
        AND status = 'running' RETURNING cancel_requested"""

    def report(rows: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last < PROGRESS_SECONDS:
            return
        last = time.monotonic()
        with own.cursor() as cursor:
            cursor.execute(statement, [rows, total, export.pk])
            row = cursor.fetchone()
        if row is None or row[0]:
            raise Cancelled(f"export {export.pk} was cancelled")

    try:
        yield report
    finally:
        own.close()


def finish(export: AnswerExport, exported: Exported) -> None:
    report = exported.report()
    with transaction.atomic():
        running = AnswerExport.objects.filter(pk=export.pk, status=Status.RUNNING, cancel_requested=False)
        if not running.update(
            status=Status.DONE,
            path=str(exported.path.relative_to(settings.VAR)),
            size=exported.size,
            sha256=exported.sha256,
            rows_written=exported.rows,
            rows_total=exported.rows,
            report=report,
            finished_at=timezone.now(),
        ):
            raise Cancelled(f"export {export.pk} was cancelled")
        after = {"format": export.format, "sha256": exported.sha256, "selection": export.selection, **report}
        record_event(
            verb="answers.exported", target=export, actor=export.created_by, project=export.project, after=after
        )
    export.refresh_from_db()


def end(export: AnswerExport, status: str, error: str = "") -> None:
    """Without a file. Where even that cannot be written, the export stays RUNNING and is done again."""
    if connection.needs_rollback or not connection.is_usable():
        return
    AnswerExport.objects.filter(pk=export.pk).update(
        status=status, error=error.replace("\0", "␀"), finished_at=timezone.now()
    )
    export.refresh_from_db()


# ---- what the clock does ----


def due_exports() -> list[int]:
    """Exports whose job was lost: still waiting after a while, or being written by a worker that is no more."""
    now = timezone.now()
    # One that was queued at a time which is still to come has waited, too: the clock has been set back since.
    just_now = (now - timedelta(seconds=WAITING_SECONDS), now)
    waiting = AnswerExport.objects.filter(status=Status.QUEUED).exclude(queued_at__range=just_now)
    due = list(waiting.values_list("pk", flat=True))
    for export in AnswerExport.objects.filter(status=Status.RUNNING):
        with try_lock(Lock.ANSWER_EXPORT, export.pk) as dead:
            if dead and export.cancel_requested:
                end(export, Status.CANCELLED)
            elif dead and export.attempts >= ATTEMPTS:
                end(export, Status.FAILED, error=DIED)
            elif dead:
                due.append(export.pk)
    return due


def delete_old_exports() -> int:
    """Delete the files of exports that are older than DAYS_KEPT, and whatever else is in their folder without an export
    that needs it; returns how many files of exports there were."""
    now = timezone.now()
    old = Q(finished_at__lt=now - timedelta(days=DAYS_KEPT)) | Q(finished_at__gt=now + timedelta(days=1))
    count = 0
    for export in AnswerExport.objects.filter(old, status=Status.DONE).select_related("project"):
        with contextlib.suppress(Conflict):  # its owner was faster
            delete_export_file(export=export, actor=None)
            count += 1
    for folder in exports_folder().glob("*"):
        needed = AnswerExport.objects.filter(status__in=[*LIVE, Status.DONE])
        if not folder.name.isdecimal() or not needed.filter(pk=folder.name).exists():
            shutil.rmtree(folder, ignore_errors=True)
    return count


def exports_folder() -> Path:
    return Path(settings.VAR) / "exports"


def folder_of(export_id: int) -> Path:
    return exports_folder() / str(export_id)


def path_of(export: AnswerExport) -> Path:
    return folder_of(export.pk) / f"answers.{export.format}"


def deleted_on(export: AnswerExport) -> Any:
    """When the file will be deleted."""
    return export.finished_at + timedelta(days=DAYS_KEPT) if export.finished_at else None
