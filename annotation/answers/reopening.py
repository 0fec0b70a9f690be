"""Reopening of answers, by *undo last* or from *my work*.

The answer stays current until it is submitted again (as the next version) or skipped; every version is kept.
An answer may be changed while its batch is open and the project's window lasts (`Project.edit_hours` after its first
version). Undo obeys the same rule, with one exception: where the window is 0 the very last answer, and no other, may
still be reopened, because a slip of the finger is not a change of mind.
An answer that a reviewer accepted, corrected or left out is final; one that was sent back may be changed whatever the
window, while the batch is open.
"""

from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import OuterRef, Subquery
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation.core.errors import Conflict
from annotation.core.events import record
from annotation.core.reviews import final_review, is_decided, is_sent_back
from annotation.models import Annotation, Assignment, Batch, Draft, User
from annotation.queue.claims import renew_lease, return_to_queue
from annotation.queue.withdrawn import is_withdrawn

State = Assignment.State


def first_submitted(reference: str = "assignment") -> Subquery:
    """When the first version of a slot's answer was submitted; `reference` names the slot in the outer query."""
    versions = Annotation.objects.filter(assignment=OuterRef(reference)).order_by("version")
    return Subquery(versions.values("created_at")[:1])


def changeable_until(batch: Batch, first_at: datetime) -> datetime | None:
    """Until when an answer first submitted then may be changed; None where answers are never changed."""
    hours = batch.project.edit_hours
    return first_at + timedelta(hours=hours) if hours else None


def locked_reason(batch: Batch, first_at: datetime) -> str | None:
    """Why an answer first submitted at that time can no longer be changed; None while it can."""
    if batch.status != Batch.Status.OPEN:
        return _("This batch is closed: its answers are final.")
    until = changeable_until(batch, first_at)
    if until is None:
        return _("In this project answers are final once submitted.")
    if timezone.now() <= until:
        return None
    hours = batch.project.edit_hours
    return ngettext(
        "Answers in this project can be changed for %(hours)s hour. That time has passed.",
        "Answers in this project can be changed for %(hours)s hours. That time has passed.",
        hours,
    ) % {"hours": hours}


def withdrawn_reason() -> str:
    return _("A manager withdrew this task: its answers are final.")


def reviewed_reason() -> str:
    return _("A reviewer has reviewed this answer: it is final.")


def decided_reason() -> str:
    return _("A reviewer has decided this task: its answers are final.")


def reopen_submission(*, annotation: Annotation, actor: User) -> Assignment:
    """Reopen an answer for its author, with the current version as the draft.

    The task that they hold is returned to the queue first, its draft kept. Calling it again while the answer is open
    changes nothing. Raises Conflict when the answer is final (see `locked_reason`) or no longer the person's.
    """
    batch = Batch.objects.select_related("project").get(assignments=annotation.assignment_id)
    with transaction.atomic():
        own = Assignment.objects.filter(annotator=actor, batch=batch)
        held = own.select_for_update().filter(state=State.HELD).first()
        slot = own.select_for_update().filter(pk=annotation.assignment_id, state__in=[State.DONE, State.HELD]).first()
        if slot is None or (slot.state == State.HELD and slot.finished_at is None):
            raise Conflict(_("This answer was withdrawn. Another annotator has the task now."))
        reason = locked_reason(batch, first_version(slot).created_at)
        if reason and not (batch.status == Batch.Status.OPEN and is_sent_back(slot.pk)):
            raise Conflict(reason)
        if slot.state == State.HELD:
            renew_lease(assignment=slot, annotator=actor)
        else:
            reclaim(slot, instead_of=held, batch=batch, annotator=actor)
    return Assignment.objects.select_related("task__prompt", "batch__project").get(pk=slot.pk)


def undo_last(*, annotator: User, batch: Batch) -> Assignment | None:
    """Reopen the latest submission of this batch, with its answer as the draft; None when there is none.

    Repeated calls step back further. The task that the person holds is returned to the queue first, its draft kept. The
    answer stays current until it is submitted again (as the next version) or skipped. Raises Conflict when the batch is
    closed or the answer can no longer be changed.
    """
    with transaction.atomic():
        batch = Batch.objects.select_related("project").get(pk=batch.pk)
        if batch.status != Batch.Status.OPEN:
            raise Conflict(_("This batch is closed: its answers are final."))
        own = Assignment.objects.filter(annotator=annotator, batch=batch)
        held = own.select_for_update().filter(state=State.HELD).first()
        done = own.select_for_update().filter(state=State.DONE).order_by("-finished_at", "-id")
        reopened_at = held.finished_at if held else None
        if reopened_at is not None:
            done = done.filter(finished_at__lt=reopened_at)
        last = done.first()
        if last is None:
            return None
        slip = batch.project.edit_hours == 0 and reopened_at is None
        if not slip and (reason := locked_reason(batch, first_version(last).created_at)):
            raise Conflict(reason)
        reclaim(last, instead_of=held, batch=batch, annotator=annotator)
    return Assignment.objects.select_related("task__prompt", "batch__project").get(pk=last.pk)


def first_version(slot: Assignment) -> Annotation:
    return Annotation.objects.filter(assignment=slot).order_by("version")[0]


def reclaim(
    slot: Assignment, *, instead_of: Assignment | None, batch: Batch, annotator: User, actor: User | None = None
) -> None:
    """Return a finished slot to its author; `actor` is who does so, if not the author. Call it in a transaction that
    holds both rows' locks."""
    if is_withdrawn(slot.task_id):
        raise Conflict(withdrawn_reason())
    if final_review(slot.pk) is not None:
        raise Conflict(reviewed_reason())
    if is_decided(slot.task_id):
        raise Conflict(decided_reason())
    if instead_of is not None:
        return_to_queue(which="id = %(id)s", verb="assignment.released", actor=annotator, id=instead_of.pk)
    until = timezone.now() + timedelta(minutes=batch.project.lease_minutes)
    try:
        with transaction.atomic():
            # Working time is counted from the claim.
            Assignment.objects.filter(pk=slot.pk, state=State.DONE).update(
                state=State.HELD, claimed_at=timezone.now(), leased_until=until
            )
    except IntegrityError as error:
        raise Conflict(_("Another of your tabs opened a task at the same time. Please try again.")) from error
    current = Annotation.objects.get(assignment=slot, is_current=True)
    # An existing draft is newer than the answer: it was typed when the answer was reopened before.
    draft = Draft(task_id=slot.task_id, annotator=annotator, payload=current.payload)
    Draft.objects.bulk_create([draft], ignore_conflicts=True)
    record(
        verb="annotation.reopened",
        target=current,
        actor=actor or annotator,
        project=batch.project,
        before={"assignment": slot.pk, "version": current.version},
    )
