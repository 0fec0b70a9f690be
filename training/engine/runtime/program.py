"""The one way into every engine program: lock, environment, signals, and the last word in result.json.

`python -m training.engine.<program> RUN_DIR` ends with exit code 0 (succeeded), 3 (cancelled) or 1 (failed).
Nothing here imports torch: the lock is held before the slow imports begin, so that nobody takes a program that is
still starting for a dead one.
"""

import errno
import faulthandler
import logging
import os
import platform
import resource
import shutil
import signal
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from types import FrameType
from typing import Any

from training.contract.config import Config, ConfigError, TrainingConfig
from training.contract.errors import Cancelled, EngineError
from training.contract.run_directory import AlreadyRunning, RunDirectory
from training.engine.runtime import distributed

# What a process that died without a word leaves to say.
LOST = "The log may say more; where it does not, memory ran out. Resume to go on from the last checkpoint"
EXIT_CODES = {"succeeded": 0, "failed": 1, "cancelled": 3}
LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "tokenizers", "safetensors", "sacrebleu")

log = logging.getLogger("konomi.engine")


@dataclass
class Run:
    """What a program is given: its directory, its configuration, and whether it was asked to stop."""

    directory: RunDirectory
    config: Any
    started: float = field(default_factory=time.monotonic)
    listeners: list[Callable[[dict[str, Any]], None]] = field(default_factory=list)
    _stop_signal: bool = False

    def cancelled(self) -> bool:
        """Whether the site (file `cancel`) or the system (SIGTERM, SIGINT) asked for an end. Cheap; ask often."""
        return self._stop_signal or self.directory.cancel_requested()

    def stop_if_cancelled(self) -> None:
        if self.cancelled():
            raise Cancelled

    def elapsed(self) -> float:
        return time.monotonic() - self.started

    def record(self, **values: Any) -> None:
        """A line of metrics.jsonl, with the time it was written. Of several processes the first one writes."""
        if distributed.is_main_process():
            self.directory.append_metric(**values, at=round(time.time(), 3))
            for listener in self.listeners:
                listener(values)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a program reports when it did not fail."""

    metrics: dict[str, Any]
    tokens: int = 0
    cancelled: bool = False
    details: dict[str, Any] = field(default_factory=dict)


def main(name: str, work: Callable[[Run], Outcome], arguments: list[str] | None = None) -> int:
    """Run one engine program on the run directory named on the command line; the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if len(arguments) != 1 or arguments[0].startswith("-"):
        sys.stderr.write(f"usage: python -m training.engine.{name} RUN_DIR\n{__doc__}")
        return 0 if arguments in (["-h"], ["--help"]) else 2
    level = logging.INFO if distributed.is_main_process() else logging.WARNING  # what all processes say is said once
    logging.basicConfig(level=level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    logging.captureWarnings(True)
    warnings.simplefilter("ignore", FutureWarning)  # of the libraries about each other: nothing a reader could do
    for noisy in ("httpx", "httpcore", "urllib3", "fsspec", "filelock"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    faulthandler.enable()
    directory = RunDirectory(Path(arguments[0]).resolve())
    if not directory.path.is_dir():
        sys.stderr.write(f"{directory.path} is not a folder: name a run directory, with a run.json in it\n")
        return 1
    if distributed.is_child():
        distributed.die_with_parent()
    if distributed.is_child() or not distributed.is_main_process():
        return _execute(name, work, directory)  # whoever leads these processes holds the lock
    try:
        with directory.engine_lock():
            return _execute(name, work, directory)
    except AlreadyRunning as error:
        # No result.json: that word belongs to the engine which holds the directory.
        sys.stderr.write(f"{error}\n")
        return 1


def _execute(name: str, work: Callable[[Run], Outcome], directory: RunDirectory) -> int:
    if distributed.is_main_process():
        directory.result_path.unlink(missing_ok=True)  # an earlier ending is not this one's
    started = time.monotonic()
    result: dict[str, Any]
    try:
        config = directory.read_config()
        if config.program != name:
            raise ConfigError(f"run.json is for {config.program}: run python -m training.engine.{config.program}")
        run = Run(directory=directory, config=config, started=started)
        if isinstance(config, TrainingConfig) and config.processes > 1 and distributed.count() == 1:
            if distributed.is_child():
                raise ConfigError("accelerate started one process only: accelerate_config must name several")
            return _lead(name, run)
        _listen_to_signals(run)
        _prepare_environment(config)
        log.info("%s: run %s in %s", name, config.run_id, directory.path)
        run.stop_if_cancelled()
        from training.engine.runtime import tracking

        with tracking.following(run):
            outcome = work(run)
        status = "cancelled" if outcome.cancelled else "succeeded"
        result = {"status": status, "error": "", "metrics": outcome.metrics, "tokens": outcome.tokens}
        result |= outcome.details
    except Cancelled:
        result = {"status": "cancelled", "error": "", "metrics": {}, "tokens": 0}
    except Exception as error:
        log.exception("%s failed", name)
        result = {"status": "failed", "error": explain(error, directory.path), "metrics": {}, "tokens": 0}
    result |= {"wall_s": round(time.monotonic() - started, 3), **_memory(), "versions": versions()}
    return _finish(name, directory, result)


def _lead(name: str, run: Run) -> int:
    """Start the run's processes, wait for them, and have the last word where they could not."""
    directory = run.directory
    log.info("%s: run %s as %d processes", name, run.config.run_id, run.config.processes)

    def stop(number: int, frame: FrameType | None) -> None:
        directory.request_cancel()  # which all processes see

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    with distributed.run_children(name, run.config, directory.path) as launcher:
        launcher.wait()
    result = directory.read_result()
    if result is not None:
        return EXIT_CODES[result["status"]]
    status = "cancelled" if directory.cancel_requested() else "failed"
    error = "" if status == "cancelled" else f"One of the processes died (exit code {launcher.returncode}). {LOST}."
    lost = {"status": status, "error": error, "metrics": {}, "tokens": 0, "wall_s": round(run.elapsed(), 3)}
    return _finish(name, directory, lost | {"versions": versions()})


def _finish(name: str, directory: RunDirectory, result: dict[str, Any]) -> int:
    if not distributed.is_main_process():
        return EXIT_CODES[result["status"]]
    try:
        if result["status"] == "cancelled":
            directory.append_metric(event="cancelled", at=round(time.time(), 3))
        directory.write_result(**result)
    except OSError as error:
        sys.stderr.write(f"result.json could not be written: {error}; the run had {result['status']}\n")
        return 1
    word = result["error"] or ", ".join(f"{key}={_short(value)}" for key, value in result["metrics"].items())
    sys.stdout.write(f"{name}: {result['status']}{': ' + word if word else ''}\n")
    return EXIT_CODES[result["status"]]


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _prepare_environment(config: Config) -> None:
    """Before torch and the hub client are imported: they read these once, at import."""
    if os.environ.get("KONOMI_ALLOW_HUB") != "1":
        os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TQDM_DISABLE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "warning")
    # Threads that wait sleep instead of spinning: on a machine with other work, spinning costs half the speed or more.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if config.threads:
        os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(config.threads)
    os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")
    if "WORLD_SIZE" not in os.environ:
        # One process trains on one GPU: TRL refuses torch's DataParallel, which several visible ones would bring in.
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")


def _listen_to_signals(run: Run) -> None:
    def stop(number: int, frame: FrameType | None) -> None:
        log.warning("%s received: saving, then stopping (once more stops at once)", signal.Signals(number).name)
        run._stop_signal = True
        signal.signal(number, signal.SIG_DFL)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


def explain(error: BaseException, folder: Path) -> str:
    """One sentence or two for result.json: what happened, and what to do about it."""
    text = str(error).strip()
    kind = type(error).__name__
    if is_out_of_memory(error):
        return (
            "Out of memory. Lower batch_size (raise gradient_accumulation by the same factor to keep the effective "
            f"batch) or max_length, use LoRA, or turn gradient_checkpointing on. ({kind}: {text.splitlines()[0][:300]})"
        )
    if _is_disk_full(error, folder):
        return f"The disk is full. Free space under {folder}, then resume. ({kind}: {text[:300]})"
    if isinstance(error, EngineError | ConfigError):
        return text
    if _is_lost_process(error):
        return f"One of the processes died, and the others cannot go on. {LOST}. ({kind}: {text.splitlines()[0][:300]})"
    if isinstance(error, FileNotFoundError):
        return f"File not found: {error.filename or text}. Restore it, or make the run again."
    return f"{kind}: {text[:2000]}. The traceback is in the log."


def is_out_of_memory(error: BaseException) -> bool:
    text = str(error).lower()
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in text
        or "not enough memory" in text
        or "cuda out of memory" in text
    )


def _is_lost_process(error: BaseException) -> bool:
    text = str(error).lower()
    lost = ("connection closed by peer", "connection reset", "read error", "nccl", "heartbeat")
    return distributed.count() > 1 and any(word in text for word in lost)


def _is_disk_full(error: BaseException, folder: Path) -> bool:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    text = str(error)
    if "No space left on device" in text or "os error 28" in text:
        return True
    # torch's zip writer does not say why a write failed.
    failed_write = "PytorchStreamWriter" in text or "unexpected pos" in text
    return failed_write and shutil.disk_usage(folder).free < 64 << 20


def _memory() -> dict[str, int]:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    megabytes = peak >> 20 if sys.platform == "darwin" else peak >> 10  # bytes there, kilobytes elsewhere
    found = {"peak_memory_mb": megabytes}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        found["peak_gpu_memory_mb"] = torch.cuda.max_memory_allocated() >> 20
    return found


def versions() -> dict[str, str]:
    """Of Python and of the libraries that shape a result; those not installed are left out."""
    found = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return found
