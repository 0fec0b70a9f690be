"""What people chose between two texts → votes, posterior, calibrated posterior of each pair, side by side. Pure.

The posterior takes what is known of each person from what they answered (not from what a reviewer made of it), and
applies it to the answers that count. Where an adjudicator decided, the decision is the label. The truth of gold tells
the model who is right, and calibrates it: each part of gold by a model that did not know it (`soft_labels`).
"""

from dataclasses import dataclass

import numpy as np

from annotation.quality import columns
from annotation.quality.aggregation import PAIR_CLASSES, Answers, DawidSkene, majority, posterior_given
from annotation.quality.calibration import FEWEST_GOLD, Calibration
from annotation.quality.columns import BAD
from annotation.quality.material import Material
from annotation.quality.soft_labels import anchored, calibrated_on

FEWEST_SHARED = 10  # pairs that two people answered, below which nothing is known of anybody


@dataclass(frozen=True)
class Labels:
    """Of each pair of texts that people chose between (k,): distributions over the first text is better, a tie, the
    second is better.

    unit: its place in `Material.pairs`. votes (k, 3): shares of people. answers (k,): people. posterior and calibrated
    (k, 3): None where too few pairs were answered twice, and where there is too little gold. decided (k,): by an
    adjudicator. people: ids, in the order of the model's confusion matrices. given: the answers that it learned from.
    gold: gold pairs that have answers.
    """

    unit: np.ndarray
    votes: np.ndarray
    answers: np.ndarray
    decided: np.ndarray
    posterior: np.ndarray | None
    calibrated: np.ndarray | None
    model: DawidSkene | None
    people: np.ndarray
    given: Answers | None
    calibration: Calibration | None
    gold: int
    shared: int

    @property
    def best(self) -> np.ndarray:
        """The most trustworthy of the three."""
        if self.calibrated is not None:
            return self.calibrated
        return self.votes if self.posterior is None else self.posterior


def labels_of(material: Material) -> Labels:
    rows = choice_rows(material)
    gold = material.gold_choices
    units, unit = np.unique(rows.unit, return_inverse=True)
    people, person = np.unique(np.concatenate([rows.person, gold.person]), return_inverse=True)
    golden = person[len(rows.person) :]
    person = person[: len(rows.person)]
    given = one_answer_each(unit, person, rows.given, rows.mirrored)
    counted = one_answer_each(unit, person, rows.counted, rows.mirrored)
    # Each unit keeps its place, whichever answers count.
    votes = padded(majority(counted), len(units), 1 / PAIR_CLASSES)
    answers = np.bincount(counted.unit, minlength=len(units))
    decided = np.zeros(len(units), dtype=bool)
    certain = rows.decided & usable(rows.counted)
    decided[unit[certain]] = True
    shared = int((np.bincount(given.unit, minlength=1) > 1).sum())
    items = len(np.unique(gold.unit))
    nothing = Labels(units, votes, answers, decided, None, None, None, people, None, None, items, shared)
    if shared < FEWEST_SHARED:
        return nothing
    of_gold = one_answer_each(gold.unit, golden, gold.answer - 1.0, gold.mirrored)
    truth = np.zeros(of_gold.units, dtype=np.int64)
    truth[gold.unit] = gold.truth
    model = anchored(given, of_gold, truth)
    posterior = padded(posterior_given(counted, model.confusion, model.prior), len(units), model.prior)
    calibration, calibrated = None, None
    if items >= FEWEST_GOLD:
        calibration = calibrated_on(given, of_gold, truth)
        calibrated = calibration.apply(posterior)
    sure = np.zeros_like(votes)
    sure[unit[certain], (np.sign(rows.counted[certain]) + 1).astype(int)] = 1.0
    posterior[decided] = sure[decided]
    if calibrated is not None:
        calibrated[decided] = sure[decided]
    return Labels(
        units, votes, answers, decided, posterior, calibrated, model, people, given, calibration, items, shared
    )


def choice_rows(material: Material) -> columns.Rated:
    is_choice = [at for at, one in enumerate(material.measures) if one.name == columns.CHOICE]
    return material.rated.where(np.isin(material.rated.measure, is_choice))


def usable(value: np.ndarray) -> np.ndarray:
    """Whether a choice says which text is better, or that neither is (n,): "all bad" does not."""
    return np.asarray(~np.isnan(value) & (value != BAD))


def one_answer_each(unit: np.ndarray, person: np.ndarray, value: np.ndarray, mirrored: np.ndarray) -> Answers:
    """Of several answers of one person to a pair the one that most of them give, or a tie: as datasets count them."""
    use = usable(value)
    pairs = np.stack([unit[use], person[use]])
    both, first, which = np.unique(pairs, axis=1, return_index=True, return_inverse=True)
    sign = np.sign(np.bincount(which.ravel(), weights=np.sign(value[use]), minlength=both.shape[1]))
    answer = (sign + 1).astype(np.int64)
    return Answers(both[0], both[1], answer, PAIR_CLASSES, mirrored[use][first].astype(bool))


def padded(values: np.ndarray, units: int, missing: float | np.ndarray) -> np.ndarray:
    """With rows for the last units that have no answer."""
    result = np.empty((units, PAIR_CLASSES))
    result[:] = missing
    result[: len(values)] = values
    return result


class PairLabels:
    """Labels by candidates, for whoever freezes datasets. `one` and `other` may be any candidates that read like those
    of the pair."""

    def __init__(self, material: Material, labels: Labels) -> None:
        self.labels, self.same = labels, material.same
        self.row = {material.pairs[unit]: row for row, unit in enumerate(labels.unit.tolist())}

    def of(self, prompt: int, one: int, other: int) -> dict[str, list[float] | int | bool] | None:
        """`votes`, `posterior`, `calibrated`: [one is better, a tie, other is better] each, the last two only where
        they exist; `answers`, and `decided` where an adjudicator did. None where nobody chose between the two."""
        first, second = self.same.get(one, one), self.same.get(other, other)
        row, turned = self.row.get((prompt, first, second)), False
        if row is None:
            row, turned = self.row.get((prompt, second, first)), True
        if row is None or not self.labels.answers[row]:
            return None
        labels = self.labels
        found: dict[str, list[float] | int | bool] = {"answers": int(labels.answers[row])}
        for name, values in (
            ("votes", labels.votes),
            ("posterior", labels.posterior),
            ("calibrated", labels.calibrated),
        ):
            if values is not None:
                own = values[row].tolist()
                found[name] = own[::-1] if turned else own
        if labels.decided[row]:
            found["decided"] = True
        return found
