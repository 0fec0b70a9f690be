"""Which answers reviewers should look at, and the claim that hands each to one reviewer at a time.

Answers of a batch that requires review are all in the queue; of the others those that something speaks for: see WHY.
An answer that was reviewed, is excluded or is being changed by its author is not in it, nor is a person's own.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from django.db import IntegrityError, connection, transaction
from django.db.models import Exists, F, Func, IntegerField, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from annotation.answers.task_filters import differ
from annotation.core.events import record
from annotation.core.exclusions import is_excluded
from annotation.core.reviews import counted_payload, unreviewed
from annotation.models import Annotation, Batch, Project, Remark, Review, ReviewClaim, User

WHY: dict[str, str | Promise] = {
    "": _("All"),
    "required": _("Review required"),
    "returned": _("Sent back before"),
    "flag": _("Flags"),
    "remark": _("Remarks"),
    "disagreement": _("Disagreement"),
    "fast": _("Very fast"),
    "random": _("Random sample"),
}
# An answer is very fast below this share of the median of its batch, once so many have a measured time.
FAST_SHARE, FAST_FROM = 0.25, 10
# The median is that of up to so many finished slots: the same cost in a batch of a million.
FAST_SLOTS = 2_000
FAST_LIMITS = """
    SELECT b.id, %(share)s * percentile_cont(0.5) WITHIN GROUP (ORDER BY n.active_seconds)
    FROM annotation_batch b
        CROSS JOIN LATERAL (
            SELECT id FROM annotation_assignment WHERE batch_id = b.id AND state = 'done' LIMIT %(slots)s
        ) AS slot
        JOIN annotation_annotation n ON n.assignment_id = slot.id AND n.is_current AND n.active_seconds > 0
    WHERE b.project_id = %(project)s GROUP BY b.id HAVING count(*) >= %(least)s
"""
TASKS_AT_ONCE = 500
CANDIDATES = 20
CLAIM_ATTEMPTS = 5


@dataclass(frozen=True, kw_only=True)
class QueueFilter:
    """`why` is a key of WHY, `batch` and `person` are ids; 0 and any unknown value filter nothing. `after`: only
    answers after this one, which is how a reviewer passes one over."""

    why: str = ""
    batch: int = 0
    person: int = 0
    after: int = 0


class Draw(Func):
    """A number from 0 to 99 that is always the same for one answer, whatever its version."""

    template = "mod(('x' || left(md5('review ' || %(expressions)s::text), 8))::bit(32)::bigint, 100)"
    output_field = IntegerField()


def fast_limits(project: Project) -> dict[int, float]:
    """Active seconds below which an answer of a batch is very fast, by batch."""
    values = {"project": project.pk, "share": FAST_SHARE, "slots": FAST_SLOTS, "least": FAST_FROM}
    with connection.cursor() as cursor:
        cursor.execute(FAST_LIMITS, values)
        return dict(cursor.fetchall())


def conditions(project: Project) -> dict[str, Q]:
    """What puts an answer into the queue, by the keys of WHY; all but disagreement, which SQL cannot tell."""
    remarks = Remark.objects.filter(task=OuterRef("task")).order_by()
    earlier = Review.objects.filter(annotation__assignment=OuterRef("assignment"), verdict=Review.Verdict.SENT_BACK)
    fast = Q(pk__in=[])
    for batch, seconds in fast_limits(project).items():
        fast |= Q(task__batch=batch, active_seconds__gt=0, active_seconds__lt=seconds)
    flagged = remarks.filter(kind=Remark.Kind.FLAG)
    remarked = remarks.filter(author=OuterRef("annotator")).exclude(kind=Remark.Kind.FLAG)
    return {
        "required": Q(task__batch__requires_review=True),
        "returned": Q(Exists(earlier.order_by())),
        "flag": Q(Exists(flagged)),
        "remark": Q(Exists(remarked)),
        "fast": fast,
        "random": Q(draw__lt=project.review_share),
    }


def open_answers(project: Project, reviewer: User, only: QueueFilter) -> QuerySet[Annotation]:
    """Unreviewed answers of others that the filter names, whatever speaks for them, and that nobody else reviews."""
    answers = unreviewed(project).exclude(annotator=reviewer).annotate(draw=Draw(F("assignment_id")))
    if only.batch:
        answers = answers.filter(task__batch=only.batch)
    if only.person:
        answers = answers.filter(annotator=only.person)
    taken = ReviewClaim.objects.filter(annotation=OuterRef("pk"), leased_until__gt=timezone.now())
    return answers.filter(~Exists(taken.exclude(reviewer=reviewer)))


def queue_of(project: Project, reviewer: User, only: QueueFilter) -> Iterator[int]:
    """The ids of the answers in this person's queue, the oldest first; disagreements come last, task by task."""
    answers = open_answers(project, reviewer, only).filter(pk__gt=only.after)
    yielded: set[int] = set()
    if only.why != "disagreement":
        known = conditions(project)
        wanted = Q(pk__in=[])
        for condition in [known[only.why]] if only.why in known else known.values():
            wanted |= condition
        for pk in answers.filter(wanted).order_by("pk").values_list("pk", flat=True).iterator(chunk_size=CANDIDATES):
            yielded.add(pk)
            yield pk
    if only.why not in conditions_by_sql():
        for task in disagreeing_tasks(answers):
            rows = answers.filter(task=task).order_by("pk").values_list("pk", flat=True)
            yield from (pk for pk in rows if pk not in yielded)


