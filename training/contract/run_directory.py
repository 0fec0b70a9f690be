"""A run directory: the only thing that the site and the engine share. Free of torch.

run.json        the configuration (see `training.contract.config`)
dataset/        train.parquet  held_out.parquet  manifest.json
metrics.jsonl   one JSON object a line, appended by the engine
log.txt         stdout and stderr of the engine
cancel          created by the site: the engine saves, writes result.json and exits
lock            held (flock) by the engine for as long as it lives: how anyone learns that it died
checkpoint-<n>/ resumable trainer state
model/          what the run is for
result.json     written last
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


class AlreadyRunning(RuntimeError):
    """Another engine holds this run directory."""


@dataclass(frozen=True)
class RunDirectory:
    path: Path

    @property
    def config_path(self) -> Path:
        return self.path / "run.json"

    @property
    def dataset(self) -> Path:
        return self.path / "dataset"

    @property
    def metrics_path(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def log_path(self) -> Path:
        return self.path / "log.txt"

    @property
    def model(self) -> Path:
        return self.path / "model"

    @property
    def result_path(self) -> Path:
        return self.path / "result.json"

    @property
    def lock_path(self) -> Path:
        return self.path / "lock"

    @property
    def cancel_path(self) -> Path:
        return self.path / "cancel"

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
        """Whole lines from byte `offset` on, and the offset to continue from. A torn last line is left for later."""
        if not self.metrics_path.exists():
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
        """The last word of a run: `status` is succeeded, cancelled or failed; `error` where it failed."""
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

    def clear_for_resume(self) -> None:
        """Forget the last ending; checkpoints, metrics and log stay."""
        self.cancel_path.unlink(missing_ok=True)
        self.result_path.unlink(missing_ok=True)

    def last_checkpoint(self) -> Path | None:
        """The newest checkpoint that is whole (the trainer writes trainer_state.json last)."""
        found = [
            (int(folder.name.removeprefix("checkpoint-")), folder)
            for folder in self.path.glob("checkpoint-*")
            if folder.name.removeprefix("checkpoint-").isdigit() and (folder / "trainer_state.json").exists()
        ]
        return max(found)[1] if found else None

    def acquire_lock(self) -> IO[bytes]:
        """Take the engine's lock; it is given back when the returned file (and every inherited copy) is closed.

        flock is released by the kernel however the process ends, so a dead engine can never look alive: no stale
        pid files, no reused pids, no zombies. Raises AlreadyRunning.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        file = self.lock_path.open("ab")
        for _ in range(20):  # somebody's `is_alive` may hold it for an instant
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
    def engine_lock(self) -> Iterator[None]:
        """Held by an engine program for its whole life; the launcher may pass it in as an inherited descriptor."""
        inherited = os.environ.pop("KONOMI_RUN_LOCK_FD", "")
        if inherited:
            # Taken by the launcher and handed over: closed by the kernel when this process ends.
            os.set_inheritable(int(inherited), False)
            yield
            return
        with self.acquire_lock():
            yield


def write_atomically(path: Path, text: str) -> None:
    """Write aside, then rename: a reader sees the old file or the new one, never half of either."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
