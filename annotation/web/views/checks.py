"""Gold and checks: items and rules for managers, results for reviewers too. Only managers see which tasks are gold."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRedirect

from annotation.checks.damage import RULES
from annotation.checks.gold import CHECKABLE, enter_gold, gold_for, known_answers, make_gold, retire_gold
from annotation.checks.results import Results, people_of, results_of
from annotation.checks.rules import MEASURES, confirm, default_text, dismiss, propose, set_rules
from annotation.checks.shares import check_sentences
from annotation.core.access import MANAGERS, STAFF, first_or_404, project_for, role_in, task_reviewed, within
from annotation.core.checks import made_checks
from annotation.core.errors import DomainError, InvalidInput
from annotation.kinds import KINDS, show
from annotation.kinds.loading import aspects_by_key
from annotation.models import Assignment, Candidate, CheckProposal, Gold, Project, Role, TaskCheck
from annotation.reference.feedback import differing_json
from annotation.web.forms.actions import attempt
from annotation.web.forms.checks import ACTIONS, DecisionForm, GoldForm, RulesForm
from annotation.web.http import SignedInRequest
from annotation.web.parameters import row_id
from annotation.web.script_messages import page_person, script_messages

ITEMS_A_PAGE, MOST_ANSWERS, DECIDED_SHOWN = 25, 100, 20
COLUMNS = [*MEASURES.items(), (TaskCheck.What.TUTORIAL.value, TaskCheck.What.TUTORIAL.label)]


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def checks(request: SignedInRequest, slug: str) -> HttpResponse:
    """Results per person, proposals, rules and items; posting sets the rules."""
    project = project_for(request.user, slug, MANAGERS if request.method == "POST" else STAFF)
    form, status = RulesForm(project=project), 200
    if request.method == "POST":
        form = RulesForm(request.POST, project=project)
        done = attempt(form, lambda: set_rules(project=project, rules=form.rules(), actor=request.user))
        if not done.error:
            propose(project)
            messages.success(request, _("Saved."))
            return redirect("checks", project.slug)
        status = 422
    return checks_page(request, project, form, status=status)


def checks_page(
    request: SignedInRequest, project: Project, form: RulesForm, *, status: int = 200, refused: Any = None
) -> HttpResponse:
    results = results_of(project)
    manages = role_in(request.user, project) == Role.MANAGER
    waiting = CheckProposal.objects.filter(project=project, decided_at=None).select_related("annotator", "batch")
    decided = CheckProposal.objects.filter(project=project, decided_at__isnull=False)
    batches = project.batches.exclude(checks={}).order_by("-pk")
    context = {
        "project": project,
        "section": "progress",
        "manages": manages,
        "columns": [label for _key, label in COLUMNS],
        "people": [
            {"user": user, "cells": [results.people.get((user.pk, what)) for what, _label in COLUMNS]}
            for user in people_of(results)
        ],
        "damage": [(RULES.get(rule, rule), tally) for rule, tally in sorted(results.damage.items())],
        "proposals": [
            {
                "row": row,
                "measure": MEASURES.get(row.measure, row.measure),
                "text": refused[1] if refused and refused[0] == row.pk else default_text(row),
                "problem": refused[2] if refused and refused[0] == row.pk else "",
            }
            for row in waiting
        ],
        "decided": [
            {"row": row, "measure": MEASURES.get(row.measure, row.measure)}
            for row in decided.select_related("annotator", "batch", "decided_by").order_by("-decided_at")[
                :DECIDED_SHOWN
            ]
        ],
        "batches": [(batch, check_sentences(made_checks(batch))) for batch in batches],
        "form": form,
        "actions": [label for _key, label in ACTIONS],
        **(items_of(request, project, results) if manages else {}),
    }
    return render(request, "annotation/checks/checks.html", context, status=status)


def items_of(request: SignedInRequest, project: Project, results: Results) -> dict[str, Any]:
    """A page of the project's gold, with what people answered."""
    rows = Gold.objects.filter(project=project).select_related("prompt").annotate(times=Count("uses"))
    page = Paginator(rows.order_by("retired_at", "-pk"), ITEMS_A_PAGE).get_page(request.GET.get("page"))
    items = list(page.object_list)
    texts = texts_of(key for gold in items for key in gold.candidate_ids)
    aspects = aspects_by_key([project.pk])[project.pk]
    language = project.target_language
    return {
        "page": page,
        "items": [
            {
                "gold": gold,
                "texts": [texts.get(key, "") for key in gold.candidate_ids],
                "expected": KINDS[gold.kind].describe(gold.expected, texts, language, aspects, brief=True),
                "tally": results.gold.get(gold.pk),
            }
            for gold in items
        ],
    }


