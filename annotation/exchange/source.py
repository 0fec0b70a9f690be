"""Rows of an export from the database: a range of tasks at a time, with what they refer to. All statements of one
export see the database as it was at its beginning."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.db import connection, transaction

from annotation.core.arrays import id_array
from annotation.core.checks import checks_people
from annotation.core.exclusions import EXCLUSION_ID, EXCLUSION_JOINS
from annotation.core.trials import IN_TRIAL
from annotation.exchange.selection import Selection
from annotation.models import Aspect, Draft, Guideline, Project, QualificationAttempt, User, WeightSet

ROWS_AT_ONCE = 2_000  # about so many, where each slot has one answer


def moment(column: str) -> str:
    """SQL: a time as ISO 8601 in UTC."""
    return f"""to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""


# The tasks that one statement reads, from one batch and position to another; NULL: all of the project. The planner
# guesses their number by the second and third line.
RANGE = """(%(from_batch)s::bigint IS NULL OR
        task.batch_id BETWEEN %(from_batch)s AND %(to_batch)s
        AND (%(from_batch)s <> %(to_batch)s OR task.position BETWEEN %(from_position)s AND %(to_position)s)
        AND (task.batch_id, task.position) >= (%(from_batch)s, %(from_position)s)
        AND (task.batch_id, task.position) <= (%(to_batch)s, %(to_position)s))"""
# A line for each version of each answer, and one for each skipped slot. `left_out` says which condition of the
# selection a line does not meet, by the names in LEFT_OUT.
LINES = f"""
WITH every AS (
    SELECT batch.id AS batch_id, task.position, task.id AS task_id, slot.slot, annotation.version,
        annotation.id AS answer_id, slot.id AS slot_id, annotation.kind, annotation.annotator_id,
        annotation.created_at AS at, slot.claimed_at,
        CASE WHEN annotation.is_current AND slot.state = 'done' THEN 'current'
             WHEN annotation.is_current THEN 'reopened'
             WHEN EXISTS (SELECT FROM annotation_annotation AS later WHERE
                 later.assignment_id = annotation.assignment_id AND later.version > annotation.version) THEN 'replaced'
             ELSE 'withdrawn' END AS state,
        annotation.payload::text AS payload, annotation.guideline_id, annotation.weight_set_id,
        annotation.active_seconds, annotation.idle_seconds, task.prompt_id, task.candidate_ids,
        '' AS skip_reason, '' AS skip_comment,
        CASE WHEN review.id IS NULL AND batch.requires_review AND annotation.is_current THEN 'waiting'
            ELSE review.verdict END AS review,
        review.note AS review_note, review.reviewer_id, review.created_at AS reviewed_at,
        review.payload::text AS correction, review.reply AS review_reply,
        {EXCLUSION_ID} IS NOT NULL OR {IN_TRIAL} AS excluded
    FROM annotation_annotation AS annotation
        LEFT JOIN annotation_review AS review ON review.annotation_id = annotation.id
        JOIN annotation_assignment AS slot ON slot.id = annotation.assignment_id
        JOIN annotation_task AS task ON task.id = annotation.task_id
        JOIN annotation_batch AS batch ON batch.id = task.batch_id
        {EXCLUSION_JOINS}
    WHERE batch.project_id = %(project)s AND {RANGE}
    UNION ALL
    SELECT batch.id, task.position, task.id, slot.slot, NULL, NULL, slot.id, batch.kind, slot.annotator_id,
        slot.finished_at, slot.claimed_at, 'skipped', NULL, NULL, NULL, NULL, NULL, task.prompt_id, task.candidate_ids,
        slot.skip_reason, slot.skip_comment, NULL, NULL, NULL, NULL, NULL, NULL, false
    FROM annotation_assignment AS slot
        JOIN annotation_task AS task ON task.id = slot.task_id
        JOIN annotation_batch AS batch ON batch.id = slot.batch_id
    WHERE batch.project_id = %(project)s AND {RANGE} AND slot.state = 'skipped'
), judged AS (
    SELECT every.*, CASE
        WHEN {checks_people("every.task_id")} THEN 'checks'
        WHEN batch_id <> ALL(%(batches)s::bigint[]) THEN 'batches'
        WHEN kind <> ALL(%(kinds)s::text[]) THEN 'kinds'
        WHEN annotator_id <> ALL(%(people)s::bigint[]) THEN 'people'
        WHEN at < %(since)s::timestamptz OR at >= %(until)s::timestamptz THEN 'times'
        WHEN %(without_skips)s AND state = 'skipped' THEN 'skips'
        WHEN %(current_only)s AND state IN ('replaced', 'withdrawn') THEN 'versions'
        END AS left_out
    FROM every
)
"""  # noqa: S608 - our own
LEFT_OUT = ("checks", "batches", "kinds", "people", "times", "skips", "versions")
COUNT = f"{LINES} SELECT left_out, state, excluded, count(*) FROM judged GROUP BY left_out, state, excluded"  # noqa: S608 - our own
READ = f"""{LINES}
SELECT batch_id, position, task_id, slot, version, answer_id, slot_id, kind, annotator_id, state, payload, guideline_id,
    weight_set_id, active_seconds, idle_seconds, prompt_id, candidate_ids, skip_reason, skip_comment,
    {moment("at")} AS at, {moment("claimed_at")} AS claimed_at, review, review_note, reviewer_id,
    {moment("reviewed_at")} AS reviewed_at, correction, review_reply, excluded
FROM judged WHERE left_out IS NULL ORDER BY batch_id, position, task_id, slot, version NULLS LAST, answer_id
"""  # noqa: S608 - our own
# Ranges of tasks, each of about so many slots, in the order of the lines: the first and the last task as [batch,
# position]. Sorting all lines at once would take seconds before the first one, and a file of the database's for texts.
RANGES = """
SELECT min(task), max(task) FROM (
    SELECT ARRAY[task.batch_id, task.position::bigint] AS task,
        (sum(coalesce(batch.overlap_most, batch.overlap)) OVER (ORDER BY task.batch_id, task.position) - 1)
            / %(rows)s AS number
    FROM annotation_task AS task JOIN annotation_batch AS batch ON batch.id = task.batch_id
    WHERE batch.project_id = %(project)s AND batch.id <> ALL(%(batches)s::bigint[]) IS NOT TRUE
) AS numbered GROUP BY number ORDER BY number
"""
PROMPTS = """SELECT id, text, messages::text, external_id, source_document, reference, metadata::text, held_out
    FROM annotation_prompt WHERE id = ANY(%s::bigint[])"""
