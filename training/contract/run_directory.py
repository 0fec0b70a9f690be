"""A run directory: all that the site and the engine share. Every file name in it is defined here, once.

run.json           the configuration (see `training.contract.config`)
dataset/           train.parquet  held_out.parquet  manifest.json; corpus.jsonl for `pretrain`
prompts.jsonl      input of `generate`
metrics.jsonl      one JSON object per line, appended by the engine
log.txt            stdout and stderr of the engine
cancel             created by the site: the engine saves, writes result.json, removes this file and exits
lock               held (flock) by the engine for as long as it lives: how others detect that it died
inputs.json        hashes of dataset and models, and settings, of the first start: a resume goes on with the same
preflight.json     checks, lengths, memory and time, written before the first step
checkpoint-<n>/    resumable trainer state
reference/         reference log-probabilities, where runs do not share a cache
tokens/            token ids of the rows, where runs do not share a cache
quantization-base/ the chain's adapters merged, for a quantized base
tensorboard/       and mlruns/: where trackers write
model/             the trained model, with lineage.json
candidates.jsonl   output of `generate`
scores.jsonl       output of `evaluate`: log-probabilities of the held-out rows
samples.jsonl      output of `evaluate`: sample texts
result.json        written last
"""

import contextlib
import fcntl
import json
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from training.contract import config as configs

CONFIG = "run.json"
DATASET = "dataset"
TRAIN, HELD_OUT, MANIFEST, CORPUS = "train.parquet", "held_out.parquet", "manifest.json", "corpus.jsonl"
DATASET_FILES = (TRAIN, HELD_OUT, MANIFEST)
PROMPTS, CANDIDATES = "prompts.jsonl", "candidates.jsonl"
METRICS = "metrics.jsonl"
LOG = "log.txt"
CANCEL, LOCK = "cancel", "lock"
INPUTS = "inputs.json"
PREFLIGHT = "preflight.json"
CHECKPOINT_PREFIX = "checkpoint-"
TRAINER_STATE = "trainer_state.json"  # in a checkpoint; transformers' own name
REFERENCE, TOKENS, QUANTIZATION_BASE = "reference", "tokens", "quantization-base"
TENSORBOARD, MLRUNS = "tensorboard", "mlruns"
MODEL, LINEAGE = "model", "lineage.json"
SCORES, SAMPLES = "scores.jsonl", "samples.jsonl"
RESULT = "result.json"


class AlreadyRunning(RuntimeError):
    """Another engine holds this run directory."""


