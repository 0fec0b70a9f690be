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
FEWEST_ITERATIONS = 200
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


def dawid_skene(
    answers: Answers, *, known: np.ndarray | None = None, smoothing: float = SMOOTHING, max_iterations: int = 0
) -> DawidSkene:
    """EM from the shares of votes, until no posterior moves by more than `CONVERGED`. `max_iterations` 0: as many as
    take about a second, at least 200.

    `known` (units,): the class of units whose truth is known, -1 of others. Without any, people who agree with each
    other are told from those who do not, but not which of two who agree is the better one.
    """
    max_iterations = max_iterations or max(FEWEST_ITERATIONS, min(5_000_000 // max(len(answers.unit), 1), 10_000))
    rows = Sides.of(answers)
    classes, people = answers.classes, answers.people
    posterior = fixed(majority(answers), known)
    prior, confusion = np.full(classes, 1 / classes), np.zeros((people, classes, classes))
    iteration, converged = 0, not len(rows.unit)
    while not converged and iteration < max_iterations:
        iteration += 1
        seen = posterior[rows.unit]
        seen = np.where(rows.turned, seen[:, ::-1], seen)
        counts = np.stack(
            [np.bincount(rows.cell, weights=seen[:, true], minlength=people * classes) for true in range(classes)],
            axis=1,
        )
        confusion = pooled(counts.reshape(people, classes, classes).transpose(0, 2, 1), smoothing)
        prior = (posterior.sum(axis=0) + 1 / classes) / (len(posterior) + 1)
        updated = fixed(rows.posterior(confusion, prior), known)
        converged = bool(np.abs(updated - posterior).max() < CONVERGED)
        posterior = updated
    return DawidSkene(posterior, confusion, prior, iteration, converged)


def fixed(posterior: np.ndarray, known: np.ndarray | None) -> np.ndarray:
    """With certainty where the class is known."""
    if known is None:
        return posterior
    sure = known >= 0
    posterior[sure] = np.eye(posterior.shape[1])[known[sure]]
    return posterior


def posterior_given(answers: Answers, confusion: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """(units, classes): of answers by people whose confusion matrices (people, classes, classes) are known. What they
    say changes nothing of what is known about anybody."""
    return Sides.of(answers).posterior(confusion, prior)


@dataclass(frozen=True)
class Sides:
    """Answers in one order, by sides. `cell` (n,): person * classes + answer. `starts`: where a unit's rows begin."""

    unit: np.ndarray
    cell: np.ndarray
    turned: np.ndarray
    starts: np.ndarray
    units: int

    @classmethod
    def of(cls, answers: Answers) -> "Sides":
        rows = answers.sorted()
        assert rows.mirrored is not None
        own = np.where(rows.mirrored, rows.classes - 1 - rows.answer, rows.answer)
        new = np.ones(len(rows.unit), dtype=bool)
        new[1:] = np.diff(rows.unit) != 0
        cell = rows.person * rows.classes + own
        return cls(rows.unit, cell, rows.mirrored[:, None], np.flatnonzero(new), rows.units)

    def posterior(self, confusion: np.ndarray, prior: np.ndarray) -> np.ndarray:
        classes = len(prior)
        score = np.tile(np.log(prior), (self.units, 1))
        if len(self.unit):
            by_cell = np.log(confusion).transpose(0, 2, 1).reshape(-1, classes)[self.cell]
            by_cell = np.where(self.turned, by_cell[:, ::-1], by_cell)
            score[self.unit[self.starts]] += np.add.reduceat(by_cell, self.starts, axis=0)
        score = np.exp(score - score.max(axis=1, keepdims=True))
        return np.asarray(score / score.sum(axis=1, keepdims=True))


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
