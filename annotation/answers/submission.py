"""Drafts, submit, skip, undo. Durable once they return, and idempotent."""

import json
from contextlib import nullcontext
from datetime import timedelta
from typing import Any, NamedTuple

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotation.answers.reopening import undo_last
from annotation.answers.worktime import Spent, record_time, upsert_time
from annotation.core.errors import Conflict, InvalidInput
from annotation.core.events import insert_events, record
from annotation.core.prepared import execute, hydrate, select, select_list
from annotation.core.withdrawals import refuse_withdrawn
from annotation.kinds import KINDS
from annotation.models import Annotation, Assignment, Draft, Task, User
from annotation.queue.withdrawn import lost_notice, withdrawn_notice
from annotation.reference import translation_memory

__all__ = ["SKIP_REASONS", "save_draft", "skip", "submit", "undo_last"]

SKIP_REASONS = {
    "unclear": gettext_lazy("The text is unclear"),
    "not_my_field": gettext_lazy("Not my field or language"),
    "offensive": gettext_lazy("Offensive or distressing"),
    "broken": gettext_lazy("Broken or empty text"),
    "other": gettext_lazy("Another reason"),
}
State = Assignment.State
NOTHING = Spent()
# A draft of a task that the person holds: renew the lease, record the time, replace the draft.
SAVE_DRAFT = """
WITH renewed AS (
    UPDATE annotation_assignment SET leased_until = now() + %(lease)s
    WHERE id = %(assignment)s AND annotator_id = %(annotator)s AND state = 'held'
    RETURNING *
), {upsert_time}
INSERT INTO annotation_draft AS d (task_id, annotator_id, payload, saved_at)
SELECT task_id, annotator_id, %(payload)s::jsonb, clock_timestamp() FROM renewed
ON CONFLICT (annotator_id, task_id) DO UPDATE SET payload = excluded.payload, saved_at = excluded.saved_at
RETURNING {draft}
""".replace("{upsert_time}", upsert_time("renewed AS a")).replace("{draft}", select_list(Draft, "d"))
# Every answer is written by this statement: the slot is finished; the answer, its time and its event are written; the
# version before it, if it was reopened, is superseded; the draft is deleted. It returns no row, and changes nothing,
# when this is not the first answer of a slot that the person holds. With `locked` (the caller holds the row's lock) it
# also writes the next version of a reopened answer, and takes a free slot.
# The INSERT reads `superseded`, so that the older version has ceased to be current before the new one is added.
WRITE_ANSWER = """
WITH finished AS (
    UPDATE annotation_assignment SET state = 'done', finished_at = clock_timestamp(), leased_until = NULL,
        annotator_id = %(annotator)s, claimed_at = coalesce(claimed_at, now())
    WHERE id = %(assignment)s
        AND (annotator_id = %(annotator)s AND state = 'held' AND (finished_at IS NULL OR %(locked)s::bool)
            OR state = 'free' AND %(locked)s::bool)
    RETURNING *
), {upsert_time}, total AS (
    SELECT coalesce(sum(active_seconds), 0) AS active, coalesce(sum(idle_seconds), 0) AS idle FROM (
        SELECT active_seconds, idle_seconds FROM spent UNION ALL
        SELECT active_seconds, idle_seconds FROM annotation_timespent
        WHERE annotator_id = %(annotator)s AND assignment_id = %(assignment)s AND id NOT IN (SELECT id FROM spent)
    ) AS visits
), superseded AS (
    UPDATE annotation_annotation SET is_current = false
    WHERE assignment_id = (SELECT id FROM finished) AND is_current
    RETURNING version
), written AS (
    INSERT INTO annotation_annotation (assignment_id, task_id, annotator_id, kind, version, is_current, payload,
        guideline_id, weight_set_id, active_seconds, idle_seconds, created_at)
    SELECT finished.id, finished.task_id, finished.annotator_id, %(kind)s,
        1 + greatest((SELECT max(version) FROM superseded),
            (SELECT max(version) FROM annotation_annotation WHERE assignment_id = %(assignment)s), 0),
        true, %(payload)s::jsonb,
        coalesce((SELECT based_on_id FROM annotation_guidelineclause WHERE id = %(trial)s::bigint),
            (SELECT id FROM annotation_guideline WHERE project_id = %(project)s ORDER BY version DESC LIMIT 1)),
        %(weight_set_id)s::bigint, total.active, total.idle, finished.finished_at
    FROM finished CROSS JOIN total
    RETURNING *
), deleted AS (
    DELETE FROM annotation_draft
    WHERE annotator_id = %(annotator)s AND task_id = (SELECT task_id FROM finished)
), event AS (
    {event}
)
SELECT id, version, guideline_id, active_seconds, idle_seconds, created_at FROM written
""".replace("{upsert_time}", upsert_time("finished AS a")).replace(
    "{event}",
    insert_events(
        verb="'annotation.submitted'",
        object_type="annotation",
        rows="written",
        after="jsonb_build_object('assignment', %(assignment)s::bigint, 'version', version)",
    ),
)


