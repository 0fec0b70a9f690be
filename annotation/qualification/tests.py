"""Makes qualification tests from answers that are known to be right, and grades them. Taking one is in `attempts`."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from annotation.core.access import MEMBERS, Person, first_or_404, within
from annotation.core.errors import Conflict, InvalidInput
from annotation.core.events import record
from annotation.core.exclusions import is_excluded
from annotation.core.reviews import is_pending
from annotation.kinds import KINDS
from annotation.models import (
    Annotation,
    Batch,
    Membership,
    Project,
    Qualification,
    QualificationItem,
    Review,
    Role,
    User,
)
from annotation.queue.batches import SEED_LIMIT
from annotation.text.normalization import has_ink

TESTABLE = [name for name, kind in KINDS.items() if kind.is_testable]
MAX_ITEMS = 100
MAX_ATTEMPTS = 20
MAX_TOLERANCE = 8
MAX_EXPLANATION = 2_000


@dataclass(frozen=True)
class NewItem:
    """An item to create: the annotation that is the right answer, and why (shown afterwards beside a wrong one)."""

    annotation: Annotation
    explanation: str = ""


def qualification_for(user: Person, qualification_id: int, roles: tuple[Role, ...] = MEMBERS) -> Qualification:
    """A test in one of this person's projects, or 404."""
    rows = Qualification.objects.select_related("project")
    return first_or_404(within(rows, user, roles).filter(pk=qualification_id))


# ---- making and retiring ----


def model_answers(batch: Batch) -> QuerySet[Annotation]:
    """Answers that a test can be made from: current ones by the project's managers and reviewers, none excluded,
    corrected by somebody else or waiting for a review that they need to count."""
    staff = Membership.objects.filter(project=batch.project_id, role__in=[Role.REVIEWER, Role.MANAGER])
    return (
        Annotation.objects.filter(task__batch=batch, is_current=True, kind__in=TESTABLE)
        .filter(annotator__in=staff.values("user"))
        .exclude(is_excluded(project="task__batch__project"))
        .exclude(is_pending())
        .exclude(reviews__verdict=Review.Verdict.CORRECTED)
        .exclude(task__adjudications__payload__isnull=False)
        .select_related("task__prompt", "annotator", "task__batch")
        .order_by("task__position", "id")
    )


def create_qualification(
    *,
    project: Project,
    name: str,
    kind: str,
    items: Sequence[NewItem],
    actor: User | None,
    pass_share: float = 0.8,
    tolerance: int = 1,
    attempts: int = 2,
    seed: int | None = None,
) -> Qualification:
    """A test of these items, in the order of their tasks. Raises InvalidInput by field.

    Each item is a current answer of a manager or reviewer of the project; its prompt, candidates and payload are
    copied, so that later changes to that answer do not change the test.
    """
    name = " ".join(name.split())
    problems: list[tuple[str, str]] = []
    if not has_ink(name) or len(name) > 120:
        problems.append(("name", _("Give a name of 1 to 120 characters.")))
    if kind not in TESTABLE:
        problems.append(("kind", _("Only scoring and choosing can be tested.")))
    if not 0 < pass_share <= 1:
        problems.append(("pass_share", _("The pass mark is a share above 0, up to 1.")))
    if not 0 <= tolerance <= MAX_TOLERANCE:
        problems.append(("tolerance", _("From 0 to {most} points.").format(most=MAX_TOLERANCE)))
    if not 1 <= attempts <= MAX_ATTEMPTS:
        problems.append(("attempts", _("From 1 to {most} attempts.").format(most=MAX_ATTEMPTS)))
    problems += [("items", problem) for problem in faults_of(items, project, kind)]
    if problems:
        raise InvalidInput("; ".join(message for _field, message in problems), problems)
    ordered = sorted(items, key=lambda item: (item.annotation.task.position, item.annotation.pk))
    with transaction.atomic():
        qualification = Qualification.objects.create(
            project=project,
            name=name,
            kind=kind,
            pass_share=pass_share,
            tolerance=tolerance,
            attempts=attempts,
            seed=secrets.randbelow(SEED_LIMIT) if seed is None else seed,
            created_by=actor,
        )
        QualificationItem.objects.bulk_create(
            QualificationItem(
                qualification=qualification,
                prompt_id=item.annotation.task.prompt_id,
                position=position,
                candidate_ids=candidates_of(item.annotation),
                expected=item.annotation.payload,
                explanation=item.explanation.strip(),
            )
            for position, item in enumerate(ordered, start=1)
        )
        record(
            verb="qualification.created",
            target=qualification,
            actor=actor,
            project=project,
            after={
                "name": name,
                "kind": kind,
                "pass_share": pass_share,
                "tolerance": tolerance,
                "attempts": attempts,
                "annotations": [item.annotation.pk for item in ordered],
            },
        )
    return qualification


def candidates_of(annotation: Annotation) -> list[int]:
    """Those that the answer is about: of outputs that read the same, a choice has shown one."""
    return sorted(KINDS[annotation.kind].candidates_of(annotation.payload))


def faults_of(items: Sequence[NewItem], project: Project, kind: str) -> list[str]:
    if not items:
        return [_("Choose at least one answer.")]
    if len(items) > MAX_ITEMS:
        return [_("At most {most} answers make a test.").format(most=MAX_ITEMS)]
    if any(len(item.explanation) > MAX_EXPLANATION for item in items):
        return [_("An explanation has at most {most} characters.").format(most=MAX_EXPLANATION)]
    tasks = [item.annotation.task_id for item in items]
    if len(set(tasks)) < len(tasks):
        return [_("Two of the answers are for the same task: keep the right one.")]
    staff = Membership.objects.filter(project=project, role__in=[Role.REVIEWER, Role.MANAGER])
    usable = Annotation.objects.filter(
        pk__in=[item.annotation.pk for item in items],
        is_current=True,
        kind=kind,
        task__batch__project=project,
        annotator__in=staff.values("user"),
    ).exclude(is_excluded(project="task__batch__project"))
    usable = usable.exclude(is_pending()).exclude(reviews__verdict=Review.Verdict.CORRECTED)
    usable = usable.exclude(task__adjudications__payload__isnull=False)
    if usable.count() != len(items):
        return [
            _(
                "Only current answers of this kind by managers or reviewers of the project can be used, and none that "
                "is excluded, was corrected or waits for review."
            )
        ]
    return []


def retire_qualification(*, qualification: Qualification, actor: User | None) -> Qualification:
    """No further batch can require it; batches that already do keep requiring it, and it can be taken for them.

    Raises Conflict when it was retired already.
    """
    with transaction.atomic():
        now = timezone.now()
        if not Qualification.objects.filter(pk=qualification.pk, retired_at=None).update(retired_at=now):
            raise Conflict(_("{name} was retired already.").format(name=qualification.name))
        qualification.retired_at = now
        record(verb="qualification.retired", target=qualification, actor=actor, project=qualification.project)
    return qualification


def asking(qualification: Qualification) -> QuerySet[Batch]:
    """The open batches that require this test."""
    return qualification.batches.filter(status=Batch.Status.OPEN)


# ---- right and wrong ----


def grade(test: Qualification, items: Sequence[QualificationItem], answers: dict[str, Any]) -> dict[int, bool]:
    """Whether each answer is right, by item id. An item without an answer is wrong."""
    kind = KINDS[test.kind]
    return {
        item.pk: str(item.pk) in answers
        and kind.is_right(item.expected, answers[str(item.pk)], tolerance=test.tolerance)
        for item in items
    }