CANDIDATES = "SELECT id, text, origin, generation::text FROM annotation_candidate WHERE id = ANY(%s::bigint[])"
REMARKS = f"""SELECT task_id, author_id, id, kind, text, {moment("created_at")}, answer, answered_by_id,
    {moment("answered_at")} FROM annotation_remark WHERE task_id = ANY(%s::bigint[]) ORDER BY created_at, id"""  # noqa: S608
# The annotator's own seconds: reviewers of the slot's answers have some of theirs.
SKIP_TIMES = """SELECT t.assignment_id, sum(t.active_seconds), sum(t.idle_seconds)
    FROM annotation_timespent t JOIN annotation_assignment a ON a.id = t.assignment_id
        AND a.annotator_id = t.annotator_id
    WHERE t.assignment_id = ANY(%s::bigint[]) GROUP BY t.assignment_id"""


class Line(NamedTuple):
    """A line of READ."""

    batch_id: int
    position: int
    task_id: int
    slot: int
    version: int | None
    answer_id: int | None
    slot_id: int
    kind: str
    annotator_id: int
    state: str
    payload: str | None
    guideline_id: int | None
    weight_set_id: int | None
    active_seconds: float | None
    idle_seconds: float | None
    prompt_id: int
    candidate_ids: list[int]
    skip_reason: str
    skip_comment: str
    at: str
    claimed_at: str | None
    review: str | None
    review_note: str | None
    reviewer_id: int | None
    reviewed_at: str | None
    correction: str | None
    review_reply: str | None
    is_excluded: bool

    @property
    def is_label(self) -> bool:
        """Whether datasets are made of it: see `annotation.core.reviews` and `annotation.core.exclusions`."""
        return self.state == "current" and self.review not in ("waiting", "sent_back") and not self.is_excluded


@dataclass
class Chunk:
    """Lines in order, and what they refer to: prompts and candidates by id (rows of PROMPTS and CANDIDATES), remarks by
    task and author, seconds (active, idle) of skipped slots."""

    lines: list[Line]
    prompts: dict[int, Any] = field(default_factory=dict)
    candidates: dict[int, Any] = field(default_factory=dict)
    remarks: dict[tuple[int, int], list[Any]] = field(default_factory=dict)
    skip_times: dict[int, tuple[float, float]] = field(default_factory=dict)


class Batches(NamedTuple):
    """What records say of a batch."""

    name: str
    seed: int
    is_recorded: bool  # its answers come from a file: nobody knows which text was shown where


