"""Intervals of held-out figures, and what two models on the same rows allow one to say. Pure.

Two models are measured on the same held-out rows, so they are compared row by row. That detects far smaller changes
than two separate intervals. What it leaves out is how much another seed would change each model.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean as mean
from statistics import variance

Z = 1.959964  # the standard normal's 97.5 % quantile
BETTER, WORSE, UNCLEAR = "better", "worse", "unclear"
# Less than this (two points of accuracy, or two per cent of perplexity) is not worth another round of annotation.
WORTH_WHILE = 0.02


@dataclass(frozen=True)
class Gain:
    """By how much one point is better than another (a share, or a relative decrease), with its 95 % interval."""

    value: float
    low: float
    high: float
    rows: int

    @property
    def rows_needed(self) -> int:
        """About how many held-out rows would detect a change of WORTH_WHILE: the width falls with their square root."""
        return math.ceil(self.rows * ((self.high - self.low) / 2 / WORTH_WHILE) ** 2)


def verdict(interval: Sequence[float] | None, neutral: float = 0.0) -> str:
    """Whether an interval of a gain lies above `neutral` (better), below it (worse) or round it (unclear)."""
    if interval is None:
        return UNCLEAR
    low, high = interval
    return BETTER if low > neutral else WORSE if high < neutral else UNCLEAR


def share_interval(share: float, n: float) -> tuple[float, float]:
    """95 % score interval of a share of `n` rows (Wilson 1927); unlike a bootstrap, valid at 0 and 1 and for few."""
    centre = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


def mean_interval(values: Sequence[float], minus: Sequence[float] | None = None) -> tuple[float, float] | None:
    """The normal 95 % interval of a mean, or of the difference of two means (`minus` are other rows).

    None where a mean has fewer than two values.
    """
    if min(len(part) for part in (values, minus) if part is not None) < 2:
        return None
    middle = mean(values) - (mean(minus) if minus is not None else 0.0)
    half = Z * math.sqrt(sum(variance(part) / len(part) for part in (values, minus) if part is not None))
    return middle - half, middle + half


def gain_in_wins(before: Mapping[int, float], after: Mapping[int, float]) -> Gain | None:
    """The difference of two shares on the same rows: 1 for a row that is right, 0 for a wrong one, ½ for a draw.

    Bonett and Price's (2012) interval for paired shares: it stays honest in small sets and where nothing changed.
    None without common rows.
    """
    rows = before.keys() & after.keys()
    if not rows:
        return None
    n = len(rows)
    won = sum(max(0.0, after[row] - before[row]) for row in rows)
    lost = sum(max(0.0, before[row] - after[row]) for row in rows)
    up, down = (won + 1) / (n + 2), (lost + 1) / (n + 2)
    half = Z * math.sqrt(max(0.0, up + down - (up - down) ** 2) / (n + 2))
    return Gain((won - lost) / n, max(-1.0, up - down - half), min(1.0, up - down + half), n)


def gain_in_perplexity(
    before: Mapping[int, float], after: Mapping[int, float], tokens: Mapping[int, int]
) -> Gain | None:
    """By which part the perplexity fell, from the rows' summed log-probabilities: 1 − after / before.

    The interval is that of a ratio estimator (the mean log-probability per token) over rows; None for fewer than two.
    """
    rows = sorted(before.keys() & after.keys() & tokens.keys())
    if len(rows) < 2:
        return None
    mean, error = per_token([after[row] - before[row] for row in rows], [tokens[row] for row in rows])
    low, value, high = (1 - math.exp(-(mean + shift * error)) for shift in (-Z, 0, Z))
    return Gain(value, low, high, len(rows))


def perplexity_interval(logps: Sequence[float], tokens: Sequence[int]) -> tuple[float, float] | None:
    """The 95 % interval of a perplexity over held-out rows; None for fewer than two."""
    if len(logps) < 2:
        return None
    mean, error = per_token(logps, tokens)
    return math.exp(min(700.0, -mean - Z * error)), math.exp(min(700.0, -mean + Z * error))


def per_token(sums: Sequence[float], tokens: Sequence[int]) -> tuple[float, float]:
    """Σ sums / Σ tokens, and its standard error over rows (at least two of them)."""
    total, n = sum(tokens), len(sums)
    mean = sum(sums) / total
    spread = sum((value - mean * count) ** 2 for value, count in zip(sums, tokens, strict=True))
    return mean, math.sqrt(n / (n - 1) * spread) / total


def power_law(labels: Sequence[int], errors: Sequence[float]) -> tuple[float, float] | None:
    """(c, α) of error ≈ c · labels^−α, by least squares of the logarithms; None where three points do not fall.

    Learning curves follow such a law over a wide range (Hestness et al. 2017), with a floor that this leaves out.
    """
    points = [(math.log(n), math.log(e)) for n, e in zip(labels, errors, strict=True) if n > 0 and e > 0]
    if len(points) < 3 or len(points) < len(labels):
        return None
    across = sum(x for x, _ in points) / len(points)
    up = sum(y for _, y in points) / len(points)
    width = sum((x - across) ** 2 for x, _ in points)
    if not width:
        return None
    slope = sum((x - across) * (y - up) for x, y in points) / width
    return (math.exp(up - slope * across), -slope) if slope < 0 else None