class Submitted(NamedTuple):
    """The current answer, and whether this call wrote it: False when the task was answered before."""

    annotation: Annotation
    is_new: bool


def save_draft(
    *, assignment: Assignment, payload: dict[str, Any], annotator: User | None = None, spent: Spent = NOTHING
) -> Draft | None:
    """Save what the person has entered so far, and renew the lease.

    A draft is saved even when the lease is lost: it returns with the task if the person gets it again. None when the
    task was submitted or skipped before (a late draft changes nothing). `annotator` is needed only for a slot that is
    no longer the person's. Drafts and leases record no event: nothing has been answered yet.
    """
    owner = owner_of(assignment, annotator)
    lease = timedelta(minutes=assignment.batch.project.lease_minutes)
    values = {"assignment": assignment.pk, "annotator": owner.pk, "lease": lease, "payload": json.dumps(payload)}
    if rows := execute(SAVE_DRAFT, {**spent.params(assignment), **values}):
        draft: Draft = hydrate(rows[0], Draft)[0]
        return draft
    with transaction.atomic():
        refuse_withdrawn(assignment.batch.project_id, owner)
        slots = Assignment.objects.select_for_update().filter(task_id=assignment.task_id, annotator=owner)
        if slots.filter(state__in=[State.DONE, State.SKIPPED]).exists():
            return None
        return upsert_draft(assignment.task_id, owner, payload)


def draft_of(*, assignment: Assignment, annotator: User) -> Draft | None:
    """What this person has entered for the task so far."""
    params = {"annotator": annotator.pk, "task": assignment.task_id}
    rows = select(Draft, "annotator_id = %(annotator)s AND task_id = %(task)s", params)
    return rows[0] if rows else None


def upsert_draft(task_id: int, owner: User, payload: dict[str, Any]) -> Draft:
    draft = Draft(task_id=task_id, annotator=owner, payload=payload)
    Draft.objects.bulk_create(
        [draft], update_conflicts=True, unique_fields=["annotator", "task"], update_fields=["payload", "saved_at"]
    )
    return draft


def submit(
    *, assignment: Assignment, payload: dict[str, Any], annotator: User | None = None, spent: Spent = NOTHING
) -> Submitted:
    """Record the answer and finish the slot; `payload` is as the kind's `read` returned it.

    Submitting again returns the current answer, not new. When the lease ran out, the slot (or another free one of the
    task) is taken back. When all are taken, the answer is kept as a draft and Conflict is raised; it is raised as well
    for a skipped task. `annotator` is needed only for a slot that is no longer the person's.
    """
    owner = owner_of(assignment, annotator)
    has_text = KINDS[assignment.batch.kind].own_text(payload) is not None
    # Without a text it is one statement, which needs no transaction around it.
    with transaction.atomic() if has_text else nullcontext():
        if annotation := write_answer(assignment, assignment.pk, owner, payload, spent):
            if has_text:
                translation_memory.store(annotation=annotation)
            return Submitted(annotation, is_new=True)
    return submit_locked(assignment, owner, payload, spent)


def write_answer(
    assignment: Assignment, slot_id: int, owner: User, payload: dict[str, Any], spent: Spent, *, locked: bool = False
) -> Annotation | None:
    """Write the answer to this slot of the assignment's task; None when the slot does not allow it."""
    batch = assignment.batch
    columns = {"kind": batch.kind, "weight_set_id": batch.weight_set_id}
    rows = execute(
        WRITE_ANSWER,
        {
            **spent.params(Assignment(pk=slot_id)),
            **columns,
            "assignment": slot_id,
            "annotator": owner.pk,
            "locked": locked,
            "payload": json.dumps(payload),
            "project": batch.project_id,
            "trial": batch.trial_id,
        },
        savepoint=locked,
    )
    if not rows:
        return None
    names = ("id", "version", "guideline_id", "active_seconds", "idle_seconds", "created_at")
    return Annotation(
        **dict(zip(names, rows[0], strict=True)),
        **columns,
        assignment_id=slot_id,
        task=assignment.task,
        annotator=owner,
        payload=payload,
    )


