"""The site's folder is closed to other users of the machine: its mode, what is below it, and the umask."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

UMASK = 0o077
OTHERS = 0o077


def private_folder(var: Path) -> None:
    """Make `var`, or close it to others. Raises ImproperlyConfigured for a folder that others share, such as /tmp.

    The group's right to enter (0710) stays: it is the database's user's where the site runs as root.
    """
    var.mkdir(mode=0o700, parents=True, exist_ok=True)
    about = var.stat()
    if about.st_mode & stat.S_ISVTX or var in (Path("/"), Path.home()):
        raise ImproperlyConfigured(
            f"KONOMI_VAR={var} is a folder that is not the site's alone: name one of its own, such as {var / 'konomi'}"
        )
    if about.st_uid == os.geteuid() and about.st_mode & (OTHERS & ~stat.S_IXGRP):
        var.chmod(stat.S_IMODE(about.st_mode) & ~(OTHERS & ~stat.S_IXGRP))


@dataclass
class Tightened:
    """What was open to other users below a folder: closed now, or not ours to close."""

    closed: int = 0
    example: str = ""
    failed: list[str] = field(default_factory=list)

    def sentence(self, var: Path) -> str:
        parts = []
        if self.closed:
            parts.append(
                f"{self.closed:,} file{'s' * (self.closed != 1)} and folders in {var} could be read by other users of "
                f"this machine ({self.example}); now they are the site's alone."
            )
        if self.failed:
            parts.append(
                f"{len(self.failed):,} more cannot be closed, since they belong to another user ({self.failed[0]}): "
                f"run as root: chmod -R go= {var}"
            )
        return " ".join(parts)


def open_paths(var: Path, but: tuple[str, ...] = ("postgres",)) -> Iterator[os.DirEntry]:
    """Files and folders below `var` that have any right for group or others. Links are not followed.

    `postgres` belongs to the database's user, who keeps it closed.
    """
    waiting = [var]
    while waiting:
        folder = waiting.pop()
        try:
            entries = list(os.scandir(folder))
        except OSError:
            continue
        for entry in entries:
            if entry.is_symlink() or (folder == var and entry.name in but):
                continue
            try:
                mode = entry.stat(follow_symlinks=False).st_mode
            except OSError:
                continue
            if mode & OTHERS and (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
                yield entry
            if stat.S_ISDIR(mode):
                waiting.append(Path(entry.path))


def tighten(var: Path) -> Tightened:
    """Take the rights of group and others from everything below `var`."""
    done = Tightened()
    for entry in open_paths(var):
        name = str(Path(entry.path).relative_to(var))
        try:
            os.chmod(entry.path, stat.S_IMODE(entry.stat(follow_symlinks=False).st_mode) & ~OTHERS)
        except OSError:
            done.failed.append(name)
        else:
            done.closed += 1
            done.example = done.example or name
    return done
