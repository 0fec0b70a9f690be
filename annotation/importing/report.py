"""What an import merged, knew already or did not read: counted, with places, for the command and the page.

`Import.report` holds it as {"reading": [words], "columns": [words], "notes": [{"kind", "count", "name", "rows"}]}.
A note is a fact of one kind; `describe` puts it into words.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from django.db import connection
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation.models import Project
from annotation.preparation.cells import Cells, is_empty
from annotation.preparation.formats import Row, Table
from annotation.preparation.mapping import Mapping
from annotation.text.extracts import extract

SHOWN = 5
NAMED = 60  # characters of a prompt that is named

Note = dict[str, Any]


def note(kind: str, count: int, *, name: str = "", rows: Iterable[Any] = ()) -> Note:
    return {"kind": kind, "count": count, "name": name, "rows": list(rows)}


class LeftOut:
    """Counts what the rows of a file have and the mapping does not read."""

    def __init__(self, mapping: Mapping) -> None:
        self.used = set(mapping.used_columns())
        self.unused: list[str] = []
        self.known = 0
        self.filled: Counter[str] = Counter()
        self.first: dict[str, int] = {}
        self.blank_rows = 0
        self.first_blank: list[int] = []

    def count(self, columns: list[str], row: Row) -> None:
        if len(columns) != self.known:
            self.known = len(columns)
            self.unused = [column for column in dict.fromkeys(columns) if column not in self.used]
        for column in self.unused:
            if row.values and not is_empty(row.values.get(column)):
                if column not in self.first:
                    self.first[column] = row.number
                self.filled[column] += 1

    def count_blank(self, row: Row) -> None:
        self.blank_rows += 1
        if len(self.first_blank) < SHOWN:
            self.first_blank.append(row.number)

    def notes(self, cells: Cells) -> list[Note]:
        notes = [
            note("unmapped", self.filled[column], name=column, rows=[self.first[column]])
            for column in self.unused
            if self.filled[column]
        ]
        notes += [note("passed over", count, name=name) for name, count in sorted(cells.passed_over.items())]
        if self.blank_rows:
            notes.append(note("blank rows", self.blank_rows, rows=self.first_blank))
        if cells.blank_candidates:
            notes.append(note("blank candidates", cells.blank_candidates))
        return notes


def reading(table: Table, mapping: Mapping) -> dict[str, Any]:
    return {"reading": table.reading(), "columns": mapping.in_words(), "notes": []}


# Rows of the file that became one prompt with an earlier row; whether they are written otherwise.
MERGED = """
    SELECT s.number, r.number, s.digest IS DISTINCT FROM first.digest FROM staged_prompt s
    JOIN staged_repeat r ON r.reads_as = s.reads_as AND r.distinction = s.distinction AND r.number <> s.number
    JOIN staged_prompt first ON first.number = r.number
    ORDER BY 1
"""
OTHERWISE = f"""
    SELECT count(*), (array_agg(ARRAY[number, first] ORDER BY number))[1:5]
    FROM ({MERGED}) merged (number, first, otherwise) WHERE otherwise
"""  # noqa: S608 - only our own constants
# Prompts of the file that read the same as others of the project; those of them on both sides of the split.
ALIKE = """
    SELECT COALESCE(sum(rows), 0)::integer, COALESCE(sum(rows) FILTER (WHERE both_sides), 0)::integer,
           array_agg(reads_as)
    FROM (SELECT reads_as, count(*) AS rows, count(DISTINCT held_out) > 1 AS both_sides FROM annotation_prompt
          WHERE project_id = %(project)s AND reads_as <> '' AND reads_as IN (SELECT reads_as FROM staged_prompt)
          GROUP BY reads_as HAVING count(*) > 1) groups
"""
PLACES = (
    "SELECT min(number) FROM staged_prompt WHERE reads_as = ANY(%s) GROUP BY reads_as, distinction ORDER BY 1 LIMIT 5"
)
# Rows whose prompt is withdrawn: (how many, the first ones, what the first prompt is called).
WITHDRAWN = """
    SELECT count(*), (array_agg(s.number ORDER BY s.number))[1:5],
           (array_agg(COALESCE(NULLIF(p.external_id, ''), p.text) ORDER BY s.number))[1]
    FROM staged_prompt s JOIN known_prompt k USING (reads_as, distinction) JOIN annotation_prompt p ON p.id = k.id
    JOIN annotation_exclusion e ON e.prompt_id = k.id AND e.lifted_at IS NULL
"""
# What the file gives for prompts that the project had before without it.
NOT_ADDED = """
    SELECT count(*) FILTER (WHERE s.reference <> '' AND p.reference = ''),
           count(*) FILTER (WHERE s.metadata - 'context' <> '{}' AND p.metadata = '{}')
    FROM staged_prompt s JOIN known_prompt k USING (reads_as, distinction) JOIN annotation_prompt p ON p.id = k.id
    WHERE s.reference <> '' OR s.metadata <> '{}'
