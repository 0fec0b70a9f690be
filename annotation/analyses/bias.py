"""What choices follow besides the texts' worth: the side, the length, the origin. Pure."""

from collections.abc import Iterator

import numpy as np

from annotation.analyses.columns import Pairs
from annotation.analyses.intervals import FEWEST, Estimate, Z, share_of


def known(flags: np.ndarray, pairs: Pairs) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(hits, tasks, slots) of the pairs whose flag is 0 or 1."""
    use = flags >= 0
    return flags[use] == 1, pairs.task[use], pairs.slot[use]


def first_share(pairs: Pairs, *, z: float = Z, fewest: int = FEWEST) -> Estimate | None:
    """The share of decided pairs in which the text shown first (left) was preferred; 0.5 without an effect.

    Only pairs whose order was drawn at random. A task has one order for everybody, so its answers are a cluster."""
    hits, tasks, _ = known(pairs.first_won, pairs)
    return share_of(hits, tasks, z=z, fewest=fewest)


def longer_share(pairs: Pairs) -> Estimate | None:
    """The share of decided pairs of unequal length in which the longer text was preferred.

    Longer texts may be better: a share off 0.5 is a reason to look, no proof of a bias."""
    hits, tasks, _ = known(pairs.longer_won, pairs)
    return share_of(hits, tasks)


def origin_shares(pairs: Pairs) -> Iterator[tuple[int, Estimate | None]]:
    """(origin, share won) of the decided pairs that an origin has with any other one."""
    between = pairs.winner != pairs.loser
    for origin in np.unique(np.concatenate([pairs.winner[between], pairs.loser[between]])):
        use = between & ((pairs.winner == origin) | (pairs.loser == origin))
        yield int(origin), share_of(pairs.winner[use] == origin, pairs.task[use])
