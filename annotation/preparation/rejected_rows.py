"""What an import leaves behind: the faults as a table, and the rows it did not keep, in the file's own format."""

import csv
import io
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from annotation.core.messages import Message
from annotation.preparation.formats import DelimitedTable, JsonlTable, ParquetTable, Table
from annotation.preparation.parsed import Fault
from annotation.text.normalization import has_ink

FIRST_FAULTS = 50
# What spreadsheets take for the beginning of a formula, also after characters that they skip or do not show.
FORMULA_MARKS = frozenset("=+-@\N{MINUS SIGN}")
# Every character that NFKC makes one of them; tests/annotation/exchange compares the list with Unicode's tables.
FORMULA_MARK = re.compile(
    "[-+=@\u207a-\u207c\u208a-\u208c\u2212\ufb29\ufe62\ufe63\ufe66\ufe6b\uff0b\uff0d\uff1d\uff20]"
)
DELIMITERS = re.compile(r"([,;|\t\r\n]+)")


def neutral_cell(text: str) -> str:
    """A cell that no spreadsheet takes for a formula: an apostrophe goes before = + - @ and the like.

    Blanks, control and invisible characters before such a sign are skipped, as spreadsheets do, and so are quotation
    marks. What follows a delimiter counts as the beginning of a cell, since the reader's language may decide on another
    delimiter than the comma.
    """
    if not FORMULA_MARK.search(text):
        return text
    parts = DELIMITERS.split(text)
    return "".join(part if number % 2 else neutral_part(part) for number, part in enumerate(parts))


def neutral_part(text: str) -> str:
    return f"'{text}" if formula_mark(text) else text


def neutral_json(text: str) -> str:
    """A cell of JSON that stays the same JSON: where `neutral_cell` would put an apostrophe, the sign is written as
    \\uXXXX. Negative numbers stay as they are: no formula."""
    if not FORMULA_MARK.search(text):
        return text
    parts = DELIMITERS.split(text)
    return "".join(part if number % 2 else neutral_json_part(part) for number, part in enumerate(parts))


def neutral_json_part(text: str) -> str:
    mark = formula_mark(text)
    at = text.index(mark) if mark else 0
    # Only in a string may a sign be escaped; of numbers, only the minus can begin one.
    if not mark or (mark == "-" and NEGATIVE.match(text, at) and '"' not in text[:at]):
        return text
    return f"{text[:at]}\\u{ord(mark):04x}{text[at + 1 :]}"


NEGATIVE = re.compile(r"-\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?=[\]},]|$)")


def formula_mark(text: str) -> str:
    """The sign by which a spreadsheet would take the text for a formula; empty where it would not."""
    visible = next((sign for sign in text if not is_skipped(sign)), "")
    return visible if unicodedata.normalize("NFKC", visible) in FORMULA_MARKS else ""


def is_skipped(sign: str) -> bool:
    return sign in "'\"" or not has_ink(sign) or unicodedata.category(sign) in ("Cc", "Cf", "Zs", "Zl", "Zp")


class FaultLog:
    """All faults go to a CSV file (made with the first one), the first FIRST_FAULTS are at hand, and each faulty row
    costs one byte of memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.first: list[Fault] = []
        self.count = self.rows = 0
        self.faulty = bytearray()
        self.file: io.TextIOWrapper | None = None

    def add(self, fault: Fault) -> None:
        if self.file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.file = self.path.open("w", encoding="utf-8", newline="")
            csv.writer(self.file).writerow(["row", "column", "message"])
        message = fault.message.encode(errors="backslashreplace").decode()
        column = fault.column.encode(errors="backslashreplace").decode()
        csv.writer(self.file).writerow([fault.row, neutral_cell(column), neutral_cell(message)])
        self.count += 1
        if len(self.first) < FIRST_FAULTS:
            if not isinstance(fault.message, Message):
                fault = fault._replace(message=message.replace("\0", "␀"))
            self.first.append(fault._replace(column=column.replace("\0", "␀")))
        if fault.row >= len(self.faulty):
            self.faulty.extend(bytes(fault.row + 1 - len(self.faulty)))
        self.rows += not self.faulty[fault.row]
        self.faulty[fault.row] = 1

    def is_faulty(self, row: int) -> bool:
        return row < len(self.faulty) and bool(self.faulty[row])

    def close(self) -> None:
        if self.file:
            self.file.close()
            self.file = None

    def __enter__(self) -> "FaultLog":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def write_rest(table: Table, path: Path, chosen: Callable[[int], bool]) -> int:
    """Write the rows whose number is chosen, as the input has them (header, encoding, quoting); returns how many."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(table, ParquetTable):
        return write_parquet_rest(table, path, chosen)
    count = 0
    with path.open("w", encoding=table.encoding, newline="") as file:
        if isinstance(table, DelimitedTable) and table.quoted:
            writer = csv.writer(file, delimiter=table.delimiter)
            writer.writerow(table.columns)
        elif isinstance(table, DelimitedTable):
            file.write(table.delimiter.join(table.columns) + "\n")
        for row in table.rows():
            if not chosen(row.number):
                continue
            count += 1
            if isinstance(table, JsonlTable):
                file.write(row.raw.rstrip("\r\n") + "\n")
            elif isinstance(table, DelimitedTable) and table.quoted:
                writer.writerow(row.raw)
            elif isinstance(table, DelimitedTable):
                file.write(table.delimiter.join(row.raw) + "\n")
    return count


def write_parquet_rest(table: ParquetTable, path: Path, chosen: Callable[[int], bool]) -> int:
    import pyarrow.parquet as pq

    count = 0
    with pq.ParquetWriter(path, table.schema) as writer:
        current: Any = None
        indices: list[int] = []
        for row in table.rows():
            batch, index = row.raw
            if batch is not current:
                if current is not None and indices:
                    writer.write_batch(current.take(indices))
                current, indices = batch, []
            if chosen(row.number):
                indices.append(index)
                count += 1
        if current is not None and indices:
            writer.write_batch(current.take(indices))
    return count
