"""Claiming, releasing and expiring of assignment slots.

Two people never hold one slot, and nobody gets a task twice: constraints of `Assignment` ensure it. These statements
take locks in one order (assignment, then task) and skip rows that another transaction has locked.
"""

from datetime import timedelta
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from annotation.core.errors import Conflict
from annotation.core.events import insert_events
from annotation.core.prepared import TASK_TEXTS, execute, hydrate, select_list, texts_of
from annotation.core.trials import may_join
from annotation.models import Assignment, Batch, Prompt, Task, User
from annotation.queue.check_claims import CHECKS, MAY_WORK, take_practice_item

# One statement: the slot that this person holds, its lease renewed; otherwise claim the first free slot (`where`) of a
# task that they have not had, skipped or written a text of, and record the event. SKIP LOCKED lets many claim at once.
# The conditions on a slot are aggregates, so that they are evaluated per visited slot and never joined with all tasks.
CLAIM = f"""
WITH already_held AS (
    UPDATE annotation_assignment a SET leased_until = now() + %(lease)s
    WHERE batch_id = %(batch)s AND annotator_id = %(annotator)s AND state = 'held'
    RETURNING {select_list(Assignment, "a")}
), picked AS (
    SELECT free.id, free.priority, free.position FROM annotation_assignment free
    WHERE free.batch_id = %(batch)s AND free.state = 'free' {{where}}
      AND NOT EXISTS (SELECT FROM already_held)
      {MAY_WORK}
      AND (SELECT count(*) FROM annotation_assignment had
        WHERE had.annotator_id = %(annotator)s AND had.task_id = free.task_id) = 0
      AND coalesce((
        SELECT bool_and(c.origin <> %(written_by)s)
        FROM annotation_task t JOIN annotation_candidate c ON c.id = ANY (t.candidate_ids)
        WHERE t.id = free.task_id), true)
      {{unseen}}
      {{checks}}
    ORDER BY free.priority DESC, free.position
    LIMIT 1 FOR UPDATE OF free SKIP LOCKED
), claimed AS (
    UPDATE annotation_assignment a
    SET state = 'held', annotator_id = %(annotator)s, claimed_at = now(), leased_until = now() + %(lease)s
    FROM picked WHERE a.id = picked.id
    RETURNING {select_list(Assignment, "a")}
), advanced AS (
    INSERT INTO annotation_queuecursor (annotator_id, batch_id, priority, position)
    SELECT %(annotator)s, %(batch)s, priority, position FROM picked
    ON CONFLICT (annotator_id, batch_id) DO UPDATE SET priority = excluded.priority, position = excluded.position
), event AS (
    {insert_events(verb="'assignment.claimed'", object_type="assignment", rows="claimed")}
)
SELECT {select_list(Assignment, "a")}, {select_list(Task, "t")}, {select_list(Prompt, "p")}, {TASK_TEXTS}
FROM (SELECT * FROM already_held UNION ALL SELECT * FROM claimed) AS a
    JOIN annotation_task t ON t.id = a.task_id JOIN annotation_prompt p ON p.id = t.prompt_id
"""  # noqa: S608 - our own select_list
# Per-annotator cursor: resume after the last slot served instead of rescanning. Slots that return to the queue behind
# the cursor are found when nothing is left ahead of it, and the cursor continues from there: one sweep costs the length
# of the queue, whatever the number of claims.
AHEAD = """
      AND free.priority = (SELECT priority FROM annotation_queuecursor
        WHERE annotator_id = %(annotator)s AND batch_id = %(batch)s)
      AND free.position > (SELECT position FROM annotation_queuecursor
        WHERE annotator_id = %(annotator)s AND batch_id = %(batch)s)
"""
# Skip prompts that this person had in another batch, if the project is set so.
UNSEEN = """
      AND (SELECT count(*)
        FROM annotation_task this JOIN annotation_task other ON other.prompt_id = this.prompt_id
            AND other.batch_id <> this.batch_id
        JOIN annotation_assignment seen ON seen.task_id = other.id AND seen.annotator_id = %(annotator)s
        WHERE this.id = free.task_id) = 0
"""
RETURNED_EVENTS = insert_events(
    verb="%(verb)s",
    object_type="assignment",
    rows="returned r JOIN annotation_batch b ON b.id = r.batch_id",
    project="b.project_id",
    actor="%(actor)s",
    object_id="r.id",
    before="jsonb_build_object('annotator', r.annotator_id)",
)
# A slot whose answer was reopened returns to that answer, which stays current; any other is free again.
RETURN_TO_QUEUE = f"""
WITH due AS (
    SELECT id FROM annotation_assignment
    WHERE state = 'held' AND {{which}}
    ORDER BY id FOR UPDATE SKIP LOCKED
), returned AS (
    UPDATE annotation_assignment a SET
        state = CASE WHEN a.finished_at IS NULL THEN 'free' ELSE 'done' END,
        annotator_id = CASE WHEN a.finished_at IS NULL THEN NULL ELSE a.annotator_id END,
        claimed_at = CASE WHEN a.finished_at IS NULL THEN NULL ELSE a.claimed_at END,
        leased_until = NULL
    FROM due JOIN annotation_assignment old ON old.id = due.id WHERE a.id = due.id
    RETURNING a.id, a.batch_id, old.annotator_id
)
{RETURNED_EVENTS}
RETURNING object_id
"""  # noqa: S608 - our own statement
# Reopened answers do not expire: the old version stays current and blocks nobody.
EXPIRED = "leased_until < now() AND finished_at IS NULL"
# Held by somebody who may no longer work there, in whichever way they left: removed from the project, or deactivated.
LEFT = """NOT EXISTS (
    SELECT FROM annotation_user u WHERE u.id = annotation_assignment.annotator_id AND u.is_active AND (
        u.is_superuser OR EXISTS (
            SELECT FROM annotation_membership m JOIN annotation_batch b ON b.project_id = m.project_id
            WHERE b.id = annotation_assignment.batch_id AND m.user_id = u.id)))"""
