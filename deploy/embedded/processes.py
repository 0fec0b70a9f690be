"""Which PostgreSQL processes belong to a data folder, and which of them are alive."""

import contextlib
import json
import signal
import time
from pathlib import Path

import psutil

SECONDS_FOR_ORPHANS = 3.0  # how long backends may take to notice that their postmaster was killed


def postmaster(folder: Path) -> psutil.Process | None:
    """The living server of the folder, by its postmaster.pid; None if there is none."""
    try:
        pid = int((folder / "postmaster.pid").read_text().partition("\n")[0].strip())
        process = psutil.Process(pid)
        return process if is_postgres(process) else None
    except (OSError, ValueError, psutil.Error):
        return None


def end_at_once(process: psutil.Process, seconds: float = 10) -> None:
    """Without a last checkpoint: PostgreSQL's immediate shutdown, and a kill where even that does not help."""
    try:
        process.send_signal(signal.SIGQUIT)
        process.wait(seconds)
    except psutil.TimeoutExpired:
        process.kill()
        process.wait(seconds)
    except psutil.NoSuchProcess:
        return


def is_postgres(process: psutil.Process) -> bool:
    try:
        return "postgres" in process.name() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def backends(folder: Path) -> list[psutil.Process]:
    """Living processes of servers on this folder: their working directory is the folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if is_postgres(process) and process.cwd() == str(folder):
                found.append(process)
    return found


def await_orphans(folder: Path, seconds: float = SECONDS_FOR_ORPHANS) -> int:
    """Wait until the processes of a killed server have gone, and kill those that stay. Returns how many were killed.

    A new server cannot start while they hold the shared memory of the old one. What they were doing is not committed;
    what was committed is in the write-ahead log.
    """
    deadline = time.monotonic() + seconds
    while left := backends(folder):
        if time.monotonic() > deadline:
            for process in left:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            psutil.wait_procs(left, timeout=seconds)
            return len(left)
        time.sleep(0.05)
    return 0


def drop_stale_handles(folder: Path) -> None:
    """Drop what killed processes left in the server's folder, which the wheel would take for running ones.

    The handle of a process killed with -9 would keep the server running for ever, and after a restart of the
    machine (or of a container, where numbers repeat) any program with the old process id would be taken for the server.
    The caller holds the folder's lock.
    """
    handles = folder / ".handle_pids.json"
    if handles.exists():
        pids: list[int] = []
        with contextlib.suppress(json.JSONDecodeError):  # a process was killed while writing it
            pids = json.loads(handles.read_text() or "[]")
        alive = [pid for pid in pids if psutil.pid_exists(pid)]
        if alive != pids or not pids:
            handles.write_text(json.dumps(alive))
    if postmaster(folder) is None:
        (folder / "postmaster.pid").unlink(missing_ok=True)


def drop_stale_sockets(folder: Path) -> None:
    """Drop the socket of a killed server and the lock beside it, which names the server's process.

    PostgreSQL does so itself unless there is a process with that number: one that nobody has reaped yet (in a container
    whose first process does not reap, nobody ever does), or another program's. The caller holds the lock of the only
    data folder whose server has its socket here, and knows that no server is alive.
    """
    for path in folder.glob(".s.PGSQL.*"):
        path.unlink(missing_ok=True)
