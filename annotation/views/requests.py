"""What the views of the queue share: a request of somebody who is signed in."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django_htmx.http import HttpResponseClientRedirect
from django_htmx.middleware import HtmxDetails

from annotation.models import User


class SignedInRequest(HttpRequest):
    """What a view behind `signed_in` gets, with what the middleware adds."""

    user: User
    htmx: HtmxDetails


def signed_in(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """`login_required` that knows htmx: a session that ended sends the whole page to the sign-in and back, instead of
    swapping the sign-in form into a task."""
    plain = login_required(view)

    @wraps(view)
    def guarded(request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.htmx and not request.user.is_authenticated:
            back = request.htmx.current_url_abs_path or "/"
            return HttpResponseClientRedirect(redirect_to_login(back).url)
        return plain(request, *args, **kwargs)

    return guarded