def submit_locked(assignment: Assignment, owner: User, payload: dict[str, Any], spent: Spent) -> Submitted:
    """Not a first answer in time: the slot was answered or skipped before, was reopened, or the lease ran out."""
    with transaction.atomic():
        own = Assignment.objects.select_for_update().filter(task_id=assignment.task_id, annotator=owner).first()
        if own is not None and own.state == State.DONE:
            refuse_withdrawn(assignment.batch.project_id, owner)  # an erased answer is not current
            return Submitted(Annotation.objects.get(assignment=own, is_current=True), is_new=False)
        if own is not None and own.state == State.SKIPPED:
            raise Conflict(_("You skipped this task. Another annotator gets it."))
        refuse_withdrawn(assignment.batch.project_id, owner)
        slot_id = own.pk if own is not None else lock_free_slot(assignment.task_id)
        if slot_id is not None:
            try:
                annotation = write_answer(assignment, slot_id, owner, payload, spent, locked=True)
            except IntegrityError:  # the person has another slot of this task by now
                annotation = None
            if annotation is not None:
                translation_memory.store(annotation=annotation)
                return Submitted(annotation, is_new=True)
        current = Annotation.objects.filter(task_id=assignment.task_id, annotator=owner, is_current=True).first()
        if current is not None:  # the same answer, sent twice at once: the other request was first
            return Submitted(current, is_new=False)
        upsert_draft(assignment.task_id, owner, payload)
    raise Conflict(
        withdrawn_notice(assignment.task_id)
        or _(
            "Your time for this task ran out and another annotator has it now. Your answer is kept as a draft and "
            "returns if the task does."
        )
    )


def owner_of(assignment: Assignment, annotator: User | None) -> User:
    owner = annotator or assignment.annotator
    if owner is None:
        raise Conflict(_("Nobody holds this task."))
    return owner


def lock_free_slot(task_id: int) -> int | None:
    slots = Assignment.objects.select_for_update(skip_locked=True).filter(task_id=task_id, state=State.FREE)
    slot = slots.order_by("slot").first()
    return slot.pk if slot else None


def skip(*, assignment: Assignment, reason: str, comment: str = "", spent: Spent = NOTHING) -> None:
    """Leave a task to another annotator, with a reason. The slot stays as a record; a free slot replaces it.

    Skipping again does nothing. A reopened answer is withdrawn. Raises InvalidInput for an unknown reason and Conflict
    when the person no longer holds the task.
    """
    if reason not in SKIP_REASONS:
        raise InvalidInput(_("Give a reason for skipping this task."), [("reason", _("Choose one of the reasons."))])
    if reason == "other" and not comment.strip():
        problem = ("comment", _("Write the reason in a few words."))
        raise InvalidInput(_("Give a reason for skipping this task."), [problem])
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
            raise Conflict(lost_notice(assignment.task_id))
        if assignment.annotator is not None:
            record_time(assignment=assignment, annotator=assignment.annotator, spent=spent)
            translation_memory.discard(task_id=assignment.task_id, author=assignment.annotator)
        Annotation.objects.filter(assignment=assignment, is_current=True).update(is_current=False)
        Draft.objects.filter(task_id=assignment.task_id, annotator_id=assignment.annotator_id).delete()
        Task.objects.select_for_update(no_key=True).get(pk=assignment.task_id)
        last = Assignment.objects.filter(task_id=assignment.task_id).aggregate(last=Max("slot"))["last"]
        Assignment.objects.create(
            task_id=assignment.task_id,
            batch_id=assignment.batch_id,
            slot=last + 1,
            priority=assignment.priority,
            position=assignment.position,
        )
        record(
            verb="assignment.skipped",
            target=assignment,
            actor=assignment.annotator,
            project=assignment.batch.project,
            after={"reason": reason, "comment": comment},
        )
