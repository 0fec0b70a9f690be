"""Seconds of reviewing, by the same clock as annotating: they are in the same time sheets, under the reviewer's name.

A row belongs to the slot whose answer was reviewed and to the reviewer, who is never the slot's annotator. Together a
review has no more seconds than passed since its claim.
"""

from django.db.models import Sum

from annotation.answers.worktime import Spent, upsert_time
from annotation.core.prepared import execute
from annotation.models import AdjudicationClaim, Annotation, Assignment, ReviewClaim, Task, TimeSpent, User

RECORD = f"""
WITH slot AS (
    SELECT c.reviewer_id AS annotator_id, s.batch_id, s.id, 'held' AS state, c.claimed_at,
        NULL::timestamptz AS finished_at
    FROM annotation_reviewclaim c JOIN annotation_annotation n ON n.id = c.annotation_id
        JOIN annotation_assignment s ON s.id = n.assignment_id
    WHERE c.annotation_id = %(annotation)s AND c.reviewer_id = %(reviewer)s
), {upsert_time("slot AS a")}
SELECT id FROM spent
"""  # noqa: S608 - our own expressions

RECORD_ON_TASK = f"""
WITH slot AS (
    SELECT c.reviewer_id AS annotator_id, s.batch_id, s.id, 'held' AS state, c.claimed_at,
        NULL::timestamptz AS finished_at
    FROM annotation_adjudicationclaim c JOIN annotation_assignment s ON s.id = %(slot)s
    WHERE c.task_id = %(task)s AND c.reviewer_id = %(reviewer)s
), {upsert_time("slot AS a")}
SELECT id FROM spent
"""  # noqa: S608 - our own expressions


def record_time(*, annotation: Annotation, reviewer: User, spent: Spent) -> None:
    """Record the totals of one visit, if the reviewer holds the answer."""
    values = {"annotation": annotation.pk, "reviewer": reviewer.pk}
    execute(RECORD, {**spent.params(annotation.assignment), **values})


def seconds_of(annotation: Annotation, reviewer: User) -> float:
    """Active seconds of this reviewer on the answer since they claimed it."""
    claim = ReviewClaim.objects.filter(annotation=annotation, reviewer=reviewer).first()
    if claim is None:
        return 0.0
    rows = TimeSpent.objects.filter(annotator=reviewer, assignment=annotation.assignment_id)
    total = rows.filter(seen_at__gte=claim.claimed_at).aggregate(seconds=Sum("active_seconds"))["seconds"]
    return float(total or 0.0)


def record_time_on_task(*, task: Task, reviewer: User, spent: Spent) -> None:
    """Record the totals of one visit to a task that the reviewer decides, if they hold it. The row is of the task's
    first answered slot."""
    slot = first_slot(task)
    if slot is not None:
        values = {"task": task.pk, "slot": slot.pk, "reviewer": reviewer.pk}
        execute(RECORD_ON_TASK, {**spent.params(slot), **values})


def seconds_on_task(task: Task, reviewer: User) -> float:
    """Active seconds of this reviewer on the task since they claimed it."""
    claim = AdjudicationClaim.objects.filter(task=task, reviewer=reviewer).first()
    if claim is None:
        return 0.0
    rows = TimeSpent.objects.filter(annotator=reviewer, assignment__task=task, seen_at__gte=claim.claimed_at)
    return float(rows.aggregate(seconds=Sum("active_seconds"))["seconds"] or 0.0)


def first_slot(task: Task) -> Assignment | None:
    return Assignment.objects.filter(task=task, finished_at__isnull=False).order_by("slot").first()
