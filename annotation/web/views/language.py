"""The language of the pages: chosen in the account menu, or in the bar by somebody who is not signed in."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from annotation.members.accounts import choose_language
from annotation.models import User


@require_POST
def language(request: HttpRequest) -> HttpResponse:
    """Keep the choice (with the person, and in a cookie for the pages before the sign-in) and go back to the page."""
    chosen, back = request.POST.get("language", ""), request.POST.get("next", "")
    if chosen not in dict(settings.LANGUAGES):
        return HttpResponseBadRequest()
    if not url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()}, require_https=request.is_secure()):
        back = reverse("home")
    if isinstance(request.user, User):
        choose_language(user=request.user, language=chosen)
    response = HttpResponseRedirect(back)
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME, chosen, max_age=365 * 24 * 3600, samesite="Lax", secure=request.is_secure()
    )
    return response
