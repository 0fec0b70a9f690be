"""Pages of signed-in people are not kept: by no proxy, and not by the browser of a shared machine after signing out."""

from collections.abc import Callable

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_cache_control


class SignedInPagesMiddleware:
    """Cache-Control for answers to signed-in people that do not set their own."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        # Signing out ends the session in the view: then the cookie shows that there was one.
        is_signed_in = request.session.accessed and (
            settings.SESSION_COOKIE_NAME in request.COOKIES or SESSION_KEY in request.session
        )
        if is_signed_in and not response.has_header("Cache-Control"):
            patch_cache_control(response, private=True, no_store=True)
        return response
