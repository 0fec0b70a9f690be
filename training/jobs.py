"""Celery jobs: ids in, load, call, record; idempotent, each with a management command twin."""

from celery import shared_task

from training.supervision import launch


@shared_task(name="training.jobs.watch_engine_jobs", ignore_result=True, expires=30)  # type: ignore[untyped-decorator]
def watch_engine_jobs() -> None:
    """Start what waits and take in what ended; beat calls it every 5 seconds (twin: manage.py watch_engine_jobs)."""
    launch.watch_engine_jobs()
