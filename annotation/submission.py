"""Drafts, submit, skip, undo. What these acknowledge is in the database, and asking twice is the same as once."""

from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils import timezone

from annotation.assignment import renew_lease
from annotation.errors import Conflict, InvalidInput
from annotation.events import record
from annotation.models import Annotation, Assignment, Draft, Guideline, Task, User
from annotation.reopening import undo_last

__all__ = ["SKIP_REASONS", "save_draft", "skip", "submit", "undo_last"]

SKIP_REASONS = {
    "unclear": "The text is unclear",
    "not_my_field": "Not my field or language",
    "offensive": "Offensive or distressing",
    "broken": "Broken or empty text",
    "other": "Another reason",
}
# A day: more can only be a clock that jumped.
MAX_ACTIVE_SECONDS = 86_400.0
State = Assignment.State


def save_draft(*, assignment: Assignment, payload: dict[str, Any], annotator: User | None = None) -> Draft | None:
    """Keep what the person has entered so far, and renew the lease.

    A draft is kept even when the lease is lost: it comes back with the task, should the person get it again. None when
    the task is submitted or skipped already (a late draft changes nothing). `annotator` is needed only for a slot that
    is no longer the person's. Drafts and leases leave no event: nothing has been said yet.
    """
    owner = owner_of(assignment, annotator)
    with transaction.atomic():
        if not renew_lease(assignment=assignment, annotator=owner):
            mine = Assignment.objects.filter(task_id=assignment.task_id, annotator=owner)
            if mine.filter(state__in=[State.DONE, State.SKIPPED]).exists():
                return None
        return put_draft(assignment.task_id, owner, payload)


def put_draft(task_id: int, owner: User, payload: dict[str, Any]) -> Draft:
    draft = Draft(task_id=task_id, annotator=owner, payload=payload)
    Draft.objects.bulk_create(
        [draft], update_conflicts=True, unique_fields=["annotator", "task"], update_fields=["payload", "saved_at"]
    )
    return draft


def submit(
    *, assignment: Assignment, payload: dict[str, Any], active_seconds: float = 0.0, annotator: User | None = None
) -> Annotation:
    """Record the answer and finish the slot; `payload` is as the kind's `read` returned it.

    Submitting again returns the annotation that stands. When the lease ran out, the slot (or another free one of the
    task) is taken back. When all are taken, the answer is kept as a draft and Conflict is raised; it is raised as well
    for a skipped task. `annotator` is needed only for a slot that is no longer the person's.
    """
    owner = owner_of(assignment, annotator)
    active_seconds = min(max(active_seconds, 0.0), MAX_ACTIVE_SECONDS)
    with transaction.atomic():
        in_hand = Assignment.objects.filter(pk=assignment.pk, state=State.HELD, annotator=owner, finished_at=None)
        if in_hand.update(state=State.DONE, finished_at=timezone.now(), leased_until=None):
            return add_annotation(assignment, assignment.pk, owner, 1, payload, active_seconds)
        mine = Assignment.objects.select_for_update().filter(task_id=assignment.task_id, annotator=owner).first()
        if mine is not None and mine.state == State.DONE:
            return Annotation.objects.get(assignment=mine, is_current=True)
        if mine is not None and mine.state == State.SKIPPED:
            raise Conflict("You skipped this task; somebody else gets it.")
        slot_id = mine.pk if mine is not None else take_free_slot(assignment.task_id, owner)
        if slot_id is not None:
            Assignment.objects.filter(pk=slot_id).update(
                state=State.DONE, finished_at=timezone.now(), leased_until=None
            )
            # What was said before, if undo reopened it, stays as an older version.
            earlier = Annotation.objects.filter(assignment_id=slot_id)
            version = (earlier.aggregate(last=Max("version"))["last"] or 0) + 1
            earlier.filter(is_current=True).update(is_current=False)
            return add_annotation(assignment, slot_id, owner, version, payload, active_seconds)
        standing = Annotation.objects.filter(task_id=assignment.task_id, annotator=owner, is_current=True).first()
        if standing is not None:  # the same answer, sent twice at once: the other one was first
            return standing
        put_draft(assignment.task_id, owner, payload)
    raise Conflict(
        "Your time for this task ran out and somebody else has it now. Your answer is kept as a draft and comes back "
        "if the task does."
    )