"""


def notes_on_adding(project: Project, prompts: int, candidates: int) -> list[Note]:
    """After `add_staged`, in its transaction."""
    notes: list[Note] = []
    with connection.cursor() as cursor:
        cursor.execute("SELECT COALESCE(sum(rows - 1), 0)::integer FROM staged_repeat")
        (merged,) = cursor.fetchone()
        if merged:
            cursor.execute(MERGED)
            places = cursor.fetchmany(SHOWN)
            notes.append(note("merged", merged, rows=[place[:2] for place in places]))
            cursor.execute(OTHERWISE)
            otherwise, places = cursor.fetchone()
            if otherwise:
                notes.append(note("merged, written otherwise", otherwise, rows=places))
        cursor.execute("SELECT count(*) FROM staged_prompt")
        present = cursor.fetchone()[0] - merged - prompts
        if present:
            notes.append(note("present", present))
            cursor.execute(WITHDRAWN)
            withdrawn, places, name = cursor.fetchone()
            if withdrawn:
                notes.append(note("withdrawn", withdrawn, name=extract(" ".join(name.split()), NAMED), rows=places))
            cursor.execute(NOT_ADDED)
            references, metadata = cursor.fetchone()
            if references:
                notes.append(note("references not added", references))
            if metadata:
                notes.append(note("metadata not added", metadata))
        cursor.execute("SELECT count(*) FROM staged_candidate")
        known = cursor.fetchone()[0] - candidates
        if known:
            notes.append(note("candidates known", known))
        cursor.execute(
            "SELECT EXISTS (SELECT FROM staged_prompt WHERE distinction <> '')"
            " OR EXISTS (SELECT FROM known_prompt WHERE distinction <> '')"
        )
        if cursor.fetchone()[0]:  # else whatever reads the same is the same prompt
            notes += notes_on_alike(cursor, project)
    return notes


def notes_on_alike(cursor: Any, project: Project) -> list[Note]:
    cursor.execute(ALIKE, {"project": project.pk})
    alike, both_sides, readings = cursor.fetchone()
    if not alike:
        return []
    cursor.execute(PLACES, [readings])
    notes = [note("alike", alike, rows=[number for (number,) in cursor.fetchall()])]
    return [*notes, note("on both sides", both_sides)] if both_sides else notes


def describe(a_note: Note) -> str:
    """A note in a sentence, in the language of whoever reads it."""
    count, name, rows = a_note["count"], a_note["name"], a_note["rows"]
    if a_note["kind"] == "unmapped":
        name = name or _("(no name)")
    values = {"count": number_format(count, use_l10n=True, force_grouping=True), "name": name, "rows": in_rows(rows)}
    sentences = {
        "unmapped": ngettext(
            "Column “%(name)s” was not read: %(count)s row has a value there (first in row %(rows)s).",
            "Column “%(name)s” was not read: %(count)s rows have a value there (first in row %(rows)s).",
            count,
        ),
        "passed over": ngettext(
            "“%(name)s” was not read (%(count)s value).", "“%(name)s” was not read (%(count)s values).", count
        ),
        "blank rows": ngettext(
            "%(count)s blank row was skipped: row %(rows)s.", "%(count)s blank rows were skipped: rows %(rows)s.", count
        ),
        "blank candidates": ngettext(
            "%(count)s empty candidate was skipped.", "%(count)s empty candidates were skipped.", count
        ),
        "merged": ngettext(
            "%(count)s row repeats the prompt of an earlier row and was merged with it: %(rows)s.",
            "%(count)s rows repeat the prompt of an earlier row and were merged with it: %(rows)s.",
            count,
        ),
        "merged, written otherwise": ngettext(
            "%(count)s of them reads the same but is written differently (spaces, width, accents): %(rows)s.",
            "%(count)s of them read the same but are written differently (spaces, width, accents): %(rows)s.",
            count,
        ),
        "present": ngettext(
            "%(count)s prompt was already in the project and was left as it is.",
            "%(count)s prompts were already in the project and were left as they are.",
            count,
        ),
        "withdrawn": ngettext(
            "%(count)s row is of a prompt that is withdrawn, “%(name)s”: it gets no tasks, and its answers do not "
            "count, until it is restored (row %(rows)s).",
            "%(count)s rows are of prompts that are withdrawn, the first of “%(name)s”: they get no tasks, and their "
            "answers do not count, until they are restored (rows %(rows)s).",
            count,
        ),
        "references not added": ngettext(
            "%(count)s reference was not added: the project has this prompt without one.",
            "%(count)s references were not added: the project has these prompts without one.",
            count,
        ),
        "metadata not added": ngettext(
            "Metadata of %(count)s prompt were not added: the project has this prompt without any.",
            "Metadata of %(count)s prompts were not added: the project has these prompts without any.",
            count,
        ),
        "candidates known": ngettext(
            "%(count)s candidate was there already: same prompt, origin and text.",
            "%(count)s candidates were there already: same prompt, origin and text.",
            count,
        ),
        "alike": ngettext(
            "%(count)s prompt reads the same as another one and was kept apart by its document, context or id "
            "(row %(rows)s).",
            "%(count)s prompts read the same as others and were kept apart by their documents, contexts or ids "
            "(rows %(rows)s).",
            count,
        ),
        "on both sides": ngettext(
            "%(count)s of them reads the same as a prompt on the other side of the held-out split: neither text is "
            "used for training.",
            "%(count)s of them read the same as prompts on the other side of the held-out split: these texts are not "
            "used for training.",
            count,
        ),
    }
    return sentences[a_note["kind"]] % values


def in_rows(rows: list[Any]) -> str:
    """[2, 5] → “2, 5”; [[3, 2]] → “3 = 2”."""
    shown = [" = ".join(map(str, row)) if isinstance(row, list | tuple) else str(row) for row in rows]
    return ", ".join(shown) + (" …" if len(shown) >= SHOWN else "")
