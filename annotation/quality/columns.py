"""What people said, as columns: one array a field, all of one length. Pure.

A unit is a question that two people can agree on: two texts of a prompt, an aspect of a text, a text to edit or to
write. Texts that read the same are one. Units belong to prompts, not to tasks: a person who meets one again, in another
task, answers it twice.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple, Self

import numpy as np

from annotation.quality.agreement import Ratings

BAD = 9.0  # "all bad", which has no place between better and worse
CHOICE, SCORE, ORDER, MARKS, CHRF, EDIT_RATE = "choice", "score", "order", "marks", "chrf", "edit_rate"


class Measure(NamedTuple):
    """What is compared: answers of a kind, by a name (CHOICE …), of an aspect where there are several."""

    kind: str
    name: str
    aspect: str = ""


class Table:
    """Numpy columns. Subclasses are dataclasses whose fields are arrays (n,)."""

    @classmethod
    def of(cls, columns: Any) -> Self:
        return cls(**{name: np.asarray(values) for name, values in vars(columns).items()})

    def where(self, use: np.ndarray) -> Self:
        """Those rows: `use` is a mask (n,) or the places of some."""
        return type(self)(**{one.name: getattr(self, one.name)[use] for one in fields(self)})  # type: ignore[arg-type]


def integers() -> Any:
    return field(default_factory=lambda: array("q"))


def numbers() -> Any:
    return field(default_factory=lambda: array("d"))


def flags() -> Any:
    return field(default_factory=lambda: array("b"))


@dataclass
class RatingColumns:
    """One entry for each choice between two texts, and each score of an aspect of a text.

    measure: its place in `Material.measures`. given: what the annotator answered, counted: what counts after reviews and
    adjudication; NaN where that says nothing of this unit. A choice is below 0 where the first text (the one whose text
    is smaller in code point order) is better, above 0 where the second is, by 1, or 2 where clearly so, 0 a tie, or
    `BAD`. mirrored: the second text was on the left. two: the task showed two texts, whose sides were drawn at random.
    decided: by an adjudicator, and not kept as divided. one, other: numbers of the origins of both texts.
    """

    measure: array[int] = integers()
    unit: array[int] = integers()
    prompt: array[int] = integers()
    task: array[int] = integers()
    batch: array[int] = integers()
    person: array[int] = integers()
    at: array[float] = numbers()
    given: array[float] = numbers()
    counted: array[float] = numbers()
    mirrored: array[int] = flags()
    two: array[int] = flags()
    decided: array[int] = flags()
    one: array[int] = integers()
    other: array[int] = integers()


@dataclass(frozen=True)
class Rated(Table):
    """`RatingColumns` as numpy arrays (n,), in the order in which they were answered within each prompt."""

    measure: np.ndarray
    unit: np.ndarray
    prompt: np.ndarray
    task: np.ndarray
    batch: np.ndarray
    person: np.ndarray
    at: np.ndarray
    given: np.ndarray
    counted: np.ndarray
    mirrored: np.ndarray
    two: np.ndarray
    decided: np.ndarray
    one: np.ndarray
    other: np.ndarray

    def occasion(self) -> np.ndarray:
        """(n,): how many answers of the same person to the same unit come before this one."""
        order = np.lexsort((np.arange(len(self.unit)), self.person, self.unit))
        new = np.ones(len(order), dtype=bool)
        new[1:] = (np.diff(self.unit[order]) != 0) | (np.diff(self.person[order]) != 0)
        start = np.maximum.accumulate(np.where(new, np.arange(len(order)), 0)) if len(order) else order
        result = np.empty(len(order), dtype=np.int64)
        result[order] = np.arange(len(order)) - start
        return result

    def first_answers(self) -> Rated:
        """At most one answer of a person to a unit: the first."""
        return self.where(self.occasion() == 0)

    def ratings(self, value: np.ndarray) -> Ratings:
        """Of values (n,), without NaN; a task's answers are drawn with all others of its prompt."""
        return Ratings(self.unit, self.person, value, self.prompt).where(~np.isnan(value))


@dataclass
class AlikeColumns:
    """One entry for each two people who did the same: `above` over `below` is how alike it is (a tau, a chrF, an edit
    rate, shared characters of all that were marked). batch: 0 where they worked in different ones."""

    measure: array[int] = integers()
    one: array[int] = integers()
    other: array[int] = integers()
    prompt: array[int] = integers()
    batch: array[int] = integers()
    at: array[float] = numbers()
    above: array[float] = numbers()
    below: array[float] = numbers()


@dataclass(frozen=True)
class Alike(Table):
    """`AlikeColumns` as numpy arrays (n,)."""

    measure: np.ndarray
    one: np.ndarray
    other: np.ndarray
    prompt: np.ndarray
    batch: np.ndarray
    at: np.ndarray
    above: np.ndarray
    below: np.ndarray


@dataclass
class TextColumns:
    """One entry for each text that one person marked or edited: `value` is the penalty of its errors, or the edit rate
    from the candidate to the edited text. origin: the candidate's."""

    unit: array[int] = integers()
    prompt: array[int] = integers()
    person: array[int] = integers()
    origin: array[int] = integers()
    value: array[float] = numbers()


@dataclass(frozen=True)
class OfTexts(Table):
    """`TextColumns` as numpy arrays (n,)."""

    unit: np.ndarray
    prompt: np.ndarray
    person: np.ndarray
    origin: np.ndarray
    value: np.ndarray


@dataclass
class GoldColumns:
    """One entry for each choice between two texts in a gold task; `truth` is the class that was expected (0 the first
    text, 1 a tie, 2 the second)."""

    unit: array[int] = integers()
    person: array[int] = integers()
    answer: array[int] = integers()
    mirrored: array[int] = flags()
    truth: array[int] = integers()


@dataclass(frozen=True)
class GoldAnswers(Table):
    """`GoldColumns` as numpy arrays (n,)."""

    unit: np.ndarray
    person: np.ndarray
    answer: np.ndarray
    mirrored: np.ndarray
    truth: np.ndarray