def owner_of(assignment: Assignment, annotator: User | None) -> User:
    owner = annotator or assignment.annotator
    if owner is None:
        raise Conflict("This task is in nobody's hand.")
    return owner


def take_free_slot(task_id: int, owner: User) -> int | None:
    """Lock a free slot of the task and put the person's name to it, for a submission in the same transaction."""
    slots = Assignment.objects.select_for_update(skip_locked=True).filter(task_id=task_id, state=State.FREE)
    slot = slots.order_by("slot").first()
    if slot is None:
        return None
    try:
        with transaction.atomic():
            now = timezone.now()
            Assignment.objects.filter(pk=slot.pk).update(
                state=State.DONE, annotator=owner, claimed_at=now, finished_at=now
            )
    except IntegrityError:  # the person has another slot of this task by now
        return None
    return slot.pk


def add_annotation(
    assignment: Assignment, slot_id: int, owner: User, version: int, payload: dict[str, Any], active_seconds: float
) -> Annotation:
    batch = assignment.batch
    guideline = Guideline.objects.filter(project_id=batch.project_id).values_list("pk", flat=True).first()
    annotation = Annotation.objects.create(
        assignment_id=slot_id, task_id=assignment.task_id, annotator=owner, kind=batch.kind, version=version,
        payload=payload, guideline_id=guideline, weight_set_id=batch.weight_set_id, active_seconds=active_seconds,
    )  # fmt: skip
    Draft.objects.filter(task_id=assignment.task_id, annotator=owner).delete()
    record(
        verb="annotation.submitted", target=annotation, actor=owner, project=batch.project,
        after={"assignment": slot_id, "version": version},
    )  # fmt: skip
    return annotation


def skip(*, assignment: Assignment, reason: str, comment: str = "") -> None:
    """Leave a task to somebody else, saying why. The slot stays as a record; a free one with a fresh number follows.

    Skipping again does nothing. An answer that was reopened is withdrawn. Raises InvalidInput for an unknown reason
    and Conflict when the task is not in hand any more.
    """
    if reason not in SKIP_REASONS:
        raise InvalidInput("Say why you skip this task.", [("reason", "Choose one of the reasons.")])
    if reason == "other" and not comment.strip():
        raise InvalidInput("Say why you skip this task.", [("comment", "Write the reason in a few words.")])
    with transaction.atomic():
        held = Assignment.objects.filter(pk=assignment.pk, state=State.HELD, annotator_id=assignment.annotator_id or 0)
        comment = comment.strip()[:2000].replace("\0", "")
        if not held.update(
            state=State.SKIPPED, finished_at=timezone.now(), leased_until=None, skip_reason=reason, skip_comment=comment
        ):
            if Assignment.objects.filter(
                pk=assignment.pk, state=State.SKIPPED, annotator_id=assignment.annotator_id
            ).exists():
                return
            raise Conflict("This task is not in hand any more.")
        Annotation.objects.filter(assignment=assignment, is_current=True).update(is_current=False)
        Draft.objects.filter(task_id=assignment.task_id, annotator_id=assignment.annotator_id).delete()
        Task.objects.select_for_update(no_key=True).get(pk=assignment.task_id)
        last = Assignment.objects.filter(task_id=assignment.task_id).aggregate(last=Max("slot"))["last"]
        Assignment.objects.create(
            task_id=assignment.task_id, batch_id=assignment.batch_id, slot=last + 1, priority=assignment.priority,
            position=assignment.position,
        )  # fmt: skip
        record(
            verb="assignment.skipped", target=assignment, actor=assignment.annotator,
            project=assignment.batch.project, after={"reason": reason, "comment": comment},
        )  # fmt: skip
