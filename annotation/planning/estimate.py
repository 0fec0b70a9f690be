"""A plan's figures: what a pilot says that it will take."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np

from annotation.dashboards.cost import Rates, rates_of
from annotation.dashboards.forecast import Interval
from annotation.models import Batch, PayRate, Project
from annotation.planning.pilot import Pilot, pilot_of
from annotation.planning.statistics import expected_widths, likely_correlation, power_of, tasks_needed
from annotation.planning.wanted import Wanted, alternatives
from annotation.planning.workload import Paths, Price, day_after, paths_of, workload
from annotation.quality.agreement import Agreement, agreement, alpha

VERSION = 1
FEWEST_SHARED = 10  # tasks with two answers, for anything about agreement
Dates = tuple[date | None, date | None, date | None]


@dataclass(frozen=True)
class Range:
    """From the worst to the best that is possible; equal ends where it is known."""

    low: float
    high: float

    @property
    def is_known(self) -> bool:
        return self.low == self.high


@dataclass(frozen=True)
class Results:
    """What is wanted takes `hours` of all people, `days` working days until `finish` (low, middle, high), and `money`
    in the currency of that time (None: `unpriced` of the pilot's people have no rate, or all where none is set).

    `width`: half the 95 % interval of (percent agreement, alpha); None where that cannot be said. `power`: the chance
    to see 55/45 between two checkpoints; `needed`: tasks for a chance of 80 %, fewest and most. None for kinds that
    compare no texts.
    """

    hours: Interval
    days: Interval
    finish: Dates
    money: Interval | None
    currency: str
    unpriced: int
    width: tuple[float, float] | None
    power: Range | None
    needed: Range | None

    def as_json(self) -> dict[str, Any]:
        days = [day and day.isoformat() for day in self.finish]
        return {**asdict(self), "finish": days, "version": VERSION}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Results":
        low, middle, high = (day and date.fromisoformat(day) for day in stored["finish"])
        width = stored["width"]
        return cls(
            hours=Interval(**stored["hours"]),
            days=Interval(**stored["days"]),
            finish=(low, middle, high),
            money=Interval(**stored["money"]) if stored["money"] else None,
            currency=stored["currency"],
            unpriced=stored["unpriced"],
            width=(width[0], width[1]) if width else None,
            power=Range(**stored["power"]) if stored["power"] else None,
            needed=Range(**stored["needed"]) if stored["needed"] else None,
        )


@dataclass(frozen=True)
class Basis:
    """What all plans on one pilot share; make it with `basis_of`. `correlation` of decided answers to one task: None
    where too few tasks have two of them."""

    pilot: Pilot
    paths: Paths
    rates: Rates
    currency: str
    observed: Agreement | None
    correlation: float | None


def basis_of(pilot: Pilot, rates: Rates, currency: str) -> Basis:
    """Of a pilot that `is_enough`."""
    assert pilot.times is not None
    shared = pilot.decided[pilot.decided.sum(axis=1) >= 2]
    correlation = alpha(shared) if len(shared) >= FEWEST_SHARED else None
    observed = agreement(pilot.counts, pilot.unit_tasks) if len(pilot.counts) else None
    return Basis(
        pilot=pilot,
        paths=paths_of(pilot.times),
        rates=rates,
        currency=currency,
        observed=observed if observed and observed.tasks >= FEWEST_SHARED else None,
        correlation=None if correlation is None else likely_correlation(correlation, len(shared)),
    )


def shared_tasks(pilot: Pilot) -> int:
    """Of the pilot, those with two answers or more that can be compared."""
    return len(np.unique(pilot.unit_tasks[pilot.counts.sum(axis=1) >= 2])) if len(pilot.counts) else 0


def results_of(basis: Basis, wanted: Wanted) -> Results:
    price, unpriced = price_of(basis, wanted.start)
    weekdays = basis.pilot.weekdays
    load = workload(
        basis.paths,
        tasks=wanted.tasks,
        overlap=wanted.overlap,
        people=wanted.people,
        hours_a_day=None if wanted.hours is None else wanted.hours / len(weekdays),
        price=price,
    )
    ends = (day_after(wanted.start, days, weekdays) for days in (load.days.low, load.days.middle, load.days.high))
    low, middle, high = ends
    return Results(
        hours=load.hours,
        days=load.days,
        finish=(low, middle, high),
        money=load.money,
        currency=basis.currency,
        unpriced=unpriced,
        width=width_of(basis, wanted),
        power=power_range(basis, wanted),
        needed=needed_range(basis, wanted.overlap),
    )


def price_of(basis: Basis, day: date) -> tuple[Price | None, int]:
    """The rates of the pilot's people on that day, and of how many of them none is set."""
    found = [basis.rates.of(person, day) for person in basis.pilot.who]
    unpriced = sum(rate is None for rate in found)
    if unpriced or not basis.currency:
        return None, unpriced or len(found)
    by_hour = np.array([amount if unit == PayRate.Unit.HOUR else 0.0 for unit, amount in filter(None, found)])
    by_answer = np.array([amount if unit == PayRate.Unit.ANSWER else 0.0 for unit, amount in filter(None, found)])

    def price(answers: np.ndarray, hours: np.ndarray, which: np.ndarray) -> np.ndarray:
        return np.asarray(by_answer[which] * answers + by_hour[which] * hours)

    return price, 0


def width_of(basis: Basis, wanted: Wanted) -> tuple[float, float] | None:
    observed = basis.observed
    if observed is None or observed.alpha is None:
        return None
    correlation = likely_correlation(observed.alpha, observed.tasks)
    return expected_widths(observed.shares, correlation, tasks=wanted.tasks, overlap=wanted.overlap)


def correlations(basis: Basis, overlap: int) -> tuple[float, float]:
    """(worst, best) to reckon with; with one answer a task there is nothing to correlate."""
    if overlap == 1:
        return 0.0, 0.0
    return (1.0, 0.0) if basis.correlation is None else (basis.correlation, basis.correlation)


def power_range(basis: Basis, wanted: Wanted) -> Range | None:
    ties = basis.pilot.ties
    if ties is None:
        return None
    low, high = (
        power_of(tasks=wanted.tasks, overlap=wanted.overlap, ties=ties, correlation=correlation)
        for correlation in correlations(basis, wanted.overlap)
    )
    return Range(low, high)


def needed_range(basis: Basis, overlap: int) -> Range | None:
    """(fewest, most) tasks."""
    ties = basis.pilot.ties
    if ties is None:
        return None
    most, fewest = (
        tasks_needed(overlap=overlap, ties=ties, correlation=correlation)
        for correlation in correlations(basis, overlap)
    )
    return None if most is None or fewest is None else Range(fewest, most)


@dataclass(frozen=True)
class Planned:
    """`rows`: what is wanted and its alternatives with their results; empty while it is too early to say anything."""

    pilot: Pilot
    wanted: Wanted
    basis: Basis | None
    rows: list[tuple[Wanted, Results]]

    @property
    def results(self) -> Results | None:
        return self.rows[0][1] if self.rows else None


def plan(
    project: Project,
    *,
    kind: str,
    wanted: Wanted,
    batch: Batch | None = None,
    first: date | None = None,
    last: date | None = None,
) -> Planned:
    """The pilot is `batch`, or the newest batches of the kind; of these the answers from `first` to `last`. Three
    queries."""
    pilot = pilot_of(project, kind=kind, batch=batch, first=first, last=last)
    if not pilot.is_enough:
        return Planned(pilot, wanted, None, [])
    basis = basis_of(pilot, rates_of(PayRate.objects.filter(project=project)), project.currency)
    return Planned(pilot, wanted, basis, [(row, results_of(basis, row)) for row in alternatives(wanted)])


def stored_basis(planned: Planned, first: date | None, last: date | None) -> dict[str, Any]:
    """What is kept of the pilot with a plan."""
    pilot, observed = planned.pilot, planned.basis and planned.basis.observed
    return {
        "answers": pilot.answers,
        "tasks": pilot.tasks,
        "days": pilot.days,
        "people": pilot.people,
        "ties": pilot.ties,
        "agreement": asdict(observed) if observed else None,
        "first": first and first.isoformat(),
        "last": last and last.isoformat(),
    }
