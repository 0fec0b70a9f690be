"""The entry point of every engine program: lock, environment, signals, and result.json, which is written last.

`python -m training.engine.<program> RUN_DIR` exits with 0 (succeeded), 3 (cancelled) or 1 (failed).
Nothing here imports torch: the lock is taken before the slow imports begin, so that a program that is still starting
is not mistaken for a dead one.
"""

import contextlib
import errno
import faulthandler
import gc
import importlib
import logging
import signal
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from training.contract.config import ConfigError, TrainingConfig
from training.contract.errors import Cancelled
from training.contract.run_directory import AlreadyRunning, RunDirectory
from training.contract.wording import counted
from training.engine.runtime import distributed, tracking
from training.engine.runtime.environment import peak_memory, prepare_environment, versions
from training.engine.runtime.failures import LOST, explain
from training.engine.runtime.last_resort import LastResort
from training.engine.runtime.run import Outcome, Run

EXIT_CODES = {"succeeded": 0, "failed": 1, "cancelled": 3}

# What programs import before they begin (`main`).
MODELS = ("training.engine.models.loading",)
TRAINERS = ("training.engine.trainers.setup", "training.engine.trainers.preflight")

log = logging.getLogger("konomi.engine")


def main(
    name: str, work: Callable[[Run], Outcome], arguments: list[str] | None = None, *, imports: Sequence[str] = ()
) -> int:
    """Run one engine program on the run directory named on the command line; returns the exit code.

    `imports` names modules that `work` needs: they are imported first, a quarter faster than on first use.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if len(arguments) != 1 or arguments[0].startswith("-"):
        sys.stderr.write(f"usage: python -m training.engine.{name} RUN_DIR\n{__doc__}")
        return 0 if arguments in (["-h"], ["--help"]) else 2
    level = logging.INFO if distributed.is_main_process() else logging.WARNING  # one process logs what all would log
    logging.basicConfig(level=level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    logging.captureWarnings(True)
    warnings.simplefilter("ignore", FutureWarning)  # libraries about each other: nothing that a reader can act on
    for noisy in ("httpx", "httpcore", "urllib3", "fsspec", "filelock"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    faulthandler.enable()
    directory = RunDirectory(Path(arguments[0]).resolve())
    if not directory.path.is_dir():
        sys.stderr.write(f"{directory.path} is not a folder: name a run directory that contains run.json\n")
        return 1
    if distributed.is_child():
        distributed.die_with_parent()
    if distributed.is_child() or not distributed.is_main_process():
        return _execute(name, work, directory, imports)  # the process that started this one holds the lock
    try:
        with directory.engine_lock() as handed_over:
            if not handed_over and directory.cancel_requested():
                # Nobody can have asked for the end of what a person starts by hand only now.
                log.warning("a request to cancel, left by an earlier execution, is removed")
                directory.withdraw_cancel()
            code = _execute(name, work, directory, imports)
            if directory.result_path.exists():
                directory.withdraw_cancel()  # done: it must not end the next execution, too
            return code
    except AlreadyRunning as error:
        # No result.json: it belongs to the engine that holds the directory.
        sys.stderr.write(f"{error}\n")
        return 1


def _execute(name: str, work: Callable[[Run], Outcome], directory: RunDirectory, imports: Sequence[str]) -> int:
    if distributed.is_main_process():
        directory.result_path.unlink(missing_ok=True)  # from an earlier execution
    last_resort = LastResort(directory.result_path, versions=versions())
    try:
        return _run_and_report(name, work, directory, last_resort, imports)
    except Exception as error:
        if distributed.is_main_process():
            try:
                last_resort.write(error)
            except OSError as failure:
                sys.stderr.write(f"result.json could not be written: {failure}; the run has failed\n")
        if not last_resort.needed:
            with contextlib.suppress(MemoryError):
                log.exception("%s failed, and so did its report", name)
        return EXIT_CODES["failed"]


def _run_and_report(
    name: str,
    work: Callable[[Run], Outcome],
    directory: RunDirectory,
    last_resort: LastResort,
    imports: Sequence[str],
) -> int:
    """Run the program and write result.json; returns the exit code.

    Raises whatever comes up where even the report of a failure needs more memory than is left.
    """
    started = time.monotonic()
    result: dict[str, Any]
    try:
        config = directory.read_config()
        if config.program != name:
            raise ConfigError(f"run.json is for {config.program}: run python -m training.engine.{config.program}")
        run = Run(directory=directory, config=config, started=started, before_the_end=last_resort.release_for_the_end)
        if isinstance(config, TrainingConfig) and config.processes > 1 and distributed.count() == 1:
            if distributed.is_child():
                raise ConfigError("accelerate started a single process: accelerate_config must name several")
            return _run_children(name, run)
        _listen_to_signals(run)
        prepare_environment(config)
        log.info("%s: run %s in %s", name, config.run_id, directory.path)
        run.stop_if_cancelled()
        import_without_collection(imports)
        with tracking.tracked(run):
            outcome = work(run)
        last_resort.release_for_the_end()
        status = "cancelled" if outcome.cancelled else "succeeded"
        result = {"status": status, "error": "", "metrics": outcome.metrics, "tokens": outcome.tokens}
        result |= outcome.details
    except Cancelled:
        result = {"status": "cancelled", "error": "", "metrics": {}, "tokens": 0}
    except Exception as error:
        last_resort.release(error)
        log.exception("%s failed", name)
        result = {"status": "failed", "error": explain(error, directory.path), "metrics": {}, "tokens": 0}
    result |= {"wall_s": round(time.monotonic() - started, 3), **peak_memory(), "versions": versions()}
    return _finish(name, directory, result)


def import_without_collection(modules: Sequence[str]) -> None:
    """Import modules with the garbage collector paused: torch and its libraries make hundreds of thousands of objects
    that all stay, and looking through them again and again takes a quarter of the import."""
    gc.disable()
    try:
        for module in modules:
            importlib.import_module(module)
    finally:
        gc.enable()


def _run_children(name: str, run: Run) -> int:
    """Start the run's processes, wait for them, and write result.json if they could not."""
    directory = run.directory
    log.info("%s: run %s as %s", name, run.config.run_id, counted(run.config.processes, "process", "processes"))

    def stop(number: int, frame: FrameType | None) -> None:
        directory.request_cancel()  # which all processes see

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    with distributed.start_children(name, run.config, directory.path) as launcher:
        launcher.wait()
    result = directory.read_result()
    if result is not None:
        return EXIT_CODES[result["status"]]
    status = "cancelled" if directory.cancel_requested() else "failed"
    error = "" if status == "cancelled" else f"One of the processes died (exit code {launcher.returncode}). {LOST}."
    lost = {"status": status, "error": error, "metrics": {}, "tokens": 0, "wall_s": round(run.elapsed(), 3)}
    return _finish(name, directory, lost | {"versions": versions()})


def _finish(name: str, directory: RunDirectory, result: dict[str, Any]) -> int:
    """Write result.json, and one line to stdout; returns the exit code."""
    if not distributed.is_main_process():
        return EXIT_CODES[result["status"]]
    try:
        if result["status"] == "cancelled":
            directory.append_metric(event="cancelled", at=round(time.time(), 3))
        directory.write_result(**result)
    except OSError as error:
        if error.errno == errno.ENOMEM:
            raise
        sys.stderr.write(f"result.json could not be written: {error}; the run's status was {result['status']}\n")
        return 1
    summary = result["error"] or ", ".join(f"{key}={_short(value)}" for key, value in result["metrics"].items())
    sys.stdout.write(f"{name}: {result['status']}{': ' + summary if summary else ''}\n")
    return EXIT_CODES[result["status"]]


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _listen_to_signals(run: Run) -> None:
    def stop(number: int, frame: FrameType | None) -> None:
        log.warning("%s received: saving, then stopping (a second one stops at once)", signal.Signals(number).name)
        run.stop_signal = True
        signal.signal(number, signal.SIG_DFL)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
