"""Agreement of several people, with intervals. Pure; missing answers are allowed everywhere.

A *unit* is one question of one task. `counts` (units, categories) says how many people gave each answer; `Ratings` has
who gave it. Intervals draw whole tasks (`annotation.quality.figures`).

Sources: Cohen (1960); Fleiss (1971); Krippendorff, Computing Krippendorff's Alpha-Reliability (2011). The ordinal
difference of two values is that of their mid-ranks among all values, which is Krippendorff's formula, so ordinal alpha
is interval alpha of mid-ranks.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from annotation.quality.figures import (
    NO_VARIATION,
    PATHS,
    TOO_FEW,
    Figure,
    Statistic,
    by_cluster,
    figure_of,
    no_figure,
    ratio,
)

Metric = Literal["nominal", "ordinal", "interval"]
SMALL = 1e-9
MOST_ORDERED = 12  # values, of ordinal alpha with ranks drawn again


@dataclass(frozen=True)
class Agreement:
    """Observed agreement and Krippendorff's nominal alpha with 95 % intervals; alpha is None where all answers are
    equal.

    `units` have two answers or more, in `tasks` tasks; `shares` (categories,) are those of all their answers.
    """

    percent: float
    percent_low: float
    percent_high: float
    alpha: float | None
    alpha_low: float | None
    alpha_high: float | None
    units: int
    tasks: int
    shares: tuple[float, ...]


@dataclass(frozen=True)
class Ratings:
    """One entry for each answer (n,), at most one of a person to a unit. `task` (n,) is the cluster of the unit."""

    unit: np.ndarray
    person: np.ndarray
    value: np.ndarray
    task: np.ndarray

    def where(self, use: np.ndarray) -> "Ratings":
        """Those answers: `use` is a mask (n,) or the places of some."""
        return Ratings(self.unit[use], self.person[use], self.value[use], self.task[use])

    def pairable(self) -> "Ratings":
        """Without the answers that are alone in their unit."""
        _, which, sizes = np.unique(self.unit, return_inverse=True, return_counts=True)
        return self.where(sizes[which] > 1) if len(self.unit) else self


# ---- counts ----


def unit_agreement(counts: np.ndarray) -> np.ndarray:
    """The share of pairs of answers that agree, of each unit (units,); every unit has two answers or more."""
    raters = counts.sum(axis=1)
    return np.asarray((counts * (counts - 1)).sum(axis=1) / (raters * (raters - 1)))


def nominal_features(counts: np.ndarray) -> np.ndarray:
    """(units, 3 + categories): agreeing share, 1, disagreeing coincidences, counts. Two answers a unit or more."""
    agreeing = unit_agreement(counts)
    disagreeing = counts.sum(axis=1) * (1 - agreeing)
    return np.column_stack([agreeing, np.ones(len(counts)), disagreeing, counts])


def nominal_alpha(sums: np.ndarray) -> np.ndarray:
    """alpha = 1 - (n - 1) * disagreeing coincidences / (n² - sum of squared values), n the pairable values."""
    values = sums[:, 3:]
    n = values.sum(axis=1)
    return alpha_from(sums[:, 2], n * n - (values * values).sum(axis=1), n)


def alpha_from(within: np.ndarray, between: np.ndarray, n: np.ndarray) -> np.ndarray:
    """1 - (n - 1) * within / between; NaN where nothing differs."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(between > SMALL * n * n, 1 - (n - 1) * within / between, np.nan)


def fleiss_kappa(sums: np.ndarray) -> np.ndarray:
    """(observed - expected) / (1 - expected) of `nominal_features`. With unequal numbers of answers a unit, each unit
    counts alike in what is observed and each answer alike in what is expected."""
    shares = sums[:, 3:] / sums[:, 3:].sum(axis=1, keepdims=True)
    return kappa_from(ratio(sums[:, :2]), (shares * shares).sum(axis=1))


