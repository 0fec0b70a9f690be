"""The staging table of recorded answers, beside those of the prompts and candidates that they are about."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection

from annotation.importing.judgements.answers import RecordedAnswer
from annotation.models import Project
from annotation.text.digests import distinction
from annotation.text.normalization import normal_form

CREATE = """
    DROP TABLE IF EXISTS pg_temp.staged_answer, pg_temp.located_answer;
    CREATE TEMPORARY TABLE staged_answer (
        number integer, place integer, worker text, groups jsonb, best_only boolean, strength smallint, scores jsonb,
        kept jsonb, at timestamptz, seconds float8, PRIMARY KEY (number, place)
    );
"""
# In files of judgements an id may name the prompt, the pair or the answer. It is the prompt's where it tells prompts
# apart: one id for each prompt and one prompt for each id, here and in the project.
DROP_OTHER_IDS = """
    WITH ids AS (
        SELECT DISTINCT reads_as, external_id FROM staged_prompt WHERE external_id <> ''
    ), unfit AS (
        SELECT reads_as FROM ids GROUP BY reads_as HAVING count(*) > 1
        UNION SELECT reads_as FROM ids WHERE external_id IN (
            SELECT external_id FROM ids GROUP BY external_id HAVING count(*) > 1)
        UNION SELECT ids.reads_as FROM ids JOIN annotation_prompt p ON p.project_id = %(project)s AND (
            p.external_id = ids.external_id AND p.reads_as <> ids.reads_as
            OR p.reads_as = ids.reads_as AND p.external_id NOT IN ('', ids.external_id))
    )
    UPDATE staged_prompt SET external_id = '' WHERE external_id <> '' AND reads_as IN (SELECT reads_as FROM unfit)
    RETURNING number, source_document, context
"""
WITHOUT_ID = """
    UPDATE staged_prompt s SET distinction = n.distinction
    FROM unnest(%s::int[], %s::text[]) AS n (number, distinction) WHERE s.number = n.number
"""
# The prompt and the candidates that each row of the file became; `nth` counts answers that are the same in all parts.
LOCATE_ANSWERS = """
    CREATE TEMPORARY TABLE located_answer AS
    SELECT a.*, r.prompt_id, r.candidate_ids, row_number() OVER (
        PARTITION BY r.prompt_id, r.candidate_ids, a.worker, a.groups, a.best_only, a.strength, a.scores, a.kept, a.at
        ORDER BY a.number, a.place) AS nth
    FROM staged_answer a JOIN (
        SELECT c.number, p.id AS prompt_id, array_agg(k.id ORDER BY c.place) AS candidate_ids
        FROM staged_candidate c JOIN staged_prompt s USING (number)
            JOIN annotation_prompt p ON p.project_id = %(project)s AND p.reads_as = s.reads_as
                AND p.distinction = s.distinction
            JOIN annotation_candidate k ON k.prompt_id = p.id AND k.origin = c.origin AND k.digest = c.digest
        GROUP BY c.number, p.id
    ) AS r USING (number);
    CREATE UNIQUE INDEX ON located_answer (number, place);
    ANALYZE located_answer;
"""
CHUNK = """
    SELECT number, place, worker, groups::text, best_only, strength, scores::text, kept::text, at, seconds, prompt_id,
           candidate_ids, nth
    FROM located_answer
    WHERE (number, place) > (%(number)s, %(place)s)
    ORDER BY number, place LIMIT %(size)s
"""


class StagedAnswer(NamedTuple):
    """One answer with the ids of what it is about. `groups`, `kept` and the texts of `scores` (text, aspect, point) are
    places in `candidate_ids`; `groups` is None where texts were scored. `nth` is 2 for the second answer of the file
    that is the same in all parts."""

    number: int
    place: int
    worker: str
    groups: list[list[int]] | None
    is_best_only: bool
    strength: int | None
    scores: list[tuple[int, str, int]]
    kept: list[int]
    at: datetime | None
    seconds: float
    prompt_id: int
    candidate_ids: list[int]
    nth: int


def open_answers() -> None:
    with connection.cursor() as cursor:
        cursor.execute(CREATE)


def close_answers() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS pg_temp.staged_answer, pg_temp.located_answer")


def stage_answers(answers: Sequence[tuple[int, int, RecordedAnswer, list[int]]]) -> None:
    """(row, place in the row, answer, the candidates that read differently)."""
    with connection.cursor() as cursor, cursor.copy("COPY staged_answer FROM STDIN") as copy:
        for number, place, answer, kept in answers:
            verdict = answer.verdict
            groups = None if verdict is None else verdict.groups
            best_only = verdict is not None and verdict.is_best_only
            strength = None if verdict is None else verdict.strength
            said = (json.dumps(groups), best_only, strength, json.dumps(answer.scores), json.dumps(kept))
            copy.write_row((number, place, answer.worker, *said, answer.at, answer.seconds))


def unstage_answers_of(rows: Sequence[int]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM staged_answer WHERE number = ANY(%s)", [list(rows)])


def drop_other_ids(project: Project) -> int:
    """Take ids that are not the prompts' own out of the staged prompts; returns of how many rows."""
    with connection.cursor() as cursor:
        cursor.execute(DROP_OTHER_IDS, {"project": project.pk})
        rows = cursor.fetchall()
        known: dict[tuple[str, str], str] = {}
        for _number, document, context in rows:
            if (document, context) not in known:
                known[document, context] = distinction(normal_form(document), context, "")
        apart = [known[document, context] for _number, document, context in rows]
        cursor.execute(WITHOUT_ID, [[number for number, *_ in rows], apart])
        return len(rows)


def locate_answers(project: Project) -> None:
    """Call it once the staged prompts and candidates are in the project."""
    with connection.cursor() as cursor:
        cursor.execute(LOCATE_ANSWERS, {"project": project.pk})


def staged_answers(size: int) -> Iterator[list[StagedAnswer]]:
    """All answers in the order of the file, in chunks, each of which may be written in a transaction of its own."""
    number = place = -1
    while True:
        with connection.cursor() as cursor:
            cursor.execute(CHUNK, {"number": number, "place": place, "size": size})
            rows = cursor.fetchall()
        if not rows:
            return
        yield [read_answer(row) for row in rows]
        number, place = rows[-1][:2]


def read_answer(row: Sequence[Any]) -> StagedAnswer:
    number, place, worker, groups, best_only, strength, scores, kept, *others = row
    read = json.loads(groups), best_only, strength, json.loads(scores), json.loads(kept)
    return StagedAnswer(number, place, worker, *read, *others)
