"""The guideline debugger: disagreements by cause, a clause that a manager proposes, and its trial. For managers."""

from collections import Counter
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from annotation.core.access import MANAGERS, STAFF, batch_for, clause_managed, project_for, role_in
from annotation.core.errors import DomainError
from annotation.core.markdown import render_markdown
from annotation.core.trials import may_join
from annotation.dashboards.trial_figures import grouping_rows, result_rows
from annotation.models import Adjudication, Batch, GuidelineClause, TrialArm, TrialPerson
from annotation.trials.clauses import adopt_clause, discard_clause, edit_clause, is_measured, propose_clause
from annotation.trials.grouping import group_decisions, notes_of, tasks_of
from annotation.trials.trial import guideline_of, start_trial
from annotation.web.forms.actions import attempt
from annotation.web.forms.trials import ClauseForm, TrialForm
from annotation.web.http import SignedInRequest, signed_in
from annotation.web.parameters import row_id

MOST_SHOWN = 100  # tasks of a group
Status = GuidelineClause.Status


@never_cache
@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def debugger(request: SignedInRequest, slug: str) -> HttpResponse:
    """The groups, the tasks of the one in the address, and a form for a clause about the ticked ones."""
    project = project_for(request.user, slug, MANAGERS)
    status, ticked = 200, [row_id(value) for value in request.POST.getlist("task")]
    form = ClauseForm(request.POST) if request.method == "POST" else None
    if form is not None:
        done = attempt(
            form, lambda: propose_clause(project=project, tasks=ticked, actor=request.user, **form.cleaned_data)
        )
        if not done.error:
            messages.success(request, _("The clause is saved as a draft."))
            return redirect("clause", done.result.pk)
        status = 422
    grouping = group_decisions(project)
    cause, best = request.GET.get("cause", ""), request.GET.get("best", "")
    group = next((one for one in grouping.groups if one.cause == cause), next(iter(grouping.groups), None))
    decisions = [] if group is None else group.of(best) if best else group.decisions
    context = {
        "project": project,
        "section": "progress",
        "grouping": grouping,
        "rows": grouping_rows(grouping),
        "group": group,
        "cause": Adjudication.Cause(group.cause).label if group else "",
        "best": best,
        "decisions": decisions[:MOST_SHOWN],
        "more": max(len(decisions) - MOST_SHOWN, 0),
        "ticked": ticked if form else [row.task_id for row in decisions[:MOST_SHOWN]],
        "form": form or ClauseForm(initial={"text": notes_of(row.task_id for row in decisions[:MOST_SHOWN])}),
        "clauses": GuidelineClause.objects.filter(project=project).select_related("created_by"),
    }
    return render(request, "annotation/trials/debugger.html", context, status=status)


@never_cache
@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def clause(request: SignedInRequest, clause_id: int) -> HttpResponse:
    """A clause with its tasks, its trial and what that found; posting changes the text of a draft."""
    row = clause_managed(request.user, clause_id)
    if request.method != "POST":
        return clause_page(request, row)
    form = ClauseForm(request.POST)
    done = attempt(form, lambda: edit_clause(clause=row, actor=request.user, **form.cleaned_data))
    if done.error:
        return clause_page(request, row, form=form, status=422)
    messages.success(request, _("Saved."))
    return redirect("clause", row.pk)


@signed_in
@require_POST
def start(request: SignedInRequest, clause_id: int) -> HttpResponse:
    row = clause_managed(request.user, clause_id)
    form = TrialForm(request.POST)
    if attempt(form, lambda: start_trial(clause=row, actor=request.user, **form.cleaned_data)).error:
        row.refresh_from_db()
        return clause_page(request, row, trial_form=form, status=422)
    messages.success(request, _("The trial has begun: its tasks are in the queue of the people drawn for it."))
    return redirect("clause", row.pk)


@signed_in
@require_POST
def adopt(request: SignedInRequest, clause_id: int) -> HttpResponse:
    row = clause_managed(request.user, clause_id)
    try:
        row = adopt_clause(clause=row, unmeasured=bool(request.POST.get("unmeasured")), actor=request.user)
    except DomainError as error:
        messages.warning(request, str(error))
    else:
        assert row.adopted_as is not None
        messages.success(request, _("Version %(version)s is now current.") % {"version": row.adopted_as.version})
    return redirect("clause", row.pk)


@signed_in
@require_POST
def discard(request: SignedInRequest, clause_id: int) -> HttpResponse:
    row = clause_managed(request.user, clause_id)
    try:
        discard_clause(clause=row, actor=request.user)
        messages.success(request, _("Discarded. The guideline stays as it is."))
    except DomainError as error:
        messages.warning(request, str(error))
    return redirect("clause", row.pk)


@never_cache
@signed_in
@require_GET
def trial_guideline(request: SignedInRequest, batch_id: int) -> HttpResponse:
    """The text that a trial's batch is annotated by, for the people of its arm and for reviewers and managers: nobody
    else learns that there is another one."""
    batch = batch_for(request.user, batch_id)
    if batch.trial_id is None or not (may_join(request.user, batch) or role_in(request.user, batch.project) in STAFF):
        raise Http404
    context = {
        "project": batch.project,
        "batch": batch,
        "section": "guideline",
        "html": render_markdown(guideline_of(batch)),
    }
    name = "annotation/trials/guideline.html"
    return render(request, f"{name}#text" if request.htmx else name, context)


def clause_page(
    request: SignedInRequest,
    row: GuidelineClause,
    *,
    form: ClauseForm | None = None,
    trial_form: TrialForm | None = None,
    status: int = 200,
) -> HttpResponse:
    people = Counter(TrialPerson.objects.filter(clause=row).values_list("arm", flat=True))
    result = row.result or {}
    context: dict[str, Any] = {
        "project": row.project,
        "section": "progress",
        "clause": row,
        "html": render_markdown(row.text),
        "tasks": tasks_of(row.project, row.task_ids),
        "form": form or ClauseForm(initial={"text": row.text}),
        "trial_form": trial_form or TrialForm(),
        "batches": Batch.objects.filter(trial=row).order_by("pk"),
        "arms": [(arm.label, people[arm.value], result.get("answers", {}).get(arm.value, 0)) for arm in TrialArm],
        "results": result_rows(row.project, result),
        "computed_at": parse_datetime(result["computed_at"]) if result else None,
        "is_measured": is_measured(row),
        "is_draft": row.status == Status.DRAFT,
        "is_tried": row.status == Status.TRIAL,
    }
    return render(request, "annotation/trials/clause.html", context, status=status)
