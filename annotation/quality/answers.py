"""One answer, parsed, and what it says of each two texts and of each aspect. Pure."""

from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, NamedTuple

from annotation.kinds.base import AnnotationKind
from annotation.kinds.votes import one_of_each_reading
from annotation.quality.columns import BAD


class Line(NamedTuple):
    """A row of `annotation.quality.source.ANSWERS`. `counted` is None where it is what was given."""

    prompt: int
    annotation: int
    task: int
    batch: int
    person: int
    kind: str
    given: str
    counted: str | None
    decided: bool
    at: float
    randomised: bool
    excluded: bool
    pending: str | None


class Choice(NamedTuple):
    """Of two texts: the value as in `RatingColumns`, whether the second was on the left, and the candidates shown."""

    value: float
    mirrored: bool
    one: int
    other: int


Pair = tuple[int, int]  # candidates, of those that read the same the first; the smaller text first


@dataclass
class Said:
    """One answer to a prompt, parsed."""

    line: Line
    kind: AnnotationKind[Any]
    given: Any
    counted: Any


@dataclass
class Texts:
    """The candidates of a prompt: texts and origins by id, and of each the first one that reads the same."""

    text: dict[int, str] = field(default_factory=dict)
    origin: dict[int, str] = field(default_factory=dict)
    first: dict[int, int] = field(default_factory=dict)

    def settle(self) -> None:
        readings = one_of_each_reading(self.text)
        first: dict[str, int] = {}
        for key in sorted(readings):
            self.first[key] = first.setdefault(readings[key], key)

    def pair(self, one: int, other: int) -> Pair | None:
        """None where both read the same."""
        one, other = self.first.get(one, one), self.first.get(other, other)
        if one == other:
            return None
        return (one, other) if (self.text.get(one, ""), one) <= (self.text.get(other, ""), other) else (other, one)


def choices(kind: AnnotationKind[Any], answer: Any, texts: Texts) -> dict[Pair, Choice]:
    """What the answer says of each two of its texts."""
    place = {key: at for at, key in enumerate(kind.candidates(answer))}
    found: dict[Pair, Choice] = {}

    def add(one: int, other: int, value: float) -> None:
        pair = texts.pair(one, other)
        if pair is None:
            return
        if texts.first.get(one, one) != pair[0]:
            one, other, value = other, one, -value if value != BAD else value
        found.setdefault(pair, Choice(value, place.get(one, 0) > place.get(other, 0), one, other))

    if kind.prefers_none(answer):
        for one, other in combinations(place, 2):
            add(one, other, BAD)
    size = float(kind.strength(answer) or 1)
    for one, other, value in kind.preferences(answer):
        add(one, other, 0.0 if value == 0.5 else -size)
    return found


def scores(kind: AnnotationKind[Any], answer: Any, texts: Texts) -> dict[tuple[int, str], float]:
    found: dict[tuple[int, str], float] = {}
    for candidate, points in kind.scores(answer).items():
        for aspect, score in points.items():
            found.setdefault((texts.first.get(candidate, candidate), aspect), float(score))
    return found


def value_of(choice: Choice | None) -> float:
    return float("nan") if choice is None else choice.value


def class_of(value: float) -> int:
    return 0 if value < 0 else 1 if value == 0 else 2
