"""Puts tasks that check people into a batch, where nothing tells them from the others.

A check takes the place, and the ids, of an ordinary task that nobody has met; that task goes to the end of the queue
with new ids. So neither a number nor the order says which tasks check people, also in a batch that is open already.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.db import connection
from django.db.models import Max

from annotation.models import Batch, Task, TaskCheck


@dataclass(frozen=True, kw_only=True)
class NewCheck:
    """A check to put into a batch; see `TaskCheck`."""

    what: str
    prompt: int
    candidate_ids: Sequence[int]
    gold: int | None = None
    of_task: int | None = None
    damage: str = ""
    worse_candidate: int | None = None
    of_candidate: int | None = None


class Place(NamedTuple):
    """A task whose place a check may take: nobody has met it, and its slots are locked."""

    task: int
    position: int


UNTOUCHED = """
    SELECT t.id, t.position FROM annotation_task t
    WHERE t.batch_id = %(batch)s AND t.position > %(after)s
      AND NOT EXISTS (SELECT FROM annotation_taskcheck k WHERE k.task_id = t.id)
      AND NOT EXISTS (SELECT FROM annotation_taskcheck k WHERE k.of_task_id = t.id)
      AND EXISTS (SELECT FROM annotation_assignment a WHERE a.task_id = t.id)
      AND NOT EXISTS (SELECT FROM annotation_assignment a
        WHERE a.task_id = t.id AND (a.state <> 'free' OR a.claimed_at IS NOT NULL))
      AND NOT EXISTS (SELECT FROM annotation_timespent s JOIN annotation_assignment a ON a.id = s.assignment_id
        WHERE a.task_id = t.id)
      AND NOT EXISTS (SELECT FROM annotation_draft d WHERE d.task_id = t.id)
      AND NOT EXISTS (SELECT FROM annotation_remark r WHERE r.task_id = t.id)
    ORDER BY md5(%(seed)s::text || ':check:' || t.id), t.id LIMIT %(count)s"""
# Claims pass over slots that are locked here; those that a claim has locked are passed over here.
LOCKED = """
    SELECT task_id, count(*) FROM (
        SELECT task_id FROM annotation_assignment WHERE task_id = ANY(%(tasks)s) AND state = 'free'
        ORDER BY id FOR UPDATE SKIP LOCKED) AS slots
    GROUP BY task_id HAVING count(*) = %(overlap)s"""
MOVE = """
    INSERT INTO annotation_task (batch_id, prompt_id, candidate_ids, position, created_at)
    SELECT batch_id, prompt_id, candidate_ids, %(last)s + row_number() OVER (ORDER BY position), created_at
    FROM annotation_task WHERE id = ANY(%(tasks)s)
    RETURNING id"""
SLOTS = """
    INSERT INTO annotation_assignment (task_id, batch_id, slot, priority, position, state, skip_reason, skip_comment)
    SELECT t.id, t.batch_id, slot, %(priority)s, t.position, 'free', '', ''
    FROM annotation_task t CROSS JOIN generate_series(1, %(overlap)s) AS slot
    WHERE t.id = ANY(%(tasks)s) ORDER BY t.position, slot"""

# How a task was selected goes with it.
ARMS = """
    UPDATE annotation_taskarm arm SET task_id = after.id
    FROM (SELECT id, row_number() OVER (ORDER BY position) AS n FROM annotation_task WHERE id = ANY(%(tasks)s))
            AS before
        JOIN (SELECT id, row_number() OVER (ORDER BY position) AS n FROM annotation_task WHERE id = ANY(%(moved)s))
            AS after USING (n)
    WHERE arm.task_id = before.id"""


def lock_places(batch: Batch, count: int, *, after: int = 0) -> list[Place]:
    """Up to `count` random tasks behind this position whose place a check may take, in the order of the queue. Call it
    in the transaction that fills them."""
    params = {"batch": batch.pk, "after": after, "seed": batch.seed, "count": count, "overlap": batch.overlap}
    with connection.cursor() as cursor:
        cursor.execute(UNTOUCHED, params)
        places = [Place(*row) for row in cursor.fetchall()]
        cursor.execute(LOCKED, {**params, "tasks": [place.task for place in places]})
        locked = {task for task, _slots in cursor.fetchall()}
    return sorted((place for place in places if place.task in locked), key=lambda place: place.position)


def fill_places(batch: Batch, checks: Sequence[tuple[Place, NewCheck]]) -> None:
    """Put each check into its place, and what was there at the end of the queue."""
    if not checks:
        return
    tasks = [place.task for place, _check in checks]
    with connection.cursor() as cursor:
        cursor.execute(MOVE, {"tasks": tasks, "last": last_position(batch)})
        moved = [pk for (pk,) in cursor.fetchall()]
        cursor.execute(SLOTS, {"tasks": moved, "priority": batch.priority, "overlap": batch.overlap})
        cursor.execute(ARMS, {"tasks": tasks, "moved": moved})
    rows = Task.objects.in_bulk(tasks)
    for place, check in checks:
        rows[place.task].prompt_id, rows[place.task].candidate_ids = check.prompt, list(check.candidate_ids)
    Task.objects.bulk_update(rows.values(), ["prompt", "candidate_ids"], batch_size=1_000)
    TaskCheck.objects.bulk_create(check_of(batch, place.task, check) for place, check in checks)


def append_practice(batch: Batch, checks: Sequence[NewCheck]) -> None:
    """Practice items have no slots of their own: `check_claims.take_practice_item` makes one for each
    person."""
    last = last_position(batch)
    tasks = Task.objects.bulk_create(
        Task(batch=batch, prompt_id=check.prompt, candidate_ids=list(check.candidate_ids), position=last + n)
        for n, check in enumerate(checks, start=1)
    )
    TaskCheck.objects.bulk_create(check_of(batch, task.pk, check) for task, check in zip(tasks, checks, strict=True))


def check_of(batch: Batch, task: int, check: NewCheck) -> TaskCheck:
    return TaskCheck(
        task_id=task,
        batch=batch,
        what=check.what,
        gold_id=check.gold,
        of_task_id=check.of_task,
        damage=check.damage,
        worse_candidate=check.worse_candidate,
        of_candidate=check.of_candidate,
    )


def last_position(batch: Batch) -> int:
    return int(Task.objects.filter(batch=batch).aggregate(last=Max("position"))["last"] or 0)
