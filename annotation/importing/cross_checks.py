"""Faults that only show between rows of a file, or between the file and the project."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from django.db import connection

from annotation.models import Project
from annotation.preparation.mapping import Mapping
from annotation.preparation.parsed import Fault
from annotation.text.normalization import normal_form


class Check(NamedTuple):
    """`query` gives (row, value, other): `other` is the row that was first, or what the project says. The later row is
    at fault: the first one stays. With `texts` it gives two texts more, and there is a fault only where they do not
    read the same."""

    field: str
    message: str
    query: str
    texts: bool = False


APART = "to keep both, map a column to “context” or give each an id or document; to merge them, leave the column out"
COMPARED = "if they are answers to compare, take the column as candidates"
# How the first row writes the same thing, where it writes it otherwise.
SPELLING = (
    "CASE WHEN s.{0} <> first.{0} THEN ' (there written ' || quote_literal(left(first.{0}, 60)) || ')' ELSE '' END"
)

CHECKS: list[Check] = [
    Check(
        "external_id",
        "the id {value} is already that of row {other}, which has a different prompt; give each an id of its own",
        """
        SELECT s.number, s.external_id, first.number FROM staged_prompt s
        JOIN (SELECT DISTINCT ON (external_id) external_id, number, reads_as, distinction FROM staged_prompt
              WHERE external_id <> '' ORDER BY external_id, number) first USING (external_id)
        WHERE s.reads_as <> first.reads_as OR s.distinction <> first.distinction
        """,
    ),
    Check(
        "external_id",
        "the id {value} belongs to another prompt of this project ({other}); give this one a new id",
        """
        SELECT s.number, s.external_id, 'prompt ' || p.id FROM staged_prompt s
        JOIN annotation_prompt p ON p.project_id = %(project)s AND p.external_id = s.external_id
        WHERE s.external_id <> '' AND (p.reads_as <> s.reads_as OR p.distinction <> s.distinction)
        """,
    ),
    Check(
        "held_out",
        "the document {value} is marked the other way in row {other}; a document is wholly held out or wholly not",
        f"""
        SELECT s.number, s.source_document, first.number || {SPELLING.format("source_document")} FROM staged_prompt s
        JOIN (SELECT DISTINCT ON (split_key) split_key, number, held_out, source_document FROM staged_prompt
              WHERE held_out IS NOT NULL ORDER BY split_key, number) first USING (split_key)
        WHERE s.source_document <> '' AND s.held_out <> first.held_out
        """,  # noqa: S608 - only our own constants
    ),
    Check(
        "held_out",
        "the same prompt is marked the other way in row {other}; mark both alike",
        f"""
        SELECT s.number, '', first.number || {SPELLING.format("text")} FROM staged_prompt s
        JOIN (SELECT DISTINCT ON (reads_as) reads_as, number, held_out, split_key, source_document, text
              FROM staged_prompt WHERE held_out IS NOT NULL ORDER BY reads_as, number) first USING (reads_as)
        WHERE s.held_out <> first.held_out AND (s.source_document = '' OR s.split_key <> first.split_key)
        """,  # noqa: S608 - only our own constants
    ),
    Check(
        "held_out",
        "the document {value} is {other} in this project, and the file says otherwise; mark it as the project does",
        """
        SELECT s.number, s.source_document, CASE WHEN p.held_out THEN 'held out' ELSE 'for training' END
        FROM staged_prompt s JOIN known_document p USING (split_key)
        WHERE s.source_document <> '' AND s.held_out <> p.held_out
        """,
    ),
    Check(
        "held_out",
        "this prompt is {other} in this project, and the file says otherwise; mark it as the project does",
        """
        SELECT s.number, '', CASE WHEN s.held_out THEN 'for training' ELSE 'held out' END FROM staged_prompt s
        JOIN (SELECT t.number, bool_or(p.held_out = t.held_out) AS agrees FROM staged_prompt t
              JOIN known_prompt p USING (reads_as)
              WHERE t.held_out IS NOT NULL GROUP BY t.number) known USING (number)
        WHERE NOT known.agrees AND (s.source_document = ''
              OR NOT EXISTS (SELECT FROM known_document d WHERE d.split_key = s.split_key))
        """,
    ),
    Check(
        "reference",
        f"the prompt of row {{other}} with another reference; {APART}; {COMPARED}",
        """
        SELECT s.number, '', first.number, s.reference, first.reference FROM staged_prompt s
        JOIN (SELECT DISTINCT ON (reads_as, distinction) reads_as, distinction, t.number, t.reference
              FROM staged_prompt t JOIN staged_repeat USING (reads_as, distinction)
              WHERE t.reference <> '' ORDER BY reads_as, distinction, t.number) first USING (reads_as, distinction)
        WHERE s.reference <> '' AND s.reference <> first.reference
        """,
        texts=True,
    ),
    Check(
        "metadata",
        f"the prompt of row {{other}} with other metadata; {APART}",
        """
        SELECT s.number, '', first.number FROM staged_prompt s
        JOIN (SELECT DISTINCT ON (reads_as, distinction) reads_as, distinction, t.number, t.metadata
              FROM staged_prompt t JOIN staged_repeat USING (reads_as, distinction)
              WHERE t.metadata <> '{}' ORDER BY reads_as, distinction, t.number) first USING (reads_as, distinction)
        WHERE s.metadata <> '{}' AND s.metadata - 'context' <> first.metadata - 'context'
        """,
    ),
    Check(
        "reference",
        f"this prompt is in the project with another reference (prompt {{other}}); {APART}; {COMPARED}",
        """
        SELECT s.number, '', p.id, s.reference, p.reference FROM staged_prompt s
        JOIN known_prompt k USING (reads_as, distinction)
        JOIN annotation_prompt p ON p.id = k.id
        WHERE s.reference <> '' AND p.reference <> '' AND s.reference <> p.reference
        """,
        texts=True,
    ),
    Check(
        "metadata",
        f"this prompt is in the project with other metadata (prompt {{other}}); {APART}",
        """
        SELECT s.number, '', p.id FROM staged_prompt s
        JOIN known_prompt k USING (reads_as, distinction)
        JOIN annotation_prompt p ON p.id = k.id
        WHERE s.metadata <> '{}' AND p.metadata <> '{}' AND s.metadata - 'context' <> p.metadata - 'context'
        """,
    ),
]


def fields_of(mapping: Mapping) -> dict[str, str]:
    """Which column each check is about; empty where the file has none."""
    return {
        "external_id": mapping.external_id,
        "held_out": mapping.held_out,
        "reference": mapping.reference or mapping.messages,
        "metadata": mapping.metadata_object or next(iter(mapping.metadata.values()), mapping.context),
    }


def cross_faults(project: Project, columns: dict[str, str]) -> Iterator[Fault]:
    """By check and row. `columns` gives the file's name of a field. Call `staging.find_in_project` before."""
    for check in CHECKS:
        column = columns.get(check.field)
        if not column:
            continue
        with connection.chunked_cursor() as rows:  # on the server's side: there may be as many faults as rows
            rows.execute(f"{check.query} ORDER BY 1", {"project": project.pk})
            for number, value, other, *texts in rows:
                if not reads_alike(texts):
                    yield Fault(number, column, check.message.format(value=repr(value), other=other))


def reads_alike(texts: list[Any]) -> bool:
    return bool(texts) and normal_form(texts[0]) == normal_form(texts[1])
