"""Editing an open batch: name, priority, test and required review may change; kind, overlap and tasks may not."""

import time

from django.db import connection, transaction
from django.utils.translation import gettext as _

from annotation.core.errors import InvalidInput
from annotation.core.events import record
from annotation.models import Batch, Qualification, User
from annotation.text.normalization import has_ink

LOWEST, HIGHEST = -1000, 1000
# A slot that is being updated cannot be claimed: update in chunks, so that nobody finds the queue empty meanwhile.
SLOTS_AT_ONCE = 5_000
SECONDS = 20.0
REPRIORITIZE = """
WITH stale AS (
    SELECT id FROM annotation_assignment
    WHERE batch_id = %(batch)s AND {which}
    LIMIT %(chunk)s FOR NO KEY UPDATE SKIP LOCKED
) UPDATE annotation_assignment a SET priority = %(priority)s FROM stale WHERE a.id = stale.id
"""
# Each is a range of the index of free slots, so that a chunk does not rescan those before it; then the few held slots,
# which may return to the queue.
STALE = (
    "state = 'free' AND priority < %(priority)s",
    "state = 'free' AND priority > %(priority)s",
    "state = 'held' AND priority <> %(priority)s",
)


def change_batch(
    *,
    batch: Batch,
    actor: User | None,
    name: str,
    priority: int,
    qualification: Qualification | None,
    requires_review: bool | None = None,
) -> Batch:
    """Give the batch this name, priority and test (None for none), and say whether its answers count only after review
    (None: as it is); an unchanged field records no event.

    Finished and held tasks are not affected: a test that is added later is required at the next task.
    Raises InvalidInput by field.
    """
    name = " ".join(name.split())
    problems: list[tuple[str, str]] = []
    if not has_ink(name) or len(name) > 120:
        problems.append(("name", _("Enter a name of 1 to 120 characters.")))
    if not LOWEST <= priority <= HIGHEST:
        problems.append(("priority", _("From %(least)d to %(most)d.") % {"least": LOWEST, "most": HIGHEST}))
    with transaction.atomic():
        row = Batch.objects.select_for_update(no_key=True).get(pk=batch.pk)
        if qualification is not None and qualification.pk != row.qualification_id:
            problems += [("qualification", problem) for problem in qualification_problems(qualification, row)]
        if problems:
            raise InvalidInput("; ".join(message for _field, message in problems), problems)
        new = {
            "name": name,
            "priority": priority,
            "qualification_id": qualification.pk if qualification else None,
            "requires_review": row.requires_review if requires_review is None else requires_review,
        }
        before = {field: getattr(row, field) for field in new if getattr(row, field) != new[field]}
        if before:
            for field, value in new.items():
                setattr(row, field, value)
            row.save(update_fields=["name", "priority", "qualification", "requires_review"])
            after = {field: new[field] for field in before}
            record(verb="batch.changed", target=row, actor=actor, project=row.project, before=before, after=after)
    reprioritize(row)
    return row


def qualification_problems(qualification: Qualification, batch: Batch) -> list[str]:
    # Locked, so that it is not retired at the same time.
    test = Qualification.objects.select_for_update(no_key=True).get(pk=qualification.pk)
    if test.project_id != batch.project_id or test.kind != batch.kind:
        return [_("The test must be of this project and of the batch's kind.")]
    if test.retired_at is not None:
        return [_("%(name)s is retired.") % {"name": test.name}]
    return []


def reprioritize(batch: Batch) -> None:
    """Set the batch's priority on its unfinished slots, within the time limit of a request.

    The batch's own priority decides which batch is served first; a slot's priority only orders it within its batch. A
    slot that keeps the old value, because a million are too many for a request, is still served, and is updated by the
    next change.
    """
    until = time.monotonic() + SECONDS
    params = {"batch": batch.pk, "priority": batch.priority, "chunk": SLOTS_AT_ONCE}
    for which in STALE:
        while time.monotonic() < until:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(REPRIORITIZE.format(which=which), params)
                if not cursor.rowcount:
                    break
