"""The language of the pages: chosen in the account menu, or in the bar by somebody who is not signed in."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.urls import reverse
from django.views.decorators.http import require_POST

from annotation.members.accounts import choose_language
from annotation.models import User
from annotation.web.http import redirect_back


@require_POST
def language(request: HttpRequest) -> HttpResponse:
    """Keep the choice (with the person, and in a cookie for the pages before the sign-in) and go back to the page."""
    chosen = request.POST.get("language", "")
    if chosen not in dict(settings.LANGUAGES):
        return HttpResponseBadRequest()
    if isinstance(request.user, User):
        choose_language(user=request.user, language=chosen)
    response = redirect_back(request, reverse("home"), field="next")
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME, chosen, max_age=365 * 24 * 3600, samesite="Lax", secure=request.is_secure()
    )
    return response
