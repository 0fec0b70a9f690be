"""What of a batch may change once it is open: its name, its priority and its test. Kind, overlap and tasks may not."""

import time

from django.db import connection, transaction
from django.utils.translation import gettext as _

from annotation.core.errors import InvalidInput
from annotation.core.events import record
from annotation.models import Batch, Qualification, User

LOWEST, HIGHEST = -1000, 1000
# A slot that is being rewritten cannot be claimed: a few at a time, so that nobody finds the queue empty meanwhile.
SLOTS_AT_ONCE = 5_000
SECONDS = 20.0
REPRIORITIZE = """
WITH stale AS (
    SELECT id FROM annotation_assignment
    WHERE batch_id = %(batch)s AND {which}
    LIMIT %(some)s FOR NO KEY UPDATE SKIP LOCKED
) UPDATE annotation_assignment a SET priority = %(priority)s FROM stale WHERE a.id = stale.id
"""
# Each a range of the index of free slots, so that a chunk does not look through those before it; then the few in hand,
# which may come back.
STALE = (
    "state = 'free' AND priority < %(priority)s",
    "state = 'free' AND priority > %(priority)s",
    "state = 'held' AND priority <> %(priority)s",
)


def change_batch(
    *, batch: Batch, actor: User | None, name: str, priority: int, qualification: Qualification | None
) -> Batch:
    """Give the batch this name, priority and test (none for None); what stays the same leaves no event.

    Work that is done or in hand stands: a test that is added later asks for itself at the next task.
    Raises InvalidInput by field.
    """
    name = " ".join(name.split())
    problems: list[tuple[str, str]] = []
    if not 0 < len(name) <= 120:
        problems.append(("name", _("Give a name of 1 to 120 characters.")))
    if not LOWEST <= priority <= HIGHEST:
        problems.append(("priority", _("From %(least)d to %(most)d.") % {"least": LOWEST, "most": HIGHEST}))
    with transaction.atomic():
        row = Batch.objects.select_for_update(no_key=True).get(pk=batch.pk)
        if qualification is not None and qualification.pk != row.qualification_id:
            problems += [("qualification", problem) for problem in faults_of(qualification, row)]
        if problems:
            raise InvalidInput("; ".join(message for _field, message in problems), problems)
        new = {"name": name, "priority": priority, "qualification_id": qualification.pk if qualification else None}
        before = {field: getattr(row, field) for field in new if getattr(row, field) != new[field]}
        if before:
            for field, value in new.items():
                setattr(row, field, value)
            row.save(update_fields=["name", "priority", "qualification"])
            after = {field: new[field] for field in before}
            record(verb="batch.changed", target=row, actor=actor, project=row.project, before=before, after=after)
    reprioritize(row)
    return row


def faults_of(qualification: Qualification, batch: Batch) -> list[str]:
    # Locked: it is not retired at this moment.
    test = Qualification.objects.select_for_update(no_key=True).get(pk=qualification.pk)
    if test.project_id != batch.project_id or test.kind != batch.kind:
        return [_("The test must be of this project and of the batch's kind.")]
    if test.retired_at is not None:
        return [_("%(name)s is retired.") % {"name": test.name}]
    return []


def reprioritize(batch: Batch) -> None:
    """Give the slots that are still to be done the batch's priority, within the time that a request has.

    Which batch is served first is the batch's own priority; a slot's only orders it within its batch. So one that keeps
    the old figure, because a million are too many for a request, is still served, and is mended by the next change.
    """
    until = time.monotonic() + SECONDS
    params = {"batch": batch.pk, "priority": batch.priority, "some": SLOTS_AT_ONCE}
    for which in STALE:
        while time.monotonic() < until:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(REPRIORITIZE.format(which=which), params)
                if not cursor.rowcount:
                    break
