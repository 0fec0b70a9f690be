"""The administrators' page about the processes of the site."""

from datetime import UTC, datetime

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from deploy.status import OFTEN, read_status


@never_cache
@login_required
@require_safe
def services(request: HttpRequest) -> HttpResponse:
    """Which processes run, since when, and the last message of one that ends again and again."""
    if not request.user.is_superuser:
        raise Http404
    rows = [
        {
            **row,
            "since": datetime.fromtimestamp(row["since"], tz=UTC),
            "is_failing": row["failures"] >= OFTEN or not row["is_running"],
        }
        for row in read_status()
    ]
    return render(request, "deploy/services.html", {"services": rows})
