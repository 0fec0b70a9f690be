"""Agreement of rankings: Kendall's tau-b, which allows ties. Pure."""

from itertools import combinations

import numpy as np

Groups = list[list[int]]  # of equally good texts, best first


def places(groups: Groups) -> dict[int, int]:
    """The place of each text: equally good ones share one."""
    return {text: place for place, group in enumerate(groups) for text in group}


def tau_b(one: dict[int, int], other: dict[int, int]) -> float | None:
    """Kendall's tau-b of two rankings, by places, of the texts that both have: concordant less discordant pairs over
    the root of the pairs that each does not tie. None where one ties them all, or they share fewer than two."""
    shared = sorted(one.keys() & other.keys())
    first, second = (np.array([places[text] for text in shared]) for places in (one, other))
    pairs = np.array(list(combinations(range(len(shared)), 2)), dtype=np.int64).reshape(-1, 2)
    signs = [np.sign(own[pairs[:, 0]] - own[pairs[:, 1]]) for own in (first, second)]
    untied = [int((own != 0).sum()) for own in signs]
    if not all(untied):
        return None
    return float((signs[0] * signs[1]).sum() / np.sqrt(untied[0] * untied[1]))