# How long a manager's assignment waits to be opened: long enough to return to it tomorrow. From then on it has the
# project's lease.
ASSIGNED_FOR = timedelta(days=1)
# A lease never ends later than its length from now. One that does was claimed or renewed while the clock was ahead, or
# under a longer setting: it begins again now. What a manager assigned and nobody has opened yet is known by its length,
# which no renewal leaves as it is.
BEGIN_LEASE_AGAIN = """
UPDATE annotation_assignment a
SET leased_until = now() + early.length, claimed_at = least(a.claimed_at, now())
FROM (
    SELECT held.id, CASE WHEN held.leased_until = held.claimed_at + usual.assigned THEN usual.assigned
        ELSE usual.lease END AS length
    FROM annotation_assignment held
        JOIN annotation_batch b ON b.id = held.batch_id JOIN annotation_project p ON p.id = b.project_id
        CROSS JOIN LATERAL (SELECT make_interval(mins => p.lease_minutes) AS lease,
            greatest(make_interval(mins => p.lease_minutes), %(assigned_for)s::interval) AS assigned) AS usual
    WHERE held.state = 'held' AND (%(batch)s::bigint IS NULL OR held.batch_id = %(batch)s) AND (
        held.claimed_at > now() + %(tolerance)s::interval
        OR held.leased_until > now() + usual.lease + %(tolerance)s::interval
            AND held.leased_until <> held.claimed_at + usual.assigned)
    ORDER BY held.id FOR UPDATE OF held SKIP LOCKED
) AS early
WHERE a.id = early.id
"""
CLOCK_TOLERANCE = timedelta(minutes=1)
CLAIM_ATTEMPTS = 5


