"""Drafts, submit, skip, undo. What these acknowledge is in the database, and asking twice is the same as once."""

import json
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max, Sum
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotation.answers.reopening import undo_last
from annotation.answers.worktime import KEEP, Spent, record_time
from annotation.core.errors import Conflict, InvalidInput
from annotation.core.events import record
from annotation.core.prepared import execute, hydrate, select, select_list
from annotation.kinds import KINDS
from annotation.models import Annotation, Assignment, Draft, Guideline, Task, TimeSpent, User
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
# A draft of a task in hand: the lease is renewed, the time kept, the draft put in the place of the one before.
KEEP_DRAFT = """
WITH renewed AS (
    UPDATE annotation_assignment SET leased_until = now() + %(lease)s
    WHERE id = %(assignment)s AND annotator_id = %(annotator)s AND state = 'held'
    RETURNING *
), spent AS (
    {keep}
)
INSERT INTO annotation_draft AS d (task_id, annotator_id, payload, saved_at)
SELECT task_id, annotator_id, %(payload)s::jsonb, clock_timestamp() FROM renewed
ON CONFLICT (annotator_id, task_id) DO UPDATE SET payload = excluded.payload, saved_at = excluded.saved_at
RETURNING {draft}
""".replace("{keep}", KEEP.format(slots="renewed AS a")).replace("{draft}", select_list(Draft, "d"))
# Nearly every submission is this one statement: the slot in hand is finished, the answer, its time and its event are
# written, the draft goes. Nothing of it happens when the slot is not in this person's hand, or was answered before.
FINISH = """
WITH finished AS (
    UPDATE annotation_assignment SET state = 'done', finished_at = clock_timestamp(), leased_until = NULL
    WHERE id = %(assignment)s AND annotator_id = %(annotator)s AND state = 'held' AND finished_at IS NULL
    RETURNING *
), spent AS (
    {keep}
    RETURNING t.id, t.active_seconds, t.idle_seconds
), total AS (
    SELECT coalesce(sum(active_seconds), 0) AS active, coalesce(sum(idle_seconds), 0) AS idle FROM (
        SELECT active_seconds, idle_seconds FROM spent UNION ALL
        SELECT active_seconds, idle_seconds FROM annotation_timespent
        WHERE annotator_id = %(annotator)s AND assignment_id = %(assignment)s AND id NOT IN (SELECT id FROM spent)
    ) AS visits
), written AS (
    INSERT INTO annotation_annotation (assignment_id, task_id, annotator_id, kind, version, is_current, payload,
        guideline_id, weight_set_id, active_seconds, idle_seconds, created_at)
    SELECT finished.id, finished.task_id, finished.annotator_id, %(kind)s, 1, true, %(payload)s::jsonb,
        (SELECT id FROM annotation_guideline WHERE project_id = %(project)s ORDER BY version DESC LIMIT 1),
        %(weight_set_id)s::bigint, total.active, total.idle, finished.finished_at
    FROM finished CROSS JOIN total
    RETURNING *
), forgotten AS (
    DELETE FROM annotation_draft
    WHERE annotator_id = %(annotator)s AND task_id = (SELECT task_id FROM finished)
), journal AS (
    INSERT INTO annotation_event (project_id, actor_id, verb, object_type, object_id, "before", "after", at)
    SELECT %(project)s, %(annotator)s, 'annotation.submitted', 'annotation', id, NULL,
        jsonb_build_object('assignment', %(assignment)s::bigint, 'version', 1), now()
    FROM written
)
SELECT id, guideline_id, active_seconds, idle_seconds, created_at FROM written
""".replace("{keep}", KEEP.format(slots="finished AS a"))


def save_draft(
    *, assignment: Assignment, payload: dict[str, Any], annotator: User | None = None, spent: Spent = NOTHING
) -> Draft | None:
    """Keep what the person has entered so far, and renew the lease.

    A draft is kept even when the lease is lost: it comes back with the task, should the person get it again. None when
    the task is submitted or skipped already (a late draft changes nothing). `annotator` is needed only for a slot that
    is no longer the person's. Drafts and leases leave no event: nothing has been said yet.
    """
    owner = owner_of(assignment, annotator)
    lease = timedelta(minutes=assignment.batch.project.lease_minutes)
    given = {"assignment": assignment.pk, "annotator": owner.pk, "lease": lease, "payload": json.dumps(payload)}
    if rows := execute(KEEP_DRAFT, {**spent.params(assignment), **given}):
        draft: Draft = hydrate(rows[0], Draft)[0]
        return draft
    with transaction.atomic():
        mine = Assignment.objects.select_for_update().filter(task_id=assignment.task_id, annotator=owner)
        if mine.filter(state__in=[State.DONE, State.SKIPPED]).exists():
            return None
        return upsert_draft(assignment.task_id, owner, payload)


def draft_of(*, assignment: Assignment, annotator: User) -> Draft | None:
    """What this person has entered for the task so far."""
    mine = {"annotator": annotator.pk, "task": assignment.task_id}
    found = select(Draft, "annotator_id = %(annotator)s AND task_id = %(task)s", mine)
    return found[0] if found else None


def upsert_draft(task_id: int, owner: User, payload: dict[str, Any]) -> Draft:
    draft = Draft(task_id=task_id, annotator=owner, payload=payload)
    Draft.objects.bulk_create(
        [draft], update_conflicts=True, unique_fields=["annotator", "task"], update_fields=["payload", "saved_at"]
    )
    return draft


