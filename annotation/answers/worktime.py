"""Working time as counted by the annotation pages: active and idle seconds.

A page generates an id for each time a task is shown (`visit`) and sends its totals so far with every draft, answer,
skip and release, and once a minute. What arrives twice, late or out of order changes nothing: a row keeps the greatest
totals it received, and never more than the time since the person claimed the task.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from annotation.core.prepared import execute
from annotation.models import Assignment, User

VISIT = re.compile(r"[A-Za-z0-9_-]{8,40}")
# A day: more can only be a clock that jumped.
MAX_SECONDS = 86_400.0

# `slots` yields the assignment as `a`. Active time has priority: idle time is at most the rest of the time that passed
# since the claim. The two seconds allow for a page that started counting before the server recorded the claim.
UPSERT_TIME = """
INSERT INTO annotation_timespent AS t
    (annotator_id, batch_id, assignment_id, visit, active_seconds, idle_seconds, began_at, seen_at)
SELECT a.annotator_id, a.batch_id, a.id, %(visit)s, bounded.active,
    least(%(idle)s::float8, bounded.passed - bounded.active),
    now() - make_interval(secs => least(%(active)s::float8 + %(idle)s::float8, bounded.passed)), now()
FROM {slots},
    LATERAL (SELECT greatest(extract(epoch FROM now() - a.claimed_at), 0)::float8 + 2 AS passed) AS clock,
    LATERAL (SELECT clock.passed, least(%(active)s::float8, clock.passed) AS active) AS bounded
WHERE %(active)s::float8 + %(idle)s::float8 > 0
ON CONFLICT (annotator_id, visit) DO UPDATE SET
    active_seconds = greatest(t.active_seconds, excluded.active_seconds),
    idle_seconds = greatest(t.idle_seconds, excluded.idle_seconds),
    seen_at = now()
WHERE t.assignment_id = excluded.assignment_id
"""
RECORD = UPSERT_TIME.format(
    slots="(SELECT * FROM annotation_assignment WHERE id = %(assignment)s AND annotator_id = %(annotator)s) AS a"
)


@dataclass(frozen=True)
class Spent:
    """What a page counted during one visit."""

    visit: str = ""
    active: float = 0.0
    idle: float = 0.0

    def params(self, assignment: Assignment) -> dict[str, str | float]:
        """For `UPSERT_TIME`. A client that sends no visit has one per task."""
        return {"visit": self.visit or f"task-{assignment.pk:08}", "active": self.active, "idle": self.idle}


def read_spent(form: Mapping[str, str]) -> Spent:
    """The fields `visit`, `active_seconds` and `idle_seconds` of a form; what cannot be read counts as none."""
    visit = form.get("visit", "")
    return Spent(
        visit=visit if VISIT.fullmatch(visit) else "",
        active=seconds(form.get("active_seconds", "")),
        idle=seconds(form.get("idle_seconds", "")),
    )


def seconds(text: str) -> float:
    try:
        value = float(text or 0)
    except ValueError:
        return 0.0
    return min(max(value, 0.0), MAX_SECONDS) if math.isfinite(value) else 0.0


def record_time(*, assignment: Assignment, annotator: User, spent: Spent) -> None:
    """Record the totals of one visit to a task, if its slot belongs to this person.

    Records no event: nothing has been answered yet, and the row itself is the record.
    """
    execute(RECORD, {**spent.params(assignment), "assignment": assignment.pk, "annotator": annotator.pk})
