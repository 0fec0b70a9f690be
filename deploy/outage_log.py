"""An outage of the database or of the disk is two lines in a log, however many requests and jobs fail meanwhile.

The first failure is logged when it happens. The following ones are counted, by all processes of the web server or of
the worker together: they are forked from one, and what is counted lies in memory that they share. One of them looks
every second whether the outage is over, and then logs how long it was and how many more failures there were. A long
outage is a line every ten minutes.
"""

import contextlib
import fcntl
import logging
import mmap
import os
import struct
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import psycopg
from django.conf import settings
from django.db import Error, connection

log = logging.getLogger("konomi.outage")

LOOK_SECONDS = 1.0
REPORT_SECONDS = 600.0
LAYOUT = struct.Struct("dqq")  # when it began (monotonic; 0: there is none), failures not logged, who looks for its end
ENDINGS = {
    HTTPStatus.SERVICE_UNAVAILABLE: "The database answers again",
    HTTPStatus.INSUFFICIENT_STORAGE: "The disk can be written again",
}


@dataclass(frozen=True)
class State:
    began: float
    count: int
    watcher: int


class Outages:
    """What the processes that are forked from this one know together of outages, by the status of their pages."""

    def __init__(self, is_over: Callable[[HTTPStatus], bool]) -> None:
        self._is_over = is_over
        self._memory = mmap.mmap(-1, LAYOUT.size * len(ENDINGS))
        # A lock that the kernel releases when its holder is killed; threads of one process need another one.
        if hasattr(os, "memfd_create"):
            self._file = os.memfd_create("outages")
        else:
            with tempfile.TemporaryFile() as file:
                self._file = os.dup(file.fileno())
        self._new_thread_lock()
        os.register_at_fork(after_in_child=self._new_thread_lock)

    def _new_thread_lock(self) -> None:
        self._threads = threading.Lock()

    def note(self, status: HTTPStatus) -> bool:
        """Count a failure; True if it is the first of its outage, and has to be logged."""
        with self._locked():
            state = self._read(status)
            is_first = not state.began
            watches = is_first or not _lives(state.watcher)
            self._write(
                status,
                State(
                    began=state.began or time.monotonic(),
                    count=0 if is_first else state.count + 1,
                    watcher=os.getpid() if watches else state.watcher,
                ),
            )
        if watches:
            threading.Thread(target=self._watch, args=[status], daemon=True, name="outage").start()
        return is_first

    def _watch(self, status: HTTPStatus) -> None:
        try:
            self._await_end(status)
        finally:
            with self._locked():
                state = self._read(status)
                self._write(status, State(0.0, 0, 0))
        log.warning("%s after %.0f s; %s", ENDINGS[status], time.monotonic() - state.began, _more(state))

    def _await_end(self, status: HTTPStatus) -> None:
        """Until it is over and a second has passed without a failure: some requests began before."""
        reported = time.monotonic()
        before = -1
        while True:
            time.sleep(LOOK_SECONDS)
            state = self._read(status)
            if state.count == before and self._is_over(status):
                return
            before = state.count
            if time.monotonic() - reported > REPORT_SECONDS:
                reported = time.monotonic()
                log.warning("Still so after %.0f s (%d); %s", reported - state.began, status.value, _more(state))

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with self._threads:
            fcntl.lockf(self._file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN)

    def _read(self, status: HTTPStatus) -> State:
        return State(*LAYOUT.unpack_from(self._memory, LAYOUT.size * list(ENDINGS).index(status)))

    def _write(self, status: HTTPStatus, state: State) -> None:
        place = LAYOUT.size * list(ENDINGS).index(status)
        LAYOUT.pack_into(self._memory, place, state.began, state.count, state.watcher)


def _more(state: State) -> str:
    return f"{state.count:,} more failures were not logged" if state.count else "there was no further failure"


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def is_over(status: HTTPStatus) -> bool:
    """Whether the database answers, or the disk can be written. For a thread of its own: it has its own connection."""
    from deploy.health import can_write

    try:
        if status == HTTPStatus.INSUFFICIENT_STORAGE and not can_write(Path(settings.VAR)):
            return False
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except (Error, psycopg.Error):
        return False
    finally:
        with contextlib.suppress(Error, psycopg.Error):
            connection.close()
    return True
