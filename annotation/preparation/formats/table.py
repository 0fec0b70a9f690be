"""What files of every format have in common: numbered rows of named values."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from annotation.preparation.files import Unreadable

MAX_COLUMNS = 1000
LONGEST_NAME = 1000  # characters of a column's name, which the preview shows several times


def check_columns(filename: str, names: Sequence[str], *, what: str = "columns", row: int | None = None) -> None:
    """Raise Unreadable where a file has more columns, or longer names of columns, than are read."""
    if len(names) > MAX_COLUMNS:
        raise Unreadable(f"{filename}: {len(names):,} {what}; at most {MAX_COLUMNS:,} are read", row=row)
    longest = max(names, key=len, default="")
    if len(longest) > LONGEST_NAME:
        place = f"{filename}: the name of column {names.index(longest) + 1} has {len(longest):,} characters"
        raise Unreadable(f"{place}, more than {LONGEST_NAME:,}; shorten it, or put the names first", row=row)


class Row(NamedTuple):
    """One row. `number` is how a person finds it: as a spreadsheet counts (the header is row 1) in CSV and TSV, the
    line in JSONL, from 1 in Parquet. `values` is None when the row itself is at fault (`fault` says why), and
    empty when it is blank;
    `raw` is what a file of the rest gets: the cells, the line, or (record batch, index in it)."""

    number: int
    values: dict[str, Any] | None
    fault: str
    raw: Any


class Table(Protocol):
    """An open file. `rows` may be called again and starts from the beginning; `share_read` runs from 0 to 1."""

    format: str
    columns: list[str]
    encoding: str

    def reading(self) -> list[str]: ...

    def rows(self) -> Iterator[Row]: ...

    def share_read(self) -> float: ...