@dataclass(frozen=True)
class RunDirectory:
    path: Path

    @property
    def config_path(self) -> Path:
        return self.path / CONFIG

    @property
    def dataset(self) -> Path:
        return self.path / DATASET

    @property
    def metrics_path(self) -> Path:
        return self.path / METRICS

    @property
    def log_path(self) -> Path:
        return self.path / LOG

    @property
    def model(self) -> Path:
        return self.path / MODEL

    @property
    def result_path(self) -> Path:
        return self.path / RESULT

    @property
    def lock_path(self) -> Path:
        return self.path / LOCK

    @property
    def cancel_path(self) -> Path:
        return self.path / CANCEL

    @property
    def preflight_path(self) -> Path:
        return self.path / PREFLIGHT

    @property
    def prompts_path(self) -> Path:
        return self.path / PROMPTS

    @property
    def candidates_path(self) -> Path:
        return self.path / CANDIDATES

    @property
    def scores_path(self) -> Path:
        return self.path / SCORES

    @property
    def samples_path(self) -> Path:
        return self.path / SAMPLES

    def checkpoint(self, step: int) -> Path:
        return self.path / f"{CHECKPOINT_PREFIX}{step}"

    def create(self, config: configs.Config) -> None:
        """Make the directory and write run.json; an existing run.json is replaced as a whole."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_atomically(self.config_path, configs.to_json(config))

    def read_config(self) -> configs.Config:
        return configs.read_config(self.config_path)

    def append_metric(self, **values: Any) -> None:
        """One line of metrics.jsonl. A line is written in one call, so that a reader sees whole lines or none."""
        line = json.dumps(values, ensure_ascii=False, default=float) + "\n"
        with self.metrics_path.open("a", encoding="utf-8") as file:
            file.write(line)

    def read_metrics(self, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
        """Whole lines from byte `offset` on, and the offset to continue from. A torn last line is left for later.

        Beyond the end there is nothing: a file system refuses to seek to most of what an address may ask for.
        """
        if not self.metrics_path.exists() or offset >= self.metrics_path.stat().st_size:
            return [], offset
        with self.metrics_path.open("rb") as file:
            file.seek(offset)
            data = file.read()
        end = data.rfind(b"\n") + 1
        rows = []
        for line in data[:end].splitlines():
            with contextlib.suppress(json.JSONDecodeError):  # a line torn by a killed engine, completed by its resume
                rows.append(json.loads(line))
        return rows, offset + end

    def log_tail(self, lines: int = 40, limit: int = 64_000) -> str:
        """The last lines of log.txt, at most `limit` bytes read."""
        if not self.log_path.exists():
            return ""
        with self.log_path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - limit))
            text = file.read().decode("utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def write_result(self, **values: Any) -> None:
        """The result of a run: `status` is succeeded, cancelled or failed; `error` where it failed."""
        write_atomically(self.result_path, json.dumps(values, indent=2, ensure_ascii=False, default=float) + "\n")

    def read_result(self) -> dict[str, Any] | None:
        if not self.result_path.exists():
            return None
        result: dict[str, Any] = json.loads(self.result_path.read_text(encoding="utf-8"))
        return result

    def request_cancel(self) -> None:
        self.cancel_path.touch()

    def cancel_requested(self) -> bool:
        return self.cancel_path.exists()

    def withdraw_cancel(self) -> None:
        self.cancel_path.unlink(missing_ok=True)

    def clear_for_resume(self) -> None:
        """Remove the previous result and the cancel request; checkpoints, metrics and log stay."""
        self.withdraw_cancel()
        self.result_path.unlink(missing_ok=True)

    def last_checkpoint(self) -> Path | None:
        """The newest complete checkpoint (the trainer writes trainer_state.json last)."""
        whole = [
            (checkpoint_step(folder), folder)
            for folder in self.path.glob(f"{CHECKPOINT_PREFIX}*")
            if folder.name.removeprefix(CHECKPOINT_PREFIX).isdigit() and (folder / TRAINER_STATE).exists()
        ]
        return max(whole)[1] if whole else None

    def acquire_lock(self) -> IO[bytes]:
        """Take the engine's lock; it is released when the returned file (and every inherited copy) is closed.

        flock is released by the kernel however the process ends, so a dead engine can never look alive: no stale
        pid files, no reused pids, no zombies. Raises AlreadyRunning.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        file = self.lock_path.open("ab")
        for _ in range(20):  # another process's `is_alive` may hold it briefly
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return file
            time.sleep(0.05)
        file.close()
        raise AlreadyRunning(f"{self.path} is in use by a running engine; cancel that one first")

    def is_alive(self) -> bool:
        """Whether an engine (or its launcher, just now) holds the lock."""
        if not self.lock_path.exists():
            return False
        with self.lock_path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    @contextlib.contextmanager
    def engine_lock(self) -> Iterator[bool]:
        """Held by an engine program for its whole life; the launcher may pass it in as an inherited descriptor.

        Yields whether it was passed in.
        """
        inherited = os.environ.pop("KONOMI_RUN_LOCK_FD", "")
        if inherited:
            # Taken by the launcher and handed over: closed by the kernel when this process ends.
            os.set_inheritable(int(inherited), False)
            yield True
            return
        with self.acquire_lock():
            yield False


def checkpoint_step(folder: Path) -> int:
    """The step after which this checkpoint was saved."""
    return int(folder.name.removeprefix(CHECKPOINT_PREFIX))


def _umask() -> int:
    """The process's umask, which can only be read by setting it (`mkstemp` ignores it: always 0600)."""
    umask = os.umask(0o077)
    os.umask(umask)
    return umask


def write_atomically(path: Path, text: str) -> None:
    """Write to a temporary file, then rename: a reader sees the old file or the new one, never a part of either."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
