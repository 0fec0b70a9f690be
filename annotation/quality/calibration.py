"""A posterior → a probability that is right as often as it says, fitted on gold. Pure.

Posteriors of crowds are overconfident: people err on the same items, and the model takes them as independent. One
temperature (Guo et al. 2017) is what some fifty gold items can carry; from `PLENTY` on a monotone curve (isotonic
regression) is fitted as well, and kept where it predicts gold that it has not seen better.
"""

from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from django.utils.translation import gettext as _

from annotation.core.errors import InvalidInput

FEWEST_GOLD = 50
PLENTY = 500
FOLDS, BINS, FEWEST_IN_BIN = 10, 10, 10
DRAWS, SEED = 500, 20261128
TINY = 1e-12
TEMPERATURES = np.exp(np.linspace(np.log(0.25), np.log(20.0), 241))
SPREAD = 0.5  # standard deviation of log temperature before any gold was seen, around 1
NONE, TEMPERATURE, ISOTONIC = "none", "temperature", "isotonic"


class TooLittleGold(InvalidInput):
    """Fewer gold items than a calibration can rest on."""

    def __init__(self, gold: int) -> None:
        self.gold = gold
        super().__init__(
            _(
                "Only %(gold)d gold items have answers: calibration needs at least %(fewest)d. "
                "Add gold tasks to a batch, or use votes."
            )
            % {"gold": gold, "fewest": FEWEST_GOLD}
        )


@dataclass(frozen=True)
class Bin:
    """Items whose confidence lies between `low` and `high`: `n` of them, their mean confidence, how many are right."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Ece:
    """Expected calibration error: the mean distance of confidence and accuracy over bins of equally many items. Noise
    alone keeps it above 0 where there are few items. The interval draws gold items."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Calibration:
    """How to change a posterior. `before` and `after` are of gold items that the fit had not seen (cross-fitted), so
    are the bins. `curve`: (probability as it was, as it is) where the method is isotonic."""

    method: str
    temperature: float
    gold: int
    before: Ece
    after: Ece
    nll_before: float
    nll_after: float
    curve: tuple[tuple[float, float], ...] = ()
    bins_before: tuple[Bin, ...] = field(default=())
    bins_after: tuple[Bin, ...] = field(default=())

    def apply(self, posterior: np.ndarray) -> np.ndarray:
        """(n, classes) → (n, classes)."""
        scaled = tempered(posterior, self.temperature)
        if self.method != ISOTONIC:
            return scaled
        before, after = np.array(self.curve).T
        curved = np.interp(scaled, before, after)
        return np.asarray(curved / curved.sum(axis=1, keepdims=True))

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> "Calibration":
        values = dict(stored)
        values |= {name: Ece(**stored[name]) for name in ("before", "after")}
        values |= {name: tuple(Bin(**row) for row in stored[name]) for name in ("bins_before", "bins_after")}
        values["curve"] = tuple((float(one), float(other)) for one, other in stored["curve"])
        return cls(**values)


def fit_calibration(posterior: np.ndarray, truth: np.ndarray) -> Calibration:
    """`posterior` (gold, classes) of gold items, `truth` (gold,) their classes. Gold is what was put into the stream of
    tasks; adjudicated disagreements are a biased sample of the hardest. Raises TooLittleGold."""
    gold = len(truth)
    if gold < FEWEST_GOLD:
        raise TooLittleGold(gold)
    # By value, so that the order of the rows decides nothing.
    order = np.lexsort((*posterior.T, truth))
    posterior, truth = posterior[order], truth[order].astype(np.int64)
    fold = np.random.default_rng(SEED).permutation(gold) % FOLDS
    methods = (TEMPERATURE, ISOTONIC) if gold >= PLENTY else (TEMPERATURE,)
    unseen = {method: np.empty_like(posterior, dtype=float) for method in methods}
    for number in range(FOLDS):
        held = fold == number
        for method, values in unseen.items():
            values[held] = fitted(posterior[~held], truth[~held], method).apply(posterior[held])
    best = min(methods, key=lambda method: nll(unseen[method], truth))
    return replace(
        fitted(posterior, truth, best),
        before=ece_with_interval(posterior, truth),
        after=ece_with_interval(unseen[best], truth),
        nll_before=nll(posterior, truth),
        nll_after=nll(unseen[best], truth),
        bins_before=tuple(reliability(posterior, truth)),
        bins_after=tuple(reliability(unseen[best], truth)),
    )


