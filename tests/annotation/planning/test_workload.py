"""Hours, days and money from planted times: exact where nothing varies, covering where people and tasks do."""

from datetime import date, timedelta

import numpy as np
import pytest

from annotation.planning.workload import Times, day_after, paths_of, workload

MONDAY = date(2026, 11, 30)
WEEK = frozenset(range(5))


def same_for_all(people=3, tasks=40, seconds=60.0, hours=2.0, overhead=1.0):
    counts = np.ones((people, tasks))
    return Times(sums=seconds * counts, counts=counts, overhead=overhead, hours=np.full((people, 4), hours))


def test_without_variation_it_is_a_multiplication():
    paths = paths_of(same_for_all(overhead=1.2))
    load = workload(paths, tasks=300, overlap=2, people=5, hours_a_day=None, price=lambda answers, hours, _: 12 * hours)
    assert (load.hours.low, load.hours.high) == pytest.approx((12.0, 12.0))  # 600 answers of 72 seconds
    assert load.days.middle == pytest.approx(12 / (5 * 2))
    assert load.money.high == pytest.approx(144.0)
    load = workload(paths, tasks=300, overlap=2, people=5, hours_a_day=0.5, price=lambda answers, hours, _: answers / 2)
    assert load.days.middle == pytest.approx(12 / 2.5)
    assert load.money.low == pytest.approx(300.0)


def test_fast_people_answer_more_and_are_paid_by_the_hour():
    counts = np.ones((2, 50))
    times = Times(sums=np.array([[30.0], [90.0]]) * counts, counts=counts, overhead=1.0, hours=np.ones((2, 3)))
    paths = paths_of(times)
    load = workload(paths, tasks=600, overlap=1, people=200, hours_a_day=None, price=None)
    # Of many people half are fast: 40 and 120 answers an hour, 80 on average.
    assert load.hours.middle == pytest.approx(600 / 80, rel=0.02)
    assert load.money is None


def test_the_interval_covers_what_another_collection_takes():
    """12 people whose times differ by a factor, 60 tasks as well; then 12 others and 120 other tasks."""
    random, hits, narrow = np.random.default_rng(2), 0, 0

    def collected(tasks):
        people, task = random.lognormal(0, 0.4, (12, 1)), random.lognormal(0, 0.5, (1, tasks))
        sums = 60 * people * task * random.lognormal(0, 0.5, (12, tasks))
        asked = random.random((12, tasks)) < 0.25
        return sums * asked, asked.astype(float)

    for _ in range(40):
        sums, counts = collected(60)
        done, answered = collected(120)
        load = workload(
            paths_of(Times(sums, counts, 1.0, np.ones((12, 2)))),
            tasks=120,
            overlap=2,
            people=12,
            hours_a_day=1.0,
            price=None,
        )
        # Everybody works equally long: answers are shared by speed.
        speed = answered.sum(axis=1) / (done.sum(axis=1) / 3600)
        truth = 240 / speed.mean()
        hits += load.hours.low <= truth <= load.hours.high
        own = sums.sum() / counts.sum() * 240 / 3600
        spread = 1.96 * sums[counts > 0].std() / np.sqrt(counts.sum()) * 240 / 3600
        narrow += abs(truth - own) <= spread
    assert hits >= 34
    assert narrow < hits  # as if all answers were independent


@pytest.mark.parametrize(
    ("days", "end"), [(0.2, 0), (1.0, 0), (1.01, 1), (5, 4), (5.5, 7), (10, 11), (11, 14), (500, 697)]
)
def test_working_days_end_on_a_date(days, end):
    assert day_after(MONDAY, days, WEEK) == MONDAY + timedelta(days=end)


def test_a_weekend_is_no_working_day_and_a_plan_of_centuries_has_no_date():
    saturday = MONDAY - timedelta(days=2)
    assert day_after(saturday, 1, WEEK) == MONDAY
    assert day_after(saturday, 1, WEEK | {5}) == saturday
    assert day_after(MONDAY, 10_000, WEEK) is None
    assert day_after(MONDAY, float("inf"), WEEK) is None
