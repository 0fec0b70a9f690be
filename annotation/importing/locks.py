"""Locks of imports, and the imports whose worker died: its lock died with it."""

from contextlib import AbstractContextManager
from datetime import timedelta

from django.utils import timezone

from annotation.core.locks import Lock, lock_until_commit, try_lock
from annotation.importing.outcome import fail
from annotation.models import Import, Project

ATTEMPTS = 10


def import_lock(import_id: int) -> AbstractContextManager[bool]:
    """Hold the import's lock, which PostgreSQL lets go when this connection dies; False: someone has it."""
    return try_lock(Lock.IMPORT, import_id)


def lock_project(project: Project) -> None:
    lock_until_commit(Lock.PROJECT, project.pk)


def stranded_imports() -> list[int]:
    """Uploads whose job was lost: still waiting after a while, or being read by a worker that is no more.

    A redo is safe, because nothing of an import is in the project before its end. One that has killed its workers
    for a day, ten times or more, is given up. (A day alone may be a clock that was set.)
    """
    now = timezone.now()
    uploads = Import.objects.exclude(path="")
    # One that was created at a time which is still to come has waited, too: the clock has been set back since.
    just_now = (now - timedelta(seconds=30), now)
    waiting = uploads.filter(status=Import.Status.QUEUED).exclude(created_at__range=just_now)
    stranded = list(waiting.values_list("pk", flat=True))
    for record in uploads.filter(status=Import.Status.RUNNING):
        with import_lock(record.pk) as dead:
            is_old = record.created_at < now - timedelta(days=1)
            if dead and is_old and record.report.get("attempts", 0) >= ATTEMPTS:
                fail(record, "Its worker died again and again. Split the file, or give the worker more memory.")
            elif dead:
                stranded.append(record.pk)
    return stranded
