"""Rankings, position, scales, flips, orders and texts: against other formulas and planted truth."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics import TER

from annotation.quality.adaptive import Rule, labels_saved, wants_more
from annotation.quality.flips import flip_rates, right_rates
from annotation.quality.orders import places, tau_b
from annotation.quality.position import position_effects
from annotation.quality.rankings import bradley_terry
from annotation.quality.score_scale import scale_scores
from annotation.quality.texts import chrf, edit_rate, shared_characters

# ---- Bradley-Terry ----


def compared(random, strengths, *, tasks, tie=0.6, repeats=1):
    """Pairs drawn from Davidson's model; of a task, `repeats` equal answers."""
    one, other = np.array(list(combinations(range(len(strengths)), 2)))[
        random.integers(0, len(strengths) * (len(strengths) - 1) // 2, tasks)
    ].T
    s = np.exp(strengths)
    weights = np.stack([s[other], tie * np.sqrt(s[one] * s[other]), s[one]], axis=1)
    weights = np.cumsum(weights / weights.sum(axis=1, keepdims=True), axis=1)
    value = (random.random(tasks)[:, None] > weights).sum(axis=1) / 2
    return *(np.repeat(column, repeats) for column in (one, other, value)), np.repeat(np.arange(tasks), repeats)


def rates(strengths, tie):
    s = np.exp(strengths)
    t = tie * np.sqrt(np.outer(s, s))
    table = (s[:, None] + t / 2) / (s[:, None] + s[None, :] + t)
    return (table.sum(axis=1) - 0.5) / (len(s) - 1)


def test_strengths_and_win_rates_are_those_that_were_planted():
    random, strengths, hits, total = np.random.default_rng(1), np.array([0.8, 0.2, 0.0, -1.0]), 0, 0
    expected = rates(strengths, 0.6)
    for _ in range(60):
        for row in bradley_terry(*compared(random, strengths, tasks=300)):
            hits += row.win_low <= expected[row.item] <= row.win_high
            hits += row.strength_low <= strengths[row.item] <= row.strength_high
            total += 2
    assert 0.91 <= hits / total <= 0.98
    rows = bradley_terry(*compared(random, strengths, tasks=40_000))
    assert [row.item for row in rows] == [0, 1, 2, 3]
    assert [row.win_rate for row in rows] == pytest.approx(expected.tolist(), abs=0.01)


def test_equal_answers_to_a_task_are_one_cluster():
    random = np.random.default_rng(2)
    apart = bradley_terry(*compared(random, np.array([0.5, 0.0, -0.5]), tasks=400))
    together = bradley_terry(*compared(random, np.array([0.5, 0.0, -0.5]), tasks=400, repeats=4))
    widths = [np.mean([row.win_high - row.win_low for row in rows]) for rows in (apart, together)]
    assert widths[1] == pytest.approx(widths[0], rel=0.15)


def test_two_items_are_their_shares_and_who_wins_all_has_an_end():
    one, other = np.zeros(100, dtype=int), np.ones(100, dtype=int)
    value = np.repeat([1.0, 0.5, 0.0], [60, 10, 30])
    first, _ = bradley_terry(one, other, value, np.arange(100))
    assert first.win_rate == pytest.approx(0.65, abs=1e-3)
    assert first.win_low == pytest.approx(0.65 - 1.96 * 0.045, abs=0.01)
    best, _ = bradley_terry(one, other, np.ones(100), np.arange(100))
    assert 0.95 < best.win_rate < 1
    assert np.isfinite([best.strength_low, best.strength_high]).all()
    assert bradley_terry(one, one, value, np.arange(100)) == []


def test_items_that_were_never_compared_are_in_different_groups():
    one, other = np.array([0, 1, 5, 5]), np.array([1, 2, 7, 7])
    found = {row.item: row.group for row in bradley_terry(one, other, np.array([1, 0.5, 0, 1]), np.arange(4))}
    assert found[0] == found[1] == found[2] != found[5] == found[7]


# ---- position ----


def sided(random, shares, n):
    person = np.repeat(np.arange(len(shares)), n)
    return person, random.random(len(person)) < np.repeat(shares, n), np.ones(len(person), dtype=bool)


def test_intervals_of_the_position_effect_cover_and_few_answers_are_pooled():
    random, hits, total = np.random.default_rng(3), 0, 0
    for _ in range(60):
        odds = random.normal(0.1, 0.3, 8)
        shares = 1 / (1 + np.exp(-odds))
        found = position_effects(*sided(random, shares, random.integers(20, 200, 8)))
        hits += sum(found.people[who].low <= share <= found.people[who].high for who, share in enumerate(shares))
        total += 8
    assert 0.92 <= hits / total <= 0.98
    many = position_effects(*sided(random, [0.5, 0.5, 0.5, 0.5, 0.9], [400, 400, 400, 400, 12]))
    assert many.people[4].value < many.people[4].raw
    assert many.people[0].value == pytest.approx(many.people[0].raw, abs=0.02)


def test_who_follows_the_left_is_found_and_nothing_is_claimed_of_sides_that_nobody_drew():
    person, left, randomised = sided(np.random.default_rng(4), [0.5, 0.5, 0.8], [200, 200, 200])
    found = position_effects(person, left, randomised)
    assert [found.people[who].is_claimed for who in range(3)] == [False, False, True]
    assert found.overall.low < 0.6 < found.overall.high
    nothing = position_effects(person, left, ~randomised)
    assert (nothing.people, nothing.overall, nothing.undefined) == ({}, None, "sides not drawn at random")
    assert position_effects(person[:5], left[:5], randomised[:5]).undefined == "too few"
    assert position_effects(person[:0], left[:0], randomised[:0]).undefined == "too few"


# ---- scales and flips ----


def test_scales_of_people_are_taken_out_and_few_scores_are_drawn_to_everybody():
    random = np.random.default_rng(5)
    worth = random.normal(size=600)
    strict, lenient = 3 + 0.5 * worth[:300], 5 + 2.0 * worth[300:]
    person = np.r_[np.repeat([1, 2], 300), 3]
    found = scale_scores(person, np.r_[strict, lenient, 9.0])
    assert found.z[:600] == pytest.approx(worth, abs=0.4)
    assert found.people[3].own == pytest.approx(1 / 11)
    assert abs(found.people[3].mean - found.everybody.mean) < 1
    assert found.people[1].deviation == pytest.approx(0.5, rel=0.25)
    assert np.corrcoef(found.as_scores, found.z)[0, 1] == pytest.approx(1)
    assert scale_scores(np.zeros(4), np.full(4, 2.0)).z.tolist() == [0] * 4
    assert scale_scores(np.zeros(0), np.zeros(0)).people == {}


def test_flips_are_counted_on_decided_gold():
    person = np.repeat([4, 5, 6], [20, 20, 5])
    truth = np.tile([0, 2, 1, 0, 2], 9)
    answer = truth.copy()
    answer[20:23] = 2 - truth[20:23]  # two flips: the third is a tie
    answer[23] = 1
    found = flip_rates(person, answer, truth)
    assert (found[4].hits, found[4].n, found[6]) == (0, 16, None)
    assert (found[5].hits, found[5].n) == (2, 16)
    assert found[5].low == pytest.approx(0.035, abs=1e-3)  # Wilson (1927) of 2 in 16
    assert (right_rates(person, answer, truth)[5].hits, right_rates(person, answer, truth)[6]) == (17, None)


def test_adaptive_overlap_asks_while_unsure():
    posterior = np.array([[0.99, 0.01], [0.99, 0.01], [0.6, 0.4], [0.6, 0.4]])
    rule = Rule(sure=0.9, fewest=2, most=3)
    assert wants_more(posterior, np.array([1, 2, 2, 3]), rule).tolist() == [True, False, True, False]
    assert labels_saved(np.array([2, 3, 4]), rule) == 1


# ---- rankings and texts of people ----


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=0, max_size=8))
def test_tau_is_its_definition(rows):
    """Kendall (1945): concordant less discordant over the root of the pairs untied in each."""
    one, other = (dict(enumerate(column)) for column in zip(*rows, strict=True)) if rows else ({}, {})
    concordant = discordant = untied_one = untied_other = 0
    for (a, b), (c, d) in combinations(rows, 2):
        concordant += (a - c) * (b - d) > 0
        discordant += (a - c) * (b - d) < 0
        untied_one += a != c
        untied_other += b != d
    found = tau_b(one, other)
    if untied_one and untied_other:
        assert found == pytest.approx((concordant - discordant) / (untied_one * untied_other) ** 0.5)
    else:
        assert found is None


