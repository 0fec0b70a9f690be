"""What is read of a project's answers. Pure."""

from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple

from annotation.quality import columns
from annotation.quality.columns import Measure


class Check(NamedTuple):
    """Why a task is there, besides its answers: gold, tutorial, repeat or twin; `expected` is gold's payload."""

    what: str
    expected: dict[str, Any] | None = None


@dataclass(frozen=True)
class Material:
    """All that the figures need.

    pairs: (prompt, first candidate, second candidate) of each unit of a choice, by unit. same: the first candidate that
    reads the same, where there is one. gold: (person, kind, whether right) of each gold answer. answers: how many are
    looked at, by person. compared, edited: (units with several texts, post-edits; how many of them are looked at).
    """

    rated: columns.Rated
    alike: columns.Alike
    penalties: columns.OfTexts
    edits: columns.OfTexts
    gold_choices: columns.GoldAnswers
    gold: list[tuple[int, str, bool]]
    measures: list[Measure]
    origins: list[str]
    pairs: list[tuple[int, int, int]]
    same: dict[int, int]
    answers: Counter[int]
    left_out: Counter[str]
    compared: tuple[int, int]
    edited: tuple[int, int]
