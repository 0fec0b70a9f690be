"""A request while the database or the disk cannot serve it gets a clear page and one line in the log."""

import logging
import sys

from django.http import HttpRequest, HttpResponse
from django.template import loader
from django.views.defaults import server_error

from annotation.core.outage import outage_status

RETRY_SECONDS = "5"


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
