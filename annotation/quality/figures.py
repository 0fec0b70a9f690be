"""Figures with intervals that draw whole tasks (clusters) at random. Pure.

A statistic is a smooth function of sums over clusters, so a cluster is kept as one row of sums (clusters, features),
and a draw is a weighted sum of rows: memory does not depend on how many answers there are.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

PATHS, SEED = 1_000, 20261128
MOST_CLUSTERS = 5_000  # more are put together at random: groups of clusters vary as clusters do
# Why a figure has no value.
NO_VARIATION = "no variation"
TOO_FEW = "too few"
NO_ORDER = "sides not drawn at random"
Statistic = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Figure:
    """A value with the ends of its 95 % interval. It rests on `n` units, in `tasks` tasks (clusters).

    `undefined` says why there is no value, and is empty where there is one.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    tasks: int
    undefined: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def no_figure(why: str, n: int = 0, tasks: int = 0) -> Figure:
    return Figure(None, None, None, n, tasks, why)


def by_cluster(cluster: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Rows of features (units, k) summed by cluster (units,): (clusters, k)."""
    _, which = np.unique(cluster, return_inverse=True)
    count = int(which.max()) + 1 if len(which) else 0
    columns = [np.bincount(which, weights=column, minlength=count) for column in features.T]
    return np.stack(columns, axis=1) if columns else np.zeros((count, 0))


def drawn_sums(sums: np.ndarray, *, paths: int = PATHS, seed: int = SEED) -> np.ndarray:
    """(paths, features): sums of a Bayesian bootstrap (Rubin 1981), with exponential weights of mean 1, so that no draw
    lacks a category."""
    random = np.random.default_rng(seed)
    if len(sums) > MOST_CLUSTERS:
        sums = by_cluster(random.permutation(len(sums)) % MOST_CLUSTERS, sums)
    weights = random.exponential(size=(paths, len(sums)))
    weights *= weights.shape[1] / weights.sum(axis=1, keepdims=True)
    return np.asarray(weights @ sums)


def figure_of(
    sums: np.ndarray, statistic: Statistic, *, n: int, fewest: int = 1, paths: int = PATHS, seed: int = SEED
) -> Figure:
    """The statistic of all clusters, with percentiles of the bootstrap. `statistic` takes (paths, features) and returns
    (paths,), NaN where it is undefined for lack of variation. One cluster has no interval."""
    tasks = len(sums)
    if n < fewest or not tasks:
        return no_figure(TOO_FEW, n, tasks)
    value = float(statistic(sums.sum(axis=0, keepdims=True))[0])
    if np.isnan(value):
        return no_figure(NO_VARIATION, n, tasks)
    if tasks == 1:
        return Figure(value, None, None, n, tasks)
    sampled = statistic(drawn_sums(sums, paths=paths, seed=seed))
    low, high = np.nanquantile(sampled, (0.025, 0.975))
    return Figure(value, min(float(low), value), max(float(high), value), n, tasks)


def mean_of(values: np.ndarray, cluster: np.ndarray, *, fewest: int = 1, paths: int = PATHS) -> Figure:
    """The mean of values (n,), of which those of one cluster belong together."""
    sums = by_cluster(cluster, np.stack([values.astype(float), np.ones(len(values))], axis=1))
    return figure_of(sums, ratio, n=len(values), fewest=fewest, paths=paths)


def ratio(sums: np.ndarray) -> np.ndarray:
    """The first feature over the second, NaN where that is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(sums[:, 1] > 0, sums[:, 0] / sums[:, 1], np.nan)
