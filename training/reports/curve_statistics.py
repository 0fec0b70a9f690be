"""What a learning curve's figures allow one to say: paired gains with their intervals, and a power law. Pure.

All points are measured on the same held-out rows, so two points are compared row by row. That detects far
smaller changes than two separate intervals. What it leaves out is how much another seed would change each point.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Z = 1.959964  # the standard normal's 97.5 % quantile
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
