"""The counts that triggers keep: read, folded into sums, compared with a recount, and made again.

Readers add up all rows of a key, differences and sums alike, so folding changes no figure and keeps nobody waiting.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection, transaction
from django.db.models import Sum

from annotation.core.locks import Lock, lock_until_commit
from annotation.models import CandidateCount, Project, PromptCount

# One recount or folding at a time: two would read the same differences.
FOLD = """
WITH fresh AS (
    DELETE FROM {table} WHERE NOT is_sum RETURNING {keys}, {figure}
), before AS (
    DELETE FROM {table} c USING (SELECT DISTINCT {keys} FROM fresh) AS k
    WHERE c.is_sum AND {same_key} RETURNING {of_c}, c.{figure}
), summed AS (
    INSERT INTO {table} ({keys}, {figure}, is_sum)
    SELECT {keys}, sum({figure}), true FROM (SELECT * FROM fresh UNION ALL SELECT * FROM before) AS r
    GROUP BY {keys} HAVING sum({figure}) <> 0
)
SELECT count(*) FROM fresh
"""
FOLD_WORK = """
WITH fresh AS (
    DELETE FROM annotation_workcount WHERE NOT is_sum RETURNING *
), before AS (
    DELETE FROM annotation_workcount c USING (SELECT DISTINCT batch_id, annotator_id, day, hour FROM fresh) AS k
    WHERE c.is_sum AND (c.batch_id, c.annotator_id, c.day, c.hour) = (k.batch_id, k.annotator_id, k.day, k.hour)
    RETURNING c.*
), summed AS (
    INSERT INTO annotation_workcount
        (batch_id, annotator_id, day, hour, answered, changed, skipped, active_seconds, idle_seconds, is_sum)
    SELECT batch_id, annotator_id, day, hour,
        sum(answered), sum(changed), sum(skipped), sum(active_seconds), sum(idle_seconds), true
    FROM (SELECT * FROM fresh UNION ALL SELECT * FROM before) AS r
    GROUP BY 1, 2, 3, 4
    HAVING sum(answered) <> 0 OR sum(changed) <> 0 OR sum(skipped) <> 0 OR sum(active_seconds) > 1e-6
        OR sum(idle_seconds) > 1e-6
)
SELECT count(*) FROM fresh
"""
RECOUNT_SLOTS = """
SELECT a.batch_id, annotation_slot_state(a.state, a.finished_at) AS state, count(*) AS slots
FROM annotation_assignment a WHERE {scope} GROUP BY 1, 2
"""
RECOUNT_PROMPTS = """
SELECT a.project_id, a.held_out, count(*) AS prompts FROM annotation_prompt a WHERE {scope} GROUP BY 1, 2
"""
RECOUNT_CANDIDATES = """
SELECT a.project_id, c.origin, count(*) AS candidates
FROM annotation_candidate c JOIN annotation_prompt a ON a.id = c.prompt_id WHERE {scope} GROUP BY 1, 2
"""
RECOUNT_WORK = """
SELECT w.batch_id, w.annotator_id, local::date AS day, extract(hour FROM local)::int AS hour, sum(answered) AS answered,
    sum(changed) AS changed, sum(skipped) AS skipped, sum(active) AS active_seconds, sum(idle) AS idle_seconds
FROM (
    SELECT a.batch_id, n.annotator_id, n.created_at AS at, (n.version = 1)::int AS answered,
        (n.version > 1)::int AS changed, 0 AS skipped, 0::float8 AS active, 0::float8 AS idle
    FROM annotation_annotation n JOIN annotation_assignment a ON a.id = n.assignment_id WHERE {scope}
    UNION ALL SELECT a.batch_id, a.annotator_id, a.finished_at, 0, 0, 1, 0, 0 FROM annotation_assignment a
        WHERE a.state = 'skipped' AND a.finished_at IS NOT NULL AND {scope}
    UNION ALL SELECT a.batch_id, a.annotator_id, a.began_at, 0, 0, 0, a.active_seconds, a.idle_seconds
        FROM annotation_timespent a WHERE {scope}
) AS w JOIN annotation_batch b ON b.id = w.batch_id JOIN annotation_project p ON p.id = b.project_id
    CROSS JOIN LATERAL (SELECT w.at AT TIME ZONE p.time_zone AS local) AS zone
GROUP BY 1, 2, 3, 4
"""
# Of one project: tables whose rows name a batch, and those whose rows name the project.
OF_BATCHES = "a.batch_id IN (SELECT id FROM annotation_batch WHERE project_id = %(project)s)"
OF_PROJECT = "a.project_id = %(project)s"
STORED = """
SELECT {of_a}, sum(a.{figure}) AS {figure} FROM {table} a WHERE {{scope}}
GROUP BY {of_a} HAVING sum(a.{figure}) <> 0
"""
STORED_WORK = """
SELECT a.batch_id, a.annotator_id, a.day, a.hour::int AS hour, sum(a.answered) AS answered, sum(a.changed) AS changed,
    sum(a.skipped) AS skipped, sum(a.active_seconds) AS active_seconds, sum(a.idle_seconds) AS idle_seconds