def texts_of(keys: Any) -> dict[int, str]:
    return dict(Candidate.objects.filter(pk__in=set(keys)).order_by().values_list("pk", "text"))


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def new_gold(request: SignedInRequest, slug: str) -> HttpResponse:
    """First which batch, then which of its answers that are known to be right."""
    project = project_for(request.user, slug, MANAGERS)
    batches = project.batches.filter(kind__in=CHECKABLE).order_by("-pk")
    context: dict[str, Any] = {"project": project, "section": "progress", "batches": batches}
    wanted = request.GET.get("batch", "")
    if not wanted:
        return render(request, "annotation/checks/gold_new.html", context)
    batch = first_or_404(batches.filter(pk=row_id(wanted)))
    answers = list(known_answers(batch)[:MOST_ANSWERS])
    form, status = GoldForm(request.POST or None, answers=answers), 200
    if request.method == "POST":
        done = attempt(
            form,
            lambda: make_gold(
                batch=batch, annotations=form.chosen(), explanations=form.explanations(), actor=request.user
            ),
        )
        if not done.error:
            count = len(done.result)
            message = ngettext("%(count)s item of gold was added.", "%(count)s items of gold were added.", count)
            messages.success(request, message % {"count": count})
            return redirect("checks", project.slug)
        status = 422
    texts, aspects = texts_of(key for row in answers for key in row.task.candidate_ids), aspects_by_key([project.pk])
    context |= {
        "batch": batch,
        "form": form,
        "rows": [
            {
                "annotation": row,
                "tick": tick,
                "why": why,
                "texts": [texts.get(key, "") for key in row.task.candidate_ids],
                "answer": KINDS[batch.kind].describe(
                    row.counted,  # type: ignore[attr-defined]  # annotated
                    texts,
                    project.target_language,
                    aspects[project.pk],
                    brief=True,
                ),
            }
            for row, tick, why in form.rows()
        ],
    }
    return render(request, "annotation/checks/gold_new.html", context, status=status)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def task_gold(request: SignedInRequest, task_id: int) -> HttpResponse:
    """The task as annotators see it, for a manager to enter the right answer. It is claimed by nobody."""
    seen = task_reviewed(request.user, task_id)
    batch, error, status = seen.batch, None, 200
    project_for(request.user, batch.project.slug, MANAGERS)
    if batch.kind not in CHECKABLE:
        messages.warning(request, _("Only scoring and choosing have gold."))
        return redirect("task", seen.pk)
    shown, kind = show(Assignment(task=seen, batch=batch)), KINDS[batch.kind]
    entered: dict[str, Any] | None = None
    if request.method == "POST":
        explanation = request.POST.get("explanation", "")
        try:
            expected = kind.read(request.POST, shown)
            enter_gold(task=seen, expected=expected, explanation=explanation, actor=request.user)
            messages.success(request, _("The task is gold now."))
            return to_checks(request, batch.project)
        except InvalidInput as invalid:
            error, status, entered = invalid, 422, kind.read(request.POST, shown, complete=False)
        except DomainError as refused:
            messages.warning(request, str(refused))
            return to_checks(request, batch.project)
    context: dict[str, Any] = {
        "trial": {
            "action": request.path,
            "note": _("Enter the right answer of task %(n)d") % {"n": seen.position},
            "asks_why": True,
            "why": request.POST.get("explanation", ""),
        },
        "task_seen": seen,
        "batch": batch,
        "project": shown.project,
        "own_role": role_in(request.user, shown.project),
        "shown": shown,
        "prompt": shown.prompt,
        "kind": kind,
        "problems": error.problems if error else [],
        "faulty": [field for field, _message in error.problems] if error else [],
        **kind.present(shown, entered),
        "script_messages": script_messages(),
        "person": page_person(request.user),
    }
    if kind.compares:
        context["differing"] = differing_json(shown)
    template = "annotation/work/work.html#task" if request.htmx else "annotation/work/work.html"
    return render(request, template, context, status=status)


def to_checks(request: SignedInRequest, project: Project) -> HttpResponse:
    """From a form that htmx or the browser has sent."""
    address = reverse("checks", args=[project.slug])
    return HttpResponseClientRedirect(address) if request.htmx else redirect(address)


@login_required
@require_POST
def retire(request: SignedInRequest, gold_id: int) -> HttpResponse:
    gold = gold_for(request.user, gold_id)
    try:
        retire_gold(gold=gold, actor=request.user)
        messages.success(request, _("The item goes into no further batch."))
    except DomainError as error:
        messages.warning(request, str(error))
    return redirect("checks", gold.project.slug)


@login_required
@require_POST
def decide(request: SignedInRequest, proposal_id: int) -> HttpResponse:
    """A manager confirms or dismisses what a rule proposes."""
    rows = CheckProposal.objects.select_related("project", "annotator", "batch__project")
    proposal = first_or_404(within(rows, request.user, MANAGERS).filter(pk=proposal_id))
    project, form = proposal.project, DecisionForm(request.POST)
    try:
        if not form.is_valid():
            raise InvalidInput(_("Write at most 500 characters."))
        if form.cleaned_data["decision"] == "confirm":
            confirm(proposal=proposal, actor=request.user, text=form.cleaned_data["text"])
            messages.success(request, _("Done."))
        else:
            dismiss(proposal=proposal, actor=request.user)
            messages.success(request, _("Dismissed: nothing was done."))
    except InvalidInput as error:
        refused = (proposal.pk, request.POST.get("text", "")[:500], str(error))
        return checks_page(request, project, RulesForm(project=project), status=422, refused=refused)
    except DomainError as error:
        messages.warning(request, str(error))
    return redirect("checks", project.slug)
