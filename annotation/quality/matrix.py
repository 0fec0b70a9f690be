"""Agreement of each two people, from their answers to the same units. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from annotation.quality import agreement
from annotation.quality.agreement import Metric, Ratings
from annotation.quality.figures import Figure, no_figure

FEWEST = 10  # shared units; below it a cell is empty
PATHS = 300


@dataclass(frozen=True)
class Cell:
    """Two people and what they agree: `n` shared units, percent, and a coefficient without chance."""

    one: int
    other: int
    percent: Figure
    coefficient: Figure


def pairs_of_answers(unit: np.ndarray, person: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places (k,), (k,) of each two answers to the same unit, the smaller person first. Vectorised over units: answers
    are compared with the next one, the one after it, and so on."""
    order = np.lexsort((person, unit))
    ordered = unit[order]
    lefts, rights = [], []
    step = 1
    while step < len(order):
        same = ordered[step:] == ordered[:-step]
        if not same.any():
            break
        lefts.append(order[:-step][same])
        rights.append(order[step:][same])
        step += 1
    empty = np.zeros(0, dtype=np.int64)
    return (np.concatenate(lefts), np.concatenate(rights)) if lefts else (empty, empty)


def matrix(ratings: Ratings, *, metric: Metric = "nominal", fewest: int = FEWEST) -> Iterator[Cell]:
    """A cell for each two people with a shared unit, by id. Nominal answers have Cohen's kappa, others alpha."""
    left, right = pairs_of_answers(ratings.unit, ratings.person)
    if not len(left):
        return
    people, codes = np.unique(ratings.person, return_inverse=True)
    cell = codes[left] * len(people) + codes[right]
    order = np.argsort(cell, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(cell[order]) != 0])
    for places in np.split(order, starts[1:]):
        one, other = left[places], right[places]
        n, tasks = len(places), len(np.unique(ratings.task[one]))
        ids = int(ratings.person[one[0]]), int(ratings.person[other[0]])
        if n < fewest:
            empty = no_figure("too few", n, tasks)
            yield Cell(*ids, empty, empty)
            continue
        both = ratings.where(np.concatenate([one, other]))
        percent = agreement.percent(both, paths=PATHS)
        if metric == "nominal":
            coefficient = agreement.cohen(ratings.value[one], ratings.value[other], ratings.task[one], paths=PATHS)
        else:
            coefficient = agreement.krippendorff(both, metric=metric, paths=PATHS)
        yield Cell(*ids, percent, coefficient)
