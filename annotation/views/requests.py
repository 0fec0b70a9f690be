from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails

from annotation.models import User


class SignedInRequest(HttpRequest):
    """What a view behind `login_required` gets, with what the middleware adds."""

    user: User  # type: ignore[assignment]
    htmx: HtmxDetails