FROM annotation_workcount a WHERE {scope} GROUP BY 1, 2, 3, 4
"""
SECONDS_APART = 0.01  # sums of floating-point numbers in another order


@dataclass(frozen=True)
class Counted:
    """A table of counts: what its rows are about, the queries that read it and count it again, and how its differences
    are folded. `{scope}` in a query stands for which rows."""

    table: str
    keys: tuple[str, ...]
    figures: tuple[str, ...]
    recount: str
    of_project: str
    stored: str
    fold: str


def counted_simply(table: str, keys: tuple[str, ...], figure: str, recount: str, of_project: str) -> Counted:
    """A table with one figure, a whole number."""
    names = {
        "table": table,
        "figure": figure,
        "keys": ", ".join(keys),
        "same_key": " AND ".join(f"c.{key} = k.{key}" for key in keys),
        "of_a": ", ".join(f"a.{key}" for key in keys),
        "of_c": ", ".join(f"c.{key}" for key in keys),
    }
    return Counted(table, keys, (figure,), recount, of_project, STORED.format(**names), FOLD.format(**names))


COUNTED = (
    counted_simply("annotation_slotcount", ("batch_id", "state"), "slots", RECOUNT_SLOTS, OF_BATCHES),
    Counted(
        "annotation_workcount",
        ("batch_id", "annotator_id", "day", "hour"),
        ("answered", "changed", "skipped", "active_seconds", "idle_seconds"),
        RECOUNT_WORK,
        OF_BATCHES,
        STORED_WORK,
        FOLD_WORK,
    ),
    counted_simply("annotation_promptcount", ("project_id", "held_out"), "prompts", RECOUNT_PROMPTS, OF_PROJECT),
    counted_simply("annotation_candidatecount", ("project_id", "origin"), "candidates", RECOUNT_CANDIDATES, OF_PROJECT),
)


@dataclass(frozen=True)
class Difference:
    """A count that is not what the rows say: `key` names batch, person and hour, or batch and state."""

    table: str
    key: str
    stored: str
    counted: str


def fold_counts() -> int:
    """Fold the differences written since the last time into sums; returns how many there were.

    `manage.py rebuild_counts --fold` is its command; a job calls it every minute.
    """
    with transaction.atomic():
        lock_until_commit(Lock.COUNTS, 0)
        with connection.cursor() as cursor:
            folded = 0
            for counted in COUNTED:
                cursor.execute(counted.fold)
                folded += cursor.fetchone()[0]
            return folded


def pause_counting() -> None:
    """Until the transaction ends nobody adds to the counts of work: who submits waits. Call it before locking a row.

    What was being written has ended when this returns. The order of the two locks is that of folding.
    """
    lock_until_commit(Lock.COUNTS, 0)
    with connection.cursor() as cursor:
        cursor.execute("LOCK TABLE annotation_workcount IN EXCLUSIVE MODE")


def rebuild_counts(project_id: int | None = None) -> int:
    """Count everything again, of one project or of all; returns the number of sums. People may go on working.

    What is committed while it counts is neither counted nor deleted here: its own difference stays.
    """
    with transaction.atomic():
        lock_until_commit(Lock.COUNTS, 0)
        with connection.cursor() as cursor:
            rows = 0
            for counted in COUNTED:
                scope, params = scope_of(counted, project_id)
                listed = ", ".join([*counted.keys, *counted.figures])
                # One statement, one snapshot: what it does not see it neither deletes nor counts.
                cursor.execute(
                    f"""WITH gone AS (DELETE FROM {counted.table} a
                        WHERE {scope})
                    INSERT INTO {counted.table} ({listed}, is_sum)
                    SELECT {listed}, true FROM ({counted.recount.format(scope=scope)}) AS counted""",  # noqa: S608
                    params,
                )
                rows += cursor.rowcount
    return rows


def differences(project_id: int | None = None) -> list[Difference]:
    """Where the stored counts are not what the rows say; each table is compared in one snapshot."""
    found = []
    with connection.cursor() as cursor:
        for counted in COUNTED:
            keys, figures = counted.keys, counted.figures
            scope, params = scope_of(counted, project_id)
            same_key = " AND ".join(f"s.{key} = c.{key}" for key in keys)
            unequal = " OR ".join(
                f"abs(coalesce(s.{name}, 0) - coalesce(c.{name}, 0)) > {SECONDS_APART if 'seconds' in name else 0}"
                for name in figures
            )
            named = ", ".join(f"coalesce(s.{key}, c.{key})" for key in keys)
            listed = ", ".join(f"coalesce({side}.{name}, 0)" for side in "sc" for name in figures)
            cursor.execute(
                f"""SELECT {named}, {listed} FROM ({counted.stored.format(scope=scope)}) AS s
                FULL JOIN ({counted.recount.format(scope=scope)}) AS c ON {same_key}
                WHERE {unequal} ORDER BY 1""",  # noqa: S608
                params,
            )
            for row in cursor.fetchall():
                key, sides = row[: len(keys)], row[len(keys) :]
                found.append(
                    Difference(
                        table=counted.table,
                        key=", ".join(f"{name} {value}" for name, value in zip(keys, key, strict=True)),
                        stored=described(figures, sides[: len(figures)]),
                        counted=described(figures, sides[len(figures) :]),
                    )
                )
    return found


def described(names: Sequence[str], values: Sequence[float]) -> str:
    return ", ".join(f"{name} {value:,g}" for name, value in zip(names, map(float, values), strict=True) if value)


def scope_of(counted: Counted, project_id: int | None) -> tuple[str, dict[str, int]]:
    return (counted.of_project, {"project": project_id}) if project_id is not None else ("true", {})


def prompts_by_side(project: Project) -> tuple[int, int]:
    """How many prompts a project has for training, and held out."""
    rows = PromptCount.objects.filter(project=project).order_by().values_list("held_out")
    by_side = dict(rows.annotate(n=Sum("prompts")))
    return by_side.get(False, 0), by_side.get(True, 0)


def candidates_by_origin(project: Project) -> list[tuple[str, int]]:
    """(origin, number of candidates) of a project's prompts, by origin."""
    rows = CandidateCount.objects.filter(project=project).order_by("origin").values_list("origin")
    return [(origin, n) for origin, n in rows.annotate(n=Sum("candidates")) if n]
