"""The staging tables of an import: rows stream in by COPY, then sets are checked and moved by SQL.

They are temporary: they belong to one connection, hold one import, and vanish with it. A prompt is known by how it
reads (`reads_as`) and by what the file gives beside it (`distinction`: document, context and id).
"""

from collections.abc import Iterable
from itertools import islice
from typing import Any

from django.db import connection

from annotation.models import Project
from annotation.preparation.parsed import ParsedPrompt
from annotation.text.digests import context_key
from annotation.text.normalization import normal_form

# From so many rows on, sets are joined by hash: the planner, whose statistics of the project may be old, might else go
# through all rows for each row.
LARGE = 5000
TABLES = "staged_prompt, staged_candidate, staged_repeat, known_prompt, known_document"
CREATE = f"""
    DROP TABLE IF EXISTS {", ".join(f"pg_temp.{name}" for name in TABLES.split(", "))};
    CREATE TEMPORARY TABLE staged_prompt (
        number integer, text text, messages jsonb, reference text, external_id text, source_document text,
        metadata jsonb, digest text, reads_as text, distinction text, context text, held_out boolean, hashed boolean,
        split_key text
    );
    CREATE TEMPORARY TABLE staged_candidate (
        number integer, place integer, text text, origin text, digest text, again boolean
    );
    CREATE TEMPORARY TABLE staged_repeat (reads_as text, distinction text, number integer, rows integer);
    CREATE TEMPORARY TABLE known_prompt (
        id bigint, reads_as text, distinction text, held_out boolean, source_document text, external_id text,
        context jsonb
    );
    CREATE TEMPORARY TABLE known_document (split_key text, held_out boolean);
"""
# Prompts in several rows of the file, with the first of them.
REPEATS = """
    INSERT INTO staged_repeat
    SELECT reads_as, distinction, min(number), count(*) FROM staged_prompt
    GROUP BY reads_as, distinction HAVING count(*) > 1
"""
# Prompts of the project that read like one of the file.
KNOWN = """
    INSERT INTO known_prompt
    SELECT id, reads_as, distinction, held_out, source_document, external_id, metadata -> 'context'
    FROM annotation_prompt
    WHERE project_id = %(project)s AND reads_as <> '' AND reads_as IN (SELECT reads_as FROM staged_prompt)
"""
# Rows that say less than a prompt of the project that reads the same (no id, say, where that one has an id).
LESS_SPECIFIC = """
    SELECT s.number, s.source_document, s.context, s.external_id, p.source_document, p.context, p.external_id,
           p.distinction
    FROM staged_prompt s JOIN known_prompt p USING (reads_as)
    WHERE NOT EXISTS (SELECT FROM known_prompt q WHERE q.reads_as = s.reads_as AND q.distinction = s.distinction)
    ORDER BY s.number, p.id
"""
ADD_PROMPTS = """
    INSERT INTO annotation_prompt (project_id, text, messages, reference, external_id, source_document, metadata,
                                   digest, reads_as, distinction, held_out, imported_in_id, created_at)
    SELECT %(project)s, s.text, s.messages, COALESCE(NULLIF(s.reference, ''), gained.reference, ''), s.external_id,
           s.source_document, CASE WHEN s.metadata = '{}' THEN COALESCE(gained.metadata, '{}') ELSE s.metadata END,
           COALESCE(s.digest, s.reads_as), s.reads_as, s.distinction,
           COALESCE(known.held_out, document.held_out, prompt.held_out, alike.held_out, s.hashed), %(import)s, now()
    FROM (SELECT * FROM staged_prompt s WHERE NOT EXISTS (
              SELECT FROM staged_repeat r WHERE r.reads_as = s.reads_as AND r.distinction = s.distinction
              AND r.number <> s.number)) s
    LEFT JOIN (SELECT t.reads_as, t.distinction, max(t.reference) AS reference,
                      max(NULLIF(t.metadata, '{}')::text)::jsonb AS metadata
               FROM staged_prompt t JOIN staged_repeat USING (reads_as, distinction) GROUP BY 1, 2) gained
        USING (reads_as, distinction)
    LEFT JOIN known_document known ON s.source_document <> '' AND known.split_key = s.split_key
    LEFT JOIN (SELECT split_key, bool_or(held_out) AS held_out FROM staged_prompt
               WHERE held_out IS NOT NULL GROUP BY split_key) document ON document.split_key = s.split_key
    LEFT JOIN (SELECT reads_as, bool_or(held_out) AS held_out FROM staged_prompt
               WHERE held_out IS NOT NULL GROUP BY reads_as) prompt
        ON s.source_document = '' AND prompt.reads_as = s.reads_as  -- documents stay whole
    LEFT JOIN (SELECT reads_as, bool_or(held_out) AS held_out FROM known_prompt GROUP BY reads_as) alike
        ON s.source_document = '' AND alike.reads_as = s.reads_as
    WHERE NOT EXISTS (SELECT FROM known_prompt p WHERE p.reads_as = s.reads_as AND p.distinction = s.distinction)
    ORDER BY s.number
"""
# Rows whose prompt was in the project, or is in several rows of the file: its candidates may be there already.
MET_BEFORE = """EXISTS (SELECT FROM known_prompt k WHERE k.reads_as = s.reads_as AND k.distinction = s.distinction)
        OR EXISTS (SELECT FROM staged_repeat r WHERE r.reads_as = s.reads_as AND r.distinction = s.distinction)"""
