"""When collection will be done, and what it will cost then, at the pace of the last ten working days.

A bootstrap: each path draws ten days with replacement from the last ten working days (which days we happened to see is
chance as well), and then goes on with days drawn from those until all that remains is answered. Days without an answer
count as they were. Weekdays on which nobody worked in the last four weeks pass without work; Monday to Friday always
count. Today is completed: a path draws a whole day for it and never less than is done already.

Pure: no database, no clock; the same input gives the same forecast.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

DAYS, PATHS, SEED = 10, 1_000, 20261128
FEWEST_DAYS, FEWEST_ANSWERS = 3, 50
HORIZON = 750  # days; what ends later has no date
CALENDAR_DAYS = 28
POINTS = 60  # of a fan
LEVEL = 0.8  # of every interval
LOW, HIGH = (1 - LEVEL) / 2, (1 + LEVEL) / 2


@dataclass(frozen=True)
class Day:
    """What was done on a day: answers, and what they cost (0 where no rate is set)."""

    answers: int = 0
    cost: float = 0.0


@dataclass(frozen=True)
class Interval:
    """The middle, and the ends between which `LEVEL` of the paths lie."""

    middle: float
    low: float
    high: float


@dataclass(frozen=True)
class Forecast:
    """`finish`: (earliest, median, latest) day; a day is None where more than that share of the paths end beyond the
    horizon. `fan`: for each working day from today on, how many answers remain at its end.
    `cost`: of what remains."""

    finish: tuple[date | None, date | None, date | None]
    fan: tuple[tuple[date, Interval], ...]
    cost: Interval
    pace: float  # answers on a working day
    sample: tuple[date, ...]

    @property
    def ends(self) -> bool:
        return self.finish[1] is not None


@dataclass(frozen=True)
class TooEarly:
    """A forecast needs answers on `FEWEST_DAYS` days and `FEWEST_ANSWERS` of them."""

    days: int
    answers: int


def working_weekdays(history: Mapping[date, Day], today: date) -> frozenset[int]:
    """0 (Monday) to 6: Monday to Friday, and the days of the weekend on which people worked lately."""
    recent = {
        day.weekday() for day, done in history.items() if done.answers and today - day <= lookback() and day <= today
    }
    return frozenset({0, 1, 2, 3, 4} | recent)


def lookback() -> timedelta:
    return timedelta(days=CALENDAR_DAYS)


def sample_days(history: Mapping[date, Day], today: date) -> list[date]:
    """The last ten working days before today, none before the first answer."""
    worked = [day for day, done in history.items() if done.answers and day < today]
    if not worked:
        return []
    first, weekdays = min(worked), working_weekdays(history, today)
    days: list[date] = []
    day = today - timedelta(days=1)
    while day >= first and len(days) < DAYS:
        if day.weekday() in weekdays:
            days.append(day)
        day -= timedelta(days=1)
    return days[::-1]


def forecast(history: Mapping[date, Day], remaining: int, today: date) -> Forecast | TooEarly:
    """Of `remaining` answers, from what was done on each day (days without a key: nothing)."""
    worked = sum(1 for done in history.values() if done.answers)
    answers = sum(done.answers for done in history.values())
    sample = sample_days(history, today)
    if worked < FEWEST_DAYS or answers < FEWEST_ANSWERS or not sample:
        return TooEarly(days=worked, answers=answers)
    done = np.array([history.get(day, Day()).answers for day in sample], dtype=np.int64)
    cost = np.array([history.get(day, Day()).cost for day in sample])
    per_answer = cost.sum() / done.sum() if done.sum() else 0.0
    weekdays = working_weekdays(history, today)
    days = [day for n in range(HORIZON) if (day := today + timedelta(days=n)).weekday() in weekdays]
    random = np.random.default_rng(SEED)
    # Each path's own ten days, and of those one for each day to come: (paths, days).
    own = random.integers(0, len(sample), (PATHS, len(sample)))
    which = np.take_along_axis(
        own, random.integers(0, len(sample), (PATHS, needed_days(done, remaining, len(days)))), 1
    )
    answered, paid = done[which], cost[which]
    if days[0] == today:  # what is done of today is not done again
        so_far = history.get(today, Day())
        answered[:, 0] = np.maximum(answered[:, 0] - so_far.answers, 0)
        paid[:, 0] = np.maximum(paid[:, 0] - so_far.cost, 0.0)
    before = np.concatenate([np.zeros((PATHS, 1), dtype=np.int64), np.cumsum(answered, axis=1)], axis=1)
    left = np.maximum(remaining - before, 0)
    ended = np.where(left[:, -1] == 0, np.argmax(left == 0, axis=1) - 1, len(days)).clip(0 if remaining else -1)
    # Of the last day only the part that is needed is paid; what lies beyond the days looked at, at the average price.
    share = np.divide(left[:, :-1] - left[:, 1:], answered, out=np.ones(answered.shape), where=answered > 0)
    spent = np.where(left[:, :-1] > 0, paid * share, 0.0).sum(axis=1) + left[:, -1] * per_answer
    finish = [day_at(days, np.quantile(ended, part, method="higher")) for part in (LOW, 0.5, HIGH)]
    shown = 0 if not remaining else min(int(ended.max()) + 1, which.shape[1])
    return Forecast(
        finish=(finish[0], finish[1], finish[2]),
        fan=tuple((days[at], interval(left[:, at + 1])) for at in thinned(shown)),
        cost=interval(spent),
        pace=float(done.mean()),
        sample=tuple(sample),
    )


def needed_days(done: np.ndarray, remaining: int, most: int) -> int:
    """How many working days are enough for nearly every path: four times what the average day says, and some more."""
    pace = float(done.mean())
    return min(most, 4 * round(remaining / pace) + 20) if pace else 1


def thinned(count: int) -> list[int]:
    """At most `POINTS` places of so many, the first and the last among them."""
    return sorted({round(at) for at in np.linspace(0, count - 1, min(count, POINTS))}) if count else []


def day_at(days: Sequence[date], at: float) -> date | None:
    return days[max(int(at), 0)] if at < len(days) else None


def interval(values: np.ndarray) -> Interval:
    low, middle, high = np.quantile(values, (LOW, 0.5, HIGH))
    return Interval(middle=float(middle), low=float(low), high=float(high))
