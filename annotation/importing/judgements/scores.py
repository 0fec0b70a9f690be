"""An answer that scores texts, and the scales of a file's scores. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from django.utils.translation import gettext_noop

from annotation.core.messages import Message
from annotation.importing.judgements.cells import is_blank, shown, unpacked
from annotation.importing.judgements.naming import EMPTY, Names

MOST_POINTS = 201  # 0 to 100 in halves
STEPS = [Decimal(step) for step in ("1", "0.5", "0.25", "0.2", "0.1", "0.05", "0.02", "0.01")]
# In an object, the key of the number that is the score of an aspect: {"helpfulness": {"Rating": "4", …}}.
NUMBER_KEYS = ("score", "rating", "value", "points")
ASPECT_LIMIT = 80


class Score(NamedTuple):
    """Where a score stands: its `column`, the `aspect` that it is about, and the text (by a name of it; empty: the
    row's only text, or the cell says which)."""

    column: str
    aspect: str
    text: str = ""


class Scored(NamedTuple):
    """One score of a row."""

    text: int
    aspect: str
    value: Decimal


@dataclass(frozen=True, slots=True)
class Scale:
    """From `worst` to `best` in steps. Where few is good, `worst` is the larger."""

    worst: Decimal
    best: Decimal
    step: Decimal = Decimal(1)

    @property
    def points(self) -> int:
        return int(abs(self.best - self.worst) / self.step) + 1

    def point(self, value: Decimal) -> int:
        """The value as a point of an aspect, 1 for the worst."""
        return int(abs(value - self.worst) / self.step) + 1

    def has(self, value: Decimal) -> bool:
        low, high = sorted((self.worst, self.best))
        return low <= value <= high and not (value - self.worst) % self.step

    def values(self) -> list[str]:
        """From the worst to the best, as people write them."""
        step = self.step if self.best >= self.worst else -self.step
        return [plain(self.worst + step * number) for number in range(self.points)]

    def __str__(self) -> str:
        return f"{plain(self.worst)}..{plain(self.best)}"


def plain(value: Decimal) -> str:
    return f"{value.normalize():f}"


def scale_of(text: str) -> tuple[Decimal, Decimal] | None:
    """“0..4” → (0, 4)."""
    low, dots, high = text.partition("..")
    worst, best = decimal_of(low), decimal_of(high)
    return (worst, best) if dots and worst is not None and best is not None and worst != best else None


def decimal_of(value: Any) -> Decimal | None:
    """Exactly the number that the file has."""
    if isinstance(value, bool) or is_blank(value):
        return None
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number) < 10**9 else None


@dataclass
class ScoresSeen:
    """Of one aspect over the whole file."""

    low: Decimal
    high: Decimal
    row: int
    column: str = ""
    steps: list[Decimal] = field(default_factory=lambda: list(STEPS))

    def add(self, value: Decimal) -> None:
        self.low, self.high = min(self.low, value), max(self.high, value)
        self.steps = [step for step in self.steps if not value % step]

    def scale(self, worst: Decimal, best: Decimal) -> Scale | None:
        """In the largest steps that all values and both ends are multiples of; None where that is too fine, or a value
        lies outside."""
        low, high = sorted((worst, best))
        for step in self.steps:
            if not (self.low - worst) % step and not (best - worst) % step and not worst % step:
                found = Scale(worst, best, step)
                return found if found.points <= MOST_POINTS and low <= self.low and self.high <= high else None
        return None


def scores_in(value: Any, aspect: str, text: str, names: Names) -> Iterator[Scored]:
    """The scores in one cell: a number; an object of them by text, by aspect, or both; a list with one for each text.
    Raises ValueError."""
    value = unpacked(value)
    if is_blank(value):
        return
    if type(value) is dict:
        number = next((inner for key, inner in value.items() if key.casefold() in NUMBER_KEYS), None)
        if number is not None and (len(value) == 1 or text):
            yield from scores_in(number, aspect, text, names)
            return
        for key, inner in value.items():
            if not text and len(names.places) > 1 and names.has(key):
                yield from scores_in(inner, aspect, key, names)
            elif type(inner) is dict or decimal_of(inner) is not None:
                yield from scores_in(score_of(inner), named(key), text, names)
        return
    index = the_text(text, names, len(value) if type(value) is list else None)
    if type(value) is list and index is None:
        for place, inner in zip(names.places, value, strict=True):
            if not is_blank(inner) and place != EMPTY:
                yield Scored(place, aspect, number_in(inner))
    elif index is not None and index != EMPTY:
        yield Scored(index, aspect, number_in(value))


def the_text(text: str, names: Names, listed: int | None) -> int | None:
    """The candidate that is scored; None where a list has a score for each."""
    if text:
        return names.find(text)
    if listed is not None and listed == len(names.places):
        return None
    if len(names.places) == 1:
        return names.places[0]
    if listed is not None:
        message = gettext_noop("%(count)s scores for %(texts)s texts; give one for each, or name the text")
        raise ValueError(Message(message, count=listed, texts=len(names.places)))
    raise ValueError(
        Message(gettext_noop("the row has several texts, and the score does not say of which; name the text"))
    )


def score_of(value: Any) -> Any:
    """The number in {"Rating": "4", "Rationale": …}."""
    if type(value) is dict:
        return next((inner for key, inner in value.items() if key.casefold() in NUMBER_KEYS), value)
    return value


def number_in(value: Any) -> Decimal:
    value = score_of(value)
    number = decimal_of(value)
    if number is None:
        message = gettext_noop("“%(value)s” is not a score; write a number")
        raise ValueError(Message(message, value=shown(value)[:40]))
    return number


def named(aspect: str) -> str:
    return " ".join(str(aspect).split())[:ASPECT_LIMIT]


def twice(scores: Sequence[Scored]) -> bool:
    return len({(score.text, score.aspect) for score in scores}) < len(scores)