def conditions_by_sql() -> set[str]:
    return set(WHY) - {"", "disagreement"}


def disagreeing_tasks(answers: QuerySet[Annotation]) -> Iterator[int]:
    """Of the tasks of these answers those on which current answers differ, as their kind compares them."""
    rows = answers.filter(task__batch__overlap__gt=1).order_by("task_id").values_list("task_id", flat=True).distinct()
    last = 0
    while tasks := list(rows.filter(task_id__gt=last)[:TASKS_AT_ONCE]):
        last = tasks[-1]
        current = Annotation.objects.filter(task__in=tasks, is_current=True)
        current = current.exclude(is_excluded(project="task__batch__project")).annotate(counted=counted_payload())
        of_tasks = current.order_by("task_id").values_list("task_id", "kind", "counted")
        for task, of_task in groupby(of_tasks, key=lambda row: row[0]):
            group = list(of_task)
            if differ(group[0][1], [payload for _task, _kind, payload in group]):
                yield task


def reasons_of(annotation: Annotation, project: Project) -> list[str]:
    """The keys of WHY that speak for a review of this answer."""
    rows = Annotation.objects.filter(pk=annotation.pk).annotate(draw=Draw(F("assignment_id")))
    found = {key for key, condition in conditions(project).items() if rows.filter(condition).exists()}
    if next(disagreeing_tasks(rows), None):
        found.add("disagreement")
    return [key for key in WHY if key in found]


def claim_next(*, project: Project, reviewer: User, only: QueueFilter) -> Annotation | None:
    """The answer that this person reviews in the project, its lease renewed, if it is what the filter asks for;
    otherwise the next one of their queue, now claimed. None when there is none."""
    for _attempt in range(CLAIM_ATTEMPTS):
        own = ReviewClaim.objects.filter(project=project, reviewer=reviewer).first()
        if own is not None and is_in_queue(own.annotation_id, project, reviewer, only):
            ReviewClaim.objects.filter(pk=own.pk).update(leased_until=lease_end(project))
            return loaded(own.annotation_id)
        if own is not None:
            release(own)
        for pk in queue_of(project, reviewer, only):
            if claim(pk, project, reviewer):
                return loaded(pk)
            if ReviewClaim.objects.filter(project=project, reviewer=reviewer).exists():
                break  # another tab of this person was first: both show what it claimed
        else:
            return None
    return None


def is_in_queue(pk: int, project: Project, reviewer: User, only: QueueFilter) -> bool:
    answers = open_answers(project, reviewer, only).filter(pk=pk, pk__gt=only.after)
    known = conditions(project)
    if only.why in known:
        return answers.filter(known[only.why]).exists()
    if only.why == "disagreement":
        return next(disagreeing_tasks(answers), None) is not None
    return answers.exists()


def claim(pk: int, project: Project, reviewer: User) -> bool:
    """Claim this answer; False when somebody else has it, or this person another one. A claim whose lease ended counts
    as none."""
    now = timezone.now()
    try:
        with transaction.atomic():
            for old in ReviewClaim.objects.filter(annotation=pk, leased_until__lte=now):
                release(old)
            row = ReviewClaim.objects.create(
                annotation_id=pk, project=project, reviewer=reviewer, claimed_at=now, leased_until=lease_end(project)
            )
            record(verb="review.claimed", target=row, actor=reviewer, project=project, after={"annotation": pk})
    except IntegrityError:
        return False
    return True


def hold(*, annotation: Annotation, reviewer: User) -> bool:
    """Claim this answer for a reviewer who opens it by its address, or renew their claim; False when somebody else
    reviews it now."""
    project = annotation.task.batch.project
    own = ReviewClaim.objects.filter(project=project, reviewer=reviewer).first()
    if own is not None and own.annotation_id == annotation.pk:
        return bool(ReviewClaim.objects.filter(pk=own.pk).update(leased_until=lease_end(project)))
    if own is not None:
        release(own)
    return claim(annotation.pk, project, reviewer)


def renew(*, annotation: Annotation, reviewer: User) -> None:
    """Extend the lease while the reviewer reads."""
    project = annotation.task.batch.project
    ReviewClaim.objects.filter(annotation=annotation, reviewer=reviewer).update(leased_until=lease_end(project))


def release(row: ReviewClaim) -> None:
    """Give the answer back to the queue."""
    with transaction.atomic():
        deleted, _rows = ReviewClaim.objects.filter(pk=row.pk).delete()
        if deleted:
            before = {"annotation": row.annotation_id, "reviewer": row.reviewer_id}
            record(verb="review.released", target=row, actor=None, project=row.project, before=before)


def lease_end(project: Project) -> datetime:
    return timezone.now() + timedelta(minutes=project.lease_minutes)


def loaded(pk: int) -> Annotation:
    rows = Annotation.objects.select_related("task__prompt", "task__batch__project", "task__batch__weight_set")
    return rows.select_related("annotator", "assignment").get(pk=pk)


def batches_of(project: Project) -> QuerySet[Batch]:
    return Batch.objects.filter(project=project).order_by("name", "pk")
