"""An annotator's own figures, and what their work changed, where the project shows them."""

from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from annotation.core.access import project_and_role
from annotation.dashboards.own import MOST_COMPARED, answered_again, changes_of, effect_of, own_figures
from annotation.models import Role
from annotation.text.formatting import percentage
from annotation.web.http import SignedInRequest, signed_in

ANSWERS_A_PAGE = 10


@never_cache
@signed_in
@require_GET
def figures(request: SignedInRequest, slug: str) -> HttpResponse:
    """Reviewers and managers see their own, too; for annotators it is the project's choice."""
    project, role = project_and_role(request.user, slug)
    if role == Role.ANNOTATOR and not project.shows_own_figures:
        raise Http404
    answers = answered_again(project, request.user)
    language = project.target_language
    effect = effect_of(changes_of(list(answers[:MOST_COMPARED]), language))
    page = Paginator(answers, ANSWERS_A_PAGE).get_page(request.GET.get("page"))
    context = {
        "project": project,
        "section": "progress",
        "own": own_figures(project, request.user),
        "effect": effect
        and {
            "before": percentage(effect.before, 0),
            "after": percentage(effect.after, 0),
            "low": points(effect.low),
            "high": points(effect.high),
            "n": effect.n,
        },
        "page": page,
        "changes": [
            (
                change,
                "" if change.edits_before is None else percentage(change.edits_before, 0),
                percentage(change.edits_after, 0),
            )
            for change in changes_of(list(page), language)
        ],
        "query": "",
        "is_shown": project.shows_own_figures,
    }
    return render(request, "annotation/my_work/own_figures.html", context)


def points(difference: float) -> str:
    """A difference of shares in percentage points."""
    return f"{100 * difference:.0f}".replace("-", "−")
