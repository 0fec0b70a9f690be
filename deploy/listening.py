"""What only one process can have: the lock on the site's data, and the listening socket."""

import contextlib
import fcntl
import os
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import psutil

from deploy.guard import GRACE_SECONDS

# How long the guard of a killed `serve` may take, on a busy machine.
SECONDS_FOR_LEFTOVERS = GRACE_SECONDS + 10


class CannotServe(Exception):
    """The site cannot start. The message says why and what to do."""


@contextlib.contextmanager
def only_one(var: Path, host: str, port: int) -> Iterator[int]:
    """Hold var/serve.lock, and yield its descriptor; the kernel releases it however this process ends.

    While the guard of a `serve` that was killed ends what is left of it, it holds the lock, and is waited for.
    """
    path = var / "serve.lock"
    file: IO[str]
    with path.open("a+") as file:
        if not lock(file):
            file.seek(0)
            other = file.read().strip() or "another process"
            raise CannotServe(
                f"Konomi already runs on the data in {var} ({other}). Stop that one first, or set KONOMI_VAR to "
                "another folder for a second site."
            ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()}, http://{host}:{port}")
        file.flush()
        yield file.fileno()
        file.truncate(0)


def lock(file: IO[str]) -> bool:
    deadline = time.monotonic() + SECONDS_FOR_LEFTOVERS
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if holder_lives(file) or time.monotonic() > deadline:
            return False
        time.sleep(0.1)


def holder_lives(file: IO[str]) -> bool:
    """Whether the `serve` that wrote its number into the file runs."""
    file.seek(0)
    number = re.match(r"process (\d+),", file.read())
    return number is None or psutil.pid_exists(int(number[1]))


@contextlib.contextmanager
def listen(host: str, port: int) -> Iterator[socket.socket]:
    """Yield the listening socket. Raises CannotServe if the port is taken, not allowed, or not on this machine."""
    try:
        family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.create_server(place[:2], family=family, backlog=1024)
    except PermissionError:
        raise CannotServe(
            f"Port {port} needs rights that this user does not have; take one above 1023, such as 8000."
        ) from None
    except OSError as error:
        if error.errno == 98 or "in use" in str(error):
            raise CannotServe(
                f"Port {port} on {host} is taken by another program. Stop that one, or take another port, such as: "
                f"make serve PORT={port + 1}   (or: manage.py serve --port {port + 1})"
            ) from None
        raise CannotServe(f"Cannot listen on {host}, port {port}: {error.strerror or error}") from None
    with listener:
        yield listener


def address_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104
        host = socket.gethostname()
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
