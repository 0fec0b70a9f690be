"""The slots of batches with adaptive overlap: which tasks have all the answers they asked for, and one more for some.

`annotation.quality.overlap` decides which. A slot is added only to a task that is still as it was judged: under locks
of its slots, so that nobody answers, skips, reopens or decides it meanwhile.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import connection, transaction
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation.core.checks import checks_people
from annotation.core.events import record
from annotation.core.exclusions import EXCLUSION_ID, EXCLUSION_JOINS
from annotation.core.locks import Lock, key_of
from annotation.core.reviews import PENDING, REVIEW_JOIN
from annotation.models import Batch, Project, User
from annotation.queue.workforce import workforce_of

WITHDRAWN = "EXISTS (SELECT FROM annotation_exclusion e WHERE e.prompt_id = t.prompt_id AND e.lifted_at IS NULL)"
DECIDED = "EXISTS (SELECT FROM annotation_adjudication d WHERE d.task_id = t.id)"
# A reopened answer is still one; a slot that was skipped has another in its place.
STANDING = f"""
WITH slots AS (
    SELECT a.task_id,
        count(*) FILTER (WHERE a.state = 'done' OR a.state = 'held' AND a.finished_at IS NOT NULL) AS answers,
        bool_or(a.state IN ('free', 'withdrawn') OR a.state = 'held' AND a.finished_at IS NULL) AS is_open,
        bool_or(a.state = 'held' AND a.finished_at IS NOT NULL) AS is_reopened
    FROM annotation_assignment a JOIN annotation_batch b ON b.id = a.batch_id
    WHERE b.project_id = %(project)s AND b.overlap_most IS NOT NULL
    GROUP BY a.task_id
), given AS (
    SELECT annotation.task_id, count(*) FILTER (WHERE {EXCLUSION_ID} IS NULL AND {PENDING} IS NULL) AS counted,
        count(*) FILTER (WHERE {EXCLUSION_ID} IS NULL AND {PENDING} IS NOT NULL) AS pending
    FROM annotation_annotation annotation
        JOIN annotation_task task ON task.id = annotation.task_id
        JOIN annotation_batch batch ON batch.id = task.batch_id
        {EXCLUSION_JOINS}
        {REVIEW_JOIN}
    WHERE batch.project_id = %(project)s AND batch.overlap_most IS NOT NULL AND annotation.is_current
    GROUP BY annotation.task_id
)
SELECT t.id, t.batch_id, slots.answers, coalesce(given.counted, 0), slots.is_open::int,
    (slots.is_reopened OR coalesce(given.pending, 0) > 0)::int, ({DECIDED})::int, ({WITHDRAWN})::int
