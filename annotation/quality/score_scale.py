"""Scores in units of their annotator's own scale. Pure.

Some people score low, some use the ends of a scale more than others. A z-score takes out both: it is how many standard
deviations of this person's scores a score lies above their mean. Who gave few scores is drawn towards everybody, as if
they had given `PRIOR` more scores like everybody's. It takes all people to have seen equally good texts: where texts
were not dealt out at random, a person with the better ones looks lenient, and is corrected for it wrongly.
"""

from dataclasses import dataclass

import numpy as np

PRIOR = 10.0


@dataclass(frozen=True)
class Scale:
    """One person's scale: the mean and the standard deviation that their scores are measured by, `n` scores, and how
    much of both is their own (0: all is everybody's)."""

    mean: float
    deviation: float
    n: int
    own: float


@dataclass(frozen=True)
class Scaled:
    """z (n,) in the order of the scores; people's scales by id; everybody's scale. `z` is 0 where nothing varies."""

    z: np.ndarray
    people: dict[int, Scale]
    everybody: Scale

    @property
    def as_scores(self) -> np.ndarray:
        """The z-scores on everybody's scale."""
        return self.everybody.mean + self.everybody.deviation * self.z


def scale_scores(person: np.ndarray, score: np.ndarray, *, prior: float = PRIOR) -> Scaled:
    """`person`, `score` (n,) of one aspect."""
    if not len(score):
        return Scaled(np.zeros(0), {}, Scale(0.0, 0.0, 0, 0.0))
    ids, which = np.unique(person, return_inverse=True)
    value = score.astype(float)
    n = np.bincount(which).astype(float)
    everybody = Scale(float(value.mean()), float(value.std()), len(value), 1.0)
    means = np.bincount(which, weights=value) / n
    own = n / (n + prior)
    mean = own * means + (1 - own) * everybody.mean
    squares = np.bincount(which, weights=(value - means[which]) ** 2)
    deviation = np.sqrt((squares + prior * everybody.deviation**2) / (n + prior))
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(deviation[which] > 0, (value - mean[which]) / deviation[which], 0.0)
    people = {
        int(who): Scale(float(mean[at]), float(deviation[at]), int(n[at]), float(own[at])) for at, who in enumerate(ids)
    }
    return Scaled(z, people, everybody)