@dataclass
class Whole:
    """What all lines of an export share."""

    project: Project
    batches: dict[int, Batches]
    aspects: dict[str, Aspect]
    guidelines: dict[int, int]  # versions by id
    weight_sets: dict[int, WeightSet]
    people: dict[int, User]

    @classmethod
    def of(cls, project: Project) -> "Whole":
        batches = project.batches.values_list("pk", "name", "seed", "selection")
        return cls(
            project=project,
            batches={pk: Batches(name, seed, "judgements" in selection) for pk, name, seed, selection in batches},
            aspects={aspect.key: aspect for aspect in Aspect.objects.filter(project=project)},
            guidelines=dict(Guideline.objects.filter(project=project).values_list("pk", "version")),
            weight_sets={weights.pk: weights for weights in WeightSet.objects.filter(project=project)},
            people={},
        )

    def load_people(self, ids: set[int]) -> None:
        if missing := ids - self.people.keys():
            self.people |= User.objects.only("name", "email", "is_simulated").in_bulk(list(missing))


@dataclass
class Counts:
    """`states` of the lines that are exported, and how many of them are `excluded` from datasets; `left_out`
    by the condition that leaves them out; `never` what no export has."""

    states: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    never: Counter[str] = field(default_factory=Counter)
    excluded: int = 0

    @property
    def rows(self) -> int:
        return self.states.total()


@contextmanager
def snapshot() -> Iterator[None]:
    """A transaction in which every statement sees the same moment. Inside another one, it is that one as it is."""
    nested = connection.in_atomic_block
    with transaction.atomic():
        if not nested:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


EVERYTHING: dict[str, Any] = dict.fromkeys(("from_batch", "from_position", "to_batch", "to_position"))


def parameters(project: Project, selection: Selection) -> dict[str, Any]:
    lists = {name: None if values is None else list(values) for name, values in selection.lists().items()}
    flags = {"without_skips": selection.without_skips, "current_only": selection.current_only}
    return {"project": project.pk, **EVERYTHING, **lists, **selection.times(), **flags}


def counts_of(project: Project, selection: Selection) -> Counts:
    counts = Counts()
    with connection.cursor() as cursor:
        cursor.execute(COUNT, parameters(project, selection))
        for left_out, state, is_excluded, number in cursor:
            if left_out is None:
                counts.states[state] += number
                counts.excluded += number if is_excluded else 0
            else:
                counts.left_out[left_out] += number
    counts.never["drafts"] = Draft.objects.filter(task__batch__project=project).count()
    attempts = QualificationAttempt.objects.filter(qualification__project=project).values_list("answers", flat=True)
    counts.never["test answers"] = sum(len(answers) for answers in attempts.iterator(chunk_size=500))
    return counts


def chunks(project: Project, selection: Selection) -> Iterator[Chunk]:
    """The selected lines by batch, task, slot and version. Call it inside `snapshot`."""
    chosen = parameters(project, selection)
    with connection.cursor() as cursor:
        cursor.execute(RANGES, chosen | {"rows": ROWS_AT_ONCE})
        ranges = cursor.fetchall()
    for first, last in ranges:
        with connection.cursor() as cursor:
            cursor.execute(READ, chosen | dict(zip(EVERYTHING, (*first, *last), strict=True)))
            lines = [Line(*row) for row in cursor.fetchall()]
        if lines:
            yield with_references(lines)


def with_references(lines: list[Line]) -> Chunk:
    chunk = Chunk(lines)
    with connection.cursor() as cursor:
        cursor.execute(PROMPTS, [id_array({line.prompt_id for line in lines})])
        chunk.prompts = {row[0]: row for row in cursor}
        cursor.execute(CANDIDATES, [id_array({key for line in lines for key in line.candidate_ids})])
        chunk.candidates = {row[0]: row for row in cursor}
        cursor.execute(REMARKS, [id_array({line.task_id for line in lines})])
        for task, author, *remark in cursor:
            chunk.remarks.setdefault((task, author), []).append(remark)
        if skipped := [line.slot_id for line in lines if line.state == "skipped"]:
            cursor.execute(SKIP_TIMES, [id_array(skipped)])
            chunk.skip_times = {slot: (active, idle) for slot, active, idle in cursor}
    return chunk


JSON = json.JSONDecoder().raw_decode  # of what PostgreSQL writes: it begins and ends with the value


def from_json(text: str | None) -> Any:
    return None if text is None else JSON(text)[0]
