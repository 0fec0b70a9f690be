"""Whether labels agree as much as a project asks for, and which tasks would lift them over it if decided. Pure."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from annotation.quality import columns
from annotation.quality.agreement import Metric, Ratings, krippendorff
from annotation.quality.agreements import COEFFICIENT, FEWEST, named, verdict
from annotation.quality.figures import Figure
from annotation.quality.material import Material

MOST_TASKS = 1_000  # that are named


@dataclass(frozen=True)
class Measured:
    """Krippendorff's alpha of what counts, of one measure. `tasks`: those whose decision would lift it to the floor,
    the most divided first; empty where it is there, None where deciding all that are divided would not do."""

    measure: columns.Measure
    alpha: Figure
    tasks: list[int] | None

    def is_below(self, floor: float) -> bool:
        """Labels without variation, and too few of them, are neither below nor above."""
        return self.alpha.value is not None and self.alpha.value < floor

    def as_dict(self) -> dict[str, Any]:
        return named(self.measure) | {"alpha": self.alpha.as_dict()}


def measured(material: Material, floor: float) -> list[Measured]:
    """Of each measure that several people answered: choices (nominal: which text, or a tie) and scores (interval)."""
    found = []
    for at, measure in enumerate(material.measures):
        if measure.name not in COEFFICIENT:
            continue
        rated = material.rated.where(material.rated.measure == at).first_answers()
        values = verdict(rated.counted) if measure.name == columns.CHOICE else rated.counted
        ratings = replace(rated.ratings(values), task=rated.task[~np.isnan(values)]).pairable()
        metric = COEFFICIENT[measure.name]
        alpha = krippendorff(ratings, metric=metric, fewest=FEWEST)
        below = alpha.value is not None and alpha.value < floor
        found.append(Measured(measure, alpha, lifting(ratings, metric, floor) if below else []))
    return found


def lifting(ratings: Ratings, metric: Metric, floor: float) -> list[int] | None:
    """The fewest tasks, the most divided first, after whose decision for their most common answers alpha is `floor` or
    above; None where that takes more than there are."""
    decided = most_common(ratings)
    tasks, which = np.unique(ratings.task, return_inverse=True)
    apart = np.bincount(which, weights=np.abs(ratings.value - decided) > 0)
    if metric == "interval":
        apart = np.bincount(which, weights=(ratings.value - decided) ** 2)
    order = np.lexsort((tasks, -apart))
    order = order[apart[order] > 0]
    place = np.full(len(tasks), len(tasks))
    place[order] = np.arange(len(order))

    def reaches(count: int) -> bool:
        value = np.where(place[which] < count, decided, ratings.value)
        alpha = krippendorff(replace(ratings, value=value), metric=metric, paths=1).value
        return alpha is None or alpha >= floor

    low, high = 0, len(order)
    if not reaches(high):
        return None
    while low + 1 < high:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return [int(task) for task in tasks[order[:high]]]


def most_common(ratings: Ratings) -> np.ndarray:
    """Of each answer (n,) the most common answer to its unit; of equally common ones the least."""
    units, unit = np.unique(ratings.unit, return_inverse=True)
    values, code = np.unique(ratings.value, return_inverse=True)
    cells, counts = np.unique(unit * len(values) + code, return_counts=True)
    order = np.lexsort((cells, -counts, cells // len(values)))
    first = np.unique((cells // len(values))[order], return_index=True)[1]
    best = np.zeros(len(units))
    best[(cells // len(values))[order][first]] = values[(cells % len(values))[order][first]]
    return best[unit]
