"""What review came to in a project: acceptance at first and in the end, what waits, what authors replied."""

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from annotation.core.access import STAFF, project_for, role_in
from annotation.core.reviews import waiting_by_batch
from annotation.models import Batch, Role
from annotation.reviewing.figures import acceptance, causes_of, in_all, replies_in
from annotation.web.http import SignedInRequest

REPLIES_A_PAGE = 25


@login_required
@require_GET
def reviews(request: SignedInRequest, slug: str) -> HttpResponse:
    """By person for managers, and for reviewers unless review is anonymous."""
    project = project_for(request.user, slug, STAFF)
    people = acceptance(project)
    waiting = waiting_by_batch(project)
    batches = Batch.objects.filter(project=project, requires_review=True).order_by("name", "pk")
    names_people = role_in(request.user, project) == Role.MANAGER or not project.review_anonymous
    context = {
        "project": project,
        "section": "progress",
        "rows": people if names_people else [],
        "total": in_all(people),
        "batches": [(batch, waiting[batch.pk]) for batch in batches],
        "causes": causes_of(project),
        "page": Paginator(replies_in(project), REPLIES_A_PAGE).get_page(request.GET.get("page")),
        "names_people": names_people,
        "query": "",
    }
    return render(request, "annotation/reviewing/reviews.html", context)