ADD_CANDIDATES = """
    INSERT INTO annotation_candidate (prompt_id, text, origin, digest, generation, created_at)
    SELECT p.id, c.text, c.origin, c.digest, '{{}}'::jsonb, now()
    FROM staged_candidate c
    JOIN staged_prompt s USING (number)
    JOIN annotation_prompt p ON p.project_id = %(project)s AND p.reads_as = s.reads_as AND p.reads_as <> ''
        AND p.distinction = s.distinction
    WHERE {rows}
    ORDER BY c.number, c.place
    {conflict}
"""
# Nobody else sees the new prompts yet, so that the only equal candidates are those of one row. Without the conflict
# clause PostgreSQL writes each row once and not twice.
TO_NEW_PROMPTS = ADD_CANDIDATES.format(rows=f"NOT c.again AND NOT ({MET_BEFORE})", conflict="")
TO_OTHER_PROMPTS = ADD_CANDIDATES.format(
    rows=f"({MET_BEFORE})", conflict="ON CONFLICT (prompt_id, origin, digest) DO NOTHING"
)


def open_staging() -> None:
    with connection.cursor() as cursor:
        cursor.execute(CREATE)


def close_staging() -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {', '.join(f'pg_temp.{name}' for name in TABLES.split(', '))}")


def stage(prompts: list[ParsedPrompt]) -> None:
    """Stream parsed prompts and their candidates into the staging tables."""
    with connection.cursor() as cursor:
        with cursor.copy("COPY staged_prompt FROM STDIN") as copy:
            for prompt in prompts:
                # The digest is mostly the same as `reads_as`.
                copy.write_row(prompt[:14] if prompt.digest != prompt.reads_as else (*prompt[:7], None, *prompt[8:14]))
        with cursor.copy("COPY staged_candidate FROM STDIN") as copy:
            for prompt in prompts:
                seen: set[tuple[str, ...]] = set()
                for place, candidate in enumerate(prompt.candidates):
                    copy.write_row((prompt.row, place, *candidate, candidate[1:] in seen))
                    seen.add(candidate[1:])


def unstage(rows: Iterable[int]) -> None:
    """Leave these rows out of what is added."""
    rows = iter(rows)
    with connection.cursor() as cursor:
        while chunk := list(islice(rows, 10_000)):
            cursor.execute("DELETE FROM staged_prompt WHERE number = ANY(%s)", [chunk])
            cursor.execute("DELETE FROM staged_candidate WHERE number = ANY(%s)", [chunk])
        note_repeats(cursor)


