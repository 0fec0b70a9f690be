"""An author's answers as reviewers left them: what *my work* and the home page show."""

from collections.abc import Iterable

from django.db.models import Exists, OuterRef, Q, QuerySet

from annotation.core.access import MEMBERS, within
from annotation.core.reviews import FINAL
from annotation.models import Adjudication, Annotation, Assignment, Batch, Review, User
from annotation.reviewing.verdicts import Verdict


def reviews_of(answers: Iterable[Annotation]) -> dict[int, Review]:
    """The review of each of these answers, by the answer's id."""
    rows = Review.objects.filter(annotation__in=[answer.pk for answer in answers])
    return {row.annotation_id: row for row in rows.select_related("reviewer", "batch__project")}


def decision_on(task: int) -> Adjudication | None:
    """A reviewer's final decision on the task."""
    return Adjudication.objects.filter(task=task).select_related("adjudicator", "batch__project").first()


def is_final(review: Review | None) -> bool:
    return review is not None and review.verdict in FINAL


def may_answer_again(review: Review | None, batch: Batch) -> bool:
    """Whether the answer was sent back, and can be opened again whatever the project's window."""
    return review is not None and review.verdict == Verdict.SENT_BACK and batch.status == Batch.Status.OPEN


def may_reply(review: Review) -> bool:
    """Whether there is something to answer that the author has not answered yet."""
    return bool(review.note) and not review.reply


def sent_back_note(assignment: Assignment) -> str:
    """Why a reviewer sent the current answer of this slot back; empty where none did."""
    rows = Review.objects.filter(annotation__assignment=assignment, annotation__is_current=True)
    return rows.filter(verdict=Verdict.SENT_BACK).values_list("note", flat=True).first() or ""


def sent_back_to(author: User) -> QuerySet[Annotation]:
    """Current answers that wait for this person to submit them again, in open batches of their projects."""
    returned = Review.objects.filter(annotation=OuterRef("pk"), verdict=Verdict.SENT_BACK).order_by()
    rows = Annotation.objects.filter(Exists(returned), annotator=author, is_current=True)
    rows = rows.filter(
        Q(assignment__state=Assignment.State.DONE) | Q(assignment__state=Assignment.State.HELD),
        task__batch__status=Batch.Status.OPEN,
    )
    return within(rows, author, MEMBERS, "task__batch__project").order_by("pk")