def submit(
    *, assignment: Assignment, payload: dict[str, Any], annotator: User | None = None, spent: Spent = NOTHING
) -> Annotation:
    """Record the answer and finish the slot; `payload` is as the kind's `read` returned it.

    Submitting again returns the answer that stands. When the lease ran out, the slot (or another free one of the
    task) is taken back. When all are taken, the answer is kept as a draft and Conflict is raised; it is raised as well
    for a skipped task. `annotator` is needed only for a slot that is no longer the person's.
    """
    owner = owner_of(assignment, annotator)
    remembered = KINDS[assignment.batch.kind].own_text(payload) is not None
    with transaction.atomic() if remembered else nullcontext():
        if annotation := finish(assignment, owner, payload, spent):
            if remembered:
                translation_memory.remember(annotation=annotation)
            return annotation
    return submit_again(assignment, owner, payload, spent)


def finish(assignment: Assignment, owner: User, payload: dict[str, Any], spent: Spent) -> Annotation | None:
    """The first answer to a task in hand; None when it is not that."""
    batch = assignment.batch
    values = {"kind": batch.kind, "weight_set_id": batch.weight_set_id}
    rows = execute(
        FINISH,
        {
            **spent.params(assignment), **values, "assignment": assignment.pk, "annotator": owner.pk,
            "payload": json.dumps(payload), "project": batch.project_id,
        },
    )  # fmt: skip
    if not rows:
        return None
    names = ("id", "guideline_id", "active_seconds", "idle_seconds", "created_at")
    return Annotation(
        **dict(zip(names, rows[0], strict=True)), **values, assignment=assignment, task=assignment.task,
        annotator=owner, payload=payload,
    )  # fmt: skip


def submit_again(assignment: Assignment, owner: User, payload: dict[str, Any], spent: Spent) -> Annotation:
    """A slot that was answered before, or is not in hand any more."""
    with transaction.atomic():
        mine = Assignment.objects.select_for_update().filter(task_id=assignment.task_id, annotator=owner).first()
        if mine is not None and mine.state == State.DONE:
            return Annotation.objects.get(assignment=mine, is_current=True)
        if mine is not None and mine.state == State.SKIPPED:
            raise Conflict(_("You skipped this task; somebody else gets it."))
        slot_id = mine.pk if mine is not None else take_free_slot(assignment.task_id, owner)
        if slot_id is not None:
            Assignment.objects.filter(pk=slot_id).update(
                state=State.DONE, finished_at=timezone.now(), leased_until=None
            )
            # What was said before, if undo reopened it, stays as an older version.
            earlier = Annotation.objects.filter(assignment_id=slot_id)
            version = (earlier.aggregate(last=Max("version"))["last"] or 0) + 1
            earlier.filter(is_current=True).update(is_current=False)
            return add_annotation(assignment, slot_id, owner, version, payload, spent)
        stands = Annotation.objects.filter(task_id=assignment.task_id, annotator=owner, is_current=True).first()
        if stands is not None:  # the same answer, sent twice at once: the other one was first
            return stands
        upsert_draft(assignment.task_id, owner, payload)
    raise Conflict(
        _(
            "Your time for this task ran out and somebody else has it now. Your answer is kept as a draft and comes "
            "back if the task does."
        )
    )


def owner_of(assignment: Assignment, annotator: User | None) -> User:
    owner = annotator or assignment.annotator
    if owner is None:
        raise Conflict(_("This task is in nobody's hand."))
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
    assignment: Assignment, slot_id: int, owner: User, version: int, payload: dict[str, Any], spent: Spent
) -> Annotation:
    batch = assignment.batch
    slot = Assignment(pk=slot_id)
    record_time(assignment=slot, annotator=owner, spent=spent)
    visits = TimeSpent.objects.filter(annotator=owner, assignment_id=slot_id)
    time = visits.aggregate(active=Sum("active_seconds", default=0.0), idle=Sum("idle_seconds", default=0.0))
    guideline = Guideline.objects.filter(project_id=batch.project_id).values_list("pk", flat=True).first()
    annotation = Annotation.objects.create(
        assignment_id=slot_id, task_id=assignment.task_id, annotator=owner, kind=batch.kind, version=version,
        payload=payload, guideline_id=guideline, weight_set_id=batch.weight_set_id, active_seconds=time["active"],
        idle_seconds=time["idle"],
    )  # fmt: skip
    Draft.objects.filter(task_id=assignment.task_id, annotator=owner).delete()
    translation_memory.remember(annotation=annotation)
    record(
        verb="annotation.submitted", target=annotation, actor=owner, project=batch.project,
        after={"assignment": slot_id, "version": version},
    )  # fmt: skip
    return annotation


def skip(*, assignment: Assignment, reason: str, comment: str = "", spent: Spent = NOTHING) -> None:
    """Leave a task to somebody else, saying why. The slot stays as a record; a free one with a fresh number follows.

    Skipping again does nothing. An answer that was reopened is withdrawn. Raises InvalidInput for an unknown reason
    and Conflict when the task is not in hand any more.
    """
    if reason not in SKIP_REASONS:
        raise InvalidInput(_("Say why you skip this task."), [("reason", _("Choose one of the reasons."))])
    if reason == "other" and not comment.strip():
        problem = ("comment", _("Write the reason in a few words."))
        raise InvalidInput(_("Say why you skip this task."), [problem])
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
            raise Conflict(_("This task is not in hand any more."))
        if assignment.annotator is not None:
            record_time(assignment=assignment, annotator=assignment.annotator, spent=spent)
            translation_memory.forget(task_id=assignment.task_id, author=assignment.annotator)
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
