"""What the views of the queue share: a request of somebody who is signed in."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django_htmx.http import HttpResponseClientRedirect
from django_htmx.middleware import HtmxDetails

from annotation.models import User

# The scripts of the annotation page say whose page it is with every request.
BY_SCRIPT = "Konomi-Person"


class SignedInRequest(HttpRequest):
    """What a view behind `signed_in` gets, with what the middleware adds."""

    user: User
    htmx: HtmxDetails


def signed_in(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """`login_required` that knows htmx: a session that ended sends the whole page to the sign-in and back, instead of
    swapping the sign-in form into a task.

    A request that says whose page it comes from is answered with 401 when that person is not the one signed in: what
    was typed under one name is never taken under another, and the page asks for the sign-in in place.
    """
    plain = login_required(view)

    @wraps(view)
    def guarded(request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        person = request.headers.get(BY_SCRIPT)
        if person is not None and person != str(request.user.pk):
            return HttpResponse(status=401)
        if request.htmx and not request.user.is_authenticated:
            back = request.htmx.current_url_abs_path or "/"
            return HttpResponseClientRedirect(redirect_to_login(back).url)
        return plain(request, *args, **kwargs)

    return guarded


def takes_files(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """The view's address takes a file of up to `settings.UPLOAD_LIMIT_BYTES`; deploy/requests.py refuses more."""

    @wraps(view)
    def marked(*args: Any, **kwargs: Any) -> HttpResponse:
        return view(*args, **kwargs)

    # Besides the file there are the form's other fields and the boundaries between them.
    marked.body_limit = settings.UPLOAD_LIMIT_BYTES + settings.BODY_LIMIT_BYTES  # type: ignore[attr-defined]
    return marked


def back_or(request: HttpRequest, page: str, *args: object) -> HttpResponse:
    """To the page that the form was on (its field `back`), or to this one where it names none of this site."""
    target = request.POST.get("back", "")
    if url_has_allowed_host_and_scheme(target, allowed_hosts={request.get_host()}, require_https=request.is_secure()):
        return HttpResponseRedirect(target)
    return redirect(page, *args)


def actor(request: HttpRequest) -> User:
    """Who acts, in a view that requires a sign-in."""
    assert isinstance(request.user, User)
    return request.user
