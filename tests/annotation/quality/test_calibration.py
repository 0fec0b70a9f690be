"""Calibration: honest with fifty gold items, refused below, the same again from what is stored."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotation.quality.aggregation import dawid_skene
from annotation.quality.calibration import (
    ISOTONIC,
    PLENTY,
    Calibration,
    TooLittleGold,
    ece,
    fit_calibration,
    isotonic,
    nll,
    reliability,
    tempered,
)
from tests.annotation.quality.planted import Person, crowd


@pytest.fixture(scope="module")
def overconfident():
    """(posterior, truth) of a crowd that errs together on a third of the pairs."""
    people = [Person(0.08), Person(0.12), Person(0.2), Person(0.15), Person(0.1, left=0.2)]
    made = crowd(np.random.default_rng(4), people, units=4_000, overlap=5, hardness=0.3)
    return dawid_skene(made.answers).posterior, made.truth


def test_fifty_gold_items_make_an_overconfident_posterior_honest(overconfident):
    posterior, truth = overconfident
    before, after = [], []
    for at in range(0, 600, 50):
        gold, rest = slice(at, at + 50), slice(600, None)
        found = fit_calibration(posterior[gold], truth[gold])
        before.append(ece(posterior[rest], truth[rest]))
        after.append(ece(found.apply(posterior[rest]), truth[rest]))
        assert found.before.low <= found.before.value <= found.before.high
    assert np.mean(before) > 0.06 > np.mean(after)


def test_too_little_gold_is_refused_with_the_remedy(overconfident):
    posterior, truth = overconfident
    with pytest.raises(TooLittleGold, match=r"Only 49 gold items have answers: .* at least 50\. Add gold tasks"):
        fit_calibration(posterior[:49], truth[:49])
    assert fit_calibration(posterior[:50], truth[:50]).gold == 50


def test_a_curve_where_gold_is_plenty_and_what_is_stored_is_the_same_again(overconfident):
    posterior, truth = overconfident
    # Confidence that no power repairs: right half of the time, whatever it says below 0.9.
    odd = np.where(posterior.max(axis=1, keepdims=True) < 0.9, 1 / 3, tempered(posterior, 3.0))
    for values in (posterior, odd):
        found = fit_calibration(values[:PLENTY], truth[:PLENTY])
        again = Calibration.from_dict(json.loads(json.dumps(found.as_dict())))
        assert again == found
        assert np.array_equal(again.apply(values), found.apply(values))
        assert found.apply(values).sum(axis=1) == pytest.approx(1)
    random = np.random.default_rng(1)
    confidence = random.uniform(0.52, 1.0, 3_000)
    right = random.random(3_000) < np.where(confidence > 0.7, 0.95, 0.55)
    steps = np.column_stack([confidence, 1 - confidence])
    truth = np.where(right, 0, 1)
    found = fit_calibration(steps[:1_000], truth[:1_000])
    assert found.method == ISOTONIC
    assert ece(found.apply(steps[1_000:]), truth[1_000:]) < 0.05 < ece(steps[1_000:], truth[1_000:])


def test_the_order_of_gold_decides_nothing(overconfident):
    posterior, truth = (rows[:80] for rows in overconfident)
    order = np.random.default_rng(3).permutation(80)
    assert fit_calibration(posterior[order], truth[order]) == fit_calibration(posterior, truth)


def test_all_right_is_not_taken_for_certainty():
    posterior = np.tile([0.8, 0.15, 0.05], (50, 1))
    found = fit_calibration(posterior, np.zeros(50, dtype=int))
    assert 0.8 < found.apply(posterior)[0, 0] < 0.999


def test_calibration_error_and_bins_by_hand():
    posterior = np.repeat([[0.9, 0.1], [0.6, 0.4]], 10, axis=0)
    truth = np.array([0] * 8 + [1] * 2 + [0] * 6 + [1] * 4)
    rows = reliability(posterior, truth)
    assert [(row.n, round(row.confidence, 6), row.accuracy) for row in rows] == [(10, 0.6, 0.6), (10, 0.9, 0.8)]
    assert ece(posterior, truth) == pytest.approx(0.05)
    assert nll(posterior, truth) == pytest.approx(-np.log([0.9] * 8 + [0.1] * 2 + [0.6] * 6 + [0.4] * 4).mean())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 1)), min_size=2, max_size=25))
def test_the_isotonic_curve_is_the_closest_of_all_nondecreasing_ones(points):
    x, y = np.array(points, dtype=float).T
    before, after = np.array(isotonic(x, y)).T
    assert (np.diff(after) >= 0).all()
    assert (np.diff(before) > 0).all()
    # The minimax formula: the largest over starts of the smallest mean over ends.
    at = np.unique(x)
    means = {(one, other): y[(x >= one) & (x <= other)].mean() for one in at for other in at if one <= other}
    for place in before:
        near = at[np.argmin(np.abs(at - place))]
        if abs(near - place) < 1e-9:
            best = max(min(means[one, other] for other in at if other >= near) for one in at if one <= near)
            edge = 1 / (len(x) + 2)
            assert np.interp(near, before, after) == pytest.approx(min(max(best, edge), 1 - edge))
