"""Create engine jobs: a row, a run directory with its run.json, an event, and a message that wakes the worker."""

import contextlib
import json
import os
import platform
import shutil
import time
from collections.abc import Callable
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from celery import current_app
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from annotation.core.errors import Conflict, InvalidInput
from annotation.core.events import record
from annotation.core.version import version
from annotation.core.withdrawals import refuse_withdrawn_dataset
from annotation.models import DatasetVersion, User
from training.contract.config import Config, ConfigError, to_json
from training.contract.run_directory import DATASET_FILES
from training.models import EngineJob

LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "tokenizers", "sacrebleu")


def enqueue(job: EngineJob, *, configure: Callable[[str], Config], actor: User | None) -> None:
    """Save `job` as queued, with a fresh run directory; call it inside the atomic block that makes the job.

    `configure` gets the job's name (such as `run 7`) and returns the content of run.json. Files that the engine
    reads beside run.json are added by the caller before its transaction ends: nobody starts the job earlier.
    """
    job.status, job.created_by = EngineJob.Status.QUEUED, actor
    job.save()
    try:
        config = configure(job_name(job))
    except ConfigError as error:
        raise InvalidInput(str(error)) from error
    folder = job.directory.path
    if folder.exists():
        # Of an earlier database: its checkpoints and metrics must not be taken for this job's own.
        folder.rename(folder.with_name(f"{folder.name}.stale-{time.time_ns()}"))
    job.directory.create(config)
    job.config = json.loads(to_json(config))
    job.save(update_fields=["config"])
    after = {"config": job.config}
    record(verb=f"{job._meta.model_name}.created", target=job, actor=actor, project=job.project, after=after)
    wake_worker()


@transaction.atomic
def cancel(job: EngineJob, actor: User | None) -> str:
    """Ask for an end: a waiting job is cancelled now, a running engine saves first. Returns the job's status.

    Raises Conflict when it is over already.
    """
    Status = EngineJob.Status
    rows = type(job)._default_manager.filter(pk=job.pk)
    if rows.filter(status=Status.QUEUED).update(status=Status.CANCELLED, finished_at=timezone.now()):
        verb, status = "cancelled", Status.CANCELLED
    elif rows.filter(status=Status.RUNNING).exists():
        job.directory.request_cancel()
        verb, status = "cancel_requested", Status.RUNNING
    else:
        raise Conflict(_("%(job)s has already ended") % {"job": describe_job(job)})
    record(verb=f"{job._meta.model_name}.{verb}", target=job, actor=actor, project=job.project)
    job.refresh_from_db()
    return status


@transaction.atomic
def resume(job: EngineJob, actor: User | None) -> None:
    """Queue a failed or cancelled job again: the engine continues from what its directory holds.

    Raises Conflict when it is live or succeeded, or when its engine has not let go of the directory yet.
    """
    Status = EngineJob.Status
    if (dataset := getattr(job, "dataset", None)) is not None:
        refuse_withdrawn_dataset(dataset)
    if job.directory.is_alive():
        raise Conflict(_("%(job)s is still stopping: try again in a moment") % {"job": describe_job(job)})
    rows = type(job)._default_manager.filter(pk=job.pk, status__in=(Status.FAILED, Status.CANCELLED))
    before = {"status": job.status, "error": job.error[:500]}
    if not rows.update(status=Status.QUEUED, error="", result=None, pid=None, finished_at=None):
        raise Conflict(
            _("%(job)s can be resumed only when it has failed or was cancelled") % {"job": describe_job(job)}
        )
    job.directory.clear_for_resume()
    record(verb=f"{job._meta.model_name}.resumed", target=job, actor=actor, project=job.project, before=before)
    job.refresh_from_db()
    wake_worker()


def job_name(job: EngineJob) -> str:
    return f"{job._meta.model_name} {job.pk}"


def describe_job(job: EngineJob) -> str:
    """Its name for people, in their language."""
    names = {
        "run": _("run %(number)s"),
        "generation": _("generation %(number)s"),
        "evaluation": _("evaluation %(number)s"),
        "marginscoring": _("margin scoring %(number)s"),
    }
    return names[str(job._meta.model_name)] % {"number": job.pk}


def wake_worker() -> None:
    """Have the worker look at once, after the commit. A lost message costs seconds: the worker also polls."""
    transaction.on_commit(
        lambda: current_app.send_task("training.jobs.watch_engine_jobs", ignore_result=True, retry=False, expires=30),
        robust=True,
    )


def link_dataset(job: EngineJob, dataset: DatasetVersion) -> None:
    """Put the frozen files into the run directory, as hard links where the file system has them."""
    source = Path(settings.VAR) / dataset.directory
    job.directory.dataset.mkdir(parents=True, exist_ok=True)
    for file in DATASET_FILES:
        if not (source / file).is_file():
            raise Conflict(
                _("dataset %(number)s has no %(file)s in %(source)s: restore that folder, or freeze again")
                % {"number": dataset.pk, "file": file, "source": source}
            )
        target = job.directory.dataset / file
        try:
            os.link(source / file, target)
        except OSError:
            shutil.copyfile(source / file, target)


@lru_cache(maxsize=1)
def code_versions() -> dict[str, str]:
    """Of our own code, of Python and of the libraries that shape a result (read from their metadata)."""
    versions = {"konomi": version(), "python": platform.python_version()}
    for library in LIBRARIES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[library] = metadata.version(library)
    return versions