FROM slots JOIN annotation_task t ON t.id = slots.task_id LEFT JOIN given ON given.task_id = t.id
ORDER BY t.id
"""  # noqa: S608 - our own expressions
LOCK_SLOTS = """
SELECT id FROM annotation_assignment WHERE task_id = ANY(%(tasks)s::bigint[]) ORDER BY id FOR NO KEY UPDATE
"""
# Somebody is left for a task who may work on the batch, by the rules of claiming.
SOMEBODY = """EXISTS (
        SELECT FROM unnest(%(people)s::bigint[]) AS somebody (id) WHERE NOT EXISTS (
            SELECT FROM annotation_assignment had WHERE had.annotator_id = somebody.id AND had.task_id = t.id
        ) AND NOT EXISTS (
            SELECT FROM annotation_candidate c
            WHERE c.id = ANY(t.candidate_ids) AND c.origin = 'human:' || somebody.id
        ) AND NOT (%(avoid_seen)s AND EXISTS (
            SELECT FROM annotation_task other JOIN annotation_assignment seen ON seen.task_id = other.id
            WHERE other.prompt_id = t.prompt_id AND other.batch_id <> t.batch_id AND seen.annotator_id = somebody.id
        )))"""
ADD_SLOTS = f"""
WITH wanted AS (
    SELECT t.id, t.position, slots.last, {SOMEBODY} AS is_possible
    FROM unnest(%(tasks)s::bigint[], %(answers)s::int[]) AS judged (task, answers)
        JOIN annotation_task t ON t.id = judged.task AND t.batch_id = %(batch)s
        CROSS JOIN LATERAL (
            SELECT max(slot) AS last, count(*) FILTER (WHERE a.state = 'done') AS done,
                bool_and(a.state IN ('done', 'skipped')) AS is_finished
            FROM annotation_assignment a WHERE a.task_id = t.id) AS slots
    WHERE slots.is_finished AND slots.done = judged.answers AND slots.done < %(most)s
        AND NOT {DECIDED} AND NOT {WITHDRAWN} AND NOT {checks_people("t.id")}
), added AS (
    INSERT INTO annotation_assignment (task_id, batch_id, slot, priority, position, state, skip_reason, skip_comment)
    SELECT id, %(batch)s, last + 1, %(priority)s, position, 'free', '', '' FROM wanted WHERE is_possible
    ORDER BY position RETURNING task_id
)
SELECT (SELECT count(*) FROM added), count(*) FILTER (WHERE NOT is_possible) FROM wanted
"""  # noqa: S608 - our own expressions


@dataclass(frozen=True)
class Tasks:
    """The tasks of a project's adaptive batches, ordered by id (k,). Those that only check people are among them: their
    answers count in the progress of a batch.

    answers: that were given, reopened ones too. counted: of these, not excluded, and reviewed where that is required.
    open: a slot is free or in progress. waiting: an answer waits for a review, or is being changed. decided: by an
    adjudicator. withdrawn: its prompt is.
    """

    task: np.ndarray
    batch: np.ndarray
    answers: np.ndarray
    counted: np.ndarray
    open: np.ndarray
    waiting: np.ndarray
    decided: np.ndarray
    withdrawn: np.ndarray


def adaptive_tasks(project: Project) -> Tasks:
    """Call it in the transaction that reads the answers: both are of one moment."""
    found: list[tuple[int, ...]] = []
    if Batch.objects.filter(project=project, overlap_most__isnull=False).exists():
        with connection.cursor() as cursor:
            cursor.execute(STANDING, {"project": project.pk})
            found = cursor.fetchall()
    rows = np.array(found, dtype=np.int64).reshape(-1, 8)
    return Tasks(*rows[:, :4].T, *rows[:, 4:].astype(bool).T)


@dataclass(frozen=True)
class Extended:
    """How many tasks got one more slot, and how many did not since nobody is left who may answer them."""

    added: int
    nobody_left: int


def add_slots(
    *,
    batch: Batch,
    answers: Mapping[int, int],
    assessed: int,
    saved: int,
    calibrated: bool,
    actor: User | None = None,
) -> Extended:
    """One more free slot for each of these tasks; `answers` is how many each had when it was judged: one that has
    another number now, or a slot that is open, gets none, so that twice is the same as once. `assessed` and `saved` are
    those of `Batch`. A batch that is closed, or not adaptive, gets no slots."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            # No prompt is withdrawn or restored from here on.
            cursor.execute("SELECT pg_advisory_xact_lock_shared(%s, %s)", [Lock.TASKS, key_of(batch.project_id)])
        row = Batch.objects.select_for_update(no_key=True).get(pk=batch.pk)
        if row.status != Batch.Status.OPEN or row.overlap_most is None:
            return Extended(0, 0)
        extended = Extended(0, 0)
        if answers:
            values: dict[str, Any] = {
                "tasks": list(answers),
                "answers": list(answers.values()),
                "batch": row.pk,
                "most": row.overlap_most,
                "priority": row.priority,
                "people": list(workforce_of(row).people),
                "avoid_seen": row.project.avoid_seen,
            }
            with connection.cursor() as cursor:
                cursor.execute(LOCK_SLOTS, values)
                cursor.execute(ADD_SLOTS, values)
                extended = Extended(*cursor.fetchone())
        Batch.objects.filter(pk=row.pk).update(assessed=assessed, saved=saved)
        if extended.added:
            after = {"added": extended.added, "nobody_left": extended.nobody_left, "calibrated": calibrated}
            record(verb="batch.extended", target=row, actor=actor, project=row.project, after=after)
    return extended


def annotators_per_task(overlap: int, most: int | None = None) -> str:
    """Such as "3 annotators", or "2 to 5 annotators"."""
    if most is None:
        return ngettext("%(count)s annotator", "%(count)s annotators", overlap) % {"count": overlap}
    return _("%(least)s to %(most)s annotators") % {"least": overlap, "most": most}
