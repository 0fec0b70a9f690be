"""Who takes the wrong side, by gold. Pure."""

import numpy as np

from annotation.analyses.intervals import FEWEST, Estimate, share_of
from annotation.quality.aggregation import TIE


def flip_rates(person: np.ndarray, answer: np.ndarray, truth: np.ndarray) -> dict[int, Estimate | None]:
    """Of each person the share of answers to decided gold pairs (n,) that prefer the worse text, with Wilson's
    interval; a tie is no flip. None below `FEWEST` such pairs."""
    decided = truth != TIE
    flipped = decided & (answer == 2 - truth)
    return {int(who): share_of(flipped[decided & (person == who)], fewest=FEWEST) for who in np.unique(person).tolist()}


def right_rates(person: np.ndarray, answer: np.ndarray, truth: np.ndarray) -> dict[int, Estimate | None]:
    """Of each person the share of gold answered as expected, of whatever classes. None below `FEWEST` items."""
    return {int(who): share_of((answer == truth)[person == who], fewest=FEWEST) for who in np.unique(person).tolist()}
