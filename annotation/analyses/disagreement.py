"""What annotators of the same task disagree about most: scores of an aspect, texts of two origins. Pure.

Of each question (an aspect of a text, a pair of texts) every two people's answers are compared. Raw: chance is not
taken out.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heappush, heappushpop
from itertools import combinations
from typing import Any, NamedTuple

from annotation.analyses.intervals import Clustered, Estimate
from annotation.kinds.votes import Opinion
from annotation.reviewing.threshold import ANY_DIFFERENCE, is_below

KEPT = 1_000  # rows behind a number
KEPT_DOUBTFUL = 10_000  # tasks: more than anybody decides before the next analysis


class Confused(NamedTuple):
    """Of one group: the share of pairs of answers that differ, the two labels most often confused, and how often."""

    kind: int
    group: str
    share: Estimate | None
    labels: tuple[str, str] | None
    times: int
    slots: list[int]


@dataclass
class Group:
    sums: Clustered = field(default_factory=Clustered)
    labels: Counter[tuple[str, str]] = field(default_factory=Counter)
    slots: deque[int] = field(default_factory=lambda: deque(maxlen=KEPT))


class Disagreement:
    """Grows task by task, and keeps sums only: memory does not depend on the number of answers."""

    def __init__(self, adjudicate_below: int = ANY_DIFFERENCE) -> None:
        """`adjudicate_below`: percent of the most common answer, see `Project`."""
        self.adjudicate_below = adjudicate_below
        self.groups: dict[tuple[int, str], Group] = defaultdict(Group)
        self.doubtful: list[tuple[float, int]] = []

    def add(self, kind: int, answers: Sequence[tuple[int, Iterable[Opinion]]], *, task: int = 0) -> None:
        """(slot, opinions) of all answers to one task."""
        if len(answers) < 2:
            return
        by_question: dict[Any, list[tuple[int, Opinion]]] = defaultdict(list)
        for slot, opinions in answers:
            for opinion in opinions:
                by_question[opinion.question].append((slot, opinion))
        values = [[opinion.value for _slot, opinion in rows] for rows in by_question.values()]
        if is_below(values, self.adjudicate_below):
            self.note(task, doubt_of(values))
        pairs: Counter[str] = Counter()
        differing: Counter[str] = Counter()
        slots: dict[str, dict[int, None]] = defaultdict(dict)
        for rows in by_question.values():
            for (one_slot, one), (other_slot, other) in combinations(rows, 2):
                pairs[one.group] += 1
                if one.value != other.value:
                    differing[one.group] += 1
                    low, high = sorted((one.label, other.label))
                    self.groups[kind, one.group].labels[low, high] += 1
                    slots[one.group] |= {one_slot: None, other_slot: None}
        for group, count in pairs.items():
            self.groups[kind, group].sums.add(count, differing[group])
            self.groups[kind, group].slots.extend(slots[group])

    def note(self, task: int, doubt: float) -> None:
        """Keep the task if it is among the most doubtful ones; of equal ones, those that were first."""
        if doubt <= 0:
            return
        if len(self.doubtful) < KEPT_DOUBTFUL:
            heappush(self.doubtful, (doubt, -task))
        else:
            heappushpop(self.doubtful, (doubt, -task))

    def doubts(self) -> dict[int, float]:
        """The most doubtful tasks, by id: see `doubt_of`."""
        return {-task: doubt for doubt, task in self.doubtful}

    def most(self) -> list[Confused]:
        """All groups, those with the largest share of differing pairs first, those with too few last."""
        rows = []
        for (kind, group), found in self.groups.items():
            labels = max(found.labels, key=found.labels.__getitem__, default=None)
            times = found.labels[labels] if labels else 0
            rows.append(Confused(kind, group, found.sums.share(), labels, times, list(found.slots)))
        return sorted(rows, key=lambda row: (row.share is None, -(row.share.value if row.share else 0), row.group))


def doubt_of(questions: Iterable[Sequence[Hashable]]) -> float:
    """How many of a task's questions are expected to be decided wrongly by the most common answer: of each, the share
    of the people who gave another one. A task with many questions weighs more, since it makes as many rows."""
    return sum(1 - max(Counter(values).values()) / len(values) for values in questions)