def kappa_from(observed: np.ndarray, expected: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(1 - expected > SMALL, (observed - expected) / (1 - expected), np.nan)


def alpha(counts: np.ndarray) -> float | None:
    """Krippendorff's nominal alpha. None without a unit that has two answers, or without variation."""
    pairable = counts[counts.sum(axis=1) >= 2]
    if not len(pairable):
        return None
    value = float(nominal_alpha(nominal_features(pairable).sum(axis=0, keepdims=True))[0])
    return None if np.isnan(value) else value


def agreement(counts: np.ndarray, tasks: np.ndarray) -> Agreement | None:
    """`tasks` (units,) names the task of each unit: intervals draw whole tasks. None without a unit of two answers."""
    use = counts.sum(axis=1) >= 2
    if not use.any():
        return None
    pairable = counts[use]
    sums = by_cluster(tasks[use], nominal_features(pairable))
    percent = figure_of(sums, lambda rows: ratio(rows[:, :2]), n=len(pairable))
    found = figure_of(sums, nominal_alpha, n=len(pairable))
    assert percent.value is not None
    return Agreement(
        percent=percent.value,
        percent_low=percent.value if percent.low is None else percent.low,
        percent_high=percent.value if percent.high is None else percent.high,
        alpha=found.value,
        alpha_low=found.value if found.low is None else found.low,
        alpha_high=found.value if found.high is None else found.high,
        units=len(pairable),
        tasks=len(sums),
        shares=tuple(float(share) for share in pairable.sum(axis=0) / pairable.sum()),
    )


# ---- answers ----


def counted(ratings: Ratings) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(counts (units, categories), task of each unit, the categories in order)."""
    units, first, unit = np.unique(ratings.unit, return_index=True, return_inverse=True)
    values, code = np.unique(ratings.value, return_inverse=True)
    size = len(units), len(values)
    counts = np.bincount(unit * len(values) + code, minlength=size[0] * size[1]).reshape(size)
    return counts.astype(float), ratings.task[first], values


def percent(ratings: Ratings, *, fewest: int = 1, paths: int = PATHS) -> Figure:
    """The share of pairs of answers to a unit that are equal, averaged over units. Chance is not taken out."""
    return of_counts(ratings, lambda sums: ratio(sums[:, :2]), fewest, paths)


def fleiss(ratings: Ratings, *, fewest: int = 1, paths: int = PATHS) -> Figure:
    """Fleiss' kappa."""
    return of_counts(ratings, fleiss_kappa, fewest, paths)


def of_counts(ratings: Ratings, statistic: Statistic, fewest: int, paths: int) -> Figure:
    pairable = ratings.pairable()
    if not len(pairable.unit):
        return no_figure(TOO_FEW)
    counts, tasks, _ = counted(pairable)
    sums = by_cluster(tasks, nominal_features(counts))
    return figure_of(sums, statistic, n=len(counts), fewest=fewest, paths=paths)


def krippendorff(ratings: Ratings, *, metric: Metric = "nominal", fewest: int = 1, paths: int = PATHS) -> Figure:
    """Krippendorff's alpha. Values are categories (nominal), a few in an order (ordinal), or numbers (interval)."""
    if metric == "nominal":
        return of_counts(ratings, nominal_alpha, fewest, paths)
    pairable = ratings.pairable()
    if not len(pairable.unit):
        return no_figure(TOO_FEW)
    if metric == "interval":
        features, tasks = interval_features(pairable)
        statistic = interval_alpha
    elif len(np.unique(pairable.value)) > MOST_ORDERED:
        # Coincidences would take the square of so many values: ranks are those of all answers in every draw.
        features, tasks = interval_features(replace(pairable, value=mid_ranks(pairable.value)))
        statistic = interval_alpha
    else:
        features, tasks = ordinal_features(pairable)
        statistic = ordinal_alpha
    return figure_of(by_cluster(tasks, features), statistic, n=len(features), fewest=fewest, paths=paths)


def interval_features(ratings: Ratings) -> tuple[np.ndarray, np.ndarray]:
    """((units, 4): within, count, sum, sum of squares; task of each unit). Two answers a unit or more."""
    _, first, unit = np.unique(ratings.unit, return_index=True, return_inverse=True)
    value = ratings.value.astype(float) - float(ratings.value.mean())
    count = np.bincount(unit).astype(float)
    total = np.bincount(unit, weights=value)
    mean = total / count
    spread = np.bincount(unit, weights=(value - mean[unit]) ** 2)
    within = 2 * count * spread / (count - 1)
    return np.column_stack([within, count, total, np.bincount(unit, weights=value * value)]), ratings.task[first]


def interval_alpha(sums: np.ndarray) -> np.ndarray:
    within, n, total, squares = sums.T
    between = 2 * (n * squares - total * total)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(between > SMALL * n * n * (squares / n), 1 - (n - 1) * within / between, np.nan)


def mid_ranks(value: np.ndarray) -> np.ndarray:
    """The mean rank of each value (n,) among all."""
    _, which, counts = np.unique(value, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - counts / 2)[which])