def note_repeats(cursor: Any) -> None:
    cursor.execute("TRUNCATE staged_repeat")
    cursor.execute(REPEATS)
    cursor.execute("ANALYZE staged_repeat")


def find_in_project(project: Project) -> None:
    """Before the checks: which rows are prompts that the project has, and which occur in the file more than once."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL work_mem = '128MB'")  # sorts and hashes of this transaction
        # Of what is joined and grouped by: the texts need not be sampled, and a tenth of the usual sample says enough.
        cursor.execute("SET LOCAL default_statistics_target = 10")
        cursor.execute(
            "ANALYZE staged_prompt (number, external_id, source_document, reads_as, distinction, held_out, split_key)"
        )
        cursor.execute("ANALYZE staged_candidate (number)")
        cursor.execute("SELECT count(*) FROM staged_prompt")
        if cursor.fetchone()[0] >= LARGE:
            cursor.execute("SET LOCAL enable_nestloop = off")
        cursor.execute(KNOWN, {"project": project.pk})
        cursor.execute("ANALYZE known_prompt")
        note_documents(project, cursor)
    join_less_specific()
    with connection.cursor() as cursor:
        note_repeats(cursor)


def note_documents(project: Project, cursor: Any) -> None:
    """The project's documents by their normal form, with their side of the split."""
    cursor.execute("SELECT EXISTS (SELECT FROM staged_prompt WHERE source_document <> '')")
    if not cursor.fetchone()[0]:
        return
    cursor.execute(
        """SELECT source_document, bool_or(held_out) FROM annotation_prompt
        WHERE project_id = %s AND source_document <> '' GROUP BY source_document""",
        [project.pk],
    )
    sides: dict[str, bool] = {}
    for document, held_out in cursor.fetchall():
        key = normal_form(document)
        sides[key] = sides.get(key, False) or held_out
    with cursor.copy("COPY known_document FROM STDIN") as copy:
        for row in sides.items():
            copy.write_row(row)
    cursor.execute("ANALYZE known_document")


def join_less_specific() -> None:
    """A row that gives no document, context or id is the project's prompt that reads the same, where there is exactly
    one that says all the row says. A row that says more is a prompt of its own."""
    fits: dict[int, list[str]] = {}
    with connection.chunked_cursor() as rows:
        rows.execute(LESS_SPECIFIC)
        for number, document, context, external_id, *known in rows:
            known_document, known_context, known_id, distinction = known
            if (
                (not document or normal_form(document) == normal_form(known_document))
                and (not context or context == context_key({"context": known_context}))
                and (not external_id or external_id == known_id)
            ):
                fits.setdefault(number, []).append(distinction)
    single = [(number, found[0]) for number, found in fits.items() if len(found) == 1]
    if single:
        with connection.cursor() as cursor:
            cursor.execute(
                """UPDATE staged_prompt s SET distinction = n.distinction
                FROM unnest(%s::integer[], %s::text[]) AS n (number, distinction) WHERE s.number = n.number""",
                [list(column) for column in zip(*single, strict=True)],
            )


def add_staged(project: Project, import_id: int) -> tuple[int, int]:
    """Move the staged rows into the project; returns (prompts added, candidates added)."""
    parameters: dict[str, Any] = {"project": project.pk, "import": import_id}
    with connection.cursor() as cursor:
        cursor.execute(ADD_PROMPTS, parameters)
        prompts = cursor.rowcount
        cursor.execute(TO_NEW_PROMPTS, parameters)
        candidates = cursor.rowcount
        cursor.execute("SELECT EXISTS (SELECT FROM known_prompt) OR EXISTS (SELECT FROM staged_repeat)")
        if cursor.fetchone()[0]:
            cursor.execute(TO_OTHER_PROMPTS, parameters)
            candidates += cursor.rowcount
        return prompts, candidates
