"""Requests that no page could answer are refused before anything reads them."""

import codecs
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.http.multipartparser import MultiPartParserError
from django.template import loader
from django.utils.http import parse_header_parameters

MALFORMED = "konomi.malformed_content_type"


class Handler(WSGIHandler):
    """Django reads the content type before its own handling of errors begins: what it cannot read is refused later,
    with a page and the headers that every answer has."""

    def __call__(self, environ: Any, start_response: Any) -> Any:
        try:
            _, parameters = parse_header_parameters(environ.get("CONTENT_TYPE", ""))
            readable = is_utf_8(parameters.get("charset"))
        except (LookupError, ValueError):  # a parameter in a codec that is not for texts: a*=zlib''%41
            readable = False
        if not readable:
            environ |= {"CONTENT_TYPE": "", MALFORMED: True}
        return super().__call__(environ, start_response)


def is_utf_8(charset: str | None) -> bool:
    """Whether fields of a form may be in this charset; one that is not named is UTF-8.

    All browsers send UTF-8, as our pages are. Python knows hundreds more, some of which decompress (zlib).
    """
    if not charset:
        return True
    try:
        return codecs.lookup(charset).name == "utf-8"
    except (LookupError, ValueError):
        return False


class RefuseMalformedMiddleware:
    """A request with a NUL in its address or in another charset than UTF-8 gets a page and a 4xx status.

    Stands right after the middleware that writes the security headers, so that the refusal has them, and before all
    that reads the request.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        # Neither a text of the database nor a file's name may hold a NUL; a text may have every other character.
        if "\0" in request.path_info or "%00" in request.META.get("QUERY_STRING", ""):
            return refusal(HTTPStatus.BAD_REQUEST)
        if request.META.get(MALFORMED):
            return refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        if (request.content_params or {}).get("charset"):
            request.encoding = "utf-8"  # its usual name: Django knows no other one
        if request.content_type == "multipart/form-data":
            parse = request.parse_file_upload

            def parse_file_upload(*args: Any) -> Any:
                try:
                    return parse(*args)
                except (LookupError, ValueError) as error:  # a charset in the headers of a part
                    raise MultiPartParserError(f"a part of the form cannot be read: {error}") from error

            request.parse_file_upload = parse_file_upload  # type: ignore[method-assign,assignment]
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
