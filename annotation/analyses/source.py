"""Answers from the database into columns: a server-side cursor by task, some thousand rows at a time.

Memory: the columns, about 120 bytes an answer, and one chunk. Call it inside a transaction that sees one moment.
"""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, NamedTuple

from django.db import connection

from annotation.analyses.columns import AnswerColumns, Answers, PairColumns, Pairs
from annotation.analyses.disagreement import KEPT, Disagreement
from annotation.core.checks import IS_LABEL
from annotation.core.exclusions import EXCLUSION_ID, EXCLUSION_JOINS
from annotation.core.reviews import PENDING, REVIEW_JOIN
from annotation.core.trials import IS_ORDINARY
from annotation.kinds import KINDS
from annotation.models import Project

ROWS_AT_ONCE = 5_000
KIND_NAMES = tuple(KINDS)  # a kind's number is its place here
# What people answered, not what reviewers made of it. Answers that do not count before their review are only counted.
# The sides of recorded judgements are those of a file: nobody knows whether they were drawn at random.
ANSWERS = f"""
SELECT annotation.assignment_id, annotation.task_id, annotation.annotator_id, batch.kind, annotation.payload::text,
    annotation.active_seconds, extract(epoch FROM annotation.created_at)::float8,
    char_length(coalesce(prompt.messages::text, prompt.text)), NOT batch.selection ? 'judgements', {PENDING} IS NOT NULL
FROM annotation_annotation annotation
    JOIN annotation_task task ON task.id = annotation.task_id
    JOIN annotation_batch batch ON batch.id = task.batch_id
    JOIN annotation_prompt prompt ON prompt.id = task.prompt_id
    {EXCLUSION_JOINS}
    {REVIEW_JOIN}
WHERE batch.project_id = %(project)s AND annotation.is_current AND {EXCLUSION_ID} IS NULL
    AND {IS_LABEL} AND {IS_ORDINARY}
ORDER BY annotation.task_id, annotation.id
"""  # noqa: S608 - our own expressions
CANDIDATES = "SELECT id, char_length(text), origin FROM annotation_candidate WHERE id = ANY(%s)"
SKIPS = f"""
SELECT slot.annotator_id, slot.skip_reason, count(*),
    (array_agg(slot.id ORDER BY slot.finished_at DESC NULLS LAST))[1:{KEPT}]
FROM annotation_assignment slot JOIN annotation_batch batch ON batch.id = slot.batch_id
WHERE batch.project_id = %(project)s AND slot.state = 'skipped'
GROUP BY 1, 2
"""  # noqa: S608 - our own number
FLAGS = """
SELECT count(DISTINCT remark.task_id), count(DISTINCT remark.task_id) FILTER (WHERE remark.answered_at IS NULL)
FROM annotation_remark remark JOIN annotation_task task ON task.id = remark.task_id
    JOIN annotation_batch batch ON batch.id = task.batch_id
WHERE batch.project_id = %(project)s AND remark.kind = 'flag'
"""


class Line(NamedTuple):
    """A row of ANSWERS."""

    slot: int
    task: int
    person: int
    kind: str
    payload: str
    seconds: float
    at: float
    prompt_chars: int
    is_randomised: bool
    is_pending: bool


@dataclass
class Skips:
    """Of one person: how many, by reason, and the newest slots."""

    reasons: Counter[str] = field(default_factory=Counter)
    slots: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Material:
    """All that the analyses of a project need. `origins` by number; `flags`: (tasks flagged, of these open); `pending`:
    answers that are left out because they do not count before their review."""

    answers: Answers
    pairs: Pairs
    origins: list[str]
    disagreement: Disagreement
    skips: dict[int, Skips]
    flags: tuple[int, int]
    pending: int = 0


