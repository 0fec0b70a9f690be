"""The pure functions find what was planted, and nothing where nothing was."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.analyses import bias, pace
from annotation.analyses.disagreement import Disagreement
from annotation.analyses.intervals import FEWEST, Clustered, median_of, ratio_of_means, share_of, wilson, z_for
from annotation.analyses.runs import run_probability, straight_lines
from annotation.analyses.source import Skips
from annotation.kinds.votes import Opinion
from tests.annotation.analyses.planted import answers_of, pairs_of, people


@pytest.fixture
def random():
    return np.random.default_rng(7)


# ---- intervals ----


def test_wilson_equals_the_published_example():
    low, high = wilson(0.0, 10)  # Newcombe 1998 and others: 0 of 10
    assert (round(low, 4), round(high, 4)) == (0.0, 0.2775)
    low, high = wilson(15 / 148, 148)
    assert (round(low, 4), round(high, 4)) == (0.0624, 0.1605)


@given(st.lists(st.booleans(), min_size=FEWEST, max_size=60), st.integers(1, 8))
def test_a_share_lies_in_its_interval_and_clusters_only_widen_it(hits, clusters):
    values = np.array(hits)
    alone, clustered = share_of(values), share_of(values, np.arange(len(values)) % clusters)
    assert 0 <= clustered.low <= clustered.value == alone.value <= clustered.high <= 1
    assert clustered.high - clustered.low >= alone.high - alone.low - 1e-9


@given(st.lists(st.floats(0.01, 1e4), min_size=0, max_size=60))
def test_a_median_lies_in_its_interval_and_few_values_have_none(values):
    found = median_of(np.array(values))
    assert (found is None) == (len(values) < FEWEST)
    if found:
        assert found.low <= found.value <= found.high


def test_sums_over_clusters_equal_the_arrays(random):
    hits, tasks = random.random(300) < 0.4, random.integers(0, 80, 300)
    sums = Clustered()
    for task in np.unique(tasks):
        sums.add(int((tasks == task).sum()), int(hits[tasks == task].sum()))
    assert sums.share() == share_of(hits, tasks)


def test_the_interval_covers_one_half_as_often_as_it_says_where_answers_depend_on_the_task(random):
    """Three answers a task that mostly agree: an interval that took them for independent would miss it in 20 %."""
    covered, naive = 0, 0
    for _ in range(400):
        better = random.random(60) < 0.5
        hits = np.where(random.random((60, 3)) < 0.9, better[:, None], ~better[:, None])
        found = share_of(hits.ravel(), np.repeat(np.arange(60), 3))
        plain = share_of(hits.ravel())
        covered += found.low <= 0.5 <= found.high
        naive += plain.low <= 0.5 <= plain.high
    assert 0.92 <= covered / 400 <= 0.98
    assert naive / 400 < 0.9


def test_medians_and_ratios_cover_as_often_as_they_say(random):
    medians = [median_of(random.lognormal(0, 1, 25)) for _ in range(400)]
    assert 0.93 <= np.mean([found.low <= 1 <= found.high for found in medians]) <= 1
    ratios = [ratio_of_means(random.lognormal(0, 0.8, 30), random.lognormal(0, 0.4, 20)) for _ in range(400)]
    assert 0.92 <= np.mean([found.low <= 1 <= found.high for found in ratios]) <= 0.98
    assert z_for(1) == pytest.approx(1.96, abs=0.001)
    assert z_for(100) > 3.4


# ---- bias ----


def test_a_person_who_always_takes_the_left_side_is_found_and_nobody_else():
    random = np.random.default_rng(3)
    person = np.repeat(np.arange(6), 40)
    first = (random.random(240) < 0.5).astype(int)
    first[person == 4] = 1
    found = people(answers_of(person), pairs_of(first, person=person))
    assert [row.person for row in found.values() if "first" in row.attention] == [4]
    assert found[4].first.value == 1
    assert found[4].first.low > 0.85


def test_sides_that_nobody_drew_are_no_evidence():
    pairs = pairs_of([-1] * 50, longer_won=[-1] * 50)
    assert bias.first_share(pairs) is None
    assert bias.longer_share(pairs) is None
    assert dict(bias.origin_shares(pairs_of([1] * 50, winner=[2] * 50, loser=[2] * 50))) == {}
    ten = dict(bias.origin_shares(pairs_of([1] * 10, winner=[0] * 9 + [1], loser=[1] * 9 + [0])))
    assert (ten[0].hits, ten[1].hits, ten[0].n) == (9, 1, 10)


# ---- pace ----


@given(st.lists(st.tuples(st.integers(0, 4), st.floats(0.5, 900)), max_size=40))
def test_the_median_of_the_others_equals_a_loop(rows):
    groups, values = np.array([row[0] for row in rows], dtype=int), np.array([row[1] for row in rows], dtype=float)
    expected = []
    for at in range(len(rows)):
        others = [values[i] for i in range(len(rows)) if i != at and groups[i] == groups[at]]
        expected.append(np.exp(np.median(np.log(others))) if others else np.nan)
    np.testing.assert_allclose(pace.others_median(values, groups), expected)


@pytest.mark.parametrize("overlap", [1, 3])
def test_a_slow_person_is_found_whether_or_not_others_did_the_same_tasks(overlap, random):
    """Easy tasks went to half of the people, hard ones to the others: only the one who is slow for them stands out."""
    tasks = np.repeat(np.arange(300), overlap)
    hard = tasks % 2
    person = (np.arange(len(tasks)) % 5) * 2 + hard  # even people do the easy ones, odd people the hard ones
    seconds = np.where(hard, 200, 20) * random.lognormal(0, 0.3, len(tasks)) * np.where(person == 3, 2.5, 1)
    found = people(answers_of(person, task=tasks, seconds=seconds, chars=np.where(hard, 3000, 100)))
    assert {pk: row.attention for pk, row in found.items() if row.attention} == {3: ["slow"]}
    assert found[3].pace.low < 2.5 < found[3].pace.high
    assert found[1].pace.value == pytest.approx(1, abs=0.35)


def test_a_fast_random_annotator_is_found(random):
    person = np.repeat(np.arange(5), 60)
    seconds = random.lognormal(np.log(40), 0.4, 300)
    seconds[person == 2] = random.uniform(1, 4, 60)
    found = people(answers_of(person, seconds=seconds))
    assert found[2].attention == ["fast"]
    assert found[2].fast.value == 1
    assert [pk for pk, row in found.items() if row.attention] == [2]


def test_drift_is_found_in_the_later_half(random):
    seconds = random.lognormal(np.log(40), 0.3, 400)
    person = np.arange(400) % 4
    seconds[200:] *= np.where(person[200:] == 1, 0.3, 1)
    found = people(answers_of(person, task=np.arange(400) // 4, seconds=seconds))
    assert "drift" in found[1].attention
    assert found[1].drift.high < 0.5
    assert [pk for pk, row in found.items() if "drift" in row.attention] == [1]


def test_many_people_without_a_difference_ask_for_no_attention(random):
    person = np.repeat(np.arange(80), 40)
    answers = answers_of(
        person,
        task=np.tile(np.arange(1600), 2),
        seconds=random.lognormal(np.log(40), 0.6, 3200),
        pattern=random.integers(0, 3, 3200),
    )
    pairs = pairs_of(random.integers(0, 2, 3200), task=answers.task, person=person)
    found = people(answers, pairs, lines=straight_lines(answers))
    assert sum(bool(row.attention) for row in found.values()) <= 1


def test_one_person_answers_without_times_and_nothing_at_all():
    (alone,) = people(answers_of([7] * 40)).values()
    assert alone.pace is None
    assert alone.attention == []
    (untimed,) = people(answers_of([7] * 40, seconds=[0.0] * 40)).values()
    assert (untimed.timed, untimed.fast, untimed.drift) == (0, None, None)
    assert people(answers_of([])) == {}
    assert straight_lines(answers_of([])) == []


def test_skips_are_compared_with_those_of_the_others():
    skips = {1: Skips(Counter(unclear=30, other=2), [900, 901]), 2: Skips(Counter(other=1), [902])}
    found = people(answers_of([1] * 50 + [2] * 60 + [3] * 60, seconds=[0.0] * 170), skips=skips)
    assert {pk: row.attention for pk, row in found.items()} == {1: ["skips"], 2: [], 3: []}
    assert found[1].reasons == [("unclear", 30), ("other", 2)]
    assert (found[1].skips.hits, found[1].skips.n) == (32, 82)


# ---- straight lines ----


def test_a_long_run_is_found_and_what_is_common_is_none(random):
    common = (random.random((5, 200)) < 0.9).astype(int)  # nine of ten answers are alike for everybody
    common[3, 50:75] = 7
    answers = answers_of(np.repeat(np.arange(5), 200), pattern=common.ravel())
    (line,) = straight_lines(answers)
    assert (line.person, line.length, line.n) == (3, 25, 200)
    assert list(line.slots) == list(range(651, 676))


def test_who_often_ties_is_no_straight_liner_but_who_only_takes_the_left_is(random):
    patterns = random.integers(0, 2, (4, 150))
    patterns[1][random.random(150) < 0.6] = 2  # a tie, which the others never give
    patterns[2] = 0
    found = straight_lines(answers_of(np.repeat(np.arange(4), 150), pattern=patterns.ravel()))
    assert [line.person for line in found] == [2]
    assert [line.length for line in straight_lines(answers_of([1] * 60, pattern=[5] * 60))] == [60]


def test_random_answers_give_a_false_alarm_in_about_one_project_in_a_hundred(random):
    alarms = 0
    for _ in range(60):
        patterns = random.choice(4, size=(8, 120), p=[0.45, 0.45, 0.06, 0.04])
        alarms += bool(straight_lines(answers_of(np.repeat(np.arange(8), 120), pattern=patterns.ravel())))
    assert alarms <= 3
    longest = [max_run(random.random(100) < 0.5) for _ in range(2_000)]
    assert np.mean(np.array(longest) >= 9) == pytest.approx(run_probability(9, 100, 0.5), abs=0.03)


def max_run(values):
    best = length = 0
    for value in values:
        length = length + 1 if value else 0
        best = max(best, length)
    return best


# ---- disagreement ----


def test_the_scores_that_are_most_often_confused():
    found = Disagreement()
    for task in range(30):
        scores = [("register", 3), ("register", 4 if task % 2 else 3)]
        opinions = [Opinion(("c", key), key, value, str(value)) for key, value in scores]
        found.add(1, [(slot, [opinion]) for slot, opinion in enumerate(opinions)])
        found.add(1, [(slot, [Opinion("m", "meaning", 5, "5")]) for slot in range(3)])
    register, meaning = found.most()
    assert (register.group, register.labels, register.times) == ("register", ("3", "4"), 15)
    assert (register.share.hits, register.share.n) == (15, 30)
    assert (meaning.share.value, meaning.share.n, meaning.labels) == (0, 90, None)
    assert meaning.share.high < 0.13  # thirty tasks, not ninety independent pairs
    assert Disagreement().most() == []
