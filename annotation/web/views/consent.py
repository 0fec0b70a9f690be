"""Withdrawal of consent: the person's own pages, those of managers, and the receipt."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Count, Q
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from annotation.answers.exclusions import people_of
from annotation.consent import keys, registry
from annotation.consent.contributions import answers_of
from annotation.consent.erasing import remaining_in
from annotation.consent.rebuilding import rebuild_dataset
from annotation.consent.receipts import give_receipt, obstacles, signature_bytes
from annotation.consent.withdrawals import consent_again, withdraw
from annotation.core.access import (
    MANAGERS,
    dataset_for,
    first_or_404,
    project_for,
    projects_with_own,
    role_in,
    withdrawal_for,
)
from annotation.core.errors import DomainError
from annotation.core.withdrawals import successors, withdrawal_of
from annotation.models import Annotation, DatasetRemoval, DatasetVersion, Membership, Project, Role, User, Withdrawal
from annotation.web.forms.actions import attempt
from annotation.web.forms.consent import WithdrawForm
from annotation.web.http import SignedInRequest, redirect_back
from annotation.web.views.settings import settings_page

# What was erased, in the order of the page; names are those of `Withdrawal.erased`.
ERASED = {
    "answers": gettext_lazy("versions of answers"),
    "drafts": gettext_lazy("drafts"),
    "remarks": gettext_lazy("remarks"),
    "remark_answers": gettext_lazy("answers to remarks"),
    "reviews": gettext_lazy("reviews (notes, corrections, replies)"),
    "skip_comments": gettext_lazy("comments on skipped tasks"),
    "test_answers": gettext_lazy("attempts at tests"),
    "gold_explanations": gettext_lazy("explanations of gold"),
    "check_proposals": gettext_lazy("open proposals of rules on checks"),
    "test_items": gettext_lazy("test items made from an answer (texts only)"),
    "memory_entries": gettext_lazy("similar texts"),
    "messages": gettext_lazy("messages with managers"),
    "exclusion_reasons": gettext_lazy("reasons of exclusions"),
    "candidates": gettext_lazy("texts for others to judge"),
    "events": gettext_lazy("recorded events (texts only)"),
    "dataset_files": gettext_lazy("files of datasets"),
    "exports": gettext_lazy("exported files"),
    "copies": gettext_lazy("copies in run folders and caches"),
}
RECEIPT, SIGNATURE, PUBLIC_KEY = "receipt.json", "receipt.sig", "public-key.pem"


@login_required
@never_cache
@require_GET
def my_consent(request: SignedInRequest) -> HttpResponse:
    """The person's projects, each with the way to withdraw, or with the withdrawal."""
    own = Withdrawal.objects.filter(person=request.user).select_related("project")
    current = {row.project_id: row for row in own.filter(ended_at=None)}
    answers = Annotation.objects.filter(annotator=request.user, is_current=True).order_by()
    counts = dict(answers.values_list("task__batch__project").annotate(n=Count("pk")))
    projects = projects_with_own(request.user).order_by("name", "pk")
    context = {
        "rows": [(project, current.get(project.pk), counts.get(project.pk, 0)) for project in projects],
        "ended": own.filter(ended_at__isnull=False),
    }
    return render(request, "annotation/consent/my_consent.html", context)


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def own(request: SignedInRequest, slug: str) -> HttpResponse:
    """What withdrawing means for the person's own answers, and the form."""
    project = first_or_404(projects_with_own(request.user).filter(slug=slug))
    return form_page(request, project, request.user)


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def of_person(request: SignedInRequest, slug: str, user_id: int) -> HttpResponse:
    """The same for a manager who records a person's wish."""
    project = project_for(request.user, slug, MANAGERS)
    known = Q(pk__in=people_of(project)) | Q(withdrawals__project=project)
    person = first_or_404(User.objects.filter(known, pk=user_id).distinct())
    return form_page(request, project, person, manages=True)


def form_page(request: SignedInRequest, project: Project, person: User, *, manages: bool = False) -> HttpResponse:
    current = withdrawal_of(project, person)
    if current is not None and (current.is_erasing or request.GET.get("mode") != "erase") and request.method != "POST":
        return redirect("withdrawal", current.pk)
    options: dict[str, Any] = {"person": person, "own": not manages, "erase_only": current is not None}
    form, error = WithdrawForm(**options), None
    if request.method == "POST":
        form = WithdrawForm(request.POST, **options)
        done = attempt(form, lambda: withdraw(project=project, person=person, actor=request.user, **form.cleaned_data))
        if not done.error:
            messages.success(request, _("Consent is withdrawn. This page lists what contained the answers."))
            return redirect("withdrawal", done.result.pk)
        error = done.error
    answers = answers_of(project, person)
    context = {
        "form": form,
        "person": person,
        "own": not manages,
        "current": current,
        "answers": answers.filter(is_current=True).count(),
        "is_member": Membership.objects.filter(project=project, user=person).exists(),
        "about": project,
    }
    if manages:
        return settings_page(request, project, "people/people_consent", context, error)
    if role_in(request.user, project):
        context["project"] = project
    return render(request, "annotation/consent/own.html", context, status=422 if error else 200)


