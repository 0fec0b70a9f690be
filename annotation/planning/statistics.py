"""How wide the interval of agreement will be, and the power of a comparison. Pure.

Agreement itself is in `annotation.quality.agreement`. Categories are nominal: two answers agree when they are equal.

Sources: Kish, Survey Sampling (1965) for the design effect; Wilson (1927) for the interval of a share, which excludes
one half exactly when the test of one half rejects.
"""

from functools import lru_cache
from math import ceil, sqrt
from statistics import NormalDist

import numpy as np

from annotation.quality.agreement import unit_agreement

Z = NormalDist().inv_cdf(0.975)
POWER = 0.8
PREFERENCE = 0.55
SIMULATED_UNITS, SEED = 10_000, 20261128


def likely_correlation(observed: float, units: int) -> float:
    """Alpha as the correlation of answers within a task, between 0 and what so many units can show: a pilot that agrees
    on everything counts as if its next task did not."""
    return min(max(observed, 0.0), 1 - 1 / (units + 1))


def expected_widths(
    shares: tuple[float, ...], correlation: float, *, tasks: int, overlap: int
) -> tuple[float, float] | None:
    """Half the 95 % interval of (percent agreement, alpha) to expect of so many tasks with `overlap` answers each.

    The standard error of one simulated task over √tasks. None for one answer a task, and where all answers are equal.
    """
    p = tuple(share for share in shares if share > 0)
    if overlap < 2 or len(p) < 2 or tasks < 1:
        return None
    percent, width = errors_of_a_task(p, correlation, overlap)
    return Z * percent / sqrt(tasks), Z * width / sqrt(tasks)


@lru_cache(maxsize=256)
def errors_of_a_task(shares: tuple[float, ...], correlation: float, overlap: int) -> tuple[float, float]:
    """What one task adds to the standard errors of (percent agreement, alpha), linearised.

    Tasks are drawn from a Dirichlet-multinomial with the pilot's `shares` of answers and `correlation` within a task:
    its alpha is that correlation.
    """
    p, random = np.array(shares), np.random.default_rng(SEED)
    if correlation <= 0:
        counts = random.multinomial(overlap, p / p.sum(), size=SIMULATED_UNITS)
    else:
        own = random.dirichlet(np.maximum(p * (1 - correlation) / correlation, 1e-3), size=SIMULATED_UNITS)
        counts = random.multinomial(overlap, own)
    agreeing, values = unit_agreement(counts), counts / overlap
    observed, mean = float(agreeing.mean()), values.mean(axis=0)
    chance = float(mean @ mean)
    # alpha ≈ 1 - (1 - observed) / (1 - chance), by the delta method.
    by_unit = (agreeing - observed) / (1 - chance) - (1 - observed) * 2 * ((values - mean) @ mean) / (1 - chance) ** 2
    return float(agreeing.std()), float(by_unit.std())


def design_effect(overlap: int, decided: float, correlation: float) -> float:
    """By how much answers to one task that resemble each other raise the variance of a share (Kish).

    Each of `overlap` answers is decided (no tie) with probability `decided`, so tasks have unequally many of them.
    """
    return 1 + (overlap - 1) * decided * min(max(correlation, 0.0), 1.0)


def chance_to_see(decided_answers: float, *, preference: float = PREFERENCE) -> float:
    """That the 95 % interval of the share excludes one half on the right side, of so many independent answers.

    Normal approximation; the interval is Wilson's, whose bound under one half is z/2 over √n.
    """
    if decided_answers <= 0:
        return 0.0
    n = decided_answers
    distance = (preference - 0.5) * sqrt(n) - Z / 2
    return NormalDist().cdf(distance / sqrt(preference * (1 - preference)))


def answers_needed(*, preference: float = PREFERENCE, power: float = POWER) -> int:
    """Independent decided answers with which the interval excludes one half with probability `power`."""
    error = Z / 2 + NormalDist().inv_cdf(power) * sqrt(preference * (1 - preference))
    return ceil((error / (preference - 0.5)) ** 2)


def power_of(*, tasks: int, overlap: int, ties: float, correlation: float) -> float:
    """`chance_to_see` of so many tasks, a share `ties` of whose answers prefer neither text."""
    decided = 1 - ties
    return chance_to_see(tasks * overlap * decided / design_effect(overlap, decided, correlation))


def tasks_needed(*, overlap: int, ties: float, correlation: float) -> int | None:
    """Tasks for a chance of `POWER`; None where nobody ever decides."""
    decided = 1 - ties
    if decided <= 0:
        return None
    return ceil(answers_needed() * design_effect(overlap, decided, correlation) / (overlap * decided))
