"""Members of a project, and their invitations."""

from typing import Any

from allauth.core import ratelimit
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.db.models import Case, IntegerField, Value, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from annotation.core.access import MANAGERS, first_or_404, project_for
from annotation.core.errors import Conflict, DomainError
from annotation.core.exclusions import in_effect
from annotation.members.accounts import BACKEND
from annotation.members.memberships import (
    RANK,
    accept_invitation,
    change_role,
    invite,
    join,
    remove_member,
    revoke_invitation,
)
from annotation.members.pausing import pause_member, resume_member
from annotation.models import Invitation, Membership, Project, Role, User
from annotation.web.forms.actions import attempt
from annotation.web.forms.people import InvitationForm, JoinForm, RoleForm
from annotation.web.http import actor, redirect_back
from annotation.web.views.settings import settings_page


def people_page(
    request: HttpRequest, project: Project, form: InvitationForm, error: DomainError | bool | None = None
) -> HttpResponse:
    by_rank = Case(*(When(role=role, then=Value(-rank)) for role, rank in RANK.items()), output_field=IntegerField())
    members = project.memberships.select_related("user").order_by(by_rank, "user__name")
    invitations = project.invitations.filter(accepted_at=None, expires_at__gt=timezone.now())
    links = [
        (row, request.build_absolute_uri(reverse("join", args=[row.token])), Role(row.role).label)
        for row in invitations.select_related("created_by").order_by("-pk")
    ]
    whole = {row.annotator_id: row for row in in_effect(project).filter(task=None, prompt=None)}
    context = {
        "members": [(row, whole.get(row.user_id)) for row in members],
        "simulated_excluded": whole.get(None),
        "any_simulated": any(row.user.is_simulated for row in members),
        "roles": Role.choices,
        "invitations": links,
        "form": form,
    }
    return settings_page(request, project, "people/people", context, error)


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def members(request: HttpRequest, slug: str) -> HttpResponse:
    """Who is in; posting makes an invitation."""
    project = project_for(request.user, slug, MANAGERS)
    if request.method != "POST":
        return people_page(request, project, InvitationForm())
    form = InvitationForm(request.POST)
    done = attempt(form, lambda: invite(project=project, actor=actor(request), **form.cleaned_data))
    if not done.error:
        messages.success(request, _("The invitation is ready: copy its link and send it to the person."))
        return redirect("settings_people", slug)
    return people_page(request, project, form, done.error)


@login_required
@require_POST
def member_role(request: HttpRequest, slug: str, membership_id: int) -> HttpResponse:
    project, membership = member_of(request, slug, membership_id)
    form = RoleForm(request.POST)
    if form.is_valid():
        try:
            change_role(membership=membership, role=form.cleaned_data["role"], actor=actor(request))
        except DomainError as error:
            messages.error(request, str(error))
        else:
            messages.success(
                request,
                _("%(person)s is %(role)s now.")
                % {"person": membership.user, "role": membership.get_role_display().lower()},
            )
    else:
        messages.error(request, _("Choose one of the three roles."))
    return after_change(request, project)


@login_required
@require_POST
def member_remove(request: HttpRequest, slug: str, membership_id: int) -> HttpResponse:
    project, membership = member_of(request, slug, membership_id)
    try:
        remove_member(membership=membership, actor=actor(request))
    except DomainError as error:
        messages.error(request, str(error))
    else:
        messages.success(
            request, _("%(user)s left the project; what they annotated stays.") % {"user": membership.user}
        )
    return after_change(request, project)


@login_required
@require_POST
def member_pause(request: HttpRequest, slug: str, membership_id: int) -> HttpResponse:
    """Give a member no further tasks, from wherever the form is."""
    project, membership = member_of(request, slug, membership_id)
    try:
        pause_member(membership=membership, reason=request.POST.get("reason", ""), actor=actor(request))
    except DomainError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("%(person)s is paused and gets no further tasks.") % {"person": membership.user})
    return redirect_back(request, reverse("settings_people", args=[project.slug]))


