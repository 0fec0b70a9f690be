"""The staging tables of an import: rows stream in by COPY, then sets are checked and moved by SQL.

They are temporary: they belong to one connection, hold one import, and vanish with it.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from django.db import connection

from annotation.models import Project
from annotation.preparation.prompts import Fault, ParsedPrompt

CREATE = """
    DROP TABLE IF EXISTS pg_temp.staged_prompt, pg_temp.staged_candidate;
    CREATE TEMPORARY TABLE staged_prompt (
        number integer, text text, messages jsonb, reference text, external_id text, source_document text,
        metadata jsonb, digest text, held_out boolean, hashed boolean, split_key text
    );
    CREATE TEMPORARY TABLE staged_candidate (number integer, place integer, text text, origin text, digest text);
"""

# Faults that only show between rows, or between the file and the project. Each query gives (row, value, other), in
# which `other` is the row that was first, or what the project says. The later row is at fault: the first one stands.
CHECKS: list[tuple[str, str, str]] = [
    (
        "external_id",
        "the id {value} is already that of row {other}, which has a different prompt; give each an id of its own",
        """
        SELECT s.number, s.external_id, first.number FROM staged_prompt s
        JOIN (SELECT DISTINCT ON (external_id) external_id, number, digest FROM staged_prompt
              WHERE external_id <> '' ORDER BY external_id, number) first USING (external_id)
        WHERE s.digest <> first.digest
        """,
    ),
    (
        "external_id",
        "the same prompt stands in row {other} under another id than {value}; keep one of the two rows",
        """
        SELECT s.number, s.external_id, first.number FROM staged_prompt s
        JOIN (SELECT DISTINCT ON (digest) digest, number, external_id FROM staged_prompt
              WHERE external_id <> '' ORDER BY digest, number) first USING (digest)
        WHERE s.external_id <> '' AND s.external_id <> first.external_id
        """,
    ),
    (
        "external_id",
        "the id {value} belongs to another prompt of this project ({other}); give this one a new id",
        """
        SELECT s.number, s.external_id, 'prompt ' || p.id FROM staged_prompt s
        JOIN annotation_prompt p ON p.project_id = %(project)s AND p.external_id = s.external_id
        WHERE s.external_id <> '' AND p.digest <> s.digest
        """,
    ),
    (
        "external_id",
        "this prompt is already in the project under the id {other}, not {value}; use that id, or none",
        """
        SELECT s.number, s.external_id, '''' || p.external_id || '''' FROM staged_prompt s
        JOIN annotation_prompt p ON p.project_id = %(project)s AND p.digest = s.digest
        WHERE s.external_id <> '' AND p.external_id <> '' AND p.external_id <> s.external_id
        """,
    ),
    (
        "held_out",
        "the document {value} is marked the other way in row {other}; a document is wholly held out or wholly not",
        """
        SELECT s.number, s.source_document, first.number FROM staged_prompt s
        JOIN (SELECT DISTINCT ON (split_key) split_key, number, held_out FROM staged_prompt
              WHERE held_out IS NOT NULL ORDER BY split_key, number) first USING (split_key)
        WHERE s.source_document <> '' AND s.held_out <> first.held_out
        """,
    ),
    (
        "held_out",
        "the same prompt is marked the other way in row {other}; mark both alike",
        """
        SELECT s.number, '', first.number FROM staged_prompt s
        JOIN (SELECT DISTINCT ON (digest) digest, number, held_out, source_document FROM staged_prompt
              WHERE held_out IS NOT NULL ORDER BY digest, number) first USING (digest)
        WHERE s.held_out <> first.held_out AND (s.source_document = '' OR s.source_document <> first.source_document)
        """,
    ),
    (
        "held_out",
        "the document {value} is {other} in this project, and the file says otherwise; mark it as the project does",
        """
        SELECT s.number, s.source_document, CASE WHEN p.held_out THEN 'held out' ELSE 'for training' END
        FROM staged_prompt s
        JOIN (SELECT source_document, bool_or(held_out) AS held_out FROM annotation_prompt
              WHERE project_id = %(project)s AND source_document <> '' GROUP BY source_document) p
            USING (source_document)
        WHERE s.held_out <> p.held_out
        """,
    ),
    (
        "held_out",
        "this prompt is {other} in this project, and the file says otherwise; mark it as the project does",
        """
        SELECT s.number, '', CASE WHEN p.held_out THEN 'held out' ELSE 'for training' END
        FROM staged_prompt s
        JOIN annotation_prompt p ON p.project_id = %(project)s AND p.digest = s.digest
        WHERE s.held_out <> p.held_out
          AND (s.source_document = '' OR s.source_document <> p.source_document)
        """,
    ),
]

# Of several rows with one prompt, that with a document stands; an id or a split may come from any of them.
ADD_PROMPTS = """
    INSERT INTO annotation_prompt (project_id, text, messages, reference, external_id, source_document, metadata,
                                   digest, held_out, imported_in_id, created_at)
    SELECT %(project)s, s.text, s.messages, s.reference, COALESCE(named.external_id, ''), s.source_document, s.metadata,
           s.digest, COALESCE(known.held_out, document.held_out, prompt.held_out, s.hashed), %(import)s, now()
    FROM (SELECT DISTINCT ON (digest) * FROM staged_prompt ORDER BY digest, source_document = '', number) s
    LEFT JOIN (SELECT digest, max(external_id) AS external_id FROM staged_prompt
               WHERE external_id <> '' GROUP BY digest) named ON named.digest = s.digest
    LEFT JOIN (SELECT source_document, bool_or(held_out) AS held_out FROM annotation_prompt
               WHERE project_id = %(project)s AND source_document <> '' GROUP BY source_document) known
        ON known.source_document = s.source_document
    LEFT JOIN (SELECT split_key, bool_or(held_out) AS held_out FROM staged_prompt
               WHERE held_out IS NOT NULL GROUP BY split_key) document ON document.split_key = s.split_key
    LEFT JOIN (SELECT digest, bool_or(held_out) AS held_out FROM staged_prompt
               WHERE held_out IS NOT NULL GROUP BY digest) prompt ON prompt.digest = s.digest
    WHERE NOT EXISTS (SELECT FROM annotation_prompt p WHERE p.project_id = %(project)s AND p.digest = s.digest)
    ORDER BY s.number
