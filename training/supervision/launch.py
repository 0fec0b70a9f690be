"""Start engines from the queue, monitor them by file lock, process their results.

Nothing here holds state: any number of workers and waiting commands may run `watch_engine_jobs` at the same time, and
any of them may be killed between two lines. State lives in the database, in the run directory, and in the lock that the
kernel releases when an engine dies.
"""

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from annotation.core.errors import DomainError
from annotation.core.events import record
from annotation.core.outage import outage_status
from training.contract import model_files
from training.contract.errors import LOST, OUT_OF_MEMORY, mentions_memory
from training.contract.run_directory import AlreadyRunning
from training.engine_jobs import model_folders
from training.engine_jobs.queue import job_name
from training.models import EngineJob, Evaluation, Generation, MarginScoring, Run
from training.results.checkpoints import register_checkpoint
from training.results.evaluations import create_evaluation
from training.results.generations import ingest_candidates
from training.results.margins import ingest_margins
from training.rounds import lifecycle

log = logging.getLogger(__name__)

Status = EngineJob.Status
JOBS: tuple[type[EngineJob], ...] = (Run, Generation, Evaluation, MarginScoring)
# Names a PostgreSQL advisory lock: who starts an engine counts the running ones first, one at a time.
STARTING = 0x4B4F4E4F4D49
LOG_LINES = 15
KILL_AFTER_SECONDS = 30
# Passed on to engines; secrets and the database's address are not.
ENVIRONMENT = ("PATH", "HOME", "USER", "LANG", "TMPDIR", "TZ", "PYTHONPATH", "VIRTUAL_ENV", "XDG_CACHE_HOME")
ENVIRONMENT_PREFIXES = (
    "LC_",
    "CUDA_",
    "NVIDIA_",
    "NCCL_",
    "LD_",
    "OMP_",
    "MKL_",
    "TORCH",
    "PYTORCH_",
    "HF_",
    "MLFLOW_",
    "WANDB_",
)

# Our own children, polled so that ended ones do not stay as zombies.
_children: list[subprocess.Popen[bytes]] = []


def watch_engine_jobs() -> None:
    """Process the results of ended engines, kill those that ignore a cancel, start what waits.

    Each job is looked at by itself: one that cannot be dealt with is logged, and the others go on.
    """
    _children[:] = [child for child in _children if child.poll() is None]
    for model in JOBS:
        for job in model._default_manager.filter(status=Status.RUNNING):
            with _logged(job):
                kill_overdue(job)
                reconcile(job)
    with _logged("rounds"):
        lifecycle.advance_all()
    queued = [job for model in JOBS for job in model._default_manager.filter(status=Status.QUEUED)]
    for job in sorted(queued, key=lambda job: job.created_at):
        if count(Status.RUNNING) >= settings.ENGINES:
            return
        with _logged(job):
            launch(job)


# ---- starting ----


def count(status: str) -> int:
    """Engine jobs of all kinds and projects in that status."""
    return sum(model._default_manager.filter(status=status).count() for model in JOBS)


def launch(job: EngineJob) -> bool:
    """Start the engine of a queued job; False when it is not queued any more, or no engine is free.

    The directory's lock is taken first and handed to the engine, so that the job looks alive from before its status
    says running until the engine's end, whoever started it.
    """
    try:
        lock = job.directory.acquire_lock()
    except AlreadyRunning:
        return False
    with lock:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [STARTING])
            rows = type(job)._default_manager.filter(pk=job.pk, status=Status.QUEUED)
            if count(Status.RUNNING) >= settings.ENGINES or not rows.update(
                status=Status.RUNNING, started_at=timezone.now(), finished_at=None, pid=None, error=""
            ):
                return False
            record(verb=f"{job._meta.model_name}.started", target=job, actor=None, project=job.project)
        try:
            engine = _start_engine(job, lock.fileno())
        except OSError as error:
            if outage_status(error) is None:
                with transaction.atomic():
                    _end(job, Status.FAILED, f"the engine could not be started: {error}", None)
            # Else the disk is full: without a pid and a result it goes back to the queue (see `_ending`).
            raise
        _children.append(engine)
        # Save the pid while we still hold the lock, so that whoever sees the engine exit also sees its pid.
        type(job)._default_manager.filter(pk=job.pk, status=Status.RUNNING).update(pid=engine.pid)
    return True


def _start_engine(job: EngineJob, lock: int) -> subprocess.Popen[bytes]:
    directory = job.directory
    program = settings.ENGINE_PROGRAM.format(program=job.config["program"])
    with directory.log_path.open("ab") as log_file:
        return subprocess.Popen(
            [sys.executable, "-m", program, str(directory.path)],
            cwd=settings.BASE_DIR,
            env={**engine_environment(), "KONOMI_RUN_LOCK_FD": str(lock)},
            stdin=subprocess.DEVNULL,
            stdout=log_file,
            stderr=log_file,
            pass_fds=(lock,),
            start_new_session=True,  # it survives the process that started it, and its Ctrl-C
        )


def engine_environment() -> dict[str, str]:
    """What an engine gets of this process's environment: never the site's key or database."""
    kept = {name: value for name, value in os.environ.items() if name in ENVIRONMENT}
    kept |= {name: value for name, value in os.environ.items() if name.startswith(ENVIRONMENT_PREFIXES)}
    kept.pop("HF_TOKEN", None)
    kept["PYTHONUNBUFFERED"] = "1"
    kept[model_files.ROOTS_VARIABLE] = model_files.roots_for_engines(model_folders.roots())
    if settings.ALLOW_HUB:
        return {**kept, "KONOMI_ALLOW_HUB": "1", **{k: v for k, v in os.environ.items() if k == "HF_TOKEN"}}
    return {**kept, "HF_HUB_OFFLINE": "1"}


