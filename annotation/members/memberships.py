"""Who belongs to a project: invitations, roles, leaving. A project never loses its last manager."""

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from annotation.core.errors import Conflict, DomainError, InvalidInput
from annotation.core.events import record
from annotation.core.locks import Lock, lock_until_commit
from annotation.core.withdrawals import refuse_withdrawn
from annotation.members.accounts import create_account
from annotation.models import Invitation, Membership, Project, Role, User
from annotation.queue.manual_assignment import release_all

RANK = {Role.ANNOTATOR: 1, Role.REVIEWER: 2, Role.MANAGER: 3}


class LastManager(DomainError):
    """The change would leave the project without anybody who may change it."""

    def __init__(self, project: Project) -> None:
        super().__init__(_("%(project)s needs a manager: make somebody else a manager first.") % {"project": project})


def add_member(*, project: Project, user: User, role: Role | str, actor: User | None) -> Membership:
    """Put a person into a project with a role, at once and without an invitation; a member gets that role.

    Raises Conflict for somebody who withdrew consent there and has not consented again."""
    role = known_role(role)
    with transaction.atomic():
        lock_until_commit(Lock.CONSENT, project.pk)
        refuse_withdrawn(project, user)
        membership, created = Membership.objects.get_or_create(project=project, user=user, defaults={"role": role})
        if created:
            after = {"user": user.email, "role": role}
            record(verb="member.added", target=membership, actor=actor, project=project, after=after)
    return membership if created else change_role(membership=membership, role=role, actor=actor)


def invite(*, project: Project | None, role: Role | str, actor: User, email: str = "") -> Invitation:
    """An invitation whose link lets one person join, within 14 days; with an e-mail only that address may."""
    email = email.strip().lower()
    chosen = known_role(role) if project else ""
    if project and email and Membership.objects.filter(project=project, user__email=email).exists():
        raise Conflict(
            _("%(email)s is a member of %(project)s already: change the role in the list of members.")
            % {"email": email, "project": project}
        )
    with transaction.atomic():
        invitation = Invitation.objects.create(project=project, role=chosen, email=email, created_by=actor)
        after = {"role": chosen, "email": email}
        record(verb="invitation.made", target=invitation, actor=actor, project=project, after=after)
    return invitation


def revoke_invitation(*, invitation: Invitation, actor: User) -> None:
    """End an open invitation now. Raises `Conflict` when it was used or has expired."""
    now = timezone.now()
    with transaction.atomic():
        still_open = Invitation.objects.filter(pk=invitation.pk, accepted_at=None, expires_at__gt=now)
        if still_open.update(expires_at=now) != 1:
            raise Conflict(_("This invitation was used or has expired already."))
        record(verb="invitation.revoked", target=invitation, actor=actor, project=invitation.project)


def accept_invitation(*, invitation: Invitation, user: User) -> Membership | None:
    """The signed-in person takes the invitation; returns the membership (none for one to the site alone).

    It is used once, whoever clicks at the same moment. A member who is offered no higher role keeps what they have,
    and the invitation stays open for the person it was meant for. Raises `Conflict` when it no longer holds.
    """
    project = invitation.project
    if invitation.email and invitation.email != user.email.lower():
        raise Conflict(
            _("This invitation is for %(invited)s; you are signed in as %(email)s.")
            % {"invited": invitation.email, "email": user.email}
        )
    with transaction.atomic():
        membership = None
        if project:
            lock_until_commit(Lock.CONSENT, project.pk)  # before the row, as in a withdrawal of consent
            Project.objects.select_for_update().get(pk=project.pk)  # two clicks come one after the other
            membership = Membership.objects.filter(project=project, user=user).first()
            if membership and RANK[Role(membership.role)] >= RANK[Role(invitation.role)]:
                return membership
        use(invitation, user)
        if project:
            membership = add_member(project=project, user=user, role=invitation.role, actor=user)
    return membership


def join(*, invitation: Invitation, name: str, password: str, email: str = "") -> User:
    """A new account through an invitation, and its membership, both or neither.

    Raises as `create_account` does, and `Conflict` when the invitation no longer holds.
    """
    with transaction.atomic():
        user = create_account(email=invitation.email or email, name=name, password=password)
        if invitation.project is None:
            use(invitation, user)
        else:
            accept_invitation(invitation=invitation, user=user)
    return user


def use(invitation: Invitation, user: User) -> None:
    """Mark the invitation as used: compare and set, so that only one of two callers gets through."""
    now = timezone.now()
    held = Invitation.objects.filter(pk=invitation.pk, accepted_at=None, expires_at__gt=now)
    if held.update(accepted_at=now, accepted_by=user) != 1:
        raise Conflict(_("This invitation was used or has expired: ask for a new one."))
    record(verb="invitation.accepted", target=invitation, actor=user, project=invitation.project)


def change_role(*, membership: Membership, role: Role | str, actor: User | None) -> Membership:
    """Give a member another role. Raises `LastManager`, and `Conflict` when it was changed underneath."""
    role, project, old = known_role(role), membership.project, membership.role
    if role == old:
        return membership
    with transaction.atomic():
        if old == Role.MANAGER:
            keep_a_manager(project, without=membership)
        if Membership.objects.filter(pk=membership.pk, role=old).update(role=role) != 1:
            raise Conflict(
                _("The role of %(user)s has changed meanwhile. Reload the page.") % {"user": membership.user}
            )
        before, after = {"user": membership.user.email, "role": old}, {"user": membership.user.email, "role": role}
        record(verb="member.role_changed", target=membership, actor=actor, project=project, before=before, after=after)
    membership.role = role
    return membership


def remove_member(*, membership: Membership, actor: User | None) -> None:
    """Take a person out of a project: annotations stay, claimed tasks go back into the queue."""
    project = membership.project
    with transaction.atomic():
        if membership.role == Role.MANAGER:
            keep_a_manager(project, without=membership)
        before = {"user": membership.user.email, "role": membership.role}
        record(verb="member.removed", target=membership, actor=actor, project=project, before=before)
        if Membership.objects.filter(pk=membership.pk, role=membership.role).delete()[0] != 1:
            raise Conflict(
                _("%(user)s was removed or got another role meanwhile. Reload the page.") % {"user": membership.user}
            )
        release_all(project=project, annotator=membership.user, actor=actor)


def keep_a_manager(project: Project, *, without: Membership) -> None:
    """Call inside the transaction: the project's row is locked, so that two managers cannot remove each other."""
    Project.objects.select_for_update().get(pk=project.pk)
    others = Membership.objects.filter(project=project, role=Role.MANAGER, user__is_active=True)
    if not others.exclude(pk=without.pk).exists():
        raise LastManager(project)


def known_role(role: Role | str) -> Role:
    try:
        return Role(role)
    except ValueError as error:
        raise InvalidInput(
            _("no such role: %(role)s; choose one of %(names)s") % {"role": role, "names": ", ".join(Role.values)},
            [("role", "?")],
        ) from error
