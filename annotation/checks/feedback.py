"""What somebody is told after a practice item: whether they were right, the right answer, and why."""

from dataclasses import dataclass
from typing import Any

from annotation.checks.results import TOLERANCE
from annotation.kinds import KINDS
from annotation.kinds.loading import aspects_by_key
from annotation.models import Annotation, Assignment, Candidate, TaskCheck


@dataclass(frozen=True)
class Feedback:
    """`given` and `expected` are answers in words, as templates/annotation/my_work/answer.html shows them."""

    is_right: bool
    given: dict[str, Any]
    expected: dict[str, Any]
    explanation: str


def is_practice(assignment: Assignment) -> bool:
    """Whether this is a practice item, which its page says; asked of each task of a batch that has some."""
    if not assignment.batch.checks.get("tutorial"):
        return False
    return TaskCheck.objects.filter(task=assignment.task_id, what=TaskCheck.What.TUTORIAL).exists()


def feedback_on(assignment: Assignment, annotation: Annotation) -> Feedback | None:
    """None where the answer is to no practice item."""
    if not assignment.batch.checks.get("tutorial"):
        return None
    rows = TaskCheck.objects.select_related("gold").filter(task=assignment.task_id, what=TaskCheck.What.TUTORIAL)
    check = rows.first()
    if check is None or check.gold is None:
        return None
    kind, project = KINDS[annotation.kind], assignment.batch.project
    texts = dict(Candidate.objects.filter(pk__in=assignment.task.candidate_ids).order_by().values_list("pk", "text"))
    aspects = aspects_by_key([project.pk])[project.pk]
    return Feedback(
        is_right=kind.is_right(check.gold.expected, annotation.payload, tolerance=TOLERANCE),
        given=kind.describe(annotation.payload, texts, project.target_language, aspects),
        expected=kind.describe(check.gold.expected, texts, project.target_language, aspects),
        explanation=check.gold.explanation,
    )
