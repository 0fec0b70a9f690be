"""Manual assignment: assign a task to an annotator, or release everything they hold.

An assigned task comes next in that person's queue: they hold it as if they had claimed it, for at least a day; opening
it starts the usual lease. The rules of claiming apply: nobody has a task twice, judges what they wrote, works without
having passed the batch's test, or holds two tasks of a batch.
"""

from datetime import timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from annotation.core.errors import Conflict
from annotation.core.events import record
from annotation.core.trials import may_join
from annotation.models import Assignment, Batch, Candidate, Membership, Project, Task, User
from annotation.queue.claims import ASSIGNED_FOR, release, return_to_queue
from annotation.queue.progress import closed_checks, test_due
from annotation.queue.withdrawn import is_withdrawn

ATTEMPTS = 5
State = Assignment.State


def assign(*, task: Task, annotator: User, actor: User, instead: bool = False) -> Assignment:
    """Assign a free slot of the task to this member of the project; they get it next in its batch.

    Refused when they hold a task of the batch; with `instead` that one is returned to the queue first, its draft kept
    for them (and if they submit it from a page that is still open, it counts while a slot is free).

    Raises Conflict with the reason: the batch is closed, no slot is free, or this person may not have the task.
    """
    for attempt in range(ATTEMPTS):
        try:
            with transaction.atomic():
                return take_slot(task=task, annotator=annotator, actor=actor, instead=instead)
        except IntegrityError:
            # They claimed or were assigned a task at the same time: the next attempt sees it and gives the reason.
            if attempt == ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def take_slot(*, task: Task, annotator: User, actor: User, instead: bool) -> Assignment:
    batch = Batch.objects.select_related("project").get(pk=task.batch_id)
    if batch.status != Batch.Status.OPEN:
        raise Conflict(_("This batch is closed: tasks cannot be assigned."))
    # Locked, so that nobody is removed and assigned a task at the same time.
    members = Membership.objects.select_for_update(of=["self"])
    member = members.filter(project=batch.project_id, user=annotator, user__is_active=True).first()
    if member is None:
        raise Conflict(_("%(person)s is no longer a member of this project.") % {"person": annotator})
    if member.paused_at is not None:
        raise Conflict(_("%(person)s is paused: resume their work first (Settings, People).") % {"person": annotator})
    if test_due(batch, annotator):
        raise Conflict(_("%(person)s has not passed the test of this batch.") % {"person": annotator})
    refuse_known_task(task, batch, annotator)
    held = Assignment.objects.select_related("task").filter(batch=batch, annotator=annotator, state=State.HELD)
    present = held.first()
    if present is not None and instead:
        release(assignment=present, actor=actor)
    elif present is not None:
        message = _("%(person)s is working on task %(n)d of this batch: release it first, or wait until it is done.")
        raise Conflict(message % {"person": annotator, "n": present.task.position})
    # Lock all free slots: one that somebody claims while we wait for the lock drops out, and the others remain.
    free = list(Assignment.objects.select_for_update().filter(task=task, state=State.FREE).order_by("id"))
    if not free and is_withdrawn(task.pk):
        raise Conflict(_("The prompt of this task is withdrawn."))
    if not free:
        raise Conflict(_("Every slot of this task is answered or claimed."))
    slot, now = free[0], timezone.now()
    slot.state, slot.annotator, slot.claimed_at = State.HELD, annotator, now
    slot.leased_until = now + max(ASSIGNED_FOR, timedelta(minutes=batch.project.lease_minutes))
    slot.save(update_fields=["state", "annotator", "claimed_at", "leased_until"])
    record(
        verb="assignment.assigned",
        target=slot,
        actor=actor,
        project=batch.project,
        after={"annotator": annotator.pk, "task": task.pk},
    )
    return slot


def refuse_known_task(task: Task, batch: Batch, annotator: User) -> None:
    """Raise Conflict for a task that they had, a text that they wrote, or a prompt seen elsewhere, if that is set."""
    earlier = Assignment.objects.filter(task=task, annotator=annotator).first()
    if earlier is not None:
        message = {
            State.HELD: _("%(person)s is already working on this task."),
            State.DONE: _("%(person)s has already answered this task."),
            State.SKIPPED: _("%(person)s has skipped this task."),
        }[State(earlier.state)]
        raise Conflict(message % {"person": annotator})
    if Candidate.objects.filter(pk__in=task.candidate_ids, origin=f"human:{annotator.pk}").exists():
        raise Conflict(_("%(person)s wrote one of these texts and may not judge it.") % {"person": annotator})
    if closed_checks(annotator, task.pk).exists():
        raise Conflict(_("This task checks people and is not for %(person)s now.") % {"person": annotator})
    if not may_join(annotator, batch):
        raise Conflict(_("This batch tries a guideline that %(person)s was not drawn to see.") % {"person": annotator})
    if batch.project.avoid_seen and batch.trial_id is None:
        seen = Assignment.objects.filter(annotator=annotator, task__prompt=task.prompt_id).exclude(batch=batch)
        if seen.exists():
            message = _("%(person)s has seen this prompt in another batch, which this project does not allow.")
            raise Conflict(message % {"person": annotator})


def release_all(*, project: Project, annotator: User, actor: User | None) -> int:
    """Return all tasks that this person holds in the project to the queue; returns how many. Drafts are kept."""
    return return_to_queue(
        which="annotator_id = %(annotator)s AND batch_id IN ("
        "SELECT id FROM annotation_batch WHERE project_id = %(project)s)",
        verb="assignment.released",
        actor=actor,
        annotator=annotator.pk,
        project=project.pk,
    )
