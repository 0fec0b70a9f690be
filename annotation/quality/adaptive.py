"""Adaptive overlap: one more annotator while it is unsure, no more when it is sure. Pure.

The posterior must be calibrated: an overconfident one stops too early.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Rule:
    """A unit gets at least `fewest` answers and at most `most`. In between it gets another one while its most probable
    class has less than `sure`."""

    sure: float = 0.95
    fewest: int = 2
    most: int = 5


def wants_more(posterior: np.ndarray, answers: np.ndarray, rule: Rule) -> np.ndarray:
    """Which units need one more answer (units,). `posterior` (units, classes) is calibrated; `answers` (units,) counts
    those that a unit has."""
    unsure = posterior.max(axis=1) < rule.sure
    return np.asarray((answers < rule.fewest) | (unsure & (answers < rule.most)))


def labels_saved(answers: np.ndarray, rule: Rule) -> int:
    """How many answers fewer than full overlap those units have that need no more."""
    return int(np.maximum(rule.most - answers, 0).sum())
