"""What a manager does in the queue: give a task to somebody, and take back all that somebody holds.

A task that is given comes next in that person's queue: it is in their hand from then on, as if they had claimed it, for
a day at least; opening it begins the usual lease. What holds for claiming holds here, a manager's word or not: nobody
has a task twice, judges what they wrote, works without the batch's test, or has two tasks of a batch in hand.
"""

from datetime import timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from annotation.core.errors import Conflict
from annotation.core.events import record
from annotation.models import Assignment, Batch, Candidate, Membership, Project, Task, User
from annotation.queue.claims import release, return_to_queue
from annotation.queue.progress import test_due

# Long enough to come back to it tomorrow; what nobody opens returns to the queue as any other lease does.
GIVEN_FOR = timedelta(days=1)
ATTEMPTS = 5
State = Assignment.State


def assign(*, task: Task, annotator: User, actor: User, instead: bool = False) -> Assignment:
    """Take a free slot of the task for this member of the project; it is the next that they get in its batch.

    Who has a task of the batch in hand is refused; with `instead` that one goes back into the queue first, its draft
    kept for them (and if they submit it from a page that is open, it counts while a slot is free).

    Raises Conflict, saying why: the batch is closed, no slot is free, or this person may not have the task.
    """
    for attempt in range(ATTEMPTS):
        try:
            with transaction.atomic():
                return take_slot(task=task, annotator=annotator, actor=actor, instead=instead)
        except IntegrityError:
            # They claimed or were given something at this moment: the next turn sees it, and says so.
            if attempt == ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def take_slot(*, task: Task, annotator: User, actor: User, instead: bool) -> Assignment:
    batch = Batch.objects.select_related("project").get(pk=task.batch_id)
    if batch.status != Batch.Status.OPEN:
        raise Conflict(_("This batch is closed: no task is handed out."))
    # Locked, so that nobody is removed and given a task at once.
    members = Membership.objects.select_for_update(of=["self"])
    if members.filter(project=batch.project_id, user=annotator, user__is_active=True).first() is None:
        raise Conflict(_("%(person)s is not a member of this project any more.") % {"person": annotator})
    if test_due(batch, annotator):
        raise Conflict(_("%(person)s has not passed the test of this batch.") % {"person": annotator})
    refuse_what_they_know(task, batch, annotator)
    in_hand = Assignment.objects.select_related("task").filter(batch=batch, annotator=annotator, state=State.HELD)
    present = in_hand.first()
    if present is not None and instead:
        release(assignment=present, actor=actor)
    elif present is not None:
        said = _("%(person)s has task %(n)d of this batch in hand: put that one back first, or wait until it is done.")
        raise Conflict(said % {"person": annotator, "n": present.task.position})
    # All that are free: a row that somebody takes while we wait for it drops out, and the others remain.
    free = list(Assignment.objects.select_for_update().filter(task=task, state=State.FREE).order_by("id"))
    if not free:
        raise Conflict(_("Each answer of this task is given, or in somebody's hand."))
    slot, now = free[0], timezone.now()
    slot.state, slot.annotator, slot.claimed_at = State.HELD, annotator, now
    slot.leased_until = now + max(GIVEN_FOR, timedelta(minutes=batch.project.lease_minutes))
    slot.save(update_fields=["state", "annotator", "claimed_at", "leased_until"])
    record(
        verb="assignment.assigned", target=slot, actor=actor, project=batch.project,
        after={"annotator": annotator.pk, "task": task.pk},
    )  # fmt: skip
    return slot


def refuse_what_they_know(task: Task, batch: Batch, annotator: User) -> None:
    """A task that they had, a text that they wrote, and a prompt that they met elsewhere, where that counts."""
    had = Assignment.objects.filter(task=task, annotator=annotator).first()
    if had is not None:
        said = {
            State.HELD: _("%(person)s has this task in hand already."),
            State.DONE: _("%(person)s has answered this task already."),
            State.SKIPPED: _("%(person)s has skipped this task."),
        }[State(had.state)]
        raise Conflict(said % {"person": annotator})
    if Candidate.objects.filter(pk__in=task.candidate_ids, origin=f"human:{annotator.pk}").exists():
        raise Conflict(_("%(person)s wrote one of these texts: nobody judges what they wrote.") % {"person": annotator})
    if batch.project.avoid_seen:
        met = Assignment.objects.filter(annotator=annotator, task__prompt=task.prompt_id).exclude(batch=batch)
        if met.exists():
            said = _("%(person)s has had this text in another batch, which this project avoids.")
            raise Conflict(said % {"person": annotator})


def release_all(*, project: Project, annotator: User, actor: User | None) -> int:
    """Put back all that this person holds in the project; how many tasks that were. Drafts stay with the person."""
    return return_to_queue(
        which="annotator_id = %(annotator)s AND batch_id IN ("
        "SELECT id FROM annotation_batch WHERE project_id = %(project)s)",
        verb="assignment.released", actor=actor, annotator=annotator.pk, project=project.pk,
    )  # fmt: skip
