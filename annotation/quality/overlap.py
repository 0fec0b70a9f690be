"""Adaptive overlap, applied: which tasks of a project's adaptive batches get one more answer.

With calibrated labels a task is unsure while the best answer of one of its pairs has a probability below the batch's
`sure`. Without them it is unsure while its annotators differ: a posterior that is not calibrated is too certain, and
would stop too early. A task of which fewer answers count than the batch begins with, because some are excluded, gets
another one as well. Tasks that an adjudicator decided, and those that only check people, get none.
"""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from annotation.models import Batch, Project
from annotation.quality.adaptive import Rule, labels_saved, wants_more
from annotation.quality.doubt import TaskDoubts
from annotation.queue.overlap import Tasks, add_slots


@dataclass(frozen=True)
class Judged:
    """What was found of one adaptive batch.

    tasks: without those whose prompt is withdrawn and those that check people. settled: need no more answers, and have
    `answers`; `saved`: how many fewer that is than with the most for each. wanted: tasks that need one more, by id,
    with the answers that they have. assessed: answers of the batch that were taken into account.
    """

    batch: int
    tasks: int
    settled: int
    answers: int
    saved: int
    wanted: dict[int, int]
    assessed: int


def judge(batch: Batch, tasks: Tasks, doubts: TaskDoubts, *, calibrated: bool, checks: Collection[int]) -> Judged:
    """Pure. `checks`: tasks that only check people."""
    rule = Rule(sure=batch.sure, fewest=batch.overlap, most=batch.most)
    own = tasks.batch == batch.pk
    final = tasks.withdrawn | np.isin(tasks.task, np.fromiter(checks, np.int64, len(checks)))
    place = np.searchsorted(doubts.task, tasks.task)
    known = np.zeros(len(tasks.task), dtype=bool)
    known[place < len(doubts.task)] = (
        doubts.task[place[place < len(doubts.task)]] == tasks.task[place < len(doubts.task)]
    )
    seen, least = np.zeros(len(known), dtype=np.int64), np.zeros(len(known))
    seen[known] = doubts.answers[place[known]]
    least[known] = doubts.least[place[known]] if calibrated else np.where(doubts.divided[place[known]], 0.0, 1.0)
    # An answer that the labels do not know, such as one to texts that read the same, is none to judge by.
    judged = ~tasks.open & ~tasks.waiting & (tasks.decided | (seen == tasks.counted))
    more = wants_more(least[:, None], tasks.counted, rule) & (tasks.answers < rule.most) & ~tasks.decided
    settled = own & judged & ~final & ~more
    wanted = own & judged & ~final & more
    unjudged = own & ~tasks.open & ~judged & ~final
    return Judged(
        batch=batch.pk,
        tasks=int((own & ~final).sum()),
        settled=int(settled.sum()),
        answers=int(tasks.answers[settled].sum()),
        saved=labels_saved(tasks.answers[settled], rule),
        wanted=dict(zip(tasks.task[wanted].tolist(), tasks.answers[wanted].tolist(), strict=True)),
        assessed=int(tasks.answers[own].sum() - unjudged.sum()),
    )


def extend(
    project: Project, tasks: Tasks, doubts: TaskDoubts, *, calibrated: bool, checks: Collection[int]
) -> list[dict[str, Any]]:
    """Give every unsure task of the project's open adaptive batches one more slot. Returns, for each adaptive batch,
    {"batch", "tasks", "settled", "answers", "saved", "added", "nobody_left"}: see `Judged`."""
    found = []
    for batch in Batch.objects.filter(project=project, overlap_most__isnull=False).order_by("pk"):
        judged = judge(batch, tasks, doubts, calibrated=calibrated, checks=checks)
        extended = add_slots(
            batch=batch,
            answers=judged.wanted,
            assessed=judged.assessed,
            saved=judged.saved,
            calibrated=calibrated,
        )
        values = asdict(judged)
        del values["wanted"], values["assessed"]
        found.append({**values, **asdict(extended)})
    return found
