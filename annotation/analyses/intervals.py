"""Estimates with their intervals. Pure; numpy in, plain numbers out.

Intervals are 95 % ones unless `z` says otherwise. Answers to one task share their texts and are not independent: shares
take the task as a cluster.
"""

from dataclasses import asdict, dataclass
from math import ceil, exp, floor, sqrt
from statistics import NormalDist
from typing import Any

import numpy as np

FEWEST = 10  # answers; below it there is no estimate
Z = 1.959964


@dataclass(frozen=True)
class Estimate:
    """A share, a median or a ratio with the ends of its interval; `n` is what it rests on, `hits` of a share."""

    value: float
    low: float
    high: float
    n: int
    hits: int = 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class Clustered:
    """Sums over clusters: of a cluster's size m and its hits y. Grows by `add`, so that nothing must be kept."""

    clusters: int = 0
    n: float = 0.0
    hits: float = 0.0
    mm: float = 0.0
    ym: float = 0.0
    yy: float = 0.0

    def add(self, size: float, hits: float) -> None:
        self.clusters += 1
        self.n += size
        self.hits += hits
        self.mm += size * size
        self.ym += size * hits
        self.yy += hits * hits

    def share(self, *, z: float = Z, fewest: int = FEWEST) -> Estimate | None:
        """Wilson's interval with the effective number of independent answers; None below `fewest`.

        The design effect is the variance of the share between clusters (linearised, with the factor C/(C−1)) over that
        of independent answers, never below 1. Where it cannot be estimated, because all answers are equal or there is
        one cluster, the clusters are counted instead of the answers.
        """
        if self.n < fewest:
            return None
        p = self.hits / self.n
        effective = float(self.clusters)
        if 0 < p < 1 and 1 < self.clusters < self.n:
            between = self.yy - 2 * p * self.ym + p * p * self.mm
            variance = between / self.n**2 * self.clusters / (self.clusters - 1)
            independent = p * (1 - p) / self.n
            effective = self.n / max(variance / independent, 1.0)
        low, high = wilson(p, max(effective, 1.0), z)
        return Estimate(p, low, high, round(self.n), round(self.hits))


def wilson(p: float, n: float, z: float = Z) -> tuple[float, float]:
    """The score interval of a share `p` of `n` independent trials (Wilson 1927); `n` need not be whole."""
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    # Rounding must not leave the share outside of its own interval.
    return min(max(middle - half, 0.0), p), max(min(middle + half, 1.0), p)


def share_of(
    hits: np.ndarray, clusters: np.ndarray | None = None, *, z: float = Z, fewest: int = FEWEST
) -> Estimate | None:
    """The share of true values of `hits` (n,); `clusters` (n,) names the cluster of each, None: each its own."""
    if len(hits) < fewest:
        return None
    sums = Clustered()
    if clusters is None:
        y = hits.astype(float)
        m = np.ones(len(hits))
    else:
        _, which = np.unique(clusters, return_inverse=True)
        m = np.bincount(which).astype(float)
        y = np.bincount(which, weights=hits.astype(float))
    sums.clusters, sums.n, sums.hits = len(m), float(m.sum()), float(y.sum())
    sums.mm, sums.ym, sums.yy = float(m @ m), float(m @ y), float(y @ y)
    return sums.share(z=z, fewest=fewest)


def median_of(values: np.ndarray, *, z: float = Z, fewest: int = FEWEST) -> Estimate | None:
    """The median, between two order statistics: the interval assumes nothing about the distribution."""
    n = len(values)
    if n < fewest:
        return None
    ordered = np.sort(values)
    half = z * sqrt(n) / 2
    low, high = max(floor(n / 2 - half), 1), min(ceil(n / 2 + half) + 1, n)
    return Estimate(float(np.median(ordered)), float(ordered[low - 1]), float(ordered[high - 1]), n)


def ratio_of_means(before: np.ndarray, after: np.ndarray, *, z: float = Z, fewest: int = FEWEST) -> Estimate | None:
    """By what factor `after` exceeds `before`, as geometric means of positive numbers, with Welch's standard error."""
    if min(len(before), len(after)) < fewest:
        return None
    one, other = np.log(before), np.log(after)
    difference = float(other.mean() - one.mean())
    error = sqrt(float(one.var(ddof=1)) / len(one) + float(other.var(ddof=1)) / len(other))
    ends = exp(difference - z * error), exp(difference + z * error)
    return Estimate(exp(difference), *ends, len(one) + len(other))


def z_for(comparisons: int, level: float = 0.95) -> float:
    """The z of intervals of which all of so many cover at once with probability `level` (Bonferroni)."""
    return NormalDist().inv_cdf(1 - (1 - level) / (2 * max(comparisons, 1)))
