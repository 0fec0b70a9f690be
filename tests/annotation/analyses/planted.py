"""Columns with a planted truth, for the tests of pure functions."""

import numpy as np

from annotation.analyses import pace
from annotation.analyses.columns import Answers, Pairs
from annotation.analyses.people import Clock, Person, people_of
from annotation.analyses.runs import Run

CHOOSING = 0


def pairs_of(first_won, task=None, *, longer_won=None, winner=None, loser=None, person=None) -> Pairs:
    n = len(first_won)
    zeros = np.zeros(n, dtype=int)
    return Pairs(
        slot=np.arange(n) + 1,
        task=np.arange(n) if task is None else np.asarray(task),
        person=zeros if person is None else np.asarray(person),
        first_won=np.asarray(first_won, dtype=int),
        longer_won=zeros if longer_won is None else np.asarray(longer_won),
        winner=zeros if winner is None else np.asarray(winner),
        loser=zeros + 1 if loser is None else np.asarray(loser),
    )


def answers_of(person, *, task=None, seconds=None, pattern=None, chars=None, kind=None, at=None) -> Answers:
    person = np.asarray(person, dtype=np.int64)
    n = len(person)

    def column(values, default):
        return np.asarray(values) if values is not None else np.full(n, default)

    return Answers(
        slot=np.arange(n) + 1,
        task=np.arange(n) if task is None else np.asarray(task),
        person=person,
        kind=column(kind, CHOOSING),
        chars=column(chars, 100),
        seconds=column(seconds, 30.0).astype(float),
        at=np.arange(n, dtype=float) if at is None else np.asarray(at, dtype=float),
        pattern=np.arange(n) if pattern is None else np.asarray(pattern),
    )


def people(answers: Answers, pairs: Pairs | None = None, *, lines: list[Run] = (), skips=None) -> dict[int, Person]:
    clock = Clock.of(answers, pace.timed(answers))
    return {row.person: row for row in people_of(answers, pairs or pairs_of([]), clock, lines, skips or {})}
