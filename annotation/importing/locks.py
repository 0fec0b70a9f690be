"""Locks of imports, and the imports whose worker died: its lock died with it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.db import connection
from django.utils import timezone

from annotation.importing.outcome import fail
from annotation.models import Import, Project

# Classes of PostgreSQL advisory locks: one import is read by one worker, one project is written by one import.
IMPORT_LOCK = 0x4B6D_0001
PROJECT_LOCK = 0x4B6D_0002
ATTEMPTS = 10


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
