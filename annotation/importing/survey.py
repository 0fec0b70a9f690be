"""What an import of a file would do, from all of its rows, before anything is written."""

import time
from dataclasses import dataclass, field
from typing import Any

from annotation.importing.report import SHOWN, LeftOut, Note, note
from annotation.models import Project
from annotation.preparation.cells import is_blank
from annotation.preparation.formats import Row, Table
from annotation.preparation.mapping import Mapping, MappingWords
from annotation.preparation.parsed import Fault, ParsedPrompt
from annotation.preparation.prompts import PromptParser

SECONDS = 10.0  # a person waits for it
FIRST_ROWS = 8
FIRST_FAULTS = 5


@dataclass
class Survey:
    """`is_whole`: the file was read to its end; else these are the figures of its first `rows` rows. `samples` are
    values of columns that are empty in the first rows: column → (row, value)."""

    mapping: Mapping
    is_whole: bool = False
    rows: int = 0
    prompts: int = 0
    candidates: int = 0
    faulty_rows: int = 0
    faults: list[Fault] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    first: list[Row] = field(default_factory=list)
    samples: dict[str, tuple[int, Any]] = field(default_factory=dict)


def survey(table: Table, project: Project, mapping: Mapping | None = None, seconds: float = SECONDS) -> Survey:
    """Read the file as an import would. Without a mapping the columns' names decide, those of the last row as well."""
    deadline = time.monotonic() + seconds
    words = MappingWords()
    chosen = mapping or words.on(table.columns)
    result = read(table, project, chosen, deadline)
    if mapping is None and (whole := words.on(table.columns)) != chosen:
        result = read(table, project, whole, deadline + seconds)
    return result


def read(table: Table, project: Project, mapping: Mapping, deadline: float) -> Survey:
    parser = PromptParser(
        mapping, format=table.format, seed=project.slug, share=project.held_out_share, persona=project.persona
    )
    result, left_out = Survey(mapping), LeftOut(mapping)
    seen: dict[int, int] = {}
    merged = 0
    places: list[tuple[int, int]] = []
    filled: set[str] = set()
    for row in table.rows():
        if not result.rows % 256 and time.monotonic() > deadline:
            break
        result.rows += 1
        left_out.count(table.columns, row)
        if len(result.first) < FIRST_ROWS:
            result.first.append(row)
        else:
            sample(result, row, filled)
        parsed = parser.parse(row)
        if parsed is None:
            left_out.count_blank(row)
        elif isinstance(parsed, ParsedPrompt):
            result.candidates += len(parsed.candidates)
            key = hash((parsed.reads_as, parsed.distinction))
            if first := seen.setdefault(key, row.number):
                merged += first != row.number
                if first != row.number and len(places) < SHOWN:
                    places.append((row.number, first))
        else:
            result.faulty_rows += 1
            result.faults += parsed[: FIRST_FAULTS - len(result.faults)]
    else:
        result.is_whole = True
    result.prompts = len(seen)
    result.notes = left_out.notes(parser.cells)
    if merged:
        result.notes.append(note("merged", merged, rows=places))
    return result


def sample(result: Survey, row: Row, filled: set[str]) -> None:
    """Note the first value of a column that is empty in all rows before it."""
    if not filled:
        filled.update(column for first in result.first for column in filled_columns(first))
    if row.values and not row.values.keys() <= filled:
        for column in filled_columns(row):
            if column not in filled:
                filled.add(column)
                result.samples[column] = (row.number, row.values[column])


def filled_columns(row: Row) -> list[str]:
    return [column for column, value in (row.values or {}).items() if not is_blank(value)]
