"""The system user that PostgreSQL runs as: ours, or `pgserver` when the site runs as root (PostgreSQL refuses root)."""

import logging
import os
import pwd
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

NAME = "pgserver"
_log = logging.getLogger("konomi.database")


class NoSystemUser(Exception):
    """The server cannot run as the user that it would have to. The message says why and what to do."""


@dataclass(frozen=True)
class SystemUser:
    """Who PostgreSQL runs as. `is_other` when the site itself runs as root."""

    name: str
    uid: int
    gid: int
    is_other: bool

    def process_rights(self) -> dict[str, object]:
        """Arguments of `subprocess.run`: the user's own group and no other one, so that root's groups stay behind."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.is_other else {}

    def own(self, path: Path) -> None:
        if self.is_other:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


def system_user(folder: Path) -> SystemUser:
    """Who PostgreSQL runs as on this data folder. A folder of another user is refused, since PostgreSQL refuses it."""
    version = folder / "PG_VERSION"
    owner = version.stat().st_uid if os.access(folder, os.X_OK) and version.exists() else None
    if os.geteuid() != 0:
        if folder.exists() and folder.stat().st_uid != os.geteuid():
            raise NoSystemUser(
                f"{folder} belongs to another user ({_name(folder.stat().st_uid)}): start the site as the user that "
                "created it, or set KONOMI_VAR to a folder of your own."
            )
        return _entry(os.geteuid(), is_other=False)
    if owner:  # made before by an ordinary user, or by `pgserver`
        return _entry(owner, is_other=True)
    try:
        pwd.getpwnam(NAME)
    except KeyError:
        _create()
    return _entry(pwd.getpwnam(NAME).pw_uid, is_other=True)


def _create() -> None:
    command = ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", NAME]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = (getattr(error, "stderr", "") or str(error)).strip()
        raise NoSystemUser(
            f"PostgreSQL does not run as root, and the system user {NAME} cannot be created ({reason}): start the site "
            f"as an ordinary user, create {NAME} yourself, or set DATABASE_URL."
        ) from error


def _entry(uid: int, *, is_other: bool) -> SystemUser:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        raise NoSystemUser(
            f"The user with number {uid} has no entry in /etc/passwd, and PostgreSQL needs one: add the entry, or set "
            "DATABASE_URL."
        ) from None
    return SystemUser(entry.pw_name, uid, entry.pw_gid, is_other)


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def make_reachable(folder: Path, user: SystemUser) -> None:
    """Let the server's user pass through the folders above its own, and no more than that.

    The folder just above (var) stays closed to everyone else: its group becomes the server's, which may enter and not
    list it. Folders further up that others cannot enter get that right, and the log says so.
    """
    if not user.is_other:
        return
    above = folder.parent
    if above.stat().st_uid == os.geteuid() and not stat.S_IMODE(above.stat().st_mode) & 0o007:
        os.chown(above, -1, user.gid)
        above.chmod(stat.S_IMODE(above.stat().st_mode) & 0o700 | stat.S_IXGRP)
    open_the_way(folder, user)


def open_the_way(path: Path, user: SystemUser) -> None:
    """Give others the right to enter (not to list) each folder above `path` that the user cannot enter."""
    for above in path.parents:
        about = above.stat()
        can_enter = (
            about.st_mode & stat.S_IXOTH
            or (about.st_gid == user.gid and about.st_mode & stat.S_IXGRP)
            or (about.st_uid == user.uid and about.st_mode & stat.S_IXUSR)
        )
        if not can_enter:
            above.chmod(stat.S_IMODE(about.st_mode) | stat.S_IXOTH)
            _log.warning("%s may now be entered by others (not listed): the database's user must pass it", above)


def make_runnable(programs: Path, user: SystemUser) -> None:
    """Let the server's user run the wheel's programs, which hold no data of the site."""
    if not user.is_other:
        return
    open_the_way(programs, user)
    for path in (programs, *programs.rglob("*")):
        about = path.lstat()
        if stat.S_ISLNK(about.st_mode):
            continue
        wanted = 0o055 if about.st_mode & 0o100 else 0o044
        if about.st_mode & wanted != wanted:
            path.chmod(stat.S_IMODE(about.st_mode) | wanted)
