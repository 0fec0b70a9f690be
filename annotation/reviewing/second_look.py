"""A second look: labels that the checkpoint whose margins are stored contradicts strongly. They are listed, never
changed: the checkpoint may be wrong, and a person decides."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import FloatField
from django.db.models.functions import Abs

from annotation.core.exclusions import is_excluded
from annotation.core.reviews import counted_payload, is_adjudicated, is_pending
from annotation.kinds import KINDS
from annotation.models import Annotation, Assignment, PairMargin, Project, Task

MOST_LISTED, MOST_READ, AT_ONCE = 50, 5_000, 500  # contradictions; pairs with the largest margins, and so many at once
STRONG_PART = 4  # a margin is strong among the largest quarter of those stored, or the largest 50 where they are few


@dataclass(frozen=True)
class Contradiction:
    """A task in which most answers prefer the text that the checkpoint does not: `votes` of `answers` that prefer
    either. `margin` is above 0."""

    task: Task
    margin: float
    votes: int
    answers: int

    @property
    def can_be_decided(self) -> bool:
        return self.answers > 1


@dataclass(frozen=True)
class SecondLook:
    """`pairs` are those that were looked at, of `stored`; nothing is stored where `origin` is empty."""

    origin: str
    computed_at: datetime | None
    rows: list[Contradiction]
    pairs: int
    stored: int


def contradictions_of(project: Project) -> SecondLook:
    """The contradictions with the largest margins, without tasks that a reviewer has decided."""
    margins = PairMargin.objects.filter(project=project)
    newest = margins.order_by("-computed_at").first()
    if newest is None:
        return SecondLook("", None, [], 0, 0)
    size = Abs("margin", output_field=FloatField())
    stored = margins.count()
    strong = min(max(stored // STRONG_PART, MOST_LISTED), MOST_READ)
    largest = list(margins.annotate(size=size).order_by("-size", "pk")[:strong])
    rows: list[Contradiction] = []
    read = 0
    for start in range(0, len(largest), AT_ONCE):
        part = largest[start : start + AT_ONCE]
        read += len(part)
        rows += contradicted(part)
        if len(rows) >= MOST_LISTED:
            break
    return SecondLook(newest.origin, newest.computed_at, rows[:MOST_LISTED], read, stored)


def contradicted(margins: Sequence[PairMargin]) -> Iterable[Contradiction]:
    """Of these margins, the tasks whose answers contradict them, in their order."""
    votes: dict[tuple[int, int, int], list[float]] = defaultdict(list)  # by task and pair
    tasks: dict[tuple[int, int, int], set[int]] = defaultdict(set)  # by prompt and pair
    for task, prompt, kind, payload in answers_about({margin.prompt_id for margin in margins}):
        answer = KINDS[kind].parse(payload)
        for one, other, value in KINDS[kind].preferences(answer):
            if value != 0.5:
                pair = min(one, other), max(one, other)
                votes[task, *pair].append(1.0 if one < other else -1.0)
                tasks[prompt, *pair].add(task)
    found = [
        (task, margin.margin, votes[task, margin.one, margin.other])
        for margin in margins
        for task in sorted(tasks[margin.prompt_id, margin.one, margin.other])
        if sum(votes[task, margin.one, margin.other]) * margin.margin < 0
    ]
    known = Task.objects.select_related("batch", "prompt").in_bulk([task for task, _margin, _votes in found])
    for task, margin, cast in found:
        against = sum(vote * margin < 0 for vote in cast)
        yield Contradiction(known[task], abs(margin), against, len(cast))


def answers_about(prompts: Iterable[int]) -> Iterable[tuple[int, int, str, dict[str, Any]]]:
    """(task, prompt, kind, payload that counts) of the answers that compare texts of these prompts."""
    kinds = [name for name, kind in KINDS.items() if kind.compares]
    rows = Annotation.objects.filter(
        task__prompt__in=list(prompts), kind__in=kinds, is_current=True, assignment__state=Assignment.State.DONE
    )
    rows = rows.exclude(is_excluded(project="task__batch__project")).exclude(is_pending()).exclude(is_adjudicated())
    rows = rows.annotate(counted=counted_payload()).order_by("pk")
    yield from rows.values_list("task", "task__prompt", "kind", "counted").iterator(chunk_size=2_000)
