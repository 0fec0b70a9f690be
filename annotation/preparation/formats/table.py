"""What files of every format have in common: numbered rows of named values."""

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

MAX_COLUMNS = 1000


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
