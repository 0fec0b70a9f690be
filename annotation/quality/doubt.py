"""How sure the label of each pair of texts is, and from it how doubtful a task is. Pure.

"All bad" is an answer of its own that the model does not know: it has the share of people who gave it, and the label
the rest.
"""

from dataclasses import dataclass

import numpy as np

from annotation.quality.agreements import verdict
from annotation.quality.columns import BAD
from annotation.quality.labels import Labels, choice_rows
from annotation.quality.material import Material


@dataclass(frozen=True)
class TaskDoubts:
    """Of each task in which people chose between texts (k,).

    task: ids. answers: people whose answers count. doubt: how many of its pairs have a label that is expected to be
    wrong. least: the probability of the best answer of its least certain pair. divided: whether two of its answers
    differ.
    """

    task: np.ndarray
    answers: np.ndarray
    doubt: np.ndarray
    least: np.ndarray
    divided: np.ndarray


def task_doubts(material: Material, labels: Labels) -> TaskDoubts:
    rows = choice_rows(material)
    rows = rows.where(~np.isnan(rows.counted))
    if not len(rows.task):
        nothing = np.zeros(0, dtype=np.int64)
        return TaskDoubts(nothing, nothing, np.zeros(0), np.zeros(0), nothing.astype(bool))
    row = np.searchsorted(labels.unit, rows.unit)
    bad = np.bincount(row, weights=rows.counted == BAD, minlength=len(labels.unit))
    asked = np.bincount(row, minlength=len(labels.unit))
    share = bad / np.maximum(asked, 1)
    best = np.maximum(share, (1 - share) * labels.best.max(axis=1))
    # One entry for each pair of a task, however many answered it.
    pairs = np.unique(np.stack([rows.task, row]), axis=1)
    tasks, which = np.unique(pairs[0], return_inverse=True)
    least = np.ones(len(tasks))
    np.minimum.at(least, which, best[pairs[1]])
    doubt = np.bincount(which, weights=1 - best[pairs[1]], minlength=len(tasks))
    people = np.unique(np.stack([rows.task, rows.person]), axis=1)[0]
    answers = np.bincount(np.searchsorted(tasks, people), minlength=len(tasks))
    divided = np.isin(tasks, divided_tasks(rows.task, row, verdict(rows.counted)))
    return TaskDoubts(tasks, answers, doubt, least, divided)


def divided_tasks(task: np.ndarray, pair: np.ndarray, value: np.ndarray) -> np.ndarray:
    """The tasks with a pair to which two answers (n,) differ."""
    answers = np.unique(np.stack([task.astype(float), pair, value]), axis=1)
    pairs, counts = np.unique(answers[:2], axis=1, return_counts=True)
    return np.unique(pairs[0][counts > 1]).astype(np.int64)
