"""Hours, working days and money of a collection, from a pilot's times, with intervals. Pure.

A bootstrap over people and tasks, which are crossed: answers of a person, and answers to a task, are not independent.
Each path weights the pilot's tasks (exponential weights), which gives each person of the pilot an average time; weights
its working days, which gives each person hours a day; and draws who will work, with replacement, from the pilot's
people. Those share the answers by how fast they are. That there will be other tasks than the pilot's widens the
spread of times by √(1 + tasks of the pilot / tasks planned).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from math import ceil, sqrt

import numpy as np

from annotation.dashboards.forecast import Interval

PATHS, SEED = 1_000, 20261128
LEVEL = 0.95
LONGEST_DAYS = 2_000  # working days; a plan that takes longer has no date


@dataclass(frozen=True)
class Times:
    """A pilot's times. `sums` and `counts` (people, tasks): active seconds and number of timed answers; everybody has
    one or more. `overhead`: paid seconds for each second of an answer (skipped tasks, answers left out), 1 or more.
    `hours` (people, days): active hours of each of the pilot's working days.
    """

    sums: np.ndarray
    counts: np.ndarray
    overhead: float
    hours: np.ndarray

    @property
    def people(self) -> int:
        return len(self.sums)

    @property
    def seconds_per_answer(self) -> float:
        return float(self.sums.sum() / self.counts.sum())


@dataclass(frozen=True)
class Workload:
    """`days` are working days. `money` is None without a rate for everybody."""

    hours: Interval
    days: Interval
    money: Interval | None


# Money (paths, people) of answers and hours (paths, people) by the pilot's people `which` (paths, people).
Price = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Paths:
    """What the paths drew from a pilot, before it is known what is planned: (paths, people of the pilot) each.
    `own` (people,) are the average seconds of an answer, `drawn` those of each path, `a_day` hours a working day."""

    own: np.ndarray
    drawn: np.ndarray
    a_day: np.ndarray
    tasks: int
    overhead: float


def paths_of(times: Times) -> Paths:
    random = np.random.default_rng(SEED)
    weights = random.exponential(size=(PATHS, times.sums.shape[1]))
    days = random.exponential(size=(PATHS, times.hours.shape[1]))
    return Paths(
        own=times.sums.sum(axis=1) / times.counts.sum(axis=1),
        drawn=(weights @ times.sums.T) / (weights @ times.counts.T),
        a_day=(days @ times.hours.T) / days.sum(axis=1, keepdims=True),
        tasks=times.sums.shape[1],
        overhead=times.overhead,
    )


def workload(
    paths: Paths, *, tasks: int, overlap: int, people: int, hours_a_day: float | None, price: Price | None
) -> Workload:
    """`hours_a_day` of each person on a working day; None: the pilot's own."""
    random = np.random.default_rng(SEED + 1)
    which = random.integers(0, len(paths.own), size=(PATHS, people))
    rows = np.arange(PATHS)[:, None]
    own = paths.own[which]
    wider = own + (paths.drawn[rows, which] - own) * sqrt(1 + paths.tasks / tasks)
    seconds = np.maximum(wider, own / 10) * paths.overhead
    a_day = paths.a_day[rows, which] if hours_a_day is None else np.full(which.shape, hours_a_day)
    speed = a_day * 3600 / seconds  # answers a working day
    total = speed.sum(axis=1, keepdims=True)
    needed = tasks * overlap / total
    hours = needed * a_day
    money = None
    if price is not None:
        money = interval(price(tasks * overlap * speed / total, hours, which).sum(axis=1))
    return Workload(hours=interval(hours.sum(axis=1)), days=interval(needed[:, 0]), money=money)


def interval(values: np.ndarray) -> Interval:
    low, middle, high = (float(value) for value in np.quantile(values, ((1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2)))
    return Interval(middle=middle, low=low, high=high)


def day_after(start: date, working_days: float, weekdays: frozenset[int]) -> date | None:
    """The last of so many working days (a part counts as one), `start` the first of them if it is one."""
    if not working_days <= LONGEST_DAYS or not weekdays:
        return None
    left = max(ceil(working_days - 1e-9), 1)
    # Whole weeks first: a plan may take years.
    day = start + timedelta(weeks=(left - 1) // len(weekdays))
    left -= (left - 1) // len(weekdays) * len(weekdays)
    while day.weekday() not in weekdays or left > 1:
        left -= day.weekday() in weekdays
        day += timedelta(days=1)
    return day
