"""A check: its name, what it asserts, and a function that measures it and returns a Finding."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from training.engine.verification.bench import Bench

Status = Literal["pass", "fail", "refused", "not offered"]


class Indecisive(RuntimeError):
    """The figure would be the same for a faulty trainer: the check's own inputs are wrong."""


@dataclass(frozen=True)
class Finding:
    """What a check measured. `figure` passes where it is at most `tolerance`; both None for a yes or no."""

    passed: bool
    words: str
    figure: float | None = None
    tolerance: float | None = None


@dataclass(frozen=True)
class Check:
    """`may_refuse`: to decline such a job with a message is right, too. A trainer that declines anything else fails."""

    name: str
    group: str
    asserts: str
    measure: Callable[[Bench], Finding]
    may_refuse: bool = False


@dataclass(frozen=True)
class Result:
    """A check's outcome. `words` say what was measured, or how the trainer refused, or what it does not offer."""

    name: str
    group: str
    asserts: str
    status: Status
    words: str
    figure: float | None
    tolerance: float | None
    seconds: float


def within(figure: float, tolerance: float, words: str) -> Finding:
    """Passes where the figure (a distance from the right value, ≥ 0) is at most the tolerance; never for NaN."""
    return Finding(figure <= tolerance, words, figure, tolerance)


def off(values: Iterable[float], right: Iterable[float]) -> float:
    """The largest distance of a value from the right one, in parts of the right one."""
    return max(abs(value / correct - 1) for value, correct in zip(values, right, strict=True))


def decisive(figure: float, tolerance: float, what: str) -> None:
    """Raises Indecisive unless a faulty trainer's figure would lie far outside the tolerance."""
    if not figure > 20 * tolerance:
        raise Indecisive(f"{what} would change the figure by {figure:.2g} only (tolerance {tolerance:.2g})")