def fitted(posterior: np.ndarray, truth: np.ndarray, method: str) -> Calibration:
    temperature = best_temperature(posterior, truth)
    nothing = Ece(0.0, 0.0, 0.0)
    made = Calibration(TEMPERATURE, temperature, len(truth), nothing, nothing, 0.0, 0.0)
    if method == TEMPERATURE:
        return made
    # One curve for all classes: which text is called the first means nothing.
    scaled = tempered(posterior, temperature)
    hit = np.zeros_like(scaled)
    hit[np.arange(len(truth)), truth] = 1
    return replace(made, method=ISOTONIC, curve=isotonic(scaled.ravel(), hit.ravel()))


def tempered(posterior: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities to the power of 1 / temperature, which make 1 again."""
    logs = np.log(np.maximum(posterior, TINY)) / temperature
    powers = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def best_temperature(posterior: np.ndarray, truth: np.ndarray) -> float:
    """The most probable temperature on a grid, log temperature being normal around 0 before gold was seen."""
    losses = [
        len(truth) * nll(tempered(posterior, float(value)), truth) + np.log(value) ** 2 / (2 * SPREAD**2)
        for value in TEMPERATURES
    ]
    return float(TEMPERATURES[int(np.argmin(losses))])


def isotonic(x: np.ndarray, y: np.ndarray) -> tuple[tuple[float, float], ...]:
    """The nondecreasing curve closest to y (pool adjacent violators), as points with linear pieces between them; never
    0 or 1, which a finite sample cannot show."""
    order = np.argsort(x, kind="stable")
    at, first = np.unique(x[order], return_index=True)
    sizes = np.diff(np.r_[first, len(x)]).astype(float)
    means = np.add.reduceat(y[order].astype(float), first) / sizes
    blocks: list[list[float]] = []  # mean, weight, sum of weighted x
    for value, weight, place in zip(means, sizes, at, strict=True):
        blocks.append([float(value), float(weight), float(place * weight)])
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            last = blocks.pop()
            own = blocks[-1]
            total = own[1] + last[1]
            blocks[-1] = [(own[0] * own[1] + last[0] * last[1]) / total, total, own[2] + last[2]]
    edge = 1 / (len(x) + 2)
    return tuple((total / weight, min(max(mean, edge), 1 - edge)) for mean, weight, total in blocks)


def nll(posterior: np.ndarray, truth: np.ndarray) -> float:
    """Mean negative log-likelihood of the truth."""
    return float(-np.log(np.maximum(posterior[np.arange(len(truth)), truth], TINY)).mean())


def reliability(posterior: np.ndarray, truth: np.ndarray, *, bins: int = BINS) -> list[Bin]:
    """Bins of equally many items by the confidence of their most probable class; fewer bins where items are few."""
    confidence, right = posterior.max(axis=1), posterior.argmax(axis=1) == truth
    order = np.argsort(confidence, kind="stable")
    count = max(1, min(bins, len(truth) // FEWEST_IN_BIN))
    rows = []
    for places in np.array_split(order, count):
        own = confidence[places]
        if len(own):
            figures = float(own.min()), float(own.max()), len(own), float(own.mean()), float(right[places].mean())
            rows.append(Bin(*figures))
    return rows


def ece(posterior: np.ndarray, truth: np.ndarray, *, bins: int = BINS) -> float:
    """Expected calibration error of the most probable class."""
    rows = reliability(posterior, truth, bins=bins)
    total = sum(row.n for row in rows)
    return sum(row.n * abs(row.confidence - row.accuracy) for row in rows) / total if total else 0.0


def ece_with_interval(posterior: np.ndarray, truth: np.ndarray) -> Ece:
    random = np.random.default_rng(SEED)
    draws = (random.integers(0, len(truth), len(truth)) for _draw in range(DRAWS))
    low, high = np.quantile([ece(posterior[draw], truth[draw]) for draw in draws], (0.025, 0.975))
    value = ece(posterior, truth)
    return Ece(value, min(float(low), value), max(float(high), value))
