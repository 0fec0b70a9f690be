"""What one person's answers look like beside the others'. Pure.

People are not ranked. Attention is asked for where an interval that is widened for all comparisons at once (Bonferroni
over people and measures) lies beyond a bound that matters in practice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from annotation.analyses import bias, pace
from annotation.analyses.columns import Answers, Pairs
from annotation.analyses.intervals import Estimate, Z, median_of, share_of, z_for
from annotation.analyses.runs import Run
from annotation.analyses.source import Skips

SLOW, QUICK = 1.5, 0.5  # times the typical time
DRIFT = 1.5  # as a factor, either way
FAST_SHARE = 0.05  # of answers that are very fast
SKIP_FACTOR = 2.0  # times the share that others skip
MEASURES = 5


@dataclass(frozen=True)
class Clock:
    """The timed answers: their slots, people, times, ratio to the matched time (NaN: nothing to compare with), whether
    they could be judged as very fast, and whether they are."""

    slot: np.ndarray
    person: np.ndarray
    at: np.ndarray
    ratio: np.ndarray
    is_judged: np.ndarray
    is_fast: np.ndarray

    @classmethod
    def of(cls, answers: Answers, use: np.ndarray) -> "Clock":
        timed = answers.where(use)
        typical = pace.typical_seconds(timed)
        is_judged = ~np.isnan(typical)
        is_fast = is_judged & (timed.seconds < pace.FAST * np.where(is_judged, typical, 0.0))
        return cls(
            slot=timed.slot,
            person=timed.person,
            at=timed.at,
            ratio=timed.seconds / pace.matched_seconds(timed, ~is_fast),
            is_judged=is_judged,
            is_fast=is_fast,
        )


@dataclass
class Person:
    """pace: median ratio to the matched time. drift: later over earlier ratios. fast: share of very fast answers.
    first: share of decided pairs in which the text shown first won. skips: share of tasks that were skipped.
    `attention` lists what asks for it: "slow", "quick", "fast", "first", "drift", "skips", "run"."""

    person: int
    answers: int = 0
    timed: int = 0
    pace: Estimate | None = None
    drift: Estimate | None = None
    fast: Estimate | None = None
    first: Estimate | None = None
    skips: Estimate | None = None
    skipped: int = 0
    reasons: list[tuple[str, int]] = field(default_factory=list)
    run: dict[str, int] | None = None
    attention: list[str] = field(default_factory=list)
    rows: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        values = {name: value for name, value in vars(self).items() if name != "rows"}
        return {name: value.as_dict() if isinstance(value, Estimate) else value for name, value in values.items()}


def people_of(
    answers: Answers, pairs: Pairs, clock: Clock, lines: Sequence[Run], skips: Mapping[int, Skips]
) -> list[Person]:
    """Everybody who answered or skipped, by id."""
    ids = sorted({*np.unique(answers.person).tolist(), *skips})
    z = z_for(MEASURES * len(ids))
    by_answer, by_clock, by_pair = Index(answers.person), Index(clock.person), Index(pairs.person)
    skipped = {person: found.reasons.total() for person, found in skips.items()}
    all_answers, all_skips = len(answers.slot), sum(skipped.values())
    rows = []
    for person in ids:
        row = Person(person, answers=len(by_answer.of(person)), skipped=skipped.get(person, 0))
        add_clock(row, clock, by_clock.of(person), z)
        add_pairs(row, pairs, by_pair.of(person), z)
        if person in skips:
            row.reasons = skips[person].reasons.most_common()
            row.rows["skips"] = skips[person].slots
        others = all_answers + all_skips - row.answers - row.skipped, all_skips - row.skipped
        add_skips(row, others, z)
        rows.append(row)
    by_id = {row.person: row for row in rows}
    for line in sorted(lines, key=lambda line: line.length):
        by_id[line.person].run = {"length": line.length, "n": line.n}
    for row in rows:
        if row.run:
            row.attention.append("run")
    return rows


def add_clock(row: Person, clock: Clock, own: np.ndarray, z: float) -> None:
    row.timed = len(own)
    judged = own[clock.is_judged[own]]
    row.fast = share_of(clock.is_fast[judged])
    wide = share_of(clock.is_fast[judged], z=z)
    if wide and wide.low > FAST_SHARE:
        row.attention.append("fast")
    row.rows["fast"] = clock.slot[judged[clock.is_fast[judged]]]
    matched = own[~np.isnan(clock.ratio[own])]
    ratios = clock.ratio[matched]
    row.pace = median_of(ratios)
    wide = median_of(ratios, z=z)
    if wide and wide.low > SLOW:
        row.attention.append("slow")
    if wide and wide.high < QUICK and "fast" not in row.attention:
        row.attention.append("quick")
    row.drift = pace.drift(ratios, clock.at[matched])
    wide = pace.drift(ratios, clock.at[matched], z=z)
    if wide and (wide.low > DRIFT or wide.high < 1 / DRIFT):
        row.attention.append("drift")
    row.rows["pace"] = clock.slot[matched]


def add_pairs(row: Person, pairs: Pairs, own: np.ndarray, z: float) -> None:
    mine = pairs.where(own)
    row.first = bias.first_share(mine, z=Z)
    wide = bias.first_share(mine, z=z)
    if wide and not wide.low <= 0.5 <= wide.high:
        row.attention.append("first")
    row.rows["first"] = mine.slot[mine.first_won == 1]


def add_skips(row: Person, others: tuple[int, int], z: float) -> None:
    """`others`: how many tasks they had, and how many they skipped."""
    tasks = row.answers + row.skipped
    skipped = np.arange(tasks) < row.skipped
    row.skips = share_of(skipped)
    wide, rest = share_of(skipped, z=z), share_of(np.arange(others[0]) < others[1], z=z)
    if wide and rest and wide.low > max(SKIP_FACTOR * rest.value, rest.high):
        row.attention.append("skips")


class Index:
    """Where each person's entries are: sorted once, so that many people cost no more than one."""

    def __init__(self, person: np.ndarray) -> None:
        self.order = np.argsort(person, kind="stable")
        self.ordered = person[self.order]

    def of(self, person: int) -> np.ndarray:
        """The places (k,) of that person's entries."""
        first, last = np.searchsorted(self.ordered, [person, person + 1])
        return self.order[first:last]
