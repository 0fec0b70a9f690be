"""A plan beside what happens in its batch: done, paid and expected so far. Three queries."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from django.db.models import Sum

from annotation.core.time_zones import today_in
from annotation.dashboards.cost import Rates, rates_of
from annotation.dashboards.forecast import Day, Forecast, Interval, forecast
from annotation.models import Batch, PayRate, WorkCount
from annotation.planning.estimate import Dates
from annotation.queue.progress import Progress, progress_of


@dataclass(frozen=True)
class Actual:
    """`hours` and `money` so far (None without a rate for all of it), of all people. `expected_*` are at the end: None
    while it is too early; what is done already where nothing is left to do. `finish`: earliest, median, latest day."""

    today: date
    currency: str
    progress: Progress
    first: date | None
    days: int
    hours: float
    money: float | None
    expected_hours: Interval | None
    expected_money: Interval | None
    finish: Dates | None

    @property
    def is_over(self) -> bool:
        """Nothing more will be answered."""
        return not self.progress.is_open or (self.progress.is_complete and self.progress.total > 0)


@dataclass(frozen=True)
class Worked:
    """Of a batch on one day; `money` is None where somebody's work of that day has no rate."""

    answers: int = 0
    hours: float = 0.0
    money: float | None = 0.0


def actual_of(batch: Batch) -> Actual:
    (progress,) = progress_of(Batch.objects.filter(pk=batch.pk))
    rates = rates_of(PayRate.objects.filter(project=batch.project_id))
    history, today = worked_in(batch, rates), today_in(batch.project)
    priced = [worked.money for worked in history.values() if worked.money is not None]
    money = sum(priced) if rates.any and len(priced) == len(history) else None
    worked_days = [day for day, worked in history.items() if worked.answers > 0]
    hours = sum(worked.hours for worked in history.values())
    expected_hours = expected_money = None
    finish: Dates | None = None
    if not progress.is_open or (progress.is_complete and progress.total):
        last = max(worked_days, default=today)
        expected_hours, finish = Interval(hours, hours, hours), (last, last, last)
        expected_money = None if money is None else Interval(money, money, money)
    else:
        remaining = progress.total - progress.done
        ahead = ahead_of({day: (worked.answers, worked.hours) for day, worked in history.items()}, remaining, today)
        if ahead is not None:
            expected_hours, finish = at_the_end(ahead, hours), ahead.finish
        costs = {day: (worked.answers, worked.money or 0.0) for day, worked in history.items()}
        paid = ahead_of(costs, remaining, today) if money is not None else None
        if paid is not None and money is not None:
            expected_money = at_the_end(paid, money)
    return Actual(
        today=today,
        currency=batch.project.currency,
        progress=progress,
        first=min(worked_days, default=None),
        days=len(worked_days),
        hours=hours,
        money=money,
        expected_hours=expected_hours,
        expected_money=expected_money,
        finish=finish,
    )


def worked_in(batch: Batch, rates: Rates) -> dict[date, Worked]:
    rows = WorkCount.objects.filter(batch=batch).order_by().values_list("day", "annotator")
    found: dict[date, Worked] = {}
    for day, person, answers, seconds in rows.annotate(answers=Sum("answered"), seconds=Sum("active_seconds")):
        before = found.get(day, Worked())
        price = rates.cost(person, day, answers=answers, active_seconds=max(seconds, 0.0))
        money = None if price is None or before.money is None else before.money + price
        found[day] = Worked(before.answers + answers, before.hours + max(seconds, 0.0) / 3600, money)
    return found


def ahead_of(history: Mapping[date, tuple[int, float]], remaining: int, today: date) -> Forecast | None:
    """The dashboard's forecast of one batch, of days with answers and an amount. None while it is too early."""
    ahead = forecast({day: Day(answers, amount) for day, (answers, amount) in history.items()}, remaining, today)
    return ahead if isinstance(ahead, Forecast) else None


def at_the_end(ahead: Forecast, so_far: float) -> Interval:
    return Interval(*(so_far + part for part in (ahead.cost.middle, ahead.cost.low, ahead.cost.high)))
