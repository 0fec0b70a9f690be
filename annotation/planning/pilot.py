"""A pilot's answers, as what a plan is computed from: times by person and task, equal and different answers.

What is read is bounded: the first tasks of each of the newest batches, and at most `MOST_ANSWERS` answers of them.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, NamedTuple

import numpy as np
from django.db import connection
from django.db.models import Sum

from annotation.core.checks import IS_LABEL
from annotation.core.exclusions import EXCLUSION_ID, EXCLUSION_JOINS
from annotation.kinds import KINDS
from annotation.models import Batch, Project, WorkCount
from annotation.planning.workload import Times

FEWEST_ANSWERS, FEWEST_DAYS, FEWEST_OF_PERSON = 30, 2, 3
NEWEST_BATCHES, FIRST_TASKS, MOST_ANSWERS = 10, 500, 1_000
MOST_DAYS = 366  # between a pilot's first and last day; more are not looked at
DECIDED = ("first", "second")
# The first tasks in the order of the queue, which is shuffled: no batch is read as a whole.
ANSWERS = f"""
WITH batches AS (
    SELECT id FROM annotation_batch
    WHERE project_id = %(project)s AND kind = %(kind)s AND trial_id IS NULL
        AND (%(batch)s::bigint IS NULL OR id = %(batch)s)
    ORDER BY id DESC LIMIT {NEWEST_BATCHES}
), task AS (
    SELECT first.* FROM batches CROSS JOIN LATERAL (
        SELECT t.id, t.batch_id, t.prompt_id, t.position FROM annotation_task t
        WHERE t.batch_id = batches.id ORDER BY t.position LIMIT {FIRST_TASKS}
    ) AS first
)
SELECT task.id, task.batch_id, annotation.annotator_id, person.is_simulated, annotation.payload::text,
    annotation.active_seconds, (annotation.created_at AT TIME ZONE %(zone)s)::date AS day
FROM task JOIN annotation_annotation annotation ON annotation.task_id = task.id AND annotation.is_current
    {EXCLUSION_JOINS}
WHERE {EXCLUSION_ID} IS NULL AND {IS_LABEL}
    AND (%(first)s::date IS NULL OR (annotation.created_at AT TIME ZONE %(zone)s)::date >= %(first)s)
    AND (%(last)s::date IS NULL OR (annotation.created_at AT TIME ZONE %(zone)s)::date <= %(last)s)
