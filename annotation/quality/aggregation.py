"""Answers of several people → what is probably right. Pure, and deterministic whatever the order of the rows.

Dawid and Skene (1979): each person has a confusion matrix, each unit a class, and EM finds both. Full matrices: models
of one ability a person collapse on real crowds. A matrix is drawn towards that of all people, as if each person had
given `smoothing` more answers of each class like everybody's.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np

from annotation.analyses.intervals import Z, wilson

TIE = 1  # of the classes of a pair: 0 the first text is better, 2 the second
PAIR_CLASSES = 3
SMOOTHING, CONVERGED = 2.0, 1e-5
FLOOR = 1e-3  # pseudo-answers in each cell of everybody's matrix


@dataclass(frozen=True)
class Answers:
    """`unit`, `person`, `answer` (n,): whole numbers from 0 up; answers are classes.

    `mirrored` (n,): this person saw the second text on the left, where classes are sides: class c is then
    `classes - 1 - c` for them, in what they answered and in their confusion matrix. None: nobody did.
    """

    unit: np.ndarray
    person: np.ndarray
    answer: np.ndarray
    classes: int
    mirrored: np.ndarray | None = None

    @property
    def units(self) -> int:
        return int(self.unit.max()) + 1 if len(self.unit) else 0

    @property
    def people(self) -> int:
        return int(self.person.max()) + 1 if len(self.person) else 0

    def sorted(self) -> "Answers":
        """In one order, whatever that of the rows was."""
        mirrored = np.zeros(len(self.unit), dtype=bool) if self.mirrored is None else self.mirrored.astype(bool)
        order = np.lexsort((mirrored, self.answer, self.person, self.unit))
        unit, person, answer = (column[order].astype(np.int64) for column in (self.unit, self.person, self.answer))
        return Answers(unit, person, answer, self.classes, mirrored[order])


@dataclass(frozen=True)
class DawidSkene:
    """posterior (units, classes): of the unit's class. confusion (people, classes, classes): of what a person answers
    given the class, by sides where answers are mirrored. prior (classes,)."""

    posterior: np.ndarray
    confusion: np.ndarray
    prior: np.ndarray
    iterations: int
    converged: bool


def majority(answers: Answers) -> np.ndarray:
    """(units, classes): shares of the votes. A unit without an answer has equal shares."""
    size = answers.units, answers.classes
    votes = np.bincount(answers.unit * answers.classes + answers.answer, minlength=size[0] * size[1]).reshape(size)
    total = votes.sum(axis=1, keepdims=True)
    return np.where(total > 0, votes / np.maximum(total, 1), 1 / answers.classes)


def dawid_skene(answers: Answers, *, smoothing: float = SMOOTHING, max_iterations: int = 200) -> DawidSkene:
    """EM from the shares of votes, until no posterior moves by more than `CONVERGED`."""
    rows, classes, people = answers.sorted(), answers.classes, answers.people
    unit, mirrored = rows.unit, rows.mirrored
    assert mirrored is not None
    own = np.where(mirrored, classes - 1 - rows.answer, rows.answer)  # by sides
    # One entry for all equal answers of a person to units of the same side: (person, side, answer).
    cell = rows.person * classes + own
    starts = np.flatnonzero(np.r_[True, np.diff(unit) != 0]) if len(unit) else np.zeros(0, dtype=np.int64)
    answered = unit[starts]
    turned = mirrored[:, None]
    posterior = majority(rows)
    prior, confusion = np.full(classes, 1 / classes), np.zeros((people, classes, classes))
    iteration, converged = 0, not len(unit)
    while not converged and iteration < max_iterations:
        iteration += 1
        seen = posterior[unit]
        seen = np.where(turned, seen[:, ::-1], seen)
        counts = np.stack(
            [np.bincount(cell, weights=seen[:, true], minlength=people * classes) for true in range(classes)], axis=1
        )
        confusion = pooled(counts.reshape(people, classes, classes).transpose(0, 2, 1), smoothing)
        prior = (posterior.sum(axis=0) + 1 / classes) / (len(posterior) + 1)
        by_cell = np.log(confusion).transpose(0, 2, 1).reshape(people * classes, classes)[cell]
        by_cell = np.where(turned, by_cell[:, ::-1], by_cell)
        score = np.tile(np.log(prior), (len(posterior), 1))
        score[answered] += np.add.reduceat(by_cell, starts, axis=0)
        score = np.exp(score - score.max(axis=1, keepdims=True))
        updated = score / score.sum(axis=1, keepdims=True)
        converged = bool(np.abs(updated - posterior).max() < CONVERGED)
        posterior = updated
    return DawidSkene(posterior, confusion, prior, iteration, converged)


def pooled(counts: np.ndarray, smoothing: float) -> np.ndarray:
    """Expected counts (people, class, answer) → confusion matrices, drawn towards everybody's."""
    everybody = counts.sum(axis=0) + FLOOR
    everybody = everybody / everybody.sum(axis=1, keepdims=True)
    shrunk = counts + smoothing * everybody
    return np.asarray(shrunk / shrunk.sum(axis=2, keepdims=True))


@dataclass(frozen=True)
class Accuracy:
    """How often a person is right, with a 95 % interval; `n` answers, worth `effective` ones whose truth is known."""

    value: float
    low: float
    high: float
    n: int
    effective: float


def accuracies(answers: Answers, posterior: np.ndarray) -> list[Accuracy | None]:
    """By person; None without an answer to a unit that somebody else answered too. `posterior` (units, classes) is best
    a calibrated one: an uncalibrated one believes those too much who err on the same items as others.

    What is right is not known but estimated: the interval is Wilson's of the information that remains (Louis 1982),
    n - sum q (1 - q) / (p (1 - p)) with q the probability that an answer is right and p the person's share.
    """
    _, which, sizes = np.unique(answers.unit, return_inverse=True, return_counts=True)
    shared = sizes[which] > 1
    person = answers.person[shared]
    right = posterior[answers.unit[shared], answers.answer[shared]]
    n = np.bincount(person, minlength=answers.people)
    hits = np.bincount(person, weights=right, minlength=answers.people)
    unsure = np.bincount(person, weights=right * (1 - right), minlength=answers.people)
    rows: list[Accuracy | None] = []
    for count, hit, missing in zip(n.tolist(), hits.tolist(), unsure.tolist(), strict=True):
        if not count:
            rows.append(None)
            continue
        p = min(max(hit / count, 0.0), 1.0)
        spread = max(p * (1 - p), 1 / (4 * count))
        effective = max(count - missing / spread, sqrt(count) / 2, 1.0)
        low, high = wilson(p, min(effective, count), Z)
        rows.append(Accuracy(p, low, high, count, min(effective, count)))
    return rows
