"""A project's tests, for its managers: make one, see how it goes, grant another attempt, retire."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Count, Q
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from annotation.core.access import MANAGERS, first_or_404, project_for
from annotation.core.errors import DomainError
from annotation.kinds import KINDS
from annotation.kinds.loading import aspects_by_key
from annotation.models import Batch, Candidate, Project, Qualification, Role, User
from annotation.qualification.attempts import grant_attempt
from annotation.qualification.results import item_rates, takers
from annotation.qualification.tests import (
    MAX_ITEMS,
    TESTABLE,
    create_qualification,
    model_answers,
    retire_qualification,
)
from annotation.web.forms.actions import attempt
from annotation.web.forms.qualification import QualificationForm
from annotation.web.http import SignedInRequest
from annotation.web.parameters import row_id
from annotation.web.views.settings import settings_page


@login_required
@require_GET
def listing(request: SignedInRequest, slug: str) -> HttpResponse:
    project = project_for(request.user, slug, MANAGERS)
    tests = project.qualifications.annotate(
        item_count=Count("items", distinct=True),
        passed=Count("taken__user", filter=Q(taken__passed=True), distinct=True),
        tried=Count("taken__user", filter=Q(taken__finished_at__isnull=False), distinct=True),
        asked_by=Count("batches", filter=Q(batches__status=Batch.Status.OPEN), distinct=True),
    ).order_by("-retired_at", "name", "pk")
    context = {"tests": sorted(tests, key=lambda test: test.retired_at is not None)}
    return settings_page(request, project, "qualification_settings/tests", context)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: SignedInRequest, slug: str) -> HttpResponse:
    """First which batch, then which of its answers."""
    project = project_for(request.user, slug, MANAGERS)
    staff = project.memberships.filter(role__in=[Role.REVIEWER, Role.MANAGER])
    by_staff = Q(
        assignments__annotations__is_current=True, assignments__annotations__annotator__in=staff.values("user")
    )
    batches = (
        project.batches.filter(kind__in=TESTABLE)
        .annotate(usable=Count("assignments__annotations", filter=by_staff))
        .filter(usable__gt=0)
        .order_by("-pk")
    )
    wanted = request.GET.get("batch", "")
    if not wanted:
        return settings_page(request, project, "qualification_settings/tests_new", {"batches": batches})
    batch = first_or_404(batches.filter(pk=row_id(wanted)))
    answers = list(model_answers(batch)[:MAX_ITEMS])
    form = QualificationForm(
        request.POST if request.method == "POST" else None,
        answers=answers,
        kind=batch.kind,
        initial={"name": batch.name},
    )
    error: DomainError | bool | None = None
    if request.method == "POST":
        done = attempt(
            form,
            lambda: create_qualification(
                project=project,
                name=form.cleaned_data["name"],
                kind=batch.kind,
                items=form.chosen(),
                actor=request.user,
                pass_share=form.cleaned_data["bar"] / 100,
                tolerance=form.cleaned_data.get("tolerance", 0),
                attempts=form.cleaned_data["attempts"],
            ),
        )
        error = done.error
        if not error:
            messages.success(request, _("The test is ready. Choose it when you open a batch, or on a batch's page."))
            return redirect("settings_tests_results", project.slug, done.result.pk)
    ids = {pk for answer in answers for pk in answer.task.candidate_ids}
    texts = dict(Candidate.objects.filter(pk__in=ids).order_by().values_list("pk", "text"))
    aspects = aspects_by_key([project.pk])[project.pk]
    rows = [
        {
            "annotation": answer,
            "tick": tick,
            "why": why,
            "texts": [texts[pk] for pk in answer.task.candidate_ids],
            "answer": KINDS[batch.kind].describe(answer.payload, texts, project.target_language, aspects, brief=True),
        }
        for answer, tick, why in form.rows()
    ]
    context = {"batch": batch, "form": form, "rows": rows, "more": model_answers(batch).count() - len(answers)}
    return settings_page(request, project, "qualification_settings/tests_new", context, error)


@login_required
@require_GET
def results(request: SignedInRequest, slug: str, qualification_id: int) -> HttpResponse:
    project = project_for(request.user, slug, MANAGERS)
    test = one_of(project, qualification_id)
    rates, people = item_rates(test), takers(test)
    ids = {pk for rate in rates for pk in rate.item.candidate_ids}
    texts = dict(Candidate.objects.filter(pk__in=ids).order_by().values_list("pk", "text"))
    describe, aspects = KINDS[test.kind].describe, aspects_by_key([project.pk])[project.pk]
    context: dict[str, Any] = {
        "kind": KINDS[test.kind],
        "test": test,
        "people": people,
        "passed": sum(one.passing is not None for one in people),
        "tried": sum(bool(one.attempts) for one in people),
        "batches": test.batches.order_by("-status", "-pk"),
        "items": [
            {
                "rate": rate,
                "texts": [texts[pk] for pk in rate.item.candidate_ids],
                "expected": describe(rate.item.expected, texts, project.target_language, aspects, brief=True),
            }
            for rate in rates
        ],
    }
    return settings_page(request, project, "qualification_settings/tests_results", context)


@login_required
@require_POST
def retire(request: SignedInRequest, slug: str, qualification_id: int) -> HttpResponse:
    project = project_for(request.user, slug, MANAGERS)
    test = one_of(project, qualification_id)
    try:
        retire_qualification(qualification=test, actor=request.user)
    except DomainError as error:
        messages.warning(request, str(error))
    else:
        messages.success(request, _("%(name)s is retired: new batches cannot require it.") % {"name": test.name})
    return redirect("settings_tests", slug)


@login_required
@require_POST
def grant(request: SignedInRequest, slug: str, qualification_id: int) -> HttpResponse:
    project = project_for(request.user, slug, MANAGERS)
    test = one_of(project, qualification_id)
    members = User.objects.filter(memberships__project=project)
    user = first_or_404(members.filter(pk=row_id(request.POST.get("user", ""))))
    try:
        grant_attempt(qualification=test, user=user, actor=request.user)
    except DomainError as error:
        messages.warning(request, str(error))
    else:
        messages.success(request, _("%(person)s has one more attempt.") % {"person": user})
    return redirect("settings_tests_results", slug, test.pk)


def one_of(project: Project, qualification_id: int) -> Qualification:
    test: Qualification = first_or_404(project.qualifications.filter(pk=qualification_id))
    test.project = project
    return test
