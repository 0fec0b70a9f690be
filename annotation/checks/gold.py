"""Gold: tasks whose right answer is known, made from what was decided or reviewed, or entered by a manager."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from annotation.core.access import MANAGERS, Person, first_or_404, within
from annotation.core.errors import Conflict, InvalidInput
from annotation.core.events import record
from annotation.core.exclusions import is_excluded, usable_prompts
from annotation.core.reviews import counted_payload, is_pending
from annotation.kinds import KINDS
from annotation.models import (
    Adjudication,
    Annotation,
    Assignment,
    Batch,
    Candidate,
    Gold,
    Membership,
    Project,
    Review,
    Role,
    Task,
    User,
)

CHECKABLE = [name for name, kind in KINDS.items() if kind.is_testable]
MAX_EXPLANATION = 2_000


@dataclass(frozen=True)
class KnownAnswer:
    """A task whose right answer somebody decided: the payload that counts, and where it comes from."""

    annotation: Annotation
    expected: dict[str, Any]
    source: str


def gold_for(user: Person, gold_id: int) -> Gold:
    """Gold of one of the projects that this person manages, or 404."""
    rows = Gold.objects.select_related("project", "prompt")
    return first_or_404(within(rows, user, MANAGERS).filter(pk=gold_id))


def known_answers(batch: Batch) -> QuerySet[Annotation]:
    """Answers that gold can be made from, one a task: those of tasks that a reviewer decided, answers that a reviewer
    accepted or corrected, and those of the project's managers and reviewers. None that is excluded or waits for a
    review. `counted` is the payload that counts."""
    staff = Membership.objects.filter(project=batch.project_id, role__in=[Role.REVIEWER, Role.MANAGER])
    decided = Adjudication.objects.filter(task=OuterRef("task"), payload__isnull=False)
    good = [Review.Verdict.ACCEPTED, Review.Verdict.CORRECTED]
    reviewed = Review.objects.filter(annotation=OuterRef("pk"), verdict__in=good)
    rows = Annotation.objects.filter(
        task__batch=batch, is_current=True, assignment__state=Assignment.State.DONE, kind__in=CHECKABLE
    ).filter(Exists(decided) | Exists(reviewed) | Q(annotator__in=staff.values("user")))
    # Kept as divided: nobody knows what is right.
    divided = Adjudication.objects.filter(task=OuterRef("task"), payload__isnull=True)
    rows = rows.filter(~Exists(divided)).exclude(is_pending()).exclude(is_excluded(project="task__batch__project"))
    rows = rows.annotate(counted=counted_payload()).select_related("task__prompt", "annotator")
    # Where there are several, the one that was reviewed; then the oldest.
    return rows.order_by("task__position", ~Exists(reviewed), "pk").distinct("task__position")


def make_gold(*, batch: Batch, annotations: Sequence[int], explanations: dict[int, str], actor: User) -> list[Gold]:
    """Gold of these answers of the batch (`known_answers`), with explanations by answer. What is gold already is left
    as it is. Raises InvalidInput."""
    rows = list(known_answers(batch).filter(pk__in=annotations)) if annotations else []
    if len(rows) != len(set(annotations)) or not rows:
        raise InvalidInput(_("Choose at least one answer."), [("items", _("Choose at least one answer."))])
    decisions = dict(Adjudication.objects.filter(task__in=[row.task_id for row in rows]).values_list("task", "pk"))
    made = []
    with transaction.atomic():
        for row in rows:
            decision = decisions.get(row.task_id)
            gold = add_gold(
                project=batch.project,
                kind=row.kind,
                task=row.task,
                expected=row.counted,  # type: ignore[attr-defined]
                explanation=explanations.get(row.pk, ""),
                source=f"adjudication:{decision}" if decision else f"annotation:{row.pk}",
                actor=actor,
            )
            if gold is not None:
                made.append(gold)
    return made


def enter_gold(*, task: Task, expected: dict[str, Any], explanation: str, actor: User) -> Gold:
    """Gold of a task with the right answer that a manager entered (`expected` as the kind's `read` returned it). Raises
    Conflict where the task is gold already."""
    batch = task.batch
    gold = add_gold(
        project=batch.project, kind=batch.kind, task=task, expected=expected, explanation=explanation, actor=actor
    )
    if gold is None:
        raise Conflict(_("This task is gold already."))
    return gold


def add_gold(
    *,
    project: Project,
    kind: str,
    task: Task,
    expected: dict[str, Any],
    explanation: str,
    actor: User,
    source: str = "",
) -> Gold | None:
    """None where the same task is gold already. Raises InvalidInput."""
    explanation = explanation.strip()
    if kind not in CHECKABLE:
        raise InvalidInput(_("Only scoring and choosing can be checked."), [("kind", _("Only scoring and choosing."))])
    if len(explanation) > MAX_EXPLANATION:
        message = _("An explanation has at most %(most)s characters.") % {"most": MAX_EXPLANATION}
        raise InvalidInput(message, [("explanation", message)])
    chosen = KINDS[kind]
    if is_damaged(task.candidate_ids):
        raise InvalidInput(_("A damaged text is never gold."), [("task", _("Damaged"))])
    try:
        with transaction.atomic():
            gold = Gold.objects.create(
                project=project,
                kind=kind,
                prompt_id=task.prompt_id,
                # Of outputs that read the same, a choice has shown one.
                candidate_ids=sorted(chosen.candidates_of(expected)),
                expected=chosen.without_texts(expected),
                explanation=explanation,
                source=source,
                created_by=actor,
            )
            record(verb="gold.added", target=gold, actor=actor, project=project, after={"kind": kind, "source": source})
    except IntegrityError:
        return None
    return gold


def retire_gold(*, gold: Gold, actor: User | None) -> Gold:
    """It goes into no further batch; tasks that have it stay. Raises Conflict when it was retired already."""
    with transaction.atomic():
        now = timezone.now()
        if not Gold.objects.filter(pk=gold.pk, retired_at=None).update(retired_at=now):
            raise Conflict(_("This item was retired already."))
        gold.retired_at = now
        record(verb="gold.retired", target=gold, actor=actor, project=gold.project)
    return gold


def usable_gold(project: Project, kind: str, alternatives: int) -> QuerySet[Gold]:
    """What can go into a batch of this kind whose tasks show so many texts: not retired, its prompt not withdrawn, none
    of its texts erased."""
    rows = Gold.objects.filter(project=project, kind=kind, retired_at=None, candidate_ids__len__lte=alternatives)
    rows = rows.filter(prompt__in=usable_prompts(project).values("pk"))
    if kind == "choosing" and alternatives == 2:
        rows = rows.exclude(expected__choice="ranking")
    erased = Candidate.objects.filter(text="", prompt=OuterRef("prompt"))
    return rows.exclude(Q(Exists(erased)))


def is_damaged(candidates: Iterable[int]) -> bool:
    return Candidate.objects.filter(pk__in=list(candidates), prompt=None).exists()
