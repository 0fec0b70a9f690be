"""Exclusions: reviewers see what is left out and why, managers exclude and lift."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from annotation.answers.exclusions import (
    exclude_answer,
    exclude_person,
    exclude_simulated,
    lift_exclusion,
    people_of,
    withdraw_prompt,
)
from annotation.core.access import (
    MANAGERS,
    STAFF,
    answer_managed,
    exclusion_managed,
    project_for,
    prompt_managed,
    role_in,
)
from annotation.core.errors import DomainError
from annotation.core.exclusions import excluded_answers
from annotation.models import Exclusion, Project, Role
from annotation.web.forms.actions import attempt
from annotation.web.forms.exclusions import SIMULATED, ExclusionForm
from annotation.web.http import SignedInRequest, back_or

LIFTED_SHOWN = 50


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def exclusions(request: SignedInRequest, slug: str) -> HttpResponse:
    """What is excluded in the project; posting excludes a person, or all simulated annotators."""
    project = project_for(request.user, slug, MANAGERS if request.method == "POST" else STAFF)
    form, status = ExclusionForm(people=people_of(project)), 200
    if request.method == "POST":
        form, status = ExclusionForm(request.POST, people=people_of(project)), 422
        done = attempt(form, lambda: exclude(project, request, form))
        if not done.error:
            messages.success(request, _("Excluded."))
            return back(request, project)
    excluded = excluded_answers(project)
    lifted = Exclusion.objects.filter(project=project, lifted_at__isnull=False)
    context = {
        "project": project,
        "section": "datasets",
        "excluded": excluded,
        "total": sum(row.answers for row in excluded),
        "lifted": lifted.select_related("annotator", "prompt", "task__batch", "created_by", "lifted_by")[:LIFTED_SHOWN],
        "manages": role_in(request.user, project) == Role.MANAGER,
        "form": form,
    }
    return render(request, "annotation/exclusions/exclusions.html", context, status=status)


def exclude(project: Project, request: SignedInRequest, form: ExclusionForm) -> Exclusion:
    who, reason = form.cleaned_data["who"], form.cleaned_data["reason"]
    if who == SIMULATED:
        return exclude_simulated(project=project, reason=reason, actor=request.user)
    return exclude_person(project=project, annotator=form.person(), reason=reason, actor=request.user)


@login_required
@require_POST
def exclude_one(request: SignedInRequest, annotation_id: int) -> HttpResponse:
    """Exclude one answer."""
    annotation = answer_managed(request.user, annotation_id)
    try:
        exclude_answer(annotation=annotation, reason=request.POST.get("reason", ""), actor=request.user)
    except DomainError as error:
        messages.warning(request, str(error))
    else:
        message = _("The answer of %(person)s to task %(n)d is excluded.")
        messages.success(request, message % {"person": annotation.annotator, "n": annotation.task.position})
    return back(request, annotation.task.batch.project)


@login_required
@require_POST
def withdraw(request: SignedInRequest, prompt_id: int) -> HttpResponse:
    """Withdraw a prompt."""
    prompt = prompt_managed(request.user, prompt_id)
    try:
        withdraw_prompt(prompt=prompt, reason=request.POST.get("reason", ""), actor=request.user)
    except DomainError as error:
        messages.warning(request, str(error))
    else:
        messages.success(request, _("The prompt is withdrawn."))
    return back(request, prompt.project)


@login_required
@require_POST
def lift(request: SignedInRequest, exclusion_id: int) -> HttpResponse:
    exclusion = exclusion_managed(request.user, exclusion_id)
    try:
        lift_exclusion(exclusion=exclusion, actor=request.user)
    except DomainError as error:
        messages.warning(request, str(error))
    else:
        restored = _("The prompt is restored: its tasks are back in the queue, and its answers count again.")
        lifted = _("The exclusion is lifted: the answers count again.")
        messages.success(request, restored if exclusion.prompt_id else lifted)
    return back(request, exclusion.project)


def back(request: SignedInRequest, project: Project) -> HttpResponse:
    """To the page that the form was on, as it was filtered; by default the list of exclusions."""
    return back_or(request, "exclusions", project.slug)
