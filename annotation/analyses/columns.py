"""Answers as columns: one array a field, all of one length, in no particular order."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

import numpy as np


@dataclass
class AnswerColumns:
    """One entry for each answer that counts (current, not excluded).

    slot: the assignment's id. kind: its number in `KINDS`. chars: characters that were shown to read. seconds: active
    ones, 0 where none were recorded. at: when it was submitted, seconds since 1970. pattern: equal for answers that
    say the same by position or score, whatever the texts (see `AnnotationKind.pattern`).
    """

    slot: array[int] = field(default_factory=lambda: array("q"))
    task: array[int] = field(default_factory=lambda: array("q"))
    person: array[int] = field(default_factory=lambda: array("q"))
    kind: array[int] = field(default_factory=lambda: array("b"))
    chars: array[int] = field(default_factory=lambda: array("l"))
    seconds: array[float] = field(default_factory=lambda: array("d"))
    at: array[float] = field(default_factory=lambda: array("d"))
    pattern: array[int] = field(default_factory=lambda: array("q"))


@dataclass
class PairColumns:
    """One entry for each two texts of which an answer prefers one.

    first_won: 1 where the text shown first (left) is the better one, 0 where the other, -1 where nobody knows in which
    order they were shown, or it was not random. longer_won: 1, 0, or -1 where both are as long. winner and loser:
    numbers of origins.
    """

    slot: array[int] = field(default_factory=lambda: array("q"))
    task: array[int] = field(default_factory=lambda: array("q"))
    person: array[int] = field(default_factory=lambda: array("q"))
    first_won: array[int] = field(default_factory=lambda: array("b"))
    longer_won: array[int] = field(default_factory=lambda: array("b"))
    winner: array[int] = field(default_factory=lambda: array("l"))
    loser: array[int] = field(default_factory=lambda: array("l"))


@dataclass(frozen=True)
class Answers:
    """`AnswerColumns` as numpy arrays (n,)."""

    slot: np.ndarray
    task: np.ndarray
    person: np.ndarray
    kind: np.ndarray
    chars: np.ndarray
    seconds: np.ndarray
    at: np.ndarray
    pattern: np.ndarray

    @classmethod
    def of(cls, columns: AnswerColumns) -> Answers:
        return cls(**{name: np.asarray(values) for name, values in vars(columns).items()})

    def where(self, use: np.ndarray) -> Answers:
        """Those answers: `use` is a mask (n,) or the places of some."""
        return Answers(**{name: values[use] for name, values in vars(self).items()})


@dataclass(frozen=True)
class Pairs:
    """`PairColumns` as numpy arrays (n,)."""

    slot: np.ndarray
    task: np.ndarray
    person: np.ndarray
    first_won: np.ndarray
    longer_won: np.ndarray
    winner: np.ndarray
    loser: np.ndarray

    @classmethod
    def of(cls, columns: PairColumns) -> Pairs:
        return cls(**{name: np.asarray(values) for name, values in vars(columns).items()})

    def where(self, use: np.ndarray) -> Pairs:
        """Those pairs: `use` is a mask (n,) or the places of some."""
        return Pairs(**{name: values[use] for name, values in vars(self).items()})
