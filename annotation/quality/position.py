"""Who follows the side of the page: the share of decided pairs in which a person prefers the left text. Pure.

Only pairs whose sides were drawn at random tell anything. People are pooled in part: each one's log odds are drawn from
a normal distribution of all people's, and who answered little is taken to be like the others. The spread between people
is not known either: estimates are averaged over a grid of it (Gelman, Bayesian Data Analysis, section 5.4).
"""

from dataclasses import dataclass

import numpy as np

from annotation.quality.figures import NO_ORDER, TOO_FEW

FEWEST = 10  # decided pairs of all people together
GRID = np.linspace(0.0, 3.0, 121)  # standard deviations of log odds between people
SCALE = 0.5  # of the half-normal distribution of that spread before any answer was seen
MIDDLE = 1.0  # standard deviation of the mean log odds around 0, the same
DRAWS, SEED = 4_000, 20261128


@dataclass(frozen=True)
class Effect:
    """The share of `n` decided pairs with the left text preferred: `raw`, and pooled with its 95 % interval."""

    raw: float
    value: float
    low: float
    high: float
    n: int

    @property
    def is_claimed(self) -> bool:
        """Whether the interval excludes one half."""
        return not self.low <= 0.5 <= self.high


@dataclass(frozen=True)
class Position:
    """people: by id. overall: of a person of whom nothing else is known. spread: between people, in log odds.
    `undefined` says why there is nothing."""

    people: dict[int, Effect]
    overall: Effect | None
    spread: float | None
    undefined: str = ""


def position_effects(person: np.ndarray, left_won: np.ndarray, randomised: np.ndarray) -> Position:
    """`person`, `left_won`, `randomised` (n,) of decided pairs: who, whether the left text is the better one, whether
    its side was drawn at random."""
    use = randomised.astype(bool)
    if not use.any():
        return Position({}, None, None, NO_ORDER if len(use) else TOO_FEW)
    ids, which = np.unique(person[use], return_inverse=True)
    n = np.bincount(which).astype(float)
    left = np.bincount(which, weights=left_won[use].astype(float))
    if n.sum() < FEWEST:
        return Position({}, None, None, TOO_FEW)
    odds = np.log((left + 0.5) / (n - left + 0.5))
    variance = 1 / (left + 0.5) + 1 / (n - left + 0.5)
    draws, middles, spreads = drawn(odds, variance)
    shares = 1 / (1 + np.exp(-draws))
    low, high = np.quantile(shares, (0.025, 0.975), axis=0)
    people = {
        int(who): Effect(
            float(left[at] / n[at]), float(shares[:, at].mean()), float(low[at]), float(high[at]), int(n[at])
        )
        for at, who in enumerate(ids)
    }
    of_all = 1 / (1 + np.exp(-middles))
    ends = np.quantile(of_all, (0.025, 0.975))
    raw = float(left.sum() / n.sum())
    overall = Effect(raw, float(of_all.mean()), float(ends[0]), float(ends[1]), int(n.sum()))
    return Position(people, overall, float(spreads.mean()))


def drawn(odds: np.ndarray, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(draws (d, people) of each person's log odds, of their mean (d,), of their spread (d,)), given estimates with
    these variances."""
    total = variance[None, :] + GRID[:, None] ** 2
    precision = (1 / total).sum(axis=1) + 1 / MIDDLE**2
    middle = (odds[None, :] / total).sum(axis=1) / precision
    # The likelihood of each spread, its mean integrated out.
    fit = -0.5 * np.log(total).sum(axis=1) - 0.5 * np.log(precision)
    fit += -0.5 * ((odds[None, :] ** 2 / total).sum(axis=1) - middle**2 * precision)
    fit -= GRID**2 / (2 * SCALE**2)
    weight = np.exp(fit - fit.max())
    random = np.random.default_rng(SEED)
    at = random.choice(len(GRID), size=DRAWS, p=weight / weight.sum())
    middles = middle[at] + random.normal(size=DRAWS) / np.sqrt(precision[at])
    spread = GRID[at][:, None]
    kept = variance[None, :] / (variance[None, :] + spread**2)  # of the mean; the rest of the person's own
    own = kept * middles[:, None] + (1 - kept) * odds[None, :]
    own += random.normal(size=own.shape) * np.sqrt(kept) * spread
    return own, middles, GRID[at]
