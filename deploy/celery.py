"""The Celery application. Its jobs are in annotation/jobs.py and training/jobs.py."""

import logging
import os
import signal
import threading
import time
from typing import Any

from celery import Celery
from celery.signals import setup_logging, worker_ready
from kombu.transport import TRANSPORT_ALIASES

os.umask(0o077)  # as manage.py: what the site writes is its own
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deploy.settings")

TRANSPORT_ALIASES["filesystem"] = "deploy.file_broker:Transport"
app = Celery("konomi")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["annotation", "training"], related_name="jobs")

SCHEDULER_SECONDS = 2.0  # how often the worker looks whether its scheduler lives


@setup_logging.connect  # type: ignore[untyped-decorator]
def keep_logging(**_: Any) -> None:
    """Celery sets up no logging of its own: ours (settings.LOGGING) has a filter that keeps outages short."""


@worker_ready.connect  # type: ignore[untyped-decorator]
def watch_scheduler(sender: Any, **_: Any) -> None:
    """End the worker when its scheduler has died: `manage.py serve` then starts both. Otherwise no run is watched."""
    scheduler = sender.controller.beat
    if scheduler is not None:
        threading.Thread(target=end_with_scheduler, args=[scheduler], daemon=True, name="scheduler").start()


def end_with_scheduler(scheduler: Any) -> None:
    while scheduler.is_alive():
        time.sleep(SCHEDULER_SECONDS)
    logging.getLogger("konomi").critical("The scheduler of background jobs has ended; the worker ends as well")
    os.kill(os.getpid(), signal.SIGTERM)
