"""Answers to hidden gold, for calibration."""

import numpy as np

from annotation.models import Project
from annotation.quality.reading import GOLD
from annotation.quality.soft_labels import Gold, PairAnswers
from annotation.quality.source import checked_tasks, material_of


def gold_of(project: Project) -> Gold:
    """Counted answers to the gold that was put into the project's stream: pairs of texts whose better one is known. Of
    a person who met an item again, the first answer."""
    tasks = [task for task, check in checked_tasks(project).items() if check.what == GOLD]
    if not tasks:
        return Gold(PairAnswers.of([]), np.zeros(0, dtype=np.int64))
    columns = material_of(project, tasks=tasks).gold_choices
    _, first = np.unique(np.stack([columns.unit, columns.person]), axis=1, return_index=True)
    own = columns.where(np.sort(first))
    items, at, unit = np.unique(own.unit, return_index=True, return_inverse=True)
    answers = PairAnswers(unit, own.person, own.answer, own.mirrored.astype(bool))
    return Gold(answers, own.truth[at][: len(items)])
