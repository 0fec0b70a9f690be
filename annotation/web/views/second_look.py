"""Labels that a checkpoint contradicts, for reviewers to look at again."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from annotation.core.access import STAFF, project_for
from annotation.queue.arms import COMPUTE_MARGINS
from annotation.reviewing.second_look import contradictions_of
from annotation.web.http import SignedInRequest, signed_in


@never_cache
@signed_in
@require_GET
def second_look(request: SignedInRequest, slug: str) -> HttpResponse:
    project = project_for(request.user, slug, STAFF)
    context = {
        "project": project,
        "section": "progress",
        "look": contradictions_of(project),
        "command": f"{COMPUTE_MARGINS} {project.slug}",
    }
    return render(request, "annotation/reviewing/second_look.html", context)