@login_required
@require_POST
def member_resume(request: HttpRequest, slug: str, membership_id: int) -> HttpResponse:
    project, membership = member_of(request, slug, membership_id)
    try:
        resume_member(membership=membership, actor=actor(request))
    except DomainError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("%(person)s gets tasks again.") % {"person": membership.user})
    return redirect_back(request, reverse("settings_people", args=[project.slug]))


def member_of(request: HttpRequest, slug: str, membership_id: int) -> tuple[Project, Membership]:
    """A membership of a project that this person manages."""
    project = project_for(request.user, slug, MANAGERS)
    return project, first_or_404(project.memberships.select_related("user", "project").filter(pk=membership_id))


def after_change(request: HttpRequest, project: Project) -> HttpResponse:
    """Back to the list, or home for managers who have just removed themselves."""
    still = actor(request).is_superuser or project.memberships.filter(user=actor(request), role=Role.MANAGER).exists()
    return redirect("settings_people", project.slug) if still else redirect("home")


@login_required
@require_POST
def revoke(request: HttpRequest, slug: str, invitation_id: int) -> HttpResponse:
    project = project_for(request.user, slug, MANAGERS)
    invitation = first_or_404(project.invitations.select_related("project").filter(pk=invitation_id))
    try:
        revoke_invitation(invitation=invitation, actor=actor(request))
    except DomainError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("The link no longer works."))
    return redirect("settings_people", slug)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def join_project(request: HttpRequest, token: str) -> HttpResponse:
    """What an invitation's link opens: accept with the account that is signed in, or make one."""
    invitation = first_or_404(Invitation.objects.select_related("project", "created_by").filter(token=token))
    user = request.user if isinstance(request.user, User) else None
    if not invitation.is_open:
        is_own = user and invitation.accepted_by_id == user.pk
        return welcome(request, invitation, new=False) if is_own else join_page(request, invitation, status=410)
    if user is None:
        return join_with_new_account(request, invitation)
    error = None
    if request.method == "POST":
        try:
            accept_invitation(invitation=invitation, user=user)
        except Conflict as conflict:
            error = str(conflict)
        else:
            return welcome(request, invitation)
    return join_page(request, invitation, error=error, status=409 if error else 200)


def join_with_new_account(request: HttpRequest, invitation: Invitation) -> HttpResponse:
    form = JoinForm(email=invitation.email)
    if request.method == "POST":
        # An invitation for anybody answers whether an address has an account: not to a program that tries thousands.
        too_many: HttpResponse | None = ratelimit.consume_or_429(request, action="join", key=invitation.token)
        if too_many:
            return too_many
        form = JoinForm(request.POST, email=invitation.email)
        done = attempt(form, lambda: join(invitation=invitation, **form.account()))
        if not done.error:
            login(request, done.result, backend=BACKEND)
            return welcome(request, invitation)
    return join_page(request, invitation, form=form, status=422 if form.is_bound else 200)


def join_page(request: HttpRequest, invitation: Invitation, *, status: int, **context: Any) -> HttpResponse:
    other = request.user.is_authenticated and invitation.email and invitation.email != actor(request).email.lower()
    context |= {"invitation": invitation, "for_somebody_else": other, "here": request.path}
    context["is_open"] = invitation.is_open
    context["role"] = Role(invitation.role).label if invitation.role else ""
    return render(request, "annotation/people/join.html", context, status=status)


def welcome(request: HttpRequest, invitation: Invitation, *, new: bool = True) -> HttpResponse:
    if invitation.project is None:
        return redirect(settings.LOGIN_REDIRECT_URL)
    text = _("You are in: %(project)s.") if new else _("You are in %(project)s already.")
    messages.success(request, text % {"project": invitation.project})
    return redirect("home")
