"""Which answers count after review, and as what: for queries of the ORM, and for statements of our own.

An answer that a reviewer sent back does not count until its author submits it again. In a batch that requires review,
no answer counts before it was reviewed. A corrected answer counts as corrected. One that a reviewer left out has an
exclusion (`annotation.core.exclusions`), and counts again when that is lifted. An adjudication goes before all reviews:
every answer to its task counts, as the decision or, where it was kept as divided, as it is.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from django.db.models import Count, Exists, F, JSONField, Max, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from annotation.core.exclusions import is_excluded
from annotation.models import Adjudication, Annotation, Assignment, Batch, Project, Review

# For a statement with `annotation` and its `batch`.
REVIEW_JOIN = """LEFT JOIN annotation_review review ON review.annotation_id = annotation.id
    LEFT JOIN annotation_adjudication adjudication ON adjudication.task_id = annotation.task_id"""
COUNTED_PAYLOAD = "coalesce(adjudication.payload, review.payload, annotation.payload)"
WAITING, SENT_BACK = "waiting", "sent_back"
# Why an answer does not count yet: WAITING, SENT_BACK, or NULL where it counts.
PENDING = f"""CASE WHEN adjudication.id IS NOT NULL THEN NULL
    WHEN review.verdict = 'sent_back' THEN '{SENT_BACK}'
    WHEN batch.requires_review AND review.id IS NULL THEN '{WAITING}' END"""
# What its author can no longer change.
FINAL = (Review.Verdict.ACCEPTED, Review.Verdict.CORRECTED, Review.Verdict.LEFT_OUT)


def is_pending() -> Q:
    """Whether an answer of a query over annotations does not count yet."""
    own = Review.objects.filter(annotation=OuterRef("pk")).order_by()
    returned, unreviewed = Exists(own.filter(verdict=Review.Verdict.SENT_BACK)), ~Exists(own)
    return ~Q(is_adjudicated()) & (Q(returned) | (Q(task__batch__requires_review=True) & Q(unreviewed)))


def is_adjudicated() -> Exists:
    """Whether a reviewer decided the task of an answer, for queries over annotations."""
    return Exists(Adjudication.objects.filter(task=OuterRef("task")).order_by())


def counted_payload() -> Coalesce:
    """The payload that counts, for `annotate`: the decision on the task or the correction, where there is one."""
    decided = Adjudication.objects.filter(task=OuterRef("task"), payload__isnull=False).order_by().values("payload")
    corrections = Review.objects.filter(annotation=OuterRef("pk"), payload__isnull=False).order_by()
    own = Subquery(corrections.values("payload"))
    return Coalesce(Subquery(decided), own, F("payload"), output_field=JSONField())


def unreviewed(project: Project) -> QuerySet[Annotation]:
    """Current answers of finished assignments that nobody has reviewed, without excluded ones."""
    return not_reviewed(Annotation.objects.filter(task__batch__project=project))


def not_reviewed(answers: QuerySet[Annotation]) -> QuerySet[Annotation]:
    answers = answers.filter(is_current=True, assignment__state=Assignment.State.DONE)
    own = Review.objects.filter(annotation=OuterRef("pk")).order_by()
    excluded = is_excluded(project="task__batch__project")
    return answers.filter(~Exists(own), ~is_adjudicated()).exclude(excluded).order_by()


def waiting_by_batch(project: Project, batches: Iterable[Batch] | None = None) -> Counter[int]:
    """How many answers of each batch that requires review wait for it. `batches` are all of the project, where they
    are loaded already: then it is one query, and none where no batch requires review."""
    if batches is None:
        batches = Batch.objects.filter(project=project, requires_review=True)
    return waiting_in(batches)


def waiting_in(batches: Iterable[Batch]) -> Counter[int]:
    """`waiting_by_batch` of batches that may be of several projects."""
    required = [batch.pk for batch in batches if batch.requires_review]
    if not required:
        return Counter()
    rows = not_reviewed(Annotation.objects.filter(task__batch__in=required))
    return Counter(dict(rows.values_list("task__batch").annotate(n=Count("pk"))))


def state_of(project: Project) -> tuple[Any, ...]:
    """Changes whenever an answer is reviewed, a task adjudicated, or a batch begins or ceases to require review."""
    last = Review.objects.filter(batch__project=project).aggregate(Max("pk"))["pk__max"]
    required = Batch.objects.filter(project=project, requires_review=True).order_by("pk")
    decided = Adjudication.objects.filter(batch__project=project).aggregate(Count("pk"), Max("pk"))
    return last, tuple(required.values_list("pk", flat=True)), *decided.values()


def final_review(assignment_id: int) -> Review | None:
    """The review after which the author can no longer change the current answer of this slot."""
    rows = Review.objects.filter(annotation__assignment=assignment_id, annotation__is_current=True)
    return rows.filter(verdict__in=FINAL).first()


def is_sent_back(assignment_id: int) -> bool:
    """Whether the current answer of this slot was sent back to its author."""
    rows = Review.objects.filter(annotation__assignment=assignment_id, annotation__is_current=True)
    return rows.filter(verdict=Review.Verdict.SENT_BACK).exists()


def is_decided(task_id: int) -> bool:
    """Whether the task was adjudicated: its answers are final."""
    return Adjudication.objects.filter(task=task_id).exists()
