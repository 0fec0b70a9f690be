"""Widths and power against published values, other formulas and simulation."""

import numpy as np
import pytest

from annotation.planning import statistics
from annotation.planning.statistics import (
    answers_needed,
    chance_to_see,
    design_effect,
    expected_widths,
    power_of,
    tasks_needed,
)
from annotation.quality.agreement import alpha, unit_agreement


def drawn(random, *, tasks, overlap, shares, correlation):
    own = random.dirichlet(np.array(shares) * (1 - correlation) / correlation, size=tasks)
    return random.multinomial(overlap, own)


@pytest.mark.parametrize(("overlap", "correlation"), [(2, 0.5), (3, 0.2), (5, 0.8)])
def test_expected_widths_are_those_of_repeated_collections(overlap, correlation):
    shares, random = (0.5, 0.3, 0.2), np.random.default_rng(5)
    percents, alphas = [], []
    for _ in range(400):
        counts = drawn(random, tasks=150, overlap=overlap, shares=shares, correlation=correlation)
        percents.append(unit_agreement(counts).mean())
        alphas.append(alpha(counts))
    percent, width = expected_widths(shares, correlation, tasks=150, overlap=overlap)
    assert percent == pytest.approx(1.96 * np.std(percents), rel=0.12)
    assert width == pytest.approx(1.96 * np.std(alphas), rel=0.12)


def test_widths_of_extremes():
    assert expected_widths((0.5, 0.5), 0.5, tasks=100, overlap=1) is None
    assert expected_widths((1.0, 0.0), 0.5, tasks=100, overlap=2) is None
    wide, narrow = (expected_widths((0.5, 0.5), 0.0, tasks=n, overlap=2) for n in (100, 400))
    assert wide == pytest.approx(tuple(2 * value for value in narrow))
    # A pilot that agrees on everything is not promised an interval of no width.
    assert expected_widths((0.5, 0.5), statistics.likely_correlation(1.0, 50), tasks=50, overlap=2)[1] > 0.02


def test_known_sample_sizes():
    assert answers_needed() == 783  # two-sided, 5 %, 80 %, of 55/45
    assert answers_needed(preference=0.6) == 194
    assert chance_to_see(783) == pytest.approx(0.8, abs=1e-3)
    assert chance_to_see(0) == 0.0
    assert tasks_needed(overlap=1, ties=0.0, correlation=0.9) == 783  # one answer a task: nothing to correlate
    assert tasks_needed(overlap=1, ties=0.5, correlation=0.0) == 1566
    assert tasks_needed(overlap=3, ties=0.0, correlation=1.0) == 783  # three equal answers say what one says
    assert tasks_needed(overlap=3, ties=0.0, correlation=0.0) == 261
    assert tasks_needed(overlap=3, ties=1.0, correlation=0.0) is None
    assert design_effect(3, 1.0, 0.5) == 2.0


def test_power_is_that_of_simulated_comparisons():
    """Beta-binomial tasks with ties; the interval is Wilson's of the effective number of answers."""
    tasks, overlap, ties, correlation = 500, 3, 0.2, 0.3
    random, repeats = np.random.default_rng(11), 4_000
    concentration = (1 - correlation) / correlation
    p = random.beta(0.55 * concentration, 0.45 * concentration, size=(repeats, tasks))
    decided = random.binomial(overlap, 1 - ties, size=(repeats, tasks))
    won = random.binomial(decided, p)
    share, n = won.sum(axis=1) / decided.sum(axis=1), decided.sum(axis=1)
    effective = n / design_effect(overlap, 1 - ties, correlation)
    seen = (share - 0.5) > 1.96 / 2 / np.sqrt(effective)
    error = np.sqrt(0.25 / repeats)
    expected = power_of(tasks=tasks, overlap=overlap, ties=ties, correlation=correlation)
    assert seen.mean() == pytest.approx(expected, abs=4 * error)
