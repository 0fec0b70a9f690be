"""Taking a test: start, answer item by item, and get the result at the end.

One attempt at a time; submitted answers are final, and expected answers leave the server only once it is passed.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from annotation.core.errors import Conflict
from annotation.core.events import record
from annotation.kinds import KINDS, PresentedTask, show
from annotation.models import (
    Aspect,
    Assignment,
    Batch,
    Qualification,
    QualificationAttempt,
    QualificationItem,
    Task,
    User,
    WeightSet,
)
from annotation.qualification.tests import asking, grade
from annotation.queue.workforce import granted_to


@dataclass(frozen=True)
class Standing:
    """One person's progress with a test. `allowed` attempts include those granted beyond the test's own."""

    running: QualificationAttempt | None
    last: QualificationAttempt | None
    passed: bool
    taken: int
    allowed: int

    @property
    def left(self) -> int:
        return max(self.allowed - self.taken, 0)


def passed(user: User, qualification: Qualification) -> bool:
    return QualificationAttempt.objects.filter(user=user, qualification=qualification, passed=True).exists()


def standing(user: User, qualification: Qualification) -> Standing:
    taken = list(QualificationAttempt.objects.filter(user=user, qualification=qualification).order_by("number"))
    finished = [attempt for attempt in taken if attempt.finished_at is not None]
    return Standing(
        running=next((attempt for attempt in taken if attempt.finished_at is None), None),
        last=finished[-1] if finished else None,
        passed=any(attempt.passed for attempt in finished),
        taken=len(taken),
        allowed=qualification.attempts + granted_to(qualification).get(user.pk, 0),
    )


def start_attempt(*, qualification: Qualification, user: User) -> QualificationAttempt:
    """Start an attempt, or continue the running one: one at a time, whatever the number of tabs.

    Raises Conflict when the person has passed, has no attempt left, or the test is retired and no batch requires it.
    """
    with transaction.atomic():
        # Serialises two tabs, and a grant: all lock this row.
        Qualification.objects.select_for_update(no_key=True).get(pk=qualification.pk)
        now = standing(user, qualification)
        if now.running is not None:
            return now.running
        if now.passed:
            raise Conflict(_("You have passed this test already."))
        if not now.left:
            raise Conflict(_("You have no attempt left: a manager can grant you another."))
        if qualification.retired_at and not asking(qualification).exists():
            raise Conflict(_("This test is retired, and no open batch requires it."))
        attempt = QualificationAttempt.objects.create(qualification=qualification, user=user, number=now.taken + 1)
        record(
            verb="qualification.begun",
            target=attempt,
            actor=user,
            project=qualification.project,
            after={"qualification": qualification.pk, "number": attempt.number},
        )
    return attempt


def items_in_order(attempt: QualificationAttempt) -> list[QualificationItem]:
    """The items in the order of this attempt: shuffled by the test's seed and the attempt's number."""
    seed = f"{attempt.qualification.seed}:{attempt.number}"
    items = attempt.qualification.items.select_related("prompt")
    return sorted(items, key=lambda item: hashlib.sha256(f"{seed}:{item.pk}".encode()).digest())


def next_item(attempt: QualificationAttempt, items: Sequence[QualificationItem]) -> QualificationItem | None:
    return next((item for item in items if str(item.pk) not in attempt.answers), None)


def side_seed(test: Qualification, attempt: QualificationAttempt) -> int:
    """Sides change from attempt to attempt, so that nobody learns that the second is the right one."""
    return test.seed + attempt.number


def shown_item(attempt: QualificationAttempt, item: QualificationItem) -> PresentedTask:
    """The item as a presented task, from rows that a task would have; they are never saved."""
    test, project = attempt.qualification, attempt.qualification.project
    batch = Batch(
        project=project,
        name=test.name,
        kind=test.kind,
        overlap=1,
        seed=side_seed(test, attempt),
        alternatives=len(item.candidate_ids),
    )
    kind = KINDS[test.kind]
    if kind.uses_aspects:
        batch.weight_set = WeightSet.objects.filter(project=project).first()
    # Negative ids: no row of the queue can have one.
    task = Task(pk=-item.pk, batch=batch, prompt=item.prompt, candidate_ids=item.candidate_ids, position=item.position)
    shown = show(Assignment(pk=-item.pk, batch=batch, task=task, slot=1, position=item.position))
    if kind.uses_aspects:
        # The aspects of the expected scores, even if retired since.
        rows = Aspect.objects.filter(project=project, key__in=kind.aspect_keys(item.expected))
        shown = replace(shown, aspects=list(rows))
    return shown


def answer_item(*, attempt: QualificationAttempt, item: QualificationItem, payload: dict[str, Any]) -> bool:
    """Store the answer to one item; the last one ends the attempt. True if this answer was stored.

    Answers are final: a second one (another tab, the back button) changes nothing.
    """
    with transaction.atomic():
        row = QualificationAttempt.objects.select_for_update().select_related(None).get(pk=attempt.pk)
        fresh = row.finished_at is None and str(item.pk) not in row.answers
        if fresh:
            row.answers[str(item.pk)] = payload
            items = list(attempt.qualification.items.all())
            if all(str(one.pk) in row.answers for one in items):
                finish(row, attempt.qualification, items)
            row.save(update_fields=["answers", "finished_at", "share", "passed"])
    for field in ("answers", "finished_at", "share", "passed"):
        setattr(attempt, field, getattr(row, field))
    return fresh


def finish(attempt: QualificationAttempt, test: Qualification, items: Sequence[QualificationItem]) -> None:
    right = grade(test, items, attempt.answers)
    attempt.finished_at = timezone.now()
    attempt.share = sum(right.values()) / len(right)
    # 4 of 5 must meet a pass mark of 0.8 in spite of binary fractions.
    attempt.passed = attempt.share >= test.pass_share - 1e-9
    record(
        verb="qualification.finished",
        target=attempt,
        actor=attempt.user,
        project=test.project,
        after={"qualification": test.pk, "share": attempt.share, "passed": attempt.passed},
    )


def grant_attempt(*, qualification: Qualification, user: User, actor: User) -> None:
    """Grant one more attempt to a person who has none left. Raises Conflict for anyone else."""
    with transaction.atomic():
        Qualification.objects.select_for_update(no_key=True).get(pk=qualification.pk)
        now = standing(user, qualification)
        if now.passed:
            raise Conflict(_("{person} has passed already.").format(person=user))
        if now.left or now.running:
            raise Conflict(_("{person} has an attempt left already.").format(person=user))
        record(
            verb="qualification.attempt_granted",
            target=qualification,
            actor=actor,
            project=qualification.project,
            after={"user": user.pk},
        )
