"""Plans of a project: what a collection will take, by a pilot; kept plans beside what happens."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from annotation.core.access import MANAGERS, first_or_404, project_for
from annotation.core.time_zones import today_in
from annotation.models import Plan, Project
from annotation.planning import beside, sentences
from annotation.planning.actions import assign_plan, delete_plan, keep_plan
from annotation.planning.comparison import actual_of
from annotation.planning.estimate import Planned, Results, plan, stored_basis
from annotation.planning.pilot_sentences import pilot_sentence, too_early_sentence, warnings
from annotation.planning.wanted import Wanted
from annotation.quality.agreement import Agreement
from annotation.web.forms.actions import attempt
from annotation.web.forms.plans import KeepPlanForm, PlanBatchForm, PlanForm
from annotation.web.http import SignedInRequest

KEPT = 50  # plans listed


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def plan_page(request: SignedInRequest, slug: str) -> HttpResponse:
    """The figures of what the address asks for; posted, they are computed again and kept."""
    project = project_for(request.user, slug, MANAGERS)
    form = PlanForm(request.POST if request.method == "POST" else request.GET, project=project)
    planned = None
    if form.is_valid():
        days = form.cleaned_data["first"], form.cleaned_data["last"]
        planned = plan(project, kind=form.kind(), wanted=form.wanted(), batch=form.batch(), first=days[0], last=days[1])
    keep = None
    if planned and planned.results:
        keep = KeepPlanForm(request.POST or None, project=project, kind=planned.pilot.kind)
        if request.method == "POST":
            done = attempt(keep, lambda: kept(request, project, form, planned, keep))
            if not done.error:
                messages.success(request, _("The plan was kept."))
                return redirect("kept_plan", slug, done.result.pk)
    is_refused = bool(form.errors and form.batches) or request.method == "POST"
    context = {
        "project": project,
        "section": "progress",
        "form": form,
        "keep": keep,
        "planned": planned,
        "kept": kept_in(project),
        **(figures_of(project, form, planned) if planned else {}),
    }
    return render(request, "annotation/plans/plan.html", context, status=422 if is_refused else 200)


def kept_in(project: Project) -> list[tuple[Plan, str]]:
    """The newest plans, each with its figures in a line."""
    rows = Plan.objects.filter(project=project).select_related("batch", "created_by")[:KEPT]
    today = today_in(project)
    return [(row, sentences.headline(Results.from_json(row.results), today)) for row in rows]


def kept(request: SignedInRequest, project: Project, form: PlanForm, planned: Planned, keep: KeepPlanForm) -> Plan:
    assert planned.results is not None
    return keep_plan(
        project=project,
        name=keep.cleaned_data["name"],
        kind=planned.pilot.kind,
        pilot=form.batch(),
        wanted=planned.wanted,
        results=planned.results,
        basis=stored_basis(planned, form.cleaned_data["first"], form.cleaned_data["last"]),
        batch=keep.cleaned_data["batch"],
        actor=request.user,
    )


def figures_of(project: Project, form: PlanForm, planned: Planned) -> dict[str, Any]:
    today = today_in(project)
    if planned.basis is None or planned.results is None:
        return {"too_early": too_early_sentence(planned.pilot), "pilot": pilot_sentence(planned.pilot)}
    return {
        "headline": sentences.headline(planned.results, today),
        "pilot": pilot_sentence(planned.pilot),
        "warnings": warnings(planned),
        "agreement": sentences.agreement_sentence(planned.basis.observed) if planned.basis.observed else "",
        "figures": sentences.figures(planned, today),
        "unpriced": planned.results.unpriced,
        "alternatives": [
            (sentences.wanted_sentence(wanted), address_of(form, wanted), sentences.cells(wanted, results, today))
            for wanted, results in planned.rows
        ],
    }


def address_of(form: PlanForm, wanted: Wanted) -> str:
    """This page with other tasks and overlap; the rest stays."""
    values = {name: form.data[name] for name in form.fields if form.data.get(name)}
    return f"?{urlencode({**values, 'tasks': wanted.tasks, 'overlap': wanted.overlap})}"


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def kept_plan(request: SignedInRequest, slug: str, plan_id: int) -> HttpResponse:
    """A plan beside what happens in its batch, which is chosen here."""
    project = project_for(request.user, slug, MANAGERS)
    own = Plan.objects.filter(project=project).select_related("batch__project", "pilot", "created_by", "project")
    row = first_or_404(own.filter(pk=plan_id))
    form = PlanBatchForm(
        request.POST if request.method == "POST" else None,
        project=project,
        kind=row.kind,
        initial={"batch": row.batch_id},
    )
    error = False
    if request.method == "POST":
        change = lambda: assign_plan(plan=row, batch=form.cleaned_data["batch"], actor=request.user)  # noqa: E731
        error = bool(attempt(form, change).error)
        if not error:
            messages.success(request, _("Saved."))
            return redirect("kept_plan", slug, row.pk)
    wanted, results = Wanted.from_json(row.wanted), Results.from_json(row.results)
    actual = actual_of(row.batch) if row.batch else None
    observed = row.basis["agreement"]
    context = {
        "project": project,
        "section": "progress",
        "plan": row,
        "form": form,
        "wanted": sentences.wanted_sentence(wanted),
        "pilot_answers": sentences.answers(row.basis["answers"]),
        "hours": wanted.hours,
        "start": wanted.start,
        "headline": beside.sentence(wanted, results, actual) if actual else "",
        "planned": sentences.headline(results, today_in(project)),
        "rows": beside.rows(wanted, results, actual) if actual else [],
        "amounts": sentences.amounts(results, today_in(project)),
        "promises": sentences.promises(results),
        "agreement": sentences.agreement_sentence(Agreement(**observed)) if observed else "",
    }
    return render(request, "annotation/plans/kept_plan.html", context, status=422 if error else 200)


@login_required
@require_POST
def plan_delete(request: SignedInRequest, slug: str, plan_id: int) -> HttpResponse:
    project = project_for(request.user, slug, MANAGERS)
    delete_plan(plan=first_or_404(Plan.objects.filter(project=project, pk=plan_id)), actor=request.user)
    messages.success(request, _("The plan was deleted."))
    return redirect("plan", slug)