# ---- ending ----


def reconcile(job: EngineJob) -> bool:
    """Process the result of an engine that has ended, or its log tail. True when it had ended.

    The row's lock makes it happen once; what follows from a success (a checkpoint, candidates, the round's batch) is
    in the same transaction. A success whose result cannot be used becomes a failure with the reason.
    """
    with transaction.atomic():
        rows = type(job)._default_manager.select_for_update(skip_locked=True)
        locked = rows.filter(pk=job.pk, status=Status.RUNNING).first()
        if locked is None or locked.directory.is_alive():
            return False
        status, reason, result = _ending(locked)
        if status == Status.QUEUED:  # the process that was to start the engine died in between
            type(job)._default_manager.filter(pk=job.pk).update(status=status, started_at=None)
            return False
        if status == Status.SUCCEEDED:
            try:
                with transaction.atomic():
                    _ingest(locked)
            except (DomainError, OSError, ValueError, KeyError, IntegrityError) as problem:
                if outage_status(problem) is not None:
                    raise  # a full disk: the engine succeeded, and its result is taken in when there is space
                log.exception("%s: its result cannot be used", job_name(job))
                status, reason = Status.FAILED, f"the engine succeeded, but what it left cannot be used: {problem}"
        _end(locked, status, reason, result)
        if isinstance(locked, Generation) and locked.round is not None:
            lifecycle.advance(locked.round)
    return True


def _ending(job: EngineJob) -> tuple[str, str, dict | None]:
    """(status, error, result) of an engine that has ended; QUEUED for one that was never started."""
    directory = job.directory
    try:
        result = directory.read_result()
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        return Status.FAILED, f"result.json cannot be read: {error}", None
    if result is not None:
        status = result.get("status")
        if status in (Status.SUCCEEDED, Status.CANCELLED):
            return status, "", result
        reason = result.get("error") or f"the engine ended with the status {status!r}"
        return Status.FAILED, f"{reason}\n\nLog tail:\n{directory.log_tail(LOG_LINES)}", result
    tail = directory.log_tail(LOG_LINES) or "(the log is empty)"
    if directory.cancel_requested():
        return Status.CANCELLED, f"The engine was ended before it could save.\n\nLog tail:\n{tail}", None
    if job.pid is None:
        return Status.QUEUED, "", None
    why = f"{OUT_OF_MEMORY} It" if mentions_memory(tail) else f"The engine was killed. {LOST}. It"
    return Status.FAILED, f"{why} left no result.\n\nLog tail:\n{tail}", None


def _ingest(job: EngineJob) -> None:
    """What follows from a success."""
    if isinstance(job, Run):
        checkpoint = register_checkpoint(job)
        if job.evaluate and checkpoint.dataset is not None:
            try:
                with transaction.atomic():
                    create_evaluation(checkpoint=checkpoint, actor=job.created_by)
            except (DomainError, OSError) as error:
                # Such as no held-out rows. The checkpoint is good all the same, and can be evaluated later.
                log.warning("%s is not evaluated: %s", checkpoint, error)
    elif isinstance(job, Generation):
        job.candidates_added = ingest_candidates(job)
        job.save(update_fields=["candidates_added"])
    elif isinstance(job, MarginScoring):
        job.margins_count = ingest_margins(job)
        job.save(update_fields=["margins_count"])


def _end(job: EngineJob, status: str, error: str, result: dict | None) -> None:
    job.status, job.error, job.result, job.finished_at = status, error, result, timezone.now()
    job.save(update_fields=["status", "error", "result", "finished_at"])
    record(
        verb=f"{job._meta.model_name}.{status}",
        target=job,
        actor=None,
        project=job.project,
        before={"status": Status.RUNNING},
        after={"status": status, "error": error[:500]},
    )


def kill_overdue(job: EngineJob) -> None:
    """End an engine that was asked to stop and does not: SIGTERM after the grace, SIGKILL a little later.

    Only while the lock is held, and only a process that names this directory on its command line: a pid alone may
    belong to another process by now.
    """
    with contextlib.suppress(FileNotFoundError):
        now = time.time()
        waited = now - job.directory.cancel_path.stat().st_mtime
        if waited < 0:  # the clock has been set back since: the grace begins again
            os.utime(job.directory.cancel_path, (now, now))
        if waited < settings.CANCEL_GRACE_SECONDS or job.pid is None or not job.directory.is_alive():
            return
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied, ProcessLookupError, PermissionError):
            if str(job.directory.path) not in psutil.Process(job.pid).cmdline():
                return
            hard = waited > settings.CANCEL_GRACE_SECONDS + KILL_AFTER_SECONDS
            log.warning("%s does not stop: %s", job_name(job), "SIGKILL" if hard else "SIGTERM")
            os.killpg(job.pid, signal.SIGKILL if hard else signal.SIGTERM)


@contextlib.contextmanager
def _logged(what: EngineJob | str) -> Iterator[None]:
    try:
        yield
    except Exception:
        log.exception("%s could not be dealt with; the next look tries again", what)
