"""Requests that no page could answer are refused before anything reads them."""

import codecs
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template import loader

# The codecs that browsers and programs send forms in. Python knows many more, among them some that decompress (zlib)
# and some that fail on decoding a form's fields one by one (idna).
CHARSETS = frozenset(("utf-8", "ascii", "iso8859-1", "cp1252"))


def is_readable_charset(name: str | None) -> bool:
    """Whether fields of a form may be in this charset; one that is not named is UTF-8."""
    if not name:
        return True
    try:
        return codecs.lookup(name).name in CHARSETS
    except (LookupError, ValueError):
        return False


class RefuseMalformedMiddleware:
    """A request with a NUL in its address or a charset that forms do not have gets a page and a 4xx status.

    Stands right after the middleware that writes the security headers, so that the refusal has them, and before all
    that reads the request.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        # Neither a text of the database nor a file's name may hold a NUL; every other character may stand in a text.
        if "\0" in request.path_info or "%00" in request.META.get("QUERY_STRING", ""):
            return refusal(HTTPStatus.BAD_REQUEST)
        if not is_readable_charset((request.content_params or {}).get("charset")):
            return refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        return self.get_response(request)


class LimitBodiesMiddleware:
    """A body that is larger than its address takes is refused unread: nothing of it is kept in memory or on disk.

    Addresses that take files say so with `takes_files`. Visitors send no more than a sign-in form.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        """Runs before that of the CSRF protection, which reads the form."""
        try:
            length = int(request.META.get("CONTENT_LENGTH") or 0)
        except ValueError:
            return refusal(HTTPStatus.BAD_REQUEST)
        if length <= settings.VISITORS_BODY_LIMIT_BYTES:
            return None
        limit = settings.VISITORS_BODY_LIMIT_BYTES
        if request.user.is_authenticated:
            limit = getattr(view, "body_limit", settings.BODY_LIMIT_BYTES)
        if length <= limit:
            return None
        return refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, limit=limit)


def refusal(status: HTTPStatus, **context: Any) -> HttpResponse:
    """The page of a refused request. It is rendered without the request: nothing asks who sent it."""
    return HttpResponse(loader.render_to_string(f"{status.value}.html", context), status=status)
