"""Working time as counted by the annotation pages: active and idle seconds.

A page generates an id for each time a task is shown (`visit`) and sends its totals so far with every draft, answer,
skip and release, and once a minute. What arrives twice, late or out of order changes nothing: a row keeps the greatest
totals it received, and all rows of a task, and of a person, never have more than the time that passed.
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

# Showings of one task that have a row of their own; the seconds of further ones are kept in a single row.
MAX_VISITS = 100

# `slots` yields the assignment as `a`. Three bounds hold, so that a time sheet never exceeds the clock:
# - all showings of a task together have no more active seconds than passed since the claim (until it was finished);
#   the two seconds allow for a page that started counting before the server recorded the claim;
# - all tasks of a person together have no more than passed since the earliest claim that the person still holds:
#   `annotation_workclock` has one row per person with the seconds not yet used, and since each message updates that
#   row, simultaneous ones are charged one after the other;
# - idle time of all showings together is at most the rest of the time that passed since the claim.
UPSERT_TIME = """
wanted AS (
    SELECT a.annotator_id, a.batch_id, a.id AS assignment_id, clock.passed, named.visit,
        coalesce(known.active_seconds, 0) AS counted,
        others.active AS active_elsewhere, others.idle AS idle_elsewhere,
        least(%(active)s::float8, clock.passed - others.active) - coalesce(known.active_seconds, 0) AS more,
        greatest(clock.passed, extract(epoch FROM now() - (
            SELECT min(claimed_at) FROM annotation_assignment WHERE annotator_id = a.annotator_id AND state = 'held'
        )) + 2)::float8 AS most
    FROM {slots}
        CROSS JOIN LATERAL (SELECT greatest(extract(epoch FROM CASE WHEN a.state = 'held' THEN now()
            ELSE coalesce(a.finished_at, now()) END - a.claimed_at), 0)::float8 + 2 AS passed) AS clock
        CROSS JOIN LATERAL (
            SELECT count(*) AS visits,
                coalesce(sum(least(t.active_seconds, greatest(extract(epoch FROM t.seen_at - a.claimed_at), 0)))
                    FILTER (WHERE t.visit <> %(visit)s), 0)::float8 AS active,
                coalesce(sum(t.idle_seconds) FILTER (WHERE t.visit <> %(visit)s), 0)::float8 AS idle,
                coalesce(bool_or(t.visit = %(visit)s), false) AS is_known
            FROM annotation_timespent AS t WHERE t.annotator_id = a.annotator_id AND t.assignment_id = a.id
        ) AS others
        CROSS JOIN LATERAL (SELECT CASE WHEN others.visits < {max_visits} OR others.is_known THEN %(visit)s
            ELSE 'task-' || lpad(a.id::text, greatest(8, length(a.id::text)), '0') END AS visit) AS named
        LEFT JOIN annotation_timespent AS known ON known.annotator_id = a.annotator_id AND known.visit = named.visit
    WHERE %(active)s::float8 + %(idle)s::float8 > 0
), charged AS (
    INSERT INTO annotation_workclock AS w (annotator_id, credit, granted, at)
    SELECT annotator_id, most - least(more, most), least(more, most), clock_timestamp() FROM wanted WHERE more > 0
    ON CONFLICT (annotator_id) DO UPDATE SET
        granted = least(excluded.granted, {available}),
        credit = {available} - least(excluded.granted, {available}),
        at = clock_timestamp()
    RETURNING granted
), bounded AS (
    SELECT wanted.*, counted + coalesce((SELECT granted FROM charged), 0) AS active FROM wanted
), spent AS (
    INSERT INTO annotation_timespent AS t
        (annotator_id, batch_id, assignment_id, visit, active_seconds, idle_seconds, began_at, seen_at)
    SELECT annotator_id, batch_id, assignment_id, visit, active,
        greatest(least(%(idle)s::float8, passed - active - active_elsewhere - idle_elsewhere), 0),
        now() - make_interval(secs => least(active + %(idle)s::float8, passed)), now()
    FROM bounded
    ON CONFLICT (annotator_id, visit) DO UPDATE SET
        active_seconds = greatest(t.active_seconds, excluded.active_seconds),
        idle_seconds = greatest(t.idle_seconds, excluded.idle_seconds),
        seen_at = now()
    WHERE t.assignment_id = excluded.assignment_id
    RETURNING t.id, t.active_seconds, t.idle_seconds
)
"""
# What is left of the person's clock: what was not used, with the time since, but no more than passed since the claim.
AVAILABLE = """least(excluded.credit + excluded.granted,
            w.credit + greatest(extract(epoch FROM clock_timestamp() - w.at), 0))"""


def upsert_time(slots: str) -> str:
    """Common table expressions up to `spent`, which record `Spent.params` for the assignments of `slots`."""
    values = {"slots": slots, "max_visits": str(MAX_VISITS), "available": AVAILABLE}
    return re.sub(r"\{(\w+)\}", lambda match: values[match[1]], UPSERT_TIME).strip()


RECORD = f"""
WITH slot AS (
    SELECT * FROM annotation_assignment WHERE id = %(assignment)s AND annotator_id = %(annotator)s
), {upsert_time("slot AS a")}
SELECT id FROM spent
"""  # noqa: S608 - our own expressions


@dataclass(frozen=True)
class Spent:
    """What a page counted during one visit."""

    visit: str = ""
    active: float = 0.0
    idle: float = 0.0

    def params(self, assignment: Assignment) -> dict[str, str | float]:
        """For `upsert_time`. A client that sends no visit has one per task."""
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