def ordinal_features(ratings: Ratings) -> tuple[np.ndarray, np.ndarray]:
    """((units, categories²): coincidences of each unit; task of each unit). Two answers a unit or more."""
    counts, tasks, _ = counted(ratings)
    raters = counts.sum(axis=1)
    pairs = counts[:, :, None] * counts[:, None, :]
    size = counts.shape[1]
    pairs[:, range(size), range(size)] -= counts
    return (pairs / (raters - 1)[:, None, None]).reshape(len(counts), -1), tasks


def ordinal_alpha(sums: np.ndarray) -> np.ndarray:
    """Of coincidences (paths, categories²)."""
    size = round(sums.shape[1] ** 0.5)
    pairs = sums.reshape(-1, size, size)
    values = pairs.sum(axis=2)
    n = values.sum(axis=1)
    # Shares of n, so that the scale is the same for every weight.
    rank = (np.cumsum(values, axis=1) - values / 2) / n[:, None]
    within = (pairs * (rank[:, :, None] - rank[:, None, :]) ** 2).sum(axis=(1, 2))
    mean = (values * rank).sum(axis=1)
    between = 2 * (n * (values * rank * rank).sum(axis=1) - mean * mean)
    return alpha_from(within, between, n)


def cohen(one: np.ndarray, other: np.ndarray, task: np.ndarray, *, fewest: int = 1, paths: int = PATHS) -> Figure:
    """Cohen's kappa (unweighted) of two people's answers (n,) to the same units, each in its task."""
    if not len(one):
        return no_figure(TOO_FEW)
    values, codes = np.unique(np.concatenate([one, other]), return_inverse=True)
    size = len(values)
    if size == 1:
        tasks = len(np.unique(task))
        return no_figure(NO_VARIATION if len(one) >= fewest else TOO_FEW, len(one), tasks)
    cell = codes[: len(one)] * size + codes[len(one) :]
    return figure_of(tables(cell, task, size), cohen_kappa, n=len(one), fewest=fewest, paths=paths)


def tables(cell: np.ndarray, task: np.ndarray, size: int) -> np.ndarray:
    """(clusters, size²): how often each cell occurs in each cluster."""
    _, which = np.unique(task, return_inverse=True)
    count = int(which.max()) + 1
    flat = np.bincount(which * size * size + cell, minlength=count * size * size)
    return flat.reshape(count, size * size).astype(float)


def cohen_kappa(sums: np.ndarray) -> np.ndarray:
    """Of tables (paths, size²)."""
    size = round(sums.shape[1] ** 0.5)
    table = sums.reshape(-1, size, size)
    table = table / table.sum(axis=(1, 2), keepdims=True)
    observed = np.trace(table, axis1=1, axis2=2)
    return kappa_from(observed, (table.sum(axis=2) * table.sum(axis=1)).sum(axis=1))
