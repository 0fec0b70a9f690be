"""A small process beside `manage.py serve` that outlives it when it is killed, and ends what it leaves behind.

The kernel tells the children of a killed process (SIGTERM, see `Service`), but not theirs, and a child may take its
time: Celery waits for its jobs, and a job may wait for a lock. The guard knows the process groups of all children. It
reads them from a pipe whose other end only `serve` has: when that is closed, `serve` has ended, however it did.

It holds the lock on the site's data (var/serve.lock) as well, so that the next `serve` begins when all of it has ended.
Only the standard library, since it is run by itself.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable

GRACE_SECONDS = 3.0  # how long jobs and requests may take to finish; what is killed then is found and done again
PAUSE_SECONDS = 0.05


class Guard:
    """The guard as `serve` sees it. Call `watch` whenever processes were started or ended, and now and then besides."""

    def __init__(self, lock: int) -> None:
        """`lock`: the descriptor of the locked file."""
        self._lock = lock
        self._process: subprocess.Popen[bytes] | None = None
        self._groups: list[int] | None = None

    def watch(self, groups: Iterable[int]) -> None:
        """From now on these process groups are ended with us. Starts the guard again if it was killed."""
        groups = sorted(groups)
        if self._process is None or self._process.poll() is not None:
            self._process = self._start()
            self._groups = None
        if groups != self._groups:
            self._groups = groups if self._write(groups) else None

    def close(self) -> None:
        """All of them have been ended already."""
        if self._process is not None:
            self._write([])
            assert self._process.stdin is not None
            with contextlib.suppress(OSError):
                self._process.stdin.close()
            self._process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[self._lock],
            cwd="/",
            start_new_session=True,  # whoever closes the terminal, or presses Ctrl-C in it, does not reach the guard
            bufsize=0,
        )

    def _write(self, groups: list[int]) -> bool:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(" ".join(map(str, groups)).encode() + b"\n")
        except OSError:  # killed: the next call starts it again
            return False
        return True


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: list[int] = []
    for line in sys.stdin.buffer:
        if line.endswith(b"\n"):  # the last one may be cut off
            groups = [int(word) for word in line.split()]
    end(groups)


def end(groups: list[int]) -> None:
    """SIGTERM, and SIGKILL to what is there after GRACE_SECONDS."""
    deadline = time.monotonic() + GRACE_SECONDS
    left = [group for group in groups if reached(group, signal.SIGTERM)]
    while left and time.monotonic() < deadline:
        time.sleep(PAUSE_SECONDS)
        left = [group for group in left if reached(group, 0)]
    for group in left:
        reached(group, signal.SIGKILL)


def reached(group: int, number: int) -> bool:
    """Send the signal (0: none); False when nobody of the group is left."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # not permitted: the number is somebody else's by now
        return False
    return True


if __name__ == "__main__":
    main()
