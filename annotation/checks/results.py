"""What people's answers to checks say: of each person how many were right, with Wilson's interval.

Of a choice between a text and its damaged twin, only the better text is right, a tie is not; "both bad" says nothing of
the two and is left out. A twin that is scored must score lower, by the batch's weights. A repeat is right where it says
the same as the first answer, scores within `TOLERANCE` points.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from django.db import connection

from annotation.analyses.intervals import FEWEST, Estimate, share_of
from annotation.checks.gold import CHECKABLE
from annotation.core.exclusions import EXCLUSION_ID, EXCLUSION_JOINS
from annotation.kinds import KINDS
from annotation.models import Project, TaskCheck, User, WeightSet

TOLERANCE = 1
What = TaskCheck.What
ROWS_AT_ONCE = 1_000
ANSWERS = f"""
SELECT annotation.annotator_id, batch.id, annotation.kind, k.what, k.task_id, annotation.payload::text,
    gold.expected::text, k.worse_candidate, k.of_candidate, earlier.payload::text, k.damage, k.gold_id,
    annotation.weight_set_id
FROM annotation_taskcheck k
    JOIN annotation_annotation annotation ON annotation.task_id = k.task_id AND annotation.is_current
    JOIN annotation_assignment assignment ON assignment.id = annotation.assignment_id AND assignment.state = 'done'
    JOIN annotation_task task ON task.id = k.task_id
    JOIN annotation_batch batch ON batch.id = k.batch_id
    LEFT JOIN annotation_gold gold ON gold.id = k.gold_id
    LEFT JOIN annotation_annotation earlier ON earlier.task_id = k.of_task_id AND earlier.is_current
        AND earlier.annotator_id = annotation.annotator_id
    {EXCLUSION_JOINS}
WHERE batch.project_id = %(project)s AND {EXCLUSION_ID} IS NULL
ORDER BY annotation.id
"""  # noqa: S608 - our own expressions


class Checked(NamedTuple):
    """An answer to a check, and whether it was right."""

    person: int
    batch: int
    what: str
    task: int
    gold: int | None
    damage: str
    right: bool


@dataclass
class Tally:
    """Right answers of one person, or to one item."""

    right: int = 0
    n: int = 0

    def add(self, right: bool) -> None:
        self.right += right
        self.n += 1

    @property
    def estimate(self) -> Estimate | None:
        """None below `FEWEST` answers. Each answer is to another task: they are independent given the person."""
        return share_of(np.arange(self.n) < self.right)

    @property
    def missing(self) -> int:
        """Answers until there is an estimate."""
        return max(FEWEST - self.n, 0)


@dataclass
class Results:
    """Tallies by (person, what), by (person, what, batch), by gold item, and by rule of damage."""

    people: dict[tuple[int, str], Tally] = field(default_factory=lambda: defaultdict(Tally))
    batches: dict[tuple[int, str, int], Tally] = field(default_factory=lambda: defaultdict(Tally))
    gold: dict[int, Tally] = field(default_factory=lambda: defaultdict(Tally))
    damage: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))


def results_of(project: Project) -> Results:
    """One pass over the project's answers to checks."""
    results = Results()
    for answer in checked_answers(project):
        results.people[answer.person, answer.what].add(answer.right)
        results.batches[answer.person, answer.what, answer.batch].add(answer.right)
        if answer.gold is not None:
            results.gold[answer.gold].add(answer.right)
        if answer.damage:
            results.damage[answer.damage].add(answer.right)
    return results


def people_of(results: Results) -> list[User]:
    return list(User.objects.filter(pk__in={person for person, _what in results.people}).order_by("name", "email"))


def checked_answers(project: Project) -> Iterator[Checked]:
    """Current, finished answers that are not excluded and say something."""
    weights = dict(WeightSet.objects.filter(project=project).values_list("pk", "weights"))
    with connection.chunked_cursor() as cursor:
        cursor.execute(ANSWERS, {"project": project.pk})
        while rows := cursor.fetchmany(ROWS_AT_ONCE):
            for person, batch, kind, what, task, given, expected, worse, of, earlier, damage, gold, weight in rows:
                if kind not in CHECKABLE:  # two texts of one person differ without a fault: the quality page has them
                    continue
                answer = json.loads(given)
                right: bool | None
                if expected is not None:
                    right = KINDS[kind].is_right(json.loads(expected), answer, tolerance=TOLERANCE)
                elif what == What.REPEAT:
                    right = earlier and KINDS[kind].is_right(json.loads(earlier), answer, tolerance=TOLERANCE)
                else:
                    before = json.loads(earlier) if earlier else answer
                    right = is_lower(kind, answer, before, worse, of, weights.get(weight) or {})
                if right is not None:
                    yield Checked(person, batch, what, task, gold, damage, bool(right))


def is_lower(
    kind: str, answer: dict[str, Any], before: dict[str, Any], worse: int, better: int, weights: dict[str, float]
) -> bool | None:
    """Whether the damaged candidate is below the original, which `before` judges; None where the answer says nothing
    of the two."""
    asked = KINDS[kind]
    if asked.compares:
        for one, other, value in asked.preferences(asked.parse(answer)):
            if {one, other} == {worse, better}:
                return one == better and value == 1
        return None
    low = asked.scores(asked.parse(answer)).get(worse)
    high = asked.scores(asked.parse(before)).get(better)
    if not low or not high or not (common := low.keys() & high.keys()):
        return None
    return sum((high[key] - low[key]) * weights.get(key, 1.0) for key in common) > 0
