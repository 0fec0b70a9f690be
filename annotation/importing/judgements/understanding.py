"""What the columns and the answers of a file mean, from the whole of it: keys of later rows may mean something."""

from typing import Any

from django.utils.translation import gettext_noop

from annotation.core.messages import Message
from annotation.importing import run
from annotation.importing.judgements.census import Settled, settled
from annotation.importing.judgements.detection import FIRST_ROWS, choose
from annotation.importing.judgements.mapping import JudgementMapping, JudgementWords, checked_judgements
from annotation.models import Import
from annotation.preparation.files import Unreadable
from annotation.preparation.formats import Table
from annotation.preparation.mapping import Mapping, MappingWords, checked_mapping


def columns_meant(record: Import, table: Table) -> tuple[Mapping, JudgementMapping]:
    """What the table's columns mean, as far as they are known."""
    stored = record.mapping["judgements"]
    if stored["columns"]:
        return run.mapping_of(record, table), JudgementMapping.from_dict(stored["columns"])
    texts = MappingWords(**{name: tuple(values) for name, values in record.mapping.get("words", {}).items()})
    words = stored["words"].items()
    said: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in words}
    return choose(texts, JudgementWords(**said), table.columns, first_rows(table))


def first_rows(table: Table) -> list[dict[str, Any]]:
    rows = []
    for row in table.rows():
        if row.values:
            rows.append(row.values)
        if len(rows) >= FIRST_ROWS:
            break
    return rows


def understood(record: Import, table: Table) -> tuple[Mapping, Settled]:
    """What columns and values mean, from the whole file: keys of later rows may mean something."""
    mapping, judgements = columns_meant(record, table)
    while True:
        used = check_columns(record, table, mapping, judgements)
        found = settled(table, mapping, judgements, record.project, record.filename)
        whole = columns_meant(record, table)
        if whole == (mapping, judgements):
            break
        mapping, judgements = whole
    if unseen := used - set(table.columns):
        text = gettext_noop("%(file)s: no row has the key “%(name)s” that the mapping names")
        raise Unreadable(Message(text, file=record.filename, name=min(unseen)))
    return mapping, found


def check_columns(record: Import, table: Table, mapping: Mapping, judgements: JudgementMapping) -> set[str]:
    open_ended, used = table.format == "jsonl", mapping.used_columns()
    checked_mapping(mapping, table.columns, record.filename, open_ended=open_ended)
    checked_judgements(judgements, table.columns, used, record.filename, open_ended=open_ended)
    return {*used, *judgements.used_columns()}
