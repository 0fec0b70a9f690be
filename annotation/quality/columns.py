"""Answers as columns: one array a field, all of one length. Pure.

A unit is a question that two people can agree on: two texts of a prompt, an aspect of a text, a text to edit or to
write. Texts that read the same are one. Units belong to prompts, not to tasks: a person who meets one again, in another
task, answers it twice.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, fields
from typing import Any, Generic, NamedTuple, Self, TypeVar

import numpy as np

from annotation.quality.agreement import Ratings

BAD = 9.0  # "all bad", which has no place between better and worse
CHOICE, SCORE, ORDER, MARKS, CHRF, EDIT_RATE = "choice", "score", "order", "marks", "chrf", "edit_rate"


class Measure(NamedTuple):
    """What is compared: answers of a kind, by a name (CHOICE …), of an aspect where there are several."""

    kind: str
    name: str
    aspect: str = ""


T = TypeVar("T", bound="Table")
NUMBERS = {"at", "given", "counted", "above", "below", "value"}  # the other columns are whole numbers, or
FLAGS = {"mirrored", "two", "decided"}


class Table:
    """Numpy columns. Subclasses are dataclasses whose fields are arrays (n,)."""

    def where(self, use: np.ndarray) -> Self:
        """Those rows: `use` is a mask (n,) or the places of some."""
        return type(self)(**{name: values[use] for name, values in vars(self).items()})


class Growing(Generic[T]):
    """A table that grows row by row."""

    def __init__(self, table: type[T]) -> None:
        self.table = table
        names = [one.name for one in fields(table)]  # type: ignore[arg-type]
        self.columns: dict[str, Any] = {
            name: array("d" if name in NUMBERS else "b" if name in FLAGS else "q") for name in names
        }

    def add(self, **values: float) -> None:
        for name, column in self.columns.items():
            column.append(values[name])

    def done(self) -> T:
        made = {name: np.asarray(column) for name, column in self.columns.items()}
        return self.table(**{name: rows.astype(bool) if name in FLAGS else rows for name, rows in made.items()})


@dataclass(frozen=True)
class Rated(Table):
    """One entry for each choice between two texts, and each score of an aspect of a text.

    In the order in which they were answered within each prompt. measure: its place in `Material.measures`. given: what
    the annotator answered, counted: what counts after reviews and adjudication; NaN where that says nothing of this
    unit. A choice is below 0 where the first text (the one whose text
    is smaller in code point order) is better, above 0 where the second is, by 1, or 2 where clearly so, 0 a tie, or
    `BAD`. mirrored: the second text was on the left. two: the task showed two texts, whose sides were drawn at random.
    decided: by an adjudicator, and not kept as divided. one, other: numbers of the origins of both texts.
    """

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


@dataclass(frozen=True)
class Alike(Table):
    """One entry for each two people who did the same: `above` over `below` is how alike it is (a tau, a chrF, an edit
    rate, shared characters of all that were marked). batch: 0 where they worked in different ones."""

    measure: np.ndarray
    one: np.ndarray
    other: np.ndarray
    prompt: np.ndarray
    batch: np.ndarray
    at: np.ndarray
    above: np.ndarray
    below: np.ndarray


@dataclass(frozen=True)
class OfTexts(Table):
    """One entry for each text that one person marked or edited: `value` is the penalty of its errors, or the edit rate
    from the candidate to the edited text. origin: the candidate's."""

    unit: np.ndarray
    prompt: np.ndarray
    batch: np.ndarray
    person: np.ndarray
    origin: np.ndarray
    value: np.ndarray


@dataclass(frozen=True)
class GoldAnswers(Table):
    """One entry for each choice between two texts in a gold task; `truth` is the class that was expected (0 the first
    text, 1 a tie, 2 the second)."""

    unit: np.ndarray
    person: np.ndarray
    answer: np.ndarray
    mirrored: np.ndarray
    truth: np.ndarray
