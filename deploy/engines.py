"""Engines that go on when the site stops: which they are, and how to stop them without it."""

import logging
import shlex
from collections.abc import Callable

from django.db import DatabaseError

from training.engine_jobs.queue import job_name
from training.supervision.launch import JOBS, Status

log = logging.getLogger(__name__)


def say_what_goes_on(say: Callable[[str], None]) -> None:
    """A line for each engine that runs. Never raises for a database that is gone: the site has to stop all the same."""
    try:
        running = [job for model in JOBS for job in model._default_manager.filter(status=Status.RUNNING)]
    except DatabaseError as error:
        log.warning("whether an engine runs is unknown: %s", error)
        return
    for job in running:
        if job.directory.is_alive():
            say(
                f"{job_name(job).capitalize()} goes on without the site, and the next start records how it ended. "
                f"To have it save and stop:  touch {shlex.quote(str(job.directory.cancel_path))}"
            )
