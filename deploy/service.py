"""One child process of `manage.py serve`: start it, signal it, and kill it with everything it started."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings

from deploy.log_files import bound_log

ORPHAN_SECONDS = 5  # how long the children of a killed child may take to finish their requests


@dataclass
class Service:
    """One child: its command, its log, and when to restart it."""

    name: str
    command: list[str]
    log: Path
    environment: dict[str, str]
    descriptors: tuple[int, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    wait: float = 0.0
    due: float = 0.0
    since: float = 0.0  # when it was started, as Unix time
    log_start: int = 0  # bytes of the log before it was started
    failures: int = 0  # ends in a row, each soon after the start
    ended: str = ""  # how it ended last, in words
    message: str = ""  # the end of what it wrote then
    orphans: dict[int, float] = field(default_factory=dict)  # process group → when it is killed

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.log_start = log.tell()
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment,
                cwd=settings.BASE_DIR,
                pass_fds=self.descriptors,
                process_group=0,
                preexec_fn=end_with_parent,  # safe: this process has one thread
            )
        self.started = time.monotonic()
        self.since = time.time()

    def signal(self, number: signal.Signals) -> None:
        """Signal the child only; it forwards the signal to its own children as needed."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def retire(self) -> None:
        """The child has exited; let its own children finish their requests."""
        if self.process is not None:
            self.orphans[self.process.pid] = time.monotonic() + ORPHAN_SECONDS
            signal_group(self.process.pid, signal.SIGTERM)
            self.process = None

    def status(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "is_running": self.process is not None,
            **{"since": self.since, "ended": self.ended, "failures": self.failures, "message": self.message},
            "log": str(self.log),
        }

    def kill_orphans(self) -> None:
        for group in [group for group, at in self.orphans.items() if time.monotonic() > at]:
            signal_group(group, signal.SIGKILL)
            del self.orphans[group]

    @property
    def groups(self) -> list[int]:
        """The process groups of the child and of its predecessors."""
        return [*self.orphans, *([self.process.pid] if self.process is not None else [])]

    def kill(self) -> None:
        """Kill the child, its children, and those of its predecessors, at once."""
        for group in self.groups:
            signal_group(group, signal.SIGKILL)
        if self.process is not None:
            self.process.wait()

    def bound_log(self) -> None:
        bound_log(self.log, self.log.with_name(self.log.name + ".1"))

    def log_tail(self, lines: int = 12) -> str:
        text = self.log.read_bytes()[-8000:].decode(errors="replace")
        return "\n".join("    " + line for line in text.splitlines()[-lines:])


def signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def end_with_parent() -> None:
    """In a new child, before exec: ask the kernel for SIGTERM when the parent dies, even by -9 (Linux only).

    It reaches this child at once; deploy/guard.py ends what it has started, and itself if it takes too long.
    """
    pr_set_pdeathsig = 1
    if _libc is not None:
        _libc.prctl(pr_set_pdeathsig, signal.SIGTERM)
