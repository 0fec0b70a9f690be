"""Celery jobs: ids in, load, call, record; idempotent, each with a management command twin."""

from pathlib import Path

from celery import shared_task
from django.conf import settings
from django.core.management import call_command

from annotation.analyses import run as analyses
from annotation.checks import rules
from annotation.consent import withdrawals
from annotation.core import counts, journal
from annotation.core.errors import Conflict
from annotation.dashboards import summaries
from annotation.exchange import requests
from annotation.importing import locks, run
from annotation.importing.judgements.run import run_judgements
from annotation.members import attempt_counters
from annotation.models import AnswerExport, Import, Project
from annotation.quality import run as quality
from annotation.queue import claims
from annotation.trials import results as trials


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
def export_answers(export_id: int) -> None:
    """Write the file of an export of answers. Its twin is `manage.py export_annotations`."""
    export = AnswerExport.objects.select_related("project", "created_by").get(pk=export_id)
    try:
        requests.run_export(export)
    except Conflict:
        return  # finished, cancelled, or another worker is at it


@shared_task  # type: ignore[untyped-decorator]
def resume_exports() -> None:
    """Queue again what waits for long, and what was being written by a worker that died."""
    for export_id in requests.due_exports():
        export_answers.delay(export_id)


@shared_task  # type: ignore[untyped-decorator]
def delete_old_exports() -> None:
    """Delete the files of exports after a week. Its twin is `manage.py delete_old_exports`."""
    requests.delete_old_exports()


@shared_task  # type: ignore[untyped-decorator]
def expire_leases() -> None:
    """Tasks that nobody works on any more go back to their queue, and no lock of an account lasts longer than it can.

    Its twin is `manage.py expire_leases`.
    """
    claims.expire_leases()
    claims.release_left()
    attempt_counters.forget_future_attempts()


@shared_task  # type: ignore[untyped-decorator]
def clear_sessions() -> None:
    """Delete sessions that have expired. Its twin is `manage.py clearsessions`."""
    call_command("clearsessions")


@shared_task  # type: ignore[untyped-decorator]
def seal_events() -> None:
    """Add new events to their projects' hash chains. Its twin is `manage.py verify_events --seal`."""
    journal.seal_all()


@shared_task  # type: ignore[untyped-decorator]
def finish_withdrawals() -> None:
    """Finish erasures that were interrupted, and erase what arrived meanwhile. Its twin is
    `manage.py withdraw_consent --finish`."""
    withdrawals.finish_all()


@shared_task  # type: ignore[untyped-decorator]
def fold_counts() -> None:
    """Fold the counts of slots and work into sums. Its twin is `manage.py rebuild_counts --fold`."""
    counts.fold_counts()


@shared_task  # type: ignore[untyped-decorator]
def send_summaries() -> None:
    """Send the weekly summaries that are due. Its twin is `manage.py send_summaries`."""
    summaries.send_summaries()


@shared_task  # type: ignore[untyped-decorator]
def analyse_project(project_id: int) -> None:
    """Analyse a project's answers for its dashboard and its labels' quality, and give unsure tasks one more annotator,
    unless nothing changed. Its twin is `manage.py analyse`."""
    project = Project.objects.get(pk=project_id)
    if analyses.is_due(project):
        analyses.analyse(project)
        rules.propose(project)
    if quality.is_due(project):
        quality.assess(project)
    trials.update_results(project)


@shared_task  # type: ignore[untyped-decorator]
def analyse_due() -> None:
    """Queue the projects whose answers changed since their last analysis. Its twin is `manage.py analyse --due`."""
    for project_id in sorted({*analyses.due_projects(), *quality.due_projects()}):
        analyse_project.delay(project_id)
