"""The slots of withdrawn prompts: out of the queue without a loss, and back into it.

Who is submitting meanwhile is either first, and the answer is there, or finds the slot withdrawn, and is told so with
the answer kept as a draft. Call the functions that change slots in the transaction that makes or lifts the exclusion,
after `lock_tasks`.
"""

from typing import NamedTuple

from django.db import connection
from django.utils.translation import gettext as _

from annotation.core.locks import Lock, lock_until_commit
from annotation.models import Exclusion, Prompt, User
from annotation.queue.claims import return_to_queue

OF_PROMPT = "task_id IN (SELECT id FROM annotation_task WHERE prompt_id = %(prompt)s)"
# Waits for everybody who writes one of the slots. Finished ones too: one may be about to be reopened.
LOCK_SLOTS = f"SELECT id, state FROM annotation_assignment WHERE {OF_PROMPT} ORDER BY id FOR UPDATE"  # noqa: S608
WITHDRAW = f"UPDATE annotation_assignment SET state = 'withdrawn' WHERE state = 'free' AND {OF_PROMPT}"  # noqa: S608
RESTORE = f"UPDATE annotation_assignment SET state = 'free' WHERE state = 'withdrawn' AND {OF_PROMPT}"  # noqa: S608


class Withdrawn(NamedTuple):
    """How many slots left the queue, and how many of them somebody held (a reopened answer keeps its slot)."""

    slots: int
    held: int


def lock_tasks(project_id: int) -> None:
    """Wait until the batches that are being opened in the project are there, and let no other begin."""
    lock_until_commit(Lock.TASKS, project_id)


def withdraw_slots(prompt: Prompt, *, actor: User | None) -> Withdrawn:
    """Take the prompt's slots that have no answer out of the queue, held ones too; drafts are kept."""
    values = {"prompt": prompt.pk}
    slots = held = 0
    known: set[int] = set()
    with connection.cursor() as cursor:
        while True:
            cursor.execute(LOCK_SLOTS, values)
            rows = cursor.fetchall()
            is_open = any(state in ("free", "held") for _pk, state in rows)
            # Who skipped the task while its rows were waited for has left a slot that this look does not show. Once all
            # that there were are locked, nobody makes another.
            if not is_open and known == {pk for pk, _state in rows}:
                return Withdrawn(slots, held)
            known = {pk for pk, _state in rows}
            if not is_open:
                continue
            held += return_to_queue(which=OF_PROMPT, verb="assignment.released", actor=actor, **values)
            cursor.execute(WITHDRAW, values)
            slots += cursor.rowcount


def restore_slots(prompt: Prompt) -> int:
    """Return the prompt's withdrawn slots to the queue; returns how many there were."""
    with connection.cursor() as cursor:
        cursor.execute(LOCK_SLOTS, {"prompt": prompt.pk})
        cursor.execute(RESTORE, {"prompt": prompt.pk})
        return int(cursor.rowcount)


def is_withdrawn(task_id: int) -> bool:
    return Exclusion.objects.filter(prompt__tasks=task_id, lifted_at=None).exists()


def withdrawn_notice(task_id: int) -> str | None:
    """For somebody who held the task: that its prompt is withdrawn; None where it is not."""
    if not is_withdrawn(task_id):
        return None
    return _(
        "A manager withdrew this task: no answer is needed. What you entered is kept and returns if the task does."
    )


def lost_notice(task_id: int) -> str:
    """Why somebody no longer holds a task that was theirs."""
    return withdrawn_notice(task_id) or _("You no longer hold this task.")