def material_of(project: Project) -> Material:
    params = {"project": project.pk}
    reader = Reader(project.adjudicate_below)
    with connection.chunked_cursor() as cursor:
        cursor.execute(ANSWERS, params)
        waiting: list[Line] = []
        while rows := cursor.fetchmany(ROWS_AT_ONCE):
            waiting += [Line(*row) for row in rows]
            # The last task may go on in the next rows.
            last = waiting[-1].task
            reader.read([line for line in waiting if line.task != last])
            waiting = [line for line in waiting if line.task == last]
        reader.read(waiting)
    return Material(
        answers=Answers.of(reader.answers),
        pairs=Pairs.of(reader.pairs),
        origins=list(reader.origins),
        disagreement=reader.disagreement,
        skips=skips_of(params),
        flags=flags_of(params),
        pending=reader.pending,
    )


class Reader:
    """Turns lines, whole tasks at a time, into columns."""

    def __init__(self, adjudicate_below: int) -> None:
        self.answers = AnswerColumns()
        self.pairs = PairColumns()
        self.origins: dict[str, int] = {}
        self.disagreement = Disagreement(adjudicate_below)
        self.pending = 0

    def read(self, lines: list[Line]) -> None:
        counted = [line for line in lines if not line.is_pending]
        self.pending += len(lines) - len(counted)
        parsed = [(line, KINDS[line.kind].parse(json.loads(line.payload))) for line in counted]
        ids = {key for line, answer in parsed for key in KINDS[line.kind].candidates(answer)}
        chars, origins = candidates(list(ids))
        for task, of_task in groupby(parsed, key=lambda row: row[0].task):
            rows = list(of_task)
            for line, answer in rows:
                self.add(line, answer, chars, origins)
            kind = KINDS[rows[0][0].kind]
            if len(rows) > 1:
                number = KIND_NAMES.index(rows[0][0].kind)
                opinions = [(line.slot, kind.opinions(answer, origins)) for line, answer in rows]
                self.disagreement.add(number, opinions, task=task)

    def add(self, line: Line, answer: Any, chars: dict[int, int], origins: dict[int, str]) -> None:
        kind = KINDS[line.kind]
        shown = list(kind.candidates(answer))
        columns = self.answers
        columns.slot.append(line.slot)
        columns.task.append(line.task)
        columns.person.append(line.person)
        columns.kind.append(KIND_NAMES.index(line.kind))
        columns.chars.append(line.prompt_chars + sum(chars.get(key, 0) for key in shown))
        columns.seconds.append(max(line.seconds, 0.0))
        columns.at.append(line.at)
        columns.pattern.append(number_of(kind.pattern(answer) if line.is_randomised else None, line.slot))
        for better, worse, value in kind.preferences(answer):
            if value != 1:
                continue
            pairs = self.pairs
            pairs.slot.append(line.slot)
            pairs.task.append(line.task)
            pairs.person.append(line.person)
            pairs.first_won.append(int(shown.index(better) < shown.index(worse)) if line.is_randomised else -1)
            longer = chars.get(better, 0) - chars.get(worse, 0)
            pairs.longer_won.append(int(longer > 0) if longer else -1)
            pairs.winner.append(self.origins.setdefault(origins.get(better, ""), len(self.origins)))
            pairs.loser.append(self.origins.setdefault(origins.get(worse, ""), len(self.origins)))


def candidates(ids: list[int]) -> tuple[dict[int, int], dict[int, str]]:
    """(characters, origins) by id."""
    chars, origins = {}, {}
    with connection.cursor() as cursor:
        cursor.execute(CANDIDATES, [ids])
        for key, length, origin in cursor:
            chars[key], origins[key] = length, origin
    return chars, origins


def number_of(pattern: Any, slot: int) -> int:
    """63 bits that are equal for equal patterns; for none, unlike any other's."""
    text = f"slot {slot}" if pattern is None else repr(pattern)
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()) >> 1


def skips_of(params: dict[str, int]) -> dict[int, Skips]:
    found: dict[int, Skips] = {}
    with connection.cursor() as cursor:
        cursor.execute(SKIPS, params)
        for person, reason, count, slots in cursor:
            own = found.setdefault(person, Skips())
            own.reasons[reason] += count
            own.slots += slots
    return found


def flags_of(params: dict[str, int]) -> tuple[int, int]:
    with connection.cursor() as cursor:
        cursor.execute(FLAGS, params)
        tasks, waiting = cursor.fetchone()
        return int(tasks), int(waiting)
