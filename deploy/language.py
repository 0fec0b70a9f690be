"""In which language a page is: the one that the signed-in person chose, else the cookie's, else the browser's."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.utils import translation


class PersonsLanguageMiddleware:
    """After LocaleMiddleware, which has looked at cookie and browser, and after authentication, which knows the person.

    It asks for the person only where a session could name one: a visitor, or a monitor, costs no query. The row is the
    one that the page would load anyway.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if settings.SESSION_COOKIE_NAME in request.COOKIES:
            chosen = getattr(request.user, "language", "")
            if chosen in dict(settings.LANGUAGES):
                translation.activate(chosen)
                request.LANGUAGE_CODE = chosen
        return self.get_response(request)
