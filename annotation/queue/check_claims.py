"""What of claiming is about tasks that check people: who gets which, and practice items before all others."""

from datetime import timedelta

from annotation.core.events import insert_events
from annotation.core.prepared import execute
from annotation.models import Batch, User

REPEAT_AFTER = 8  # a person's answers between one to a task and the one to its repeat
# Whether a person may get a task of a batch.
MAY_WORK = """AND EXISTS (
        SELECT FROM annotation_batch b WHERE b.id = %(batch)s AND b.status = 'open' AND (
            b.qualification_id IS NULL OR EXISTS (
                SELECT FROM annotation_qualificationattempt q
                WHERE q.qualification_id = b.qualification_id AND q.user_id = %(annotator)s AND q.passed)))
      AND NOT EXISTS (
        SELECT FROM annotation_membership m
        WHERE m.project_id = %(project)s AND m.user_id = %(annotator)s AND m.paused_at IS NOT NULL)"""
PRACTICE_ATTEMPTS = 20
# Of a task that checks people: gold only for those who never had its prompt and did not make it; a repeat, and a text
# that is compared with an earlier answer, only for those who gave that answer, and `REPEAT_AFTER` others since.
# `annotation.queue.progress.closed_checks` asks the same.
CHECKS = f"""
      AND (SELECT count(*)
        FROM annotation_taskcheck k LEFT JOIN annotation_gold g ON g.id = k.gold_id
        WHERE k.task_id = free.task_id AND CASE
            WHEN k.gold_id IS NOT NULL THEN g.created_by_id = %(annotator)s OR EXISTS (
                SELECT FROM annotation_task other
                    JOIN annotation_assignment met ON met.task_id = other.id AND met.annotator_id = %(annotator)s
                WHERE other.prompt_id = g.prompt_id AND other.id <> k.task_id)
            WHEN k.of_task_id IS NOT NULL THEN NOT EXISTS (
                SELECT FROM annotation_assignment earlier
                WHERE earlier.task_id = k.of_task_id AND earlier.annotator_id = %(annotator)s
                    AND earlier.state = 'done' AND EXISTS (
                        SELECT FROM annotation_annotation since
                        WHERE since.annotator_id = %(annotator)s AND since.created_at > earlier.finished_at
                        OFFSET {REPEAT_AFTER - 1}))
            ELSE false END) = 0
"""  # noqa: S608 - our own number
# (whether a practice item is due, whether it was taken).
PRACTICE = f"""
WITH due AS (
    SELECT t.id, t.position FROM annotation_taskcheck k JOIN annotation_task t ON t.id = k.task_id
    WHERE k.batch_id = %(batch)s AND k.what = 'tutorial'
      AND NOT EXISTS (SELECT FROM annotation_assignment had
        WHERE had.annotator_id = %(annotator)s AND had.task_id = k.task_id)
      AND NOT EXISTS (SELECT FROM annotation_assignment held
        WHERE held.annotator_id = %(annotator)s AND held.batch_id = %(batch)s AND held.state = 'held')
      {MAY_WORK}
    ORDER BY t.position LIMIT 1
), claimed AS (
    INSERT INTO annotation_assignment (task_id, batch_id, slot, priority, position, state, annotator_id, claimed_at,
        leased_until, skip_reason, skip_comment)
    SELECT due.id, b.id, 1 + coalesce((SELECT max(slot) FROM annotation_assignment WHERE task_id = due.id), 0),
        b.priority, due.position, 'held', %(annotator)s, now(), now() + %(lease)s, '', ''
    FROM due JOIN annotation_batch b ON b.id = %(batch)s
    ON CONFLICT DO NOTHING
    RETURNING id
), event AS (
    {insert_events(verb="'assignment.claimed'", object_type="assignment", rows="claimed")}
)
SELECT EXISTS (SELECT FROM due), EXISTS (SELECT FROM claimed)
"""  # noqa: S608 - our own expressions


def take_practice_item(batch: Batch, annotator: User) -> bool:
    """Make a slot of the next practice item that this person has not had, and claim it; False when they hold a task of
    the batch, may not work in it, or have had all. Each person has each item: its slots are made as they come."""
    params = {
        "batch": batch.pk,
        "project": batch.project_id,
        "annotator": annotator.pk,
        "lease": timedelta(minutes=batch.project.lease_minutes),
    }
    # Two people may take the same number at once: one of them writes nothing, and takes the next.
    for _attempt in range(PRACTICE_ATTEMPTS):
        ((is_due, is_taken),) = execute(PRACTICE, params, savepoint=True)
        if is_taken or not is_due:
            return bool(is_taken)
    return False
