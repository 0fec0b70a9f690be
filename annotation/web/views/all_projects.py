"""All projects of a manager in one table: progress, forecast, spend and what waits."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from annotation.core.access import STAFF, project_for, projects_of
from annotation.dashboards.attention import Ahead, Blocker, blockers_of
from annotation.dashboards.collection import Collection, collections_of
from annotation.dashboards.summaries import ask_for_summary, stop_summary, summaries_for
from annotation.dashboards.wording import cost_sentence, finish_sentence
from annotation.models import Membership, Project, Role
from annotation.text.language_tags import name_of
from annotation.web.http import SignedInRequest


@never_cache
@login_required
@require_GET
def all_projects(request: SignedInRequest) -> HttpResponse:
    """`?language=ja` shows the projects with it on either side; `?archived=1` those that are archived."""
    archived = request.GET.get("archived") == "1"
    own = list(projects_of(request.user, STAFF).filter(archived_at__isnull=not archived).order_by("name", "pk"))
    tags = sorted({tag for project in own for tag in languages_of(project)}, key=language_name)
    language = request.GET.get("language", "")
    shown = [project for project in own if not language or language in languages_of(project)]
    roles = dict(Membership.objects.filter(user=request.user).values_list("project_id", "role"))
    found = [(collection, collection.forecast()) for collection in collections_of(shown)]
    context = {
        "summaries": summaries_for(request.user),
        "rows": [
            row(collection, ahead, waiting, manages=roles.get(collection.project.pk, Role.MANAGER) == Role.MANAGER)
            for (collection, ahead), waiting in zip(found, blockers_of(found), strict=True)
        ],
        "languages": [(tag, language_name(tag)) for tag in tags],
        "language": language,
        "archived": archived,
    }
    return render(request, "annotation/dashboards/all_projects.html", context)


@login_required
@require_POST
def weekly_summary(request: SignedInRequest, slug: str) -> HttpResponse:
    """The posted field `wanted` is 1 or empty."""
    project = project_for(request.user, slug, STAFF)
    address = reverse("dashboard", args=[project.slug])
    if request.POST.get("wanted") == "1":
        url = request.build_absolute_uri(address)
        ask_for_summary(project=project, user=request.user, address=url, language=get_language() or "en")
        messages.success(request, _("A summary goes to %(email)s each Monday morning.") % {"email": request.user.email})
    else:
        stop_summary(project=project, user=request.user)
        messages.success(request, _("No more summaries of this project are sent to you."))
    return redirect("all_projects")


def languages_of(project: Project) -> set[str]:
    return {project.source_language, project.target_language}


def language_name(tag: str) -> str:
    return name_of(tag, get_language() or "en") or tag


def row(collection: Collection, ahead: Ahead, waiting: list[Blocker], *, manages: bool) -> dict[str, Any]:
    """Cost, and what only managers can act on, are theirs to see; an administrator sees what a manager does."""
    project = collection.project
    own = [item for item in waiting if manages or not item.for_managers]
    return {
        "project": project,
        "languages": " → ".join(map(language_name, (project.source_language, project.target_language))),
        "found": collection,
        "finish": finish_sentence(collection, ahead),
        "cost": cost_sentence(collection, ahead) if manages else "",
        "first": own[0] if own else None,
        "more": len(own) - 1,
    }
