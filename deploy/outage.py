"""A request while the database or the disk cannot serve it gets a clear page and one line in the log."""

import errno
import logging
import sys
from http import HTTPStatus

from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template import loader
from django.views.defaults import server_error

RETRY_SECONDS = "5"
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
DISK_FULL = "53100"  # SQLSTATE


def outage_status(error: BaseException | None) -> HTTPStatus | None:
    """507 where the disk is full, 503 where the database does not answer, None for every other error.

    Looks at what the error was raised from, too: an import or a freeze wraps what went wrong below it.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, OSError) and error.errno in NO_SPACE:
            return HTTPStatus.INSUFFICIENT_STORAGE
        if isinstance(error, DatabaseError | InterfaceError):
            state = getattr(error.__cause__, "sqlstate", None) or ""
            if state == DISK_FULL or "No space left on device" in str(error):
                return HTTPStatus.INSUFFICIENT_STORAGE
            # 57: shut down or starting; 08: connection; 53: no resources. No state: the connection broke.
            if isinstance(error, OperationalError | InterfaceError) and (not state or state[:2] in ("08", "53", "57")):
                return None if state == "57014" else HTTPStatus.SERVICE_UNAVAILABLE  # 57014: a query was cancelled
        error = error.__cause__ or error.__context__
    return None


def error_page(request: HttpRequest, template_name: str = "500.html") -> HttpResponse:
    """handler500: 507 and 503 have pages of their own; everything else is the usual 500."""
    status = outage_status(sys.exc_info()[1])
    if status is None:
        return server_error(request, template_name)
    text = loader.render_to_string(f"{status.value}.html")  # no request: nothing asks the database
    response = HttpResponse(text, status=status)
    response["Retry-After"] = RETRY_SECONDS
    response["Cache-Control"] = "no-store"
    return response


class OneLine(logging.Filter):
    """An outage is one line a request, not a hundred of traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        if error is not None and (status := outage_status(error)) is not None:
            reason = str(error).strip().partition("\n")[0]
            record.msg, record.args = f"{record.getMessage()} ({status.value}: {type(error).__name__}: {reason})", ()
            record.exc_info = record.exc_text = None
        return True
