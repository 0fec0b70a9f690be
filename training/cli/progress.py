"""Engine jobs in a terminal: one live line, Ctrl-C that cancels, and an exit code for the outcome."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from django.core.management.base import BaseCommand, CommandError, CommandParser, OutputWrapper
from django.db.models import Model
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from annotation.core.errors import Conflict, DomainError
from annotation.models import DatasetVersion, Project
from annotation.text.formatting import duration
from training.engine_jobs.queue import cancel, job_name
from training.models import Checkpoint, EngineJob
from training.reports.progress import read_progress
from training.supervision import launch

ModelT = TypeVar("ModelT", bound=Model)
EXIT_CODES = {EngineJob.Status.SUCCEEDED: 0, EngineJob.Status.FAILED: 1, EngineJob.Status.CANCELLED: 3}
EVERY_SECONDS = 0.5
PLAIN_LINE_SECONDS = 10.0
# Django's own options.
EVERY_COMMAND = {
    "help",
    "version",
    "verbosity",
    "settings",
    "pythonpath",
    "traceback",
    "no_color",
    "force_color",
    "skip_checks",
}


def wait_for(job: EngineJob, out: OutputWrapper, cancel_too: Callable[[], Iterable[EngineJob]] = lambda: ()) -> str:
    """Drive the queue until this job is over, showing its progress; returns its status.

    Ctrl-C asks the engine to save and stop, and cancels what `cancel_too` names first, so that nothing else is
    started; a second one leaves it to itself and raises KeyboardInterrupt.
    """
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TextColumn("{task.fields[figures]}"),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )
    asked_to_stop = False
    spoken = time.monotonic()
    with bar:
        line = bar.add_task(job_name(job), total=1, figures="")
        while True:
            try:
                launch.watch_engine_jobs()
                job.refresh_from_db()
                if not job.is_live:
                    return job.status
                progress = read_progress(job.directory)
                figures = ", ".join(f"{name} {value}" for name, value in progress.labelled_figures)
                if job.status == EngineJob.Status.QUEUED:
                    figures = "waiting for another engine to finish (raise KONOMI_ENGINES to run more)"
                elif not progress.total:
                    figures = "starting"
                if asked_to_stop:
                    figures = f"saving, then stopping; {figures}"
                bar.update(line, completed=progress.done, total=progress.total or 1, figures=figures)
                if not console.is_terminal and time.monotonic() - spoken > PLAIN_LINE_SECONDS:
                    spoken = time.monotonic()
                    counted = f"{progress.done} of {progress.total} {progress.unit}, " if progress.total else ""
                    out.write(f"{job_name(job)}: {counted}{figures}".removesuffix(", "))
                time.sleep(EVERY_SECONDS)
            except KeyboardInterrupt:
                if asked_to_stop:
                    out.write(f"{job_name(job)} continues in the background; manage.py watch_engine_jobs monitors it")
                    raise
                asked_to_stop = True
                for stopped in (*cancel_too(), job):
                    with suppress(Conflict):  # it ended this moment
                        cancel(stopped, None)


def report(job: EngineJob, out: OutputWrapper, err: OutputWrapper, *, summary: str = "") -> None:
    """The last line of a command: what became of the job. Exits with 1 (failed) or 3 (cancelled)."""
    parts: list[str] = [str(job.status), *([summary] if summary else [])]
    result = job.result or {}
    if result.get("wall_s"):
        parts.append(f"took {duration(result['wall_s'])}")
    if job.error:
        err.write(job.error)
    code = EXIT_CODES[EngineJob.Status(job.status)]
    if code:
        parts.append(f"see {job.directory.log_path}")
    out.write(f"{job_name(job)}: {', '.join(parts)}")
    if code:
        out.flush()
        sys.exit(code)


@contextmanager
def plain_errors() -> Iterator[None]:
    """A domain error ends a command with its text, not with a traceback."""
    try:
        yield
    except DomainError as error:
        raise CommandError(str(error)) from error


def get(model: type[ModelT], pk: Any, word: str) -> ModelT:
    row = model._default_manager.filter(pk=pk).first()
    if row is None:
        raise CommandError(f"no {word} {pk}")
    return row


def get_project(slug: str) -> Project:
    project = Project.objects.filter(slug=slug).first()
    if project is None:
        known = ", ".join(Project.objects.order_by("slug").values_list("slug", flat=True)[:20]) or "none yet"
        raise CommandError(f"no project {slug!r} (available: {known})")
    return project


def get_dataset(pk: int) -> DatasetVersion:
    return get(DatasetVersion, pk, "dataset")


def get_checkpoint(pk: int) -> Checkpoint:
    return get(Checkpoint, pk, "checkpoint")


def chosen_options(options: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Those of the command's options that a person gave."""
    return {name: options[name] for name in names if options.get(name) is not None}


def refuse_beside_resume(command: BaseCommand, options: dict[str, Any], *allowed: str) -> None:
    """Raises CommandError where an option was given that `--resume` ignores: it goes on with the settings that
    the job was started with. `allowed`: options that it does use."""
    given = [
        action.option_strings[-1]
        for action in command.create_parser("manage.py", "")._actions
        if action.option_strings
        and action.dest not in {"resume", *allowed, *EVERY_COMMAND}
        and options.get(action.dest, action.default) != action.default
    ]
    if given:
        raise CommandError(f"--resume continues with the settings of its start: omit {', '.join(given)}")


def add_sampling_arguments(parser: CommandParser) -> None:
    sampling = parser.add_argument_group("sampling")
    sampling.add_argument("--samples", type=int, help="texts per prompt (default 1)")
    sampling.add_argument("--temperature", type=float, help="0 is greedy; default 0.8")
    sampling.add_argument("--top-p", type=float, help="nucleus sampling (Holtzman et al. 2020); default 0.95")
    sampling.add_argument("--max-new-tokens", type=int, help="maximum new tokens per text; default 256")
    sampling.add_argument("--batch-size", type=int, help="texts generated in parallel; default 16")
    sampling.add_argument("--seed", type=int, help="the same seed gives the same texts; default 17")
    sampling.add_argument("--threads", type=int, help="CPU threads of the engine; default all")


SAMPLING = ("samples", "temperature", "top_p", "max_new_tokens", "batch_size", "seed", "threads")
