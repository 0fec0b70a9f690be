"""Tasks of a batch for the pages of reviewers and managers: texts by letter, slots, answers in words. A number of
queries that does not depend on how many tasks there are."""

from collections.abc import Sequence
from typing import Any

from django.db.models import Count, OuterRef, Prefetch, Q, QuerySet, Subquery

from annotation.answers.submission import SKIP_REASONS
from annotation.answers.task_filters import differ
from annotation.core.exclusions import InEffect
from annotation.kinds import KINDS
from annotation.kinds.loading import aspects_by_key
from annotation.kinds.presentation import AspectsByKey
from annotation.kinds.side_order import presented_order
from annotation.models import Annotation, Assignment, Batch, Candidate, Membership, Remark, Review, Task
from annotation.text.differences import differences

Row = dict[str, Any]
VERDICTS = dict(Review.Verdict.choices)


def members_of(batch: Batch) -> QuerySet[Membership]:
    """Who may be given its tasks."""
    rows = Membership.objects.filter(project=batch.project_id, user__is_active=True)
    return rows.select_related("user").order_by("user__name", "user__email")


def current_answers() -> QuerySet[Annotation]:
    """With what `slot_of` reads of their reviews."""
    reviews = Review.objects.filter(annotation=OuterRef("pk")).order_by()
    return Annotation.objects.filter(is_current=True).annotate(
        verdict=Subquery(reviews.values("verdict")), correction=Subquery(reviews.values("payload"))
    )


def with_answers(tasks: QuerySet[Task]) -> QuerySet[Task]:
    """The tasks with all that `rows_of` reads of them."""
    slots = Assignment.objects.select_related("annotator").order_by("slot")
    remarks = Remark.objects.filter(task=OuterRef("pk")).order_by().values("task")
    return (
        tasks.select_related("prompt")
        .prefetch_related(Prefetch("assignments", slots), Prefetch("assignments__annotations", current_answers()))
        .annotate(
            remarks_count=Subquery(remarks.annotate(n=Count("pk")).values("n")),
            open_remarks_count=Subquery(remarks.annotate(n=Count("pk", filter=Q(answered_at=None))).values("n")),
        )
    )


def rows_of(batch: Batch, tasks: Sequence[Task], exclusions: InEffect, *, brief: bool = True) -> list[Row]:
    """A row a task; with `brief`, of long answers the beginning."""
    ids = {pk for task in tasks for pk in task.candidate_ids}
    candidates = {candidate.pk: candidate for candidate in Candidate.objects.filter(pk__in=ids).order_by()}
    aspects = aspects_by_key([batch.project_id])[batch.project_id]
    return [row_of(batch, task, candidates, aspects, exclusions, brief=brief) for task in tasks]


def row_of(
    batch: Batch,
    task: Task,
    candidates: dict[int, Candidate],
    aspects: AspectsByKey,
    exclusions: InEffect,
    *,
    brief: bool,
) -> Row:
    order = presented_order(seed=batch.seed, task_id=task.pk, candidate_ids=task.candidate_ids)
    letters = {pk: chr(ord("A") + at) for at, pk in enumerate(order)}
    slots = list(task.assignments.all())
    rows = [slot_of(slot, batch, candidates, letters, aspects, brief=brief) for slot in slots]
    for row, slot in zip(rows, slots, strict=True):
        row["exclusion"] = slot.annotator and exclusions.of(task, slot.annotator)
    counting = [row["annotation"].payload for row in rows if "annotation" in row and not row["exclusion"]]
    return {
        "task": task,
        "texts": [{"letter": letters[pk], "candidate": candidates[pk]} for pk in order],
        "slots": [row for row in rows if row["slot"].state not in ("free", "withdrawn")],
        "waiting": sum(slot.state == Assignment.State.FREE for slot in slots),
        "withdrawal": exclusions.withdrawal(task),
        "disagrees": differ(batch.kind, counting),
    }


def slot_of(
    slot: Assignment,
    batch: Batch,
    candidates: dict[int, Candidate],
    letters: dict[int, str],
    aspects: AspectsByKey,
    *,
    brief: bool,
) -> Row:
    """One slot: who, how far, and the answer in words; `order` is which text it prefers, by letters."""
    row: Row = {"slot": slot, "skip_reason": SKIP_REASONS.get(slot.skip_reason, slot.skip_reason)}
    for annotation in slot.annotations.all():
        kind = KINDS[batch.kind]
        texts = {pk: candidate.text for pk, candidate in candidates.items()}
        answer = kind.describe(annotation.payload, texts, batch.project.target_language, aspects, brief=brief)
        groups = kind.order_of(annotation.payload)
        correction = annotation.correction  # type: ignore[attr-defined]
        row |= {
            "annotation": annotation,
            "answer": answer,
            "verdict": VERDICTS.get(annotation.verdict),  # type: ignore[attr-defined]  # annotated, as the next
            "correction": correction
            and kind.describe(correction, texts, batch.project.target_language, aspects, brief=brief),
            "order": " > ".join(" = ".join(letters.get(key, "?") for key in group) for group in groups),
            "scores": sorted(
                (letters.get(key, "?"), side["short"])
                for key, side in zip(kind.candidates_of(annotation.payload), answer.get("sides", []), strict=False)
                if side.get("scores")
            ),
            "marks": sum(len(side["marks"]) for side in answer.get("sides", [])),
        }
        if "original" in answer:
            row["changes"] = differences(answer["original"], answer["text"])
    return row


def slots_of(project_id: int, slots: Sequence[Assignment]) -> list[Row]:
    """A row for each slot, of any batches of the project: as in the table of a batch, with its task and exclusion.
    The slots come with batch, task, prompt, annotator and current answers."""
    ids = {pk for slot in slots for pk in slot.task.candidate_ids}
    candidates = {candidate.pk: candidate for candidate in Candidate.objects.filter(pk__in=ids).order_by()}
    aspects = aspects_by_key([project_id])[project_id]
    in_batch = {pk: InEffect(batch) for pk, batch in {slot.batch_id: slot.batch for slot in slots}.items()}
    rows = []
    for slot in slots:
        order = presented_order(seed=slot.batch.seed, task_id=slot.task_id, candidate_ids=slot.task.candidate_ids)
        letters = {pk: chr(ord("A") + at) for at, pk in enumerate(order)}
        row = slot_of(slot, slot.batch, candidates, letters, aspects, brief=True)
        if slot.annotator:
            row["exclusion"] = in_batch[slot.batch_id].of(slot.task, slot.annotator)
        rows.append(row)
    return rows