def claim_next(*, batch: Batch, annotator: User) -> Assignment | None:
    """The task that this person holds in the batch, with its lease renewed; otherwise the next free one, now claimed.

    None when nothing in this batch is free for them. A slot whose lease ran out counts as free, whether or not
    `expire_leases` has run since. The assignment comes with its task and prompt. Who has not done the batch's practice
    items gets those first. In a trial of the guideline only the people of the batch's arm get tasks.
    """
    if not may_join(annotator, batch):
        return None
    if batch.checks.get("tutorial"):
        take_practice_item(batch, annotator)
    if assignment := claim(batch, annotator, where=AHEAD) or claim(batch, annotator):
        return assignment
    begin_leases_again(batch)
    if return_to_queue(which=f"{EXPIRED} AND batch_id = %(batch)s", batch=batch.pk):
        return claim(batch, annotator)
    return None


def claim(batch: Batch, annotator: User, *, where: str = "") -> Assignment | None:
    params: dict[str, Any] = {
        "batch": batch.pk,
        "project": batch.project_id,
        "annotator": annotator.pk,
        "written_by": f"human:{annotator.pk}",
        "lease": timedelta(minutes=batch.project.lease_minutes),
    }
    again = batch.trial_id is not None  # a trial shows tasks again
    statement = CLAIM.format(
        where=where,
        unseen=UNSEEN if batch.project.avoid_seen and not again else "",
        checks=CHECKS if batch.checks else "",
    )
    for attempt in range(CLAIM_ATTEMPTS):
        try:
            rows = execute(statement, params, savepoint=True)
        except IntegrityError:
            # The same person in two tabs: the other tab was first, and the next attempt finds what it claimed.
            if attempt == CLAIM_ATTEMPTS - 1:
                raise
        else:
            break
    if not rows:
        return None
    assignment: Assignment
    assignment, task, prompt = hydrate(rows[0], Assignment, Task, Prompt)
    assignment.task, task.prompt, assignment.batch = task, prompt, batch
    task.texts = texts_of(rows[0][-1])
    return assignment


def release(*, assignment: Assignment, actor: User) -> Assignment:
    """Return a claimed task to the queue (or to its earlier answer, if that was reopened).

    Its draft stays with the person. Raises Conflict when nobody holds it any more.
    """
    if not return_to_queue(which="id = %(id)s", verb="assignment.released", actor=actor, id=assignment.pk):
        raise Conflict(_("Nobody holds this task any more."))
    assignment.refresh_from_db()
    return assignment


def expire_leases() -> int:
    """Return every slot whose lease ran out to its queue; returns how many there were."""
    begin_leases_again()
    return return_to_queue(which=EXPIRED)


def begin_leases_again(batch: Batch | None = None) -> int:
    """Bring leases that end later than they can back to their length from now; returns how many there were.

    Neither a claim nor a return to the queue, so it records no event.
    """
    values: dict[str, Any] = {
        "batch": batch.pk if batch else None,
        "assigned_for": ASSIGNED_FOR,
        "tolerance": CLOCK_TOLERANCE,
    }
    with connection.cursor() as cursor:
        cursor.execute(BEGIN_LEASE_AGAIN, values)
        return int(cursor.rowcount)


def release_left() -> int:
    """Return every slot of somebody who may no longer work there to its queue; returns how many there were."""
    return return_to_queue(which=LEFT, verb="assignment.released")


def return_to_queue(*, which: str, verb: str = "assignment.expired", actor: User | None = None, **params: int) -> int:
    """Return the held slots for which the condition `which` (our own SQL) is true; returns how many there were."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            RETURN_TO_QUEUE.format(which=which), {"verb": verb, "actor": actor.pk if actor else None, **params}
        )
        return len(cursor.fetchall())


def renew_lease(*, assignment: Assignment, annotator: User) -> bool:
    """Extend the lease while the person works; False when they no longer hold the task."""
    until = timezone.now() + timedelta(minutes=assignment.batch.project.lease_minutes)
    held = Assignment.objects.filter(pk=assignment.pk, state=Assignment.State.HELD, annotator=annotator)
    return held.update(leased_until=until) == 1
