"""A project's dashboard: is it on time, can we trust it, who needs something, what is blocking."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Prefetch
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from annotation.core.access import MANAGERS, STAFF, project_and_role, project_for
from annotation.core.time_zones import now_in
from annotation.dashboards.attention import blockers
from annotation.dashboards.burn_up import HEIGHT, WIDTH, burn_up
from annotation.dashboards.changes import news, state_of
from annotation.dashboards.collection import Collection, collection_of
from annotation.dashboards.figures import is_for_managers, rows_title
from annotation.dashboards.forecast import Forecast
from annotation.dashboards.trust import age_sentence, trust_of
from annotation.dashboards.wording import cost_sentence, finish_sentence, money, people_sentence, progress_sentence
from annotation.models import AnalysisRows, Assignment, Project, Role, User
from annotation.planning.sentences import dashboard_sentence
from annotation.preparation.rejected_rows import neutral_cell
from annotation.web.downloads import csv_download
from annotation.web.http import SignedInRequest, signed_in
from annotation.web.parameters import row_id
from annotation.web.slots import dashboard_sections
from annotation.web.task_rows import current_answers, slots_of

ANSWERS_A_PAGE = 25
LONGEST_KEY = 500


@never_cache
@signed_in
@require_GET
def dashboard(request: SignedInRequest, slug: str) -> HttpResponse:
    """The whole page; for htmx what refreshes itself, or 204 while there is nothing new since `seen`."""
    project, role = project_and_role(request.user, slug, STAFF, **news())
    manages = role == Role.MANAGER
    state = state_of(project)
    if request.htmx and request.GET.get("seen") == state.digest:
        return HttpResponse(status=204)
    found = collection_of(project)
    ahead = found.forecast()
    sentences = [finish_sentence(found, ahead), people_sentence(found)]
    if manages:
        sentences.append(cost_sentence(found, ahead))
    plan = state.plan if manages else None
    context = {
        "project": project,
        "section": "progress",
        "own_role": role,
        "plan": plan,
        "plan_sentence": dashboard_sentence(plan, found.today) if plan else "",
        "manages": manages,
        "found": found,
        "ahead": ahead,
        "has_forecast": isinstance(ahead, Forecast),
        "headline": progress_sentence(found),
        "sentences": [sentence for sentence in sentences if sentence],
        "chart": burn_up(found, ahead),
        "width": WIDTH,
        "height": HEIGHT,
        "people": [(person, cost_of(found, person.cost) if manages else "") for person in found.people],
        "shows_cost": manages and found.rates.any,
        "blockers": [item for item in blockers(found, ahead) if manages or not item.for_managers],
        "sections": dashboard_sections(project),
        "answers": sum(item.done for item in found.batches),
        "trust": trust_of(found, manages=manages),
        "now": now_in(project),
        "here": request.path,
        "state": state.digest,
    }
    template = "annotation/dashboards/dashboard.html"
    return render(request, f"{template}#live" if request.htmx else template, context)


@never_cache
@login_required
@require_GET
def answers(request: SignedInRequest, slug: str) -> HttpResponse:
    """The slots behind a number of the dashboard (`of`), newest first; for a number that has none, the page says so."""
    project, role = project_and_role(request.user, slug, STAFF)
    key = request.GET.get("of", "")
    rows = rows_behind(project, key) if role == Role.MANAGER or not is_for_managers(key) else None
    page = Paginator(rows.assignments if rows else [], ANSWERS_A_PAGE).get_page(request.GET.get("page"))
    slots = Assignment.objects.select_related("batch__project", "task__prompt", "annotator")
    current = Prefetch("annotations", current_answers())
    by_id = slots.prefetch_related(current).in_bulk(list(page))
    query = request.GET.copy()
    query.pop("page", None)
    context: dict[str, Any] = {
        "project": project,
        "section": "progress",
        "manages": role == Role.MANAGER,
        "title": title_of(project, key) if rows else None,
        "count": rows.count if rows else 0,
        "kept": len(rows.assignments) if rows else 0,
        "age": age_sentence(rows.analysis.computed_at) if rows else "",
        "page": page,
        "query": f"{query.urlencode()}&" if query else "",
        "here": request.get_full_path(),
        "rows": slots_of(project.pk, [by_id[pk] for pk in page if pk in by_id]),
    }
    return render(request, "annotation/dashboards/answers.html", context)


def rows_behind(project: Project, key: str) -> AnalysisRows | None:
    rows = AnalysisRows.objects.filter(analysis__project=project, key=key[:LONGEST_KEY])
    return rows.select_related("analysis").first()


def title_of(project: Project, key: str) -> str | None:
    person = User.objects.filter(pk=row_id(key.partition(":")[0])).first()
    names = dict(project.aspects.values_list("key", "name"))
    return rows_title(key, name=person.name if person else "", aspects=names)


def cost_of(found: Collection, cost: float | None) -> str:
    return money(cost, found.project.currency) if cost is not None and found.project.currency else ""


@never_cache
@login_required
@require_GET
def people_file(request: SignedInRequest, slug: str) -> HttpResponse:
    """The rows of the people as CSV: seconds as whole numbers, cost where rates are set."""
    project = project_for(request.user, slug, MANAGERS)
    found = collection_of(project)
    heading = [
        "name",
        "email",
        "answered_today",
        "answered",
        "skipped",
        "active_seconds",
        "cost",
        "currency",
        "last_seen",
    ]
    rows = [
        [
            neutral_cell(person.user.name),
            neutral_cell(person.user.email),
            person.today.answered,
            person.in_all.answered,
            person.in_all.skipped,
            round(person.in_all.active_seconds),
            "" if person.cost is None else f"{person.cost:.2f}",
            project.currency if person.cost is not None else "",
            person.seen_at.isoformat(timespec="seconds") if person.seen_at else "",
        ]
        for person in found.people
    ]
    return csv_download([heading, *rows], f"people-{project.slug}-{found.today}.csv")