def test_tau_of_rankings():
    assert tau_b(places([[1], [2], [3]]), places([[3], [2], [1]])) == -1.0
    assert tau_b(places([[1], [2, 3], [4]]), places([[1], [2], [3], [4]])) == pytest.approx(5 / 30**0.5)
    assert tau_b(places([[1, 2, 3]]), places([[1], [2], [3]])) is None


def test_texts_are_compared_by_what_differs():
    one, other = "Could we have a quieter room, please?", "Might we have a quieter room please?"
    assert chrf(one, one) == 1.0
    assert 0.5 < chrf(one, other) < 1
    assert chrf(one, other) == chrf(other, one)
    assert chrf("静かな部屋", "") == 0
    ter = TER()  # words by spaces
    words = [text.replace("?", " ?").replace(",", " ,") for text in (one, other)]
    published = sum(ter.sentence_score(words[at], [words[1 - at]]).score for at in (0, 1)) / 200
    assert edit_rate(one, other, "en") == pytest.approx(published, abs=1e-6)
    assert edit_rate("静かな部屋", "静かな部屋。", "ja") == pytest.approx((1 / 5 + 1 / 6) / 2)


def test_marks_are_compared_by_characters():
    assert shared_characters([(0, 4)], [(2, 6)]) == (4, 8)
    assert shared_characters([(0, 4), (2, 6)], [(0, 6)]) == (12, 12), "overlapping marks count once"
    assert shared_characters([], [(0, 3)]) == (0, 3)
    assert shared_characters([], []) == (0, 0)