@login_required
@require_GET
def withdrawals(request: SignedInRequest, slug: str) -> HttpResponse:
    """All withdrawals of the project, and who else has answers there without being a member."""
    project = project_for(request.user, slug, MANAGERS)
    rows = list(Withdrawal.objects.filter(project=project).select_related("person", "recorded_by"))
    members = Membership.objects.filter(project=project).values("user")
    current = [row.person_id for row in rows if row.ended_at is None]
    left = people_of(project).exclude(pk__in=members).exclude(pk__in=current)
    context = {"withdrawals": rows, "left": left}
    return settings_page(request, project, "people/people_withdrawals", context)


@login_required
@never_cache
@require_GET
def withdrawal(request: SignedInRequest, withdrawal_id: int) -> HttpResponse:
    """What contained the person's answers, what superseded it, and the receipt or what prevents it."""
    row = withdrawal_for(request.user, withdrawal_id)
    manages = role_in(request.user, row.project) == Role.MANAGER
    context: dict[str, Any] = {
        "withdrawal": row,
        "about": row.project,
        "manages": manages,
        "own": row.person_id == request.user.pk,
        "erased": [(label, row.erased[name]) for name, label in ERASED.items() if row.erased.get(name)],
        "versions": versions_of(row),
        "trained": registry.trained_on(row.project, row.dataset_ids),
        "obstacles": obstacles(row),
        "remaining": remaining_of(row),
        "files": (RECEIPT, SIGNATURE, PUBLIC_KEY),
        "key": keys.fingerprint(row.public_key) if row.public_key else "",
    }
    if role_in(request.user, row.project):
        context |= {"project": row.project, "section": "settings" if manages else ""}
    return render(request, "annotation/consent/withdrawal.html", context)


def versions_of(row: Withdrawal) -> list[dict[str, Any]]:
    """The dataset versions that contained the answers, each with what superseded it and whether its files are gone."""
    newest = successors(row.dataset_ids)
    removed = set(DatasetRemoval.objects.filter(dataset__in=row.dataset_ids).values_list("dataset", flat=True))
    versions = DatasetVersion.objects.in_bulk(row.dataset_ids)
    return [
        {
            **facts,
            "version": versions[facts["dataset"]],
            "newest": newest.get(facts["dataset"]),
            "removed": facts["dataset"] in removed,
        }
        for facts in row.reached
    ]


def remaining_of(row: Withdrawal) -> list[str]:
    """What an erasure leaves, in sentences; nothing for answers that are only excluded."""
    if not row.is_erasing:
        return []
    return [*remaining_in(row), *registry.remaining(row.project, row.dataset_ids)]


@login_required
@require_POST
def receipt(request: SignedInRequest, withdrawal_id: int) -> HttpResponse:
    row = withdrawal_for(request.user, withdrawal_id)
    try:
        give_receipt(withdrawal=row, actor=request.user)
    except DomainError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("The receipt is signed."))
    return redirect("withdrawal", row.pk)


@login_required
@never_cache
@require_GET
def receipt_file(request: SignedInRequest, withdrawal_id: int, name: str) -> HttpResponse:
    """The receipt, its signature and the public key, byte by byte as they were signed."""
    row = withdrawal_for(request.user, withdrawal_id)
    contents = {RECEIPT: row.receipt.encode(), SIGNATURE: signature_bytes(row), PUBLIC_KEY: row.public_key.encode()}
    if not row.receipt or name not in contents:
        raise Http404
    response = HttpResponse(contents[name], content_type="application/octet-stream")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["X-Content-Type-Options"] = "nosniff"
    return response


@login_required
@require_POST
def again(request: SignedInRequest, withdrawal_id: int) -> HttpResponse:
    """The person consents again."""
    row = withdrawal_for(request.user, withdrawal_id)
    try:
        consent_again(withdrawal=row, actor=request.user)
    except DomainError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("You consent again. A manager can invite you back and lift the exclusion."))
    return redirect("withdrawal", row.pk)


@login_required
@require_POST
def rebuild(request: SignedInRequest, dataset_id: int) -> HttpResponse:
    """Freeze a version again without withdrawn answers."""
    version = dataset_for(request.user, dataset_id, MANAGERS)
    try:
        successor = rebuild_dataset(version=version, actor=request.user)
    except DomainError as error:
        messages.error(request, str(error))
        return redirect_back(request, reverse("dataset", args=[version.pk]))
    message = _("Dataset %(newer)s supersedes dataset %(older)s.") % {"newer": successor.pk, "older": version.pk}
    messages.success(request, message)
    return redirect_back(request, reverse("dataset", args=[successor.pk]))
