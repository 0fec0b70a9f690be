"""Simulated annotators of pairs, with everything planted: the truth, abilities, left bias, flips, and hard pairs that
many get wrong together (which is what makes posteriors overconfident)."""

from dataclasses import dataclass

import numpy as np

from annotation.quality.aggregation import PAIR_CLASSES, Answers


@dataclass(frozen=True)
class Person:
    """error: share of slips on a pair of middle difficulty. left: share of answers that take the left text unseen.
    flip: share of answers that say the opposite. guess: answers at random."""

    error: float = 0.1
    left: float = 0.0
    flip: float = 0.0
    guess: bool = False


@dataclass(frozen=True)
class Crowd:
    answers: Answers
    truth: np.ndarray


def crowd(
    random: np.random.Generator,
    people: list[Person],
    *,
    units: int,
    overlap: int,
    ties: float = 0.1,
    hardness: float = 0.0,
) -> Crowd:
    """`overlap` of the people answer each pair, in a random order of sides (the same for all, as a task has one).
    `hardness`: of so many of the pairs, people see the wrong side as the better one with probability one half."""
    truth = random.choice(PAIR_CLASSES, size=units, p=[(1 - ties) / 2, ties, (1 - ties) / 2])
    who = np.argsort(random.random((units, len(people))), axis=1)[:, :overlap]
    unit, person = np.repeat(np.arange(units), overlap), who.ravel()
    sides = random.random(units) < 0.5
    hard = random.random(units) < hardness
    mirrored = sides[unit]
    error = np.array([one.error for one in people])[person]
    error = np.where(hard[unit], np.maximum(error, 0.5), error)
    right = truth[unit]
    slips = random.random(len(unit)) < error
    # A slip on a decided pair is the other side, or a tie; on a tie, either side.
    other = np.where(
        right == 1, random.choice([0, 2], len(unit)), np.where(random.random(len(unit)) < 0.8, 2 - right, 1)
    )
    answer = np.where(slips, other, right)
    flips = random.random(len(unit)) < np.array([one.flip for one in people])[person]
    answer = np.where(flips, 2 - answer, answer)
    guesses = np.array([one.guess for one in people])[person]
    answer = np.where(guesses, random.choice(PAIR_CLASSES, len(unit), p=[0.45, 0.1, 0.45]), answer)
    left = random.random(len(unit)) < np.array([one.left for one in people])[person]
    answer = np.where(left, np.where(mirrored, 2, 0), answer)
    return Crowd(Answers(unit, person, answer, PAIR_CLASSES, mirrored), truth)
