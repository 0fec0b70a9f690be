"""A file that appears whole or not at all."""

import contextlib
import errno
import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from django.utils.translation import gettext as _

from annotation.core.errors import Conflict, InvalidInput

SUFFIX = ".partial"
NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


@contextmanager
def whole_file(path: Path, *, replace: bool) -> Iterator[IO[bytes]]:
    """A new file beside `path`, which takes its place when the block ends well; until then `path` is as it was. What a
    killed process left beside it is removed by the next one.

    Raises:
        Conflict: there is such a file, and `replace` is false; also where it came while this one was written.
        InvalidInput: the folder does not exist, or cannot be written.
    """
    check_target(path, replace=replace)
    remove_abandoned(path)
    try:
        number, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=SUFFIX, dir=path.parent)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        values = {"folder": path.parent, "reason": error.strerror}
        raise InvalidInput(_("%(folder)s cannot be written: %(reason)s.") % values) from error
    partial = Path(name)
    try:
        with os.fdopen(number, "wb", buffering=1 << 20) as file:
            # Who writes it holds the lock, which the kernel lets go when the process dies.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield file
            file.flush()
            os.fchmod(file.fileno(), 0o666 & ~current_umask())
            os.fsync(file.fileno())
            take_place(partial, path, replace=replace)
    finally:
        partial.unlink(missing_ok=True)


def check_target(path: Path, *, replace: bool) -> None:
    if not path.parent.is_dir():
        raise InvalidInput(_("There is no folder %(folder)s: create it first.") % {"folder": path.parent})
    if path.is_dir():
        raise InvalidInput(_("%(path)s is a folder: name a file in it.") % {"path": path})
    if not replace and (path.exists() or path.is_symlink()):
        raise exists_already(path)


def exists_already(path: Path) -> Conflict:
    return Conflict(_("%(path)s exists already: name another file, or replace it with --force.") % {"path": path})


def take_place(partial: Path, path: Path, *, replace: bool) -> None:
    if replace:
        partial.replace(path)
        return
    try:
        os.link(partial, path)  # unlike a rename, it never replaces what came meanwhile
    except FileExistsError as error:
        raise exists_already(path) from error
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        # A file system without hard links: between these two lines lie microseconds.
        check_target(path, replace=False)
        partial.replace(path)


def remove_abandoned(path: Path) -> None:
    """Remove unfinished files of this name whose writer is dead."""
    for partial in path.parent.iterdir():
        if partial.name.startswith(f".{path.name}.") and partial.name.endswith(SUFFIX):
            with contextlib.suppress(OSError), partial.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError: it is being written
                partial.unlink()


def current_umask() -> int:
    umask = os.umask(0o077)
    os.umask(umask)
    return umask
