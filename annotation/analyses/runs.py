"""Straight-lining: the same answer again and again, whatever the task. Pure.

A run counts when it is longer than chance would give. Chance is how often others give that answer, or how often the
person does outside of the run, whichever is more: who often finds both texts equally good is no straight-liner.
"""

from dataclasses import dataclass
from math import expm1

import numpy as np

from annotation.analyses.columns import Answers
from annotation.analyses.intervals import FEWEST

SHORTEST = 5  # answers in a row
LEVEL = 0.01  # of a false alarm anywhere in a project
RAREST = 0.02  # chance is never taken to be less: two people may both repeat a rare answer for a reason
COIN = 0.5  # chance where there is nobody to compare with


@dataclass(frozen=True)
class Run:
    """`length` equal answers in a row among the `n` of a person and kind; `slots` are their assignments.

    `probability` that chance gives such a run anywhere in the project's people and kinds, at most."""

    person: int
    kind: int
    length: int
    n: int
    probability: float
    slots: tuple[int, ...]


def run_probability(length: int, n: int, share: float) -> float:
    """That a run of at least `length` occurs in `n` independent answers of which a share is the same: Poisson's
    approximation of the number of such runs."""
    if length > n or share <= 0:
        return 0.0
    return -expm1(-((n - length) * (1 - share) + 1) * share**length)


def straight_lines(answers: Answers) -> list[Run]:
    """The least probable run of each person and kind, where it is less probable than `LEVEL` (Bonferroni)."""
    order = np.lexsort((answers.slot, answers.at, answers.person, answers.kind))
    if not len(order):
        return []
    kind, person, slot = answers.kind[order], answers.person[order], answers.slot[order]
    _, pattern = np.unique(answers.pattern[order], return_inverse=True)
    new = changes(kind) | changes(person)
    starts = np.flatnonzero(new)
    sequence = np.cumsum(new) - 1
    sizes = np.bincount(sequence)
    breaks = np.flatnonzero(new | changes(pattern))
    lengths = np.diff(np.r_[breaks, len(order)])
    of_kind, of_pattern, own_pattern = counts(kind), counts(kind, pattern), counts(sequence, pattern)
    longest: dict[tuple[int, int], tuple[int, int]] = {}  # (sequence, pattern) → (length, place)
    for at, length in zip(breaks[lengths >= SHORTEST], lengths[lengths >= SHORTEST], strict=True):
        key = int(sequence[at]), int(pattern[at])
        longest[key] = max(longest.get(key, (0, 0)), (int(length), int(at)))
    found: dict[int, Run] = {}
    for (which, code), (length, at) in longest.items():
        n, own = int(sizes[which]), own_pattern[which, code]
        others = of_kind[(int(kind[at]),)] - n
        shares = [RAREST, (own - length) / (n - length) if n > length else 0.0]
        shares.append((of_pattern[int(kind[at]), code] - own) / others if others >= FEWEST else COIN)
        probability = run_probability(length, n, max(shares)) * len(starts)
        if probability < LEVEL and (which not in found or probability < found[which].probability):
            slots = tuple(slot[at : at + length].tolist())
            found[which] = Run(int(person[at]), int(kind[at]), length, n, float(probability), slots)
    return list(found.values())


def changes(values: np.ndarray) -> np.ndarray:
    """Where a value differs from the one before it (n,); true for the first."""
    result = np.ones(len(values), dtype=bool)
    result[1:] = np.diff(values) != 0
    return result


def counts(*keys: np.ndarray) -> dict[tuple[int, ...], int]:
    """How often each combination of the keys occurs."""
    values, times = np.unique(np.stack(keys), axis=1, return_counts=True)
    return {tuple(key): int(n) for key, n in zip(values.T.tolist(), times, strict=True)}
