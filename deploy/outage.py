"""A request while the database or the disk cannot serve it gets a clear page, and the log does not overflow."""

import logging
import sys
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.template import loader
from django.views.defaults import server_error

from annotation.core.outage import outage_status
from deploy.outage_log import ENDINGS, Outages, is_over

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


class Refusals(logging.Filter):
    """A refused request (4xx) is one line of bounded length: nobody who sends them fills the log with tracebacks."""

    LONGEST = 300

    def filter(self, record: logging.LogRecord) -> bool:
        if 400 <= getattr(record, "status_code", 0) < 500:
            error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
            text = record.getMessage() + (f" ({type(error).__name__}: {error})" if error else "")
            record.msg = text if len(text) <= self.LONGEST else f"{text[: self.LONGEST]}…"
            record.args, record.exc_info, record.exc_text = (), None, None
        return True


class OneLine(logging.Filter):
    """An outage is one line when it begins and one when it is over, not a hundred of traceback for each request."""

    outages = Outages(is_over)

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        status = outage_status(error)
        if status is not None:
            reason = str(error).strip().partition("\n")[0]
            record.msg, record.args = f"{record.getMessage()} ({status.value}: {type(error).__name__}: {reason})", ()
            record.exc_info = record.exc_text = None
        elif (answer := getattr(record, "status_code", None)) in ENDINGS:  # Django's line about an answer of ours
            status = HTTPStatus(answer)
        if status is None:
            return True
        if not self.outages.note(status):
            return False
        record.msg = f"{record.getMessage()}. Further failures are counted until it is over"
        record.args = ()
        return True
