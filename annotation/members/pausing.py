"""Pausing a member: they get no further tasks until somebody resumes their work.

What they hold they may finish, correct or give back, what they answered counts, and they may take tests, so that
nothing is lost and a conversation can come first. Reviewing goes on. Leaving the project ends a pause.
"""

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from annotation.core.errors import Conflict
from annotation.core.events import record
from annotation.core.typed_text import checked_line
from annotation.models import Membership, Project, User

MAX_REASON = 500


def pause_member(*, membership: Membership, reason: str, actor: User | None) -> Membership:
    """Give this member no further tasks. Raises Conflict when they are paused already or have left, InvalidInput
    without a reason: the person sees it."""
    missing = _("Give a reason: the person sees it.")
    reason = checked_line(reason, field="reason", limit=MAX_REASON, missing=missing)
    at_work = Membership.objects.filter(pk=membership.pk, paused_at=None)
    with transaction.atomic():
        if at_work.update(paused_at=timezone.now(), paused_by=actor, paused_reason=reason) != 1:
            raise Conflict(_("%(person)s is paused already, or has left the project.") % {"person": membership.user})
        note(membership, "member.paused", actor, reason=reason)
    membership.refresh_from_db()
    return membership


def resume_member(*, membership: Membership, actor: User | None) -> Membership:
    """Give this member tasks again. Raises Conflict when they are not paused."""
    paused = Membership.objects.filter(pk=membership.pk, paused_at__isnull=False)
    with transaction.atomic():
        if paused.update(paused_at=None, paused_by=None, paused_reason="") != 1:
            raise Conflict(_("%(person)s is not paused.") % {"person": membership.user})
        note(membership, "member.resumed", actor)
    membership.refresh_from_db()
    return membership


def note(membership: Membership, verb: str, actor: User | None, **more: str) -> None:
    after = {"user": membership.user_id, **more}
    record(verb=verb, target=membership, actor=actor, project=membership.project, after=after)


def pause_of(user: User, project: Project) -> Membership | None:
    """The membership of somebody who is paused in the project, with who paused them; else None."""
    paused = Membership.objects.filter(user=user, project=project, paused_at__isnull=False)
    return paused.select_related("paused_by", "project").first()
