"""Answers about pairs, and gold → what is probably right: posterior and, where gold is enough, calibrated. Pure."""

from dataclasses import dataclass

import numpy as np

from annotation.quality.aggregation import PAIR_CLASSES, Answers, DawidSkene, dawid_skene, posterior_given
from annotation.quality.calibration import FEWEST_GOLD, Calibration, fit_calibration

SEED = 20261129


@dataclass(frozen=True)
class PairAnswers:
    """Answers as columns (n,): `unit` from 0 up, `person` an id, `answer` 0 (the first text is better), 1 (a tie) or 2,
    and `mirrored`: whether this person saw the second text on the left."""

    unit: np.ndarray
    person: np.ndarray
    answer: np.ndarray
    mirrored: np.ndarray

    @classmethod
    def of(cls, rows: list[tuple[int, int, int, bool]]) -> "PairAnswers":
        columns = np.array(rows, dtype=np.int64).reshape(-1, 4).T
        return cls(columns[0], columns[1], columns[2], columns[3].astype(bool))

    @property
    def units(self) -> int:
        return int(self.unit.max()) + 1 if len(self.unit) else 0


@dataclass(frozen=True)
class Gold:
    """Answers to pairs whose truth is known, put into the stream of tasks; `truth` (items,), classes as answers."""

    answers: PairAnswers
    truth: np.ndarray

    @property
    def answered(self) -> int:
        """Items with an answer."""
        return len(np.unique(self.answers.unit))


@dataclass(frozen=True)
class SoftLabels:
    """posterior (units, 3), calibrated (units, 3) or None where gold is too little for it."""

    posterior: np.ndarray
    calibrated: np.ndarray | None
    model: DawidSkene
    calibration: Calibration | None
    gold: int


def soft_labels(answers: PairAnswers, gold: Gold) -> SoftLabels:
    """One model of all answers, those to gold included, without their truth; then gold calibrates it.

    A gold item is answered by many and a pair by a few, so that of each item as many answers are drawn as a pair has:
    otherwise the posterior of gold would be surer than that of pairs.
    """
    people, codes = np.unique(np.concatenate([answers.person, gold.answers.person]), return_inverse=True)
    own, golden = codes[: len(answers.person)], codes[len(answers.person) :]
    together = Answers(
        np.concatenate([answers.unit, answers.units + gold.answers.unit]),
        codes,
        np.concatenate([answers.answer, gold.answers.answer]),
        PAIR_CLASSES,
        np.concatenate([answers.mirrored, gold.answers.mirrored]),
    )
    model = dawid_skene(together)
    rows = Answers(answers.unit, own, answers.answer, PAIR_CLASSES, answers.mirrored)
    posterior = posterior_given(rows, model.confusion, model.prior)
    answered = gold.answered
    if answered < FEWEST_GOLD or not len(people):
        return SoftLabels(posterior, None, model, None, answered)
    kept = thinned(gold.answers.unit, gold.answers.person, np.bincount(answers.unit))
    items, unit = np.unique(gold.answers.unit[kept], return_inverse=True)
    drawn = Answers(unit, golden[kept], gold.answers.answer[kept], PAIR_CLASSES, gold.answers.mirrored[kept])
    calibration = fit_calibration(posterior_given(drawn, model.confusion, model.prior), gold.truth[items])
    return SoftLabels(posterior, calibration.apply(posterior), model, calibration, answered)


def thinned(unit: np.ndarray, person: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Places of gold answers (n,), of each item so many as a random ordinary pair has: `counts` (pairs,). At least one,
    and at most all. The same for the same answers, whatever their order."""
    random = np.random.default_rng(SEED)
    counts = np.sort(counts[counts > 0])
    order = np.lexsort((person, unit))
    kept: list[int] = []
    for places in np.split(order, np.flatnonzero(np.diff(unit[order])) + 1):
        wanted = int(counts[random.integers(len(counts))]) if len(counts) else len(places)
        kept += places[np.sort(random.permutation(len(places))[:wanted])].tolist()
    return np.array(kept, dtype=np.int64)
