"""Answers about pairs, and gold → what is probably right: posterior and, where gold is enough, calibrated. Pure."""

from dataclasses import dataclass

import numpy as np

from annotation.quality.aggregation import PAIR_CLASSES, Answers, DawidSkene, dawid_skene, posterior_given
from annotation.quality.calibration import FEWEST_GOLD, Calibration, fit_calibration

SEED, FOLDS = 20261129, 5


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
    """One model of all answers, in which the truth of gold is known; gold calibrates it, too (`calibrated_on`)."""
    people, codes = np.unique(np.concatenate([answers.person, gold.answers.person]), return_inverse=True)
    own, golden = codes[: len(answers.person)], codes[len(answers.person) :]
    rows = Answers(answers.unit, own, answers.answer, PAIR_CLASSES, answers.mirrored)
    items = gold.answers
    of_gold = Answers(items.unit, golden, items.answer, PAIR_CLASSES, items.mirrored)
    model = anchored(rows, of_gold, gold.truth)
    posterior = posterior_given(rows, model.confusion, model.prior)
    answered = gold.answered
    if answered < FEWEST_GOLD or not len(people):
        return SoftLabels(posterior, None, model, None, answered)
    calibration = calibrated_on(rows, of_gold, gold.truth)
    return SoftLabels(posterior, calibration.apply(posterior), model, calibration, answered)


def anchored(rows: Answers, gold: Answers, truth: np.ndarray, *, without: np.ndarray | None = None) -> DawidSkene:
    """The model of answers to ordinary pairs and to gold, whose `truth` (items,) is known but for the items `without`
    (a mask). Its posterior begins with the ordinary units."""
    before = rows.units
    known = np.where(np.zeros(len(truth), dtype=bool) if without is None else without, -1, truth)
    together = Answers(
        np.concatenate([rows.unit, before + gold.unit]),
        np.concatenate([rows.person, gold.person]),
        np.concatenate([rows.answer, gold.answer]),
        rows.classes,
        np.concatenate([sides(rows), sides(gold)]),
    )
    known = np.concatenate([np.full(before, -1), known[: together.units - before]]).astype(np.int64)
    return dawid_skene(together, known=known)


def calibrated_on(rows: Answers, gold: Answers, truth: np.ndarray) -> Calibration:
    """Calibration on posteriors of gold by models that did not know its truth: in turn, a fifth of it is left unknown.

    A gold item may have more answers than a pair, so that of each as many are drawn as a pair has: otherwise the
    posterior of gold would be surer than that of pairs. Raises TooLittleGold.
    """
    kept = thinned(gold.unit, gold.person, np.bincount(rows.unit))
    items, unit = np.unique(gold.unit[kept], return_inverse=True)
    drawn = Answers(unit, gold.person[kept], gold.answer[kept], gold.classes, sides(gold)[kept])
    fold = np.random.default_rng(SEED).permutation(len(items)) % FOLDS
    posterior = np.empty((len(items), gold.classes))
    for number in range(FOLDS):
        unknown = np.zeros(len(truth), dtype=bool)
        unknown[items[fold == number]] = True
        model = anchored(rows, gold, truth, without=unknown)
        posterior[fold == number] = posterior_given(drawn, model.confusion, model.prior)[fold == number]
    return fit_calibration(posterior, truth[items])


def sides(answers: Answers) -> np.ndarray:
    return np.zeros(len(answers.unit), dtype=bool) if answers.mirrored is None else answers.mirrored.astype(bool)


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