ORDER BY task.batch_id DESC, task.position, annotation.id
LIMIT {MOST_ANSWERS + 1}
"""  # noqa: S608 - our own expressions


class Line(NamedTuple):
    """A row of ANSWERS."""

    task: int
    batch: int
    person: int
    is_simulated: bool
    payload: str
    seconds: float
    day: date


@dataclass(frozen=True)
class Pilot:
    """`answers` to `tasks` tasks on `days` days by `people`. `simulated` of the answers are not a person's, `untimed`
    have no recorded time; `few` people have too few timed answers for a time of their own. `is_cut`: there are more.

    `times` is None without timed answers; `who` are the ids of its rows. `counts` (units, categories) with the task of
    each unit, and `decided` (units, 2), are for `annotation.planning.statistics`; `ties` is the share of answers that
    prefer neither text, None where no texts are compared. `weekdays` are those on which work goes on.
    """

    kind: str
    answers: int
    tasks: int
    days: int
    people: int
    simulated: int
    untimed: int
    few: int
    is_cut: bool
    times: Times | None
    who: tuple[int, ...]
    counts: np.ndarray
    unit_tasks: np.ndarray
    decided: np.ndarray
    ties: float | None
    weekdays: frozenset[int]

    @property
    def is_enough(self) -> bool:
        """Whether anything is said at all."""
        return self.answers - self.untimed >= FEWEST_ANSWERS and self.days >= FEWEST_DAYS and self.times is not None


def pilot_of(
    project: Project, *, kind: str, batch: Batch | None = None, first: date | None = None, last: date | None = None
) -> Pilot:
    """The answers of a kind that count, of one batch or of the newest ones, given on these days. Two queries."""
    params: dict[str, Any] = {"project": project.pk, "kind": kind, "zone": project.time_zone}
    params |= {"batch": batch.pk if batch else None, "first": first, "last": last}
    with connection.cursor() as cursor:
        cursor.execute(ANSWERS, params)
        lines = [Line(*row) for row in cursor.fetchall()]
    is_cut = len(lines) > MOST_ANSWERS
    if is_cut:  # a task is taken with all of its answers or not at all
        lines = [line for line in lines if line.task != lines[-1].task] or lines[:MOST_ANSWERS]
    timed = [line for line in lines if line.seconds > 0]
    own = Counter(line.person for line in timed)
    who = tuple(sorted(person for person, n in own.items() if n >= FEWEST_OF_PERSON))
    counts, unit_tasks, decided, ties = units_of(kind, lines)
    work = work_of({line.batch for line in lines}, first, last)
    days = working_days({line.day for line in lines})
    return Pilot(
        kind=kind,
        answers=len(lines),
        tasks=len({line.task for line in lines}),
        days=len({line.day for line in lines}),
        people=len({line.person for line in lines}),
        simulated=sum(line.is_simulated for line in lines),
        untimed=len(lines) - len(timed),
        few=len(own) - len(who),
        is_cut=is_cut,
        times=times_of([line for line in timed if line.person in set(who)], who, work, days) if who else None,
        who=who,
        counts=counts,
        unit_tasks=unit_tasks,
        decided=decided,
        ties=ties,
        weekdays=frozenset({0, 1, 2, 3, 4} | {day.weekday() for day in days}),
    )


def working_days(worked: set[date]) -> list[date]:
    """From the first to the last day of work: Monday to Friday, and whatever else was worked on."""
    if not worked:
        return []
    first = max(min(worked), max(worked) - timedelta(days=MOST_DAYS - 1))
    days = (first + timedelta(days=n) for n in range((max(worked) - first).days + 1))
    return [day for day in days if day.weekday() < 5 or day in worked]


def work_of(batches: set[int], first: date | None, last: date | None) -> dict[tuple[int, date], tuple[int, float]]:
    """(person, day) → answers and active seconds, skipped tasks included."""
    rows = WorkCount.objects.filter(batch__in=batches).order_by()
    rows = rows.filter(day__gte=first) if first else rows
    rows = rows.filter(day__lte=last) if last else rows
    sums = {"answers": Sum("answered"), "seconds": Sum("active_seconds")}
    found = rows.values_list("annotator", "day").annotate(**sums)
    return {(person, day): (answers, max(seconds, 0.0)) for person, day, answers, seconds in found}


def times_of(
    lines: list[Line], who: tuple[int, ...], work: dict[tuple[int, date], tuple[int, float]], days: list[date]
) -> Times:
    row = {key: n for n, key in enumerate(who)}
    column = {key: n for n, key in enumerate(dict.fromkeys(line.task for line in lines))}
    sums, counts = np.zeros((len(who), len(column))), np.zeros((len(who), len(column)))
    for line in lines:
        sums[row[line.person], column[line.task]] += line.seconds
        counts[row[line.person], column[line.task]] += 1
    # Time is paid for skipped tasks and left-out answers as well. Days without recorded time say nothing about it.
    paid = [figures for (person, _day), figures in work.items() if person in row and figures[1] > 0]
    answered, seconds = sum(one for one, _ in paid), sum(other for _, other in paid)
    overhead = seconds / answered / (sums.sum() / counts.sum()) if answered > 0 else 1.0
    by_day: dict[tuple[int, date], float] = defaultdict(float)
    for line in lines:
        by_day[line.person, line.day] += line.seconds
    for key, (_answers, active) in work.items():
        by_day[key] = max(by_day[key], active)
    hours = [[by_day[person, day] / 3600 for day in days] for person in who]
    return Times(sums=sums, counts=counts, overhead=max(float(overhead), 1.0), hours=np.maximum(hours, 1e-6))


def units_of(kind: str, lines: Iterable[Line]) -> tuple[np.ndarray, np.ndarray, np.ndarray, float | None]:
    """(counts, task of each unit, decided, ties) of what is compared of answers."""
    asked = KINDS[kind]
    units: dict[tuple[int, Any], Counter[Any]] = defaultdict(Counter)
    for line in lines:
        for opinion in asked.opinions(asked.parse(json.loads(line.payload)), {}):
            question, value = opinion.question, opinion.value
            if asked.compares and value in question:  # the texts of a pair in one order for all tasks
                value = DECIDED[question.index(value)]
            units[line.task, question][value] += 1
    seen = sorted({str(value) for unit in units.values() for value in unit})
    place = {value: n for n, value in enumerate(seen)}
    counts = np.zeros((len(units), len(seen)))
    for n, unit in enumerate(units.values()):
        for value, times in unit.items():
            counts[n, place[str(value)]] += times
    decided = np.zeros((len(units), 2))
    for side, value in enumerate(DECIDED):
        if asked.compares and value in place:
            decided[:, side] = counts[:, place[value]]
    ties = 1 - float(decided.sum() / counts.sum()) if asked.compares and len(units) else None
    return counts, np.array([task for task, _ in units], dtype=np.int64), decided, ties
