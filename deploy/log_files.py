"""Logs that are bounded while the process that writes them goes on."""

import contextlib
import os
import shutil
import stat
from pathlib import Path

LOG_LIMIT = 10 << 20  # bytes


def bound_log(log: Path, older: Path) -> None:
    """Keep at most two files of LOG_LIMIT bytes: the log is copied to `older` and emptied while its process writes on.

    The process appends, so it goes on at the beginning; what it writes between the copy and the cut is lost. A link is
    not followed: PostgreSQL's log lies in a folder of another user.
    """
    with contextlib.suppress(OSError):  # a full disk: the copy waits, and the log grows until there is space
        if log.lstat().st_size <= LOG_LIMIT:
            return
        descriptor = os.open(log, os.O_RDWR | os.O_NOFOLLOW)
        with open(descriptor, "rb+") as source:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return
            with older.open("wb") as copy:
                shutil.copyfileobj(source, copy)
            source.truncate(0)
