"""Forecasts on planted calendars, where the right answer is known."""

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotation.dashboards.forecast import Day, Forecast, TooEarly, forecast, sample_days

MONDAY = date(2026, 11, 30)


def weekdays(count, answers, before=MONDAY, cost=0.0):
    """So many answers on each of the last `count` weekdays before the day."""
    days, day = {}, before
    while len(days) < count:
        day -= timedelta(days=1)
        if day.weekday() < 5:
            days[day] = Day(answers, cost)
    return days


def test_a_steady_pace_ends_on_the_day_that_one_counts_by_hand():
    found = forecast(weekdays(10, 100, cost=50.0), 450, MONDAY)
    assert isinstance(found, Forecast)
    assert found.finish == (date(2026, 12, 4),) * 3  # Friday: 100 on each of five days, and 50 on the last
    assert found.cost.middle == pytest.approx(225.0)
    assert [day for day, _ in found.fan] == [MONDAY + timedelta(days=n) for n in range(5)]
    assert [left.middle for _, left in found.fan] == [350, 250, 150, 50, 0]


def test_weekends_pass_without_work_unless_people_worked_on_them():
    assert forecast(weekdays(10, 100), 600, MONDAY).finish[1] == date(2026, 12, 7)
    saturdays = {MONDAY - timedelta(days=2): Day(100), MONDAY - timedelta(days=9): Day(100)}
    worked = forecast(weekdays(10, 100) | saturdays, 600, MONDAY)
    assert worked.finish[1] == date(2026, 12, 5)


def test_days_without_an_answer_count():
    """Half of the days were holidays: twice as many days, and an interval that shows it."""
    days = weekdays(10, 100)
    holidays = sorted(days)[::2]
    found = forecast({day: done for day, done in days.items() if day not in holidays}, 1_000, MONDAY)
    assert len(found.sample) in (9, 10)
    low, middle, high = found.finish
    assert low < middle < high
    assert 14 <= (middle - MONDAY).days <= 30
    assert found.pace < 60


def test_today_is_completed_and_not_done_twice():
    days = weekdays(10, 100)
    assert forecast(days | {MONDAY: Day(80)}, 20, MONDAY).finish == (MONDAY,) * 3
    assert forecast(days | {MONDAY: Day(80)}, 21, MONDAY).finish == (MONDAY + timedelta(days=1),) * 3
    assert forecast(days | {MONDAY: Day(250)}, 1, MONDAY).finish[1] == MONDAY + timedelta(days=1)


@pytest.mark.parametrize(
    ("days", "remaining"), [({}, 10), (weekdays(2, 100), 10), (weekdays(10, 4), 10), ({MONDAY: Day(500)}, 10)]
)
def test_it_is_too_early_to_say(days, remaining):
    assert isinstance(forecast(days, remaining, MONDAY), TooEarly)


def test_no_end_where_nobody_works_any_more():
    long_ago = weekdays(10, 100, before=MONDAY - timedelta(days=60))
    found = forecast(long_ago, 10, MONDAY)
    assert found.finish == (None, None, None)
    assert not found.ends
    assert found.pace == 0


def test_nothing_remains():
    found = forecast(weekdays(10, 100), 0, MONDAY)
    assert found.finish[1] == MONDAY
    assert found.cost.high == 0
    assert found.fan == ()


HISTORIES = st.dictionaries(
    st.integers(0, 40).map(lambda n: MONDAY - timedelta(days=n)),
    st.builds(Day, st.integers(0, 300), st.floats(0, 1_000)),
    max_size=40,
)


@settings(max_examples=40, deadline=None)
@given(HISTORIES, st.integers(0, 3_000))
def test_a_forecast_is_in_order_and_the_same_each_time(history, remaining):
    found = forecast(history, remaining, MONDAY)
    assert found == forecast(dict(sorted(history.items())), remaining, MONDAY)
    if isinstance(found, TooEarly):
        return
    known = [day for day in found.finish if day]
    assert known == sorted(known)
    assert found.finish[: len(known)] == tuple(known)
    assert found.cost.low <= found.cost.middle <= found.cost.high
    lefts = [left.middle for _, left in found.fan]
    assert lefts == sorted(lefts, reverse=True)
    assert sample_days(history, MONDAY) == sorted(found.sample)
    assert len(found.sample) <= 10


def test_the_interval_covers_about_what_it_says():
    """On days drawn from one distribution, four in five intervals hold the day on which the work really ended."""
    import numpy as np

    random = np.random.default_rng(1)
    held = 0
    for _ in range(60):
        pace = random.poisson(60, 10 + 40)
        days = dict(zip(sorted(weekdays(10, 1)), (Day(int(n)) for n in pace[:10]), strict=True))
        ahead = [MONDAY + timedelta(days=n) for n in range(60) if (MONDAY + timedelta(days=n)).weekday() < 5]
        end = next(day for day, total in zip(ahead, np.cumsum(pace[10:]), strict=False) if total >= 1_000)
        low, _, high = forecast(days, 1_000, MONDAY).finish
        held += low <= end <= high
    assert held >= 0.65 * 60
