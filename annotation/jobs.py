"""Celery jobs: ids in, load, call, record; idempotent, each with a management command twin."""

from pathlib import Path

from celery import shared_task
from django.conf import settings
from django.core.management import call_command

from annotation.core import journal
from annotation.core.errors import Conflict
from annotation.importing import locks, run
from annotation.importing.judgements.run import run_judgements
from annotation.models import Import
from annotation.queue import claims


@shared_task  # type: ignore[untyped-decorator]
def import_file(import_id: int) -> None:
    """Read an uploaded file. Its twins are `manage.py import_prompts` and `import_judgements`."""
    record = Import.objects.select_related("project", "created_by").get(pk=import_id)
    path = Path(settings.UPLOADS_DIR) / record.path
    try:
        if "judgements" in record.mapping:
            run_judgements(record=record, path=path)
        else:
            run.run_import(record=record, path=path)
    except (run.ImportRefused, Conflict):
        return  # the Import says why; or another worker is at it


@shared_task  # type: ignore[untyped-decorator]
def resume_imports() -> None:
    """Queue again what waits for long, and what was being read by a worker that died."""
    for import_id in locks.stranded_imports():
        import_file.delay(import_id)


@shared_task  # type: ignore[untyped-decorator]
def expire_leases() -> None:
    """Tasks that nobody works on any more go back to their queue. Its twin is `manage.py expire_leases`."""
    claims.expire_leases()


@shared_task  # type: ignore[untyped-decorator]
def clear_sessions() -> None:
    """Delete sessions that have expired. Its twin is `manage.py clearsessions`."""
    call_command("clearsessions")


@shared_task  # type: ignore[untyped-decorator]
def seal_events() -> None:
    """Add new events to their projects' hash chains. Its twin is `manage.py verify_events --seal`."""
    journal.seal_all()
