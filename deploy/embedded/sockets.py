"""The folder of the server's socket: the data folder, or a private one where that path is too long for a socket."""

import hashlib
import os
import re
import stat
import tempfile
from pathlib import Path

from deploy.embedded.system_user import SystemUser

SOCKET_NAME = ".s.PGSQL.5432"
LONGEST = 107  # bytes of a socket's path on Linux (sun_path, less its end); 103 on macOS and BSD
# PostgreSQL and libpq read commas and quotes in this path as their own syntax, and pg_ctl passes it through a shell.
PLAIN = re.compile(r"[A-Za-z0-9_./@+=:-]*")
TRIES = 20


class NoSocketFolder(Exception):
    """There is no folder for the socket that only the site's user can enter. The message says what to do."""


def fits(folder: Path) -> bool:
    path = str(folder / SOCKET_NAME)
    limit = LONGEST if os.uname().sysname == "Linux" else 103
    return len(os.fsencode(path)) <= limit and PLAIN.fullmatch(path) is not None


def socket_folder(data: Path, user: SystemUser) -> Path:
    """Where the server on `data` puts its socket: always a folder that nobody but the server's user can enter."""
    if fits(data):
        return data
    name = "konomi-" + hashlib.sha256(os.fsencode(data)).hexdigest()[:16]
    places = parents(user)
    for parent in places:
        # Somebody may have taken the name in a shared folder before us: then the next one.
        for number in range(TRIES):
            folder = parent / (f"{name}-{number}" if number else name)
            if fits(folder) and is_private(folder, user):
                return folder
    raise NoSocketFolder(
        f"No folder for the database's socket: the path of {data} is too long or has unusual characters, and "
        f"{' and '.join(map(str, places)) or 'the temporary folder'} cannot hold a private one. Set KONOMI_VAR to a "
        "shorter path, or TMPDIR to a folder of your own."
    )


def parents(user: SystemUser) -> list[Path]:
    """Folders that may hold a private one: nobody else can rename or remove what we make there."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    candidates = [Path("/run")] if user.is_other else [Path(runtime)] if runtime else []
    found = []
    for path in [*candidates, Path(tempfile.gettempdir()).resolve()]:
        try:
            about = path.stat()
        except OSError:
            continue
        shared = about.st_mode & 0o022
        safe = about.st_uid in (0, os.geteuid()) and (not shared or about.st_mode & stat.S_ISVTX)
        enters = not user.is_other or about.st_mode & stat.S_IXOTH
        if stat.S_ISDIR(about.st_mode) and safe and enters and os.access(path, os.W_OK | os.X_OK):
            found.append(path)
    return found


def is_private(folder: Path, user: SystemUser) -> bool:
    """Make the folder, or accept it as it is: a real folder of the server's user that nobody else can enter."""
    try:
        folder.mkdir(mode=0o700)
        user.own(folder)
    except FileExistsError:
        pass
    except OSError:
        return False
    about = folder.lstat()
    return stat.S_ISDIR(about.st_mode) and about.st_uid == user.uid and not about.st_mode & 0o077


def close(folder: Path, user: SystemUser) -> None:
    """Close a running server's socket folder to others: earlier versions left it open where the path was long."""
    about = folder.lstat()
    if stat.S_ISDIR(about.st_mode) and about.st_uid in (os.geteuid(), user.uid) and about.st_mode & 0o077:
        user.own(folder)
        folder.chmod(0o700)