"""
ADD_CANDIDATES = """
    INSERT INTO annotation_candidate (prompt_id, text, origin, digest, generation, created_at)
    SELECT p.id, c.text, c.origin, c.digest, '{}'::jsonb, now()
    FROM staged_candidate c
    JOIN staged_prompt s USING (number)
    JOIN annotation_prompt p ON p.project_id = %(project)s AND p.digest = s.digest
    ORDER BY c.number, c.place
    ON CONFLICT (prompt_id, origin, digest) DO NOTHING
"""


def open_staging() -> None:
    with connection.cursor() as cursor:
        cursor.execute(CREATE)


def close_staging() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS pg_temp.staged_prompt, pg_temp.staged_candidate")


def stage(prompts: list[ParsedPrompt]) -> None:
    """Stream parsed prompts and their candidates into the staging tables."""
    with connection.cursor() as cursor:
        with cursor.copy("COPY staged_prompt FROM STDIN") as copy:
            for prompt in prompts:
                copy.write_row(prompt[:11])
        with cursor.copy("COPY staged_candidate FROM STDIN") as copy:
            for prompt in prompts:
                for place, candidate in enumerate(prompt.candidates):
                    copy.write_row((prompt.row, place, *candidate))


def cross_faults(project: Project, columns: dict[str, str]) -> Iterator[Fault]:
    """Faults between rows and with the project, by check and row. `columns` gives the file's name of a field."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL work_mem = '128MB'")  # sorts and hashes of this transaction
        cursor.execute("ANALYZE staged_prompt")
        cursor.execute("ANALYZE staged_candidate")
    for field, message, query in CHECKS:
        if columns.get(field):
            with connection.chunked_cursor() as rows:  # on the server's side: there may be as many faults as rows
                rows.execute(f"{query} ORDER BY 1", {"project": project.pk})
                for number, value, other in rows:
                    yield Fault(number, columns[field], message.format(value=repr(value), other=other))


def unstage(rows: Iterable[int]) -> None:
    """Leave these rows out of what is added."""
    rows = iter(rows)
    with connection.cursor() as cursor:
        while chunk := list(islice(rows, 10_000)):
            cursor.execute("DELETE FROM staged_prompt WHERE number = ANY(%s)", [chunk])
            cursor.execute("DELETE FROM staged_candidate WHERE number = ANY(%s)", [chunk])


def add_staged(project: Project, import_id: int) -> tuple[int, int]:
    """Move the staged rows into the project; returns (prompts added, candidates added)."""
    parameters: dict[str, Any] = {"project": project.pk, "import": import_id}
    with connection.cursor() as cursor:
        cursor.execute(ADD_PROMPTS, parameters)
        prompts = cursor.rowcount
        cursor.execute(ADD_CANDIDATES, parameters)
        return prompts, cursor.rowcount
