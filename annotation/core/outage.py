"""Which errors mean that the database or the disk cannot serve us at the moment."""

import errno
from http import HTTPStatus

import psycopg
from django.db import DatabaseError, InterfaceError, OperationalError

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
DISK_FULL = "53100"  # SQLSTATE
# Django translates what its own calls raise; closing a cursor that a page was still reading from is none of them.
BROKEN = (OperationalError, InterfaceError, psycopg.OperationalError, psycopg.InterfaceError)


def outage_status(error: BaseException | None) -> HTTPStatus | None:
    """507 where the disk is full, 503 where the database does not answer, None for every other error.

    Looks at what the error was raised from, too: an import or a freeze wraps what went wrong below it.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, OSError) and error.errno in NO_SPACE:
            return HTTPStatus.INSUFFICIENT_STORAGE
        if isinstance(error, DatabaseError | InterfaceError | psycopg.Error):
            state = getattr(error, "sqlstate", None) or getattr(error.__cause__, "sqlstate", None) or ""
            if state == DISK_FULL or "No space left on device" in str(error):
                return HTTPStatus.INSUFFICIENT_STORAGE
            # 57: shut down or starting; 08: connection; 53: no resources. No state: the connection broke.
            if isinstance(error, BROKEN) and (not state or state[:2] in ("08", "53", "57")):
                return None if state == "57014" else HTTPStatus.SERVICE_UNAVAILABLE  # 57014: a query was cancelled
        error = error.__cause__ or error.__context__
    return None
