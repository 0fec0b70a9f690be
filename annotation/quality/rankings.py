"""Which origin wins: strengths from pairs, with ties (Bradley and Terry 1952; Davidson 1970). Pure.

P(i better than j) is proportional to s_i, P(j better) to s_j, P(tie) to v √(s_i s_j). A win rate counts a tie as half.
Intervals are from the sandwich of all tasks' gradients: answers to one task resemble each other.
"""

from dataclasses import dataclass

import numpy as np

from annotation.analyses.intervals import Z

RIDGE = 1e-2  # of log strengths: who has won everything has no largest strength
STEPS, CONVERGED = 100, 1e-9
LONGEST = 2.0  # step of a log strength


@dataclass(frozen=True)
class Ranked:
    """An item: log strength (the mean of all is 0) and the probability of beating another item, averaged over the
    others, each with its 95 % interval; `n` pairs. `group`: items of different groups were never compared, not even by
    way of others, so their strengths must not be compared."""

    item: int
    strength: float
    strength_low: float
    strength_high: float
    win_rate: float
    win_low: float
    win_high: float
    n: int
    group: int


def bradley_terry(one: np.ndarray, other: np.ndarray, value: np.ndarray, task: np.ndarray) -> list[Ranked]:
    """`one`, `other` (n,) items, `value` 1 where one is better, 0 where the other, 0.5 a tie, in `task` (n,). Strongest
    first. Empty without pairs."""
    use = one != other
    if not use.any():
        return []
    items, codes = np.unique(np.concatenate([one[use], other[use]]), return_inverse=True)
    size = len(items)
    first, second = codes[: int(use.sum())], codes[int(use.sum()) :]
    # Equal rows of a task are one row with a weight.
    _, cluster = np.unique(task[use], return_inverse=True)
    rows, weight = np.unique(np.stack([cluster, first, second, np.round(2 * value[use])]), axis=1, return_counts=True)
    cluster, first, second, twice = rows.astype(np.int64)
    tied = twice == 1
    design = np.zeros((len(weight), size + 1))  # derivatives of (win - loss) / 2 by log strengths; then of ties
    at = np.arange(len(weight))
    design[at, first], design[at, second] = 1.0, -1.0
    theta = np.zeros(size + 1)
    penalty = RIDGE * np.ones(size + 1)
    for _step in range(STEPS):
        gradient, hessian, _ = derivatives(theta, design[:, :size], twice, tied, weight)
        step = np.linalg.solve(hessian + np.diag(penalty), gradient - penalty * theta)
        step *= min(1.0, LONGEST / max(float(np.abs(step).max()), 1e-300))
        theta = theta + step
        if np.abs(step).max() < CONVERGED:
            break
    _, hessian, each = derivatives(theta, design[:, :size], twice, tied, weight)
    count = int(cluster.max()) + 1
    by_task = np.stack([np.bincount(cluster, weights=column, minlength=count) for column in each.T], axis=1)
    bread = np.linalg.inv(hessian + np.diag(penalty))
    # A few tasks say less about their own spread.
    covariance = bread @ (by_task.T @ by_task) @ bread * count / max(count - 1, 1)
    theta[:size] -= theta[:size].mean()
    centred = np.eye(size + 1)
    centred[:size, :size] -= 1 / size
    covariance = centred @ covariance @ centred.T
    group = components(size, first, second)
    n = np.bincount(first, weights=weight, minlength=size) + np.bincount(second, weights=weight, minlength=size)
    ranked = []
    for item in range(size):
        rate, slope = win_rate(theta, item, group)
        error = float(np.sqrt(max(slope @ covariance @ slope, 0.0))) / max(rate * (1 - rate), 1e-12)
        odds = np.log(rate / (1 - rate))
        low, high = (float(1 / (1 + np.exp(-(odds + z * error)))) for z in (-Z, Z))
        width = Z * float(np.sqrt(max(covariance[item, item], 0.0)))
        strength = float(theta[item])
        figures = (strength, strength - width, strength + width, rate, low, high, int(n[item]), int(group[item]))
        ranked.append(Ranked(int(items[item]), *figures))
    return sorted(ranked, key=lambda row: (-row.strength, row.item))


def probabilities(theta: np.ndarray, difference: np.ndarray) -> np.ndarray:
    """(n, 3): that the other is better, a tie, that the one is better, by differences of log strengths (n,)."""
    scores = np.stack([-difference / 2, np.full(len(difference), theta[-1]), difference / 2], axis=1)
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def derivatives(
    theta: np.ndarray, design: np.ndarray, twice: np.ndarray, tied: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(gradient, negative Hessian, gradient of each row) of the log-likelihood."""
    shares = probabilities(theta, design @ theta[:-1])
    lead = (twice - 1) / 2 - (shares[:, 2] - shares[:, 0]) / 2
    each = np.column_stack([design * lead[:, None], tied - shares[:, 1]]) * weight[:, None]
    mean = (shares[:, 2] - shares[:, 0]) / 2
    spread = (shares[:, 2] + shares[:, 0]) / 4 - mean * mean
    cross, ties = -mean * shares[:, 1], shares[:, 1] * (1 - shares[:, 1])
    size = design.shape[1]
    hessian = np.zeros((size + 1, size + 1))
    hessian[:size, :size] = design.T @ (design * (weight * spread)[:, None])
    hessian[:size, size] = hessian[size, :size] = design.T @ (weight * cross)
    hessian[size, size] = float((weight * ties).sum())
    return each.sum(axis=0), hessian, each


def win_rate(theta: np.ndarray, item: int, group: np.ndarray) -> tuple[float, np.ndarray]:
    """(P(better) + P(tie) / 2 against the others of its group, on average; its slope by theta)."""
    others = np.flatnonzero((group == group[item]) & (np.arange(len(group)) != item))
    shares = probabilities(theta, theta[item] - theta[others])
    rate = shares[:, 2] + shares[:, 1] / 2
    mean = (shares[:, 2] - shares[:, 0]) / 2
    spread = (shares[:, 2] + shares[:, 0]) / 4 - mean * mean
    slope = np.zeros(len(theta))
    slope[others] -= spread / len(others)
    slope[item] = spread.mean()
    slope[-1] = float((-mean * shares[:, 1]).mean())
    return float(rate.mean()), slope


def components(size: int, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The group of each item: joined by comparisons, directly or by way of others. Numbered from 0."""
    group = np.arange(size)
    while True:
        low = np.minimum(group[one], group[other])
        joined = group.copy()
        np.minimum.at(joined, one, low)
        np.minimum.at(joined, other, low)
        if np.array_equal(joined, group):
            return np.unique(group, return_inverse=True)[1]
        group = joined
