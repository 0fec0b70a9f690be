"""Writers of the three formats. Each takes records and writes bytes to an open file; memory does not grow with their
number. Pure: no Django."""

import csv
import io
from collections.abc import Iterable, Iterator
from typing import IO, Any, NamedTuple, Protocol

from annotation.core.json_lines import encode
from annotation.exchange.columns import ANSWER_COLUMNS, COLUMNS, TASK_COLUMNS, Column
from annotation.exchange.types import ENCODE, INTEGER, NUMBER, TEXT, TIME, TRUTH, arrow_type, has_json, without_json
from annotation.preparation.rejected_rows import neutral_cell, neutral_json

Values = dict[str, Any]
BLOCK = 8 * 1024 * 1024  # bytes of JSON that become one row group of Parquet


class Record(NamedTuple):
    """One row: dicts with all names of `columns`, in their order. Answers to one task share the object `task`: it is
    encoded once for all that follow each other."""

    task: Values
    answer: Values


class Writer(Protocol):
    def write(self, records: Iterable[Record]) -> None: ...

    def close(self) -> None:
        """Write what is left, so that the file is whole; the file itself stays open."""


class JsonlWriter:
    """One JSON object a line, UTF-8. Every object has every key."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.task: Values | None = None
        self.task_json = b""  # with the comma after it

    def write(self, records: Iterable[Record]) -> None:
        for task, answer in records:
            if task is not self.task:
                self.task, self.task_json = task, encode(self.typed(task))[:-1] + b","
            self.put(self.task_json + encode(answer)[1:] + b"\n")

    def typed(self, task: Values) -> Values:
        return task

    def put(self, line: bytes) -> None:
        self.file.write(line)

    def close(self) -> None:
        pass


class ParquetWriter(JsonlWriter):
    """Typed and nested columns, zstd. Arrow reads JSON lines much faster than Python could pass it the values."""

    def __init__(self, file: IO[bytes]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        super().__init__(file)
        self.schema = pa.schema([(column.name, arrow_type(column.type)) for column in COLUMNS])
        self.parquet = pq.ParquetWriter(file, self.schema, compression="zstd")
        self.lines: list[bytes] = []
        self.size = self.longest = 0

    def typed(self, task: Values) -> Values:
        """Free JSON is in columns of the task only (a test asserts it)."""
        return task | {column.name: without_json(column.type, task[column.name]) for column in FREE}

    def put(self, line: bytes) -> None:
        self.lines.append(line)
        self.size += len(line)
        self.longest = max(self.longest, len(line))
        if self.size >= BLOCK:
            self.flush()

    def flush(self) -> None:
        import pyarrow as pa
        import pyarrow.json as arrow_json

        if not self.lines:
            return
        block, self.lines = b"".join(self.lines), []
        parse = arrow_json.ParseOptions(explicit_schema=self.schema, unexpected_field_behavior="error")
        read = arrow_json.ReadOptions(use_threads=False, block_size=self.size + self.longest)
        self.parquet.write_table(arrow_json.read_json(pa.BufferReader(block), read, parse))
        self.size = 0

    def close(self) -> None:
        self.flush()
        self.parquet.close()


FREE = tuple(column for column in TASK_COLUMNS if has_json(column.type))


class CsvWriter:
    """RFC 4180, UTF-8 with a byte order mark, by which spreadsheets know it. What has parts is JSON; an empty cell is
    null or an empty text; an apostrophe goes before what a spreadsheet would take for a formula."""

    def __init__(self, file: IO[bytes]) -> None:
        file.write("\ufeff".encode())
        self.text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        self.writer = csv.writer(self.text)
        self.writer.writerow([column.name for column in COLUMNS])
        self.task: Values | None = None
        self.task_cells: list[str] = []

    def write(self, records: Iterable[Record]) -> None:
        self.writer.writerows(map(self.cells, records))

    def cells(self, record: Record) -> list[str]:
        if record.task is not self.task:
            self.task, self.task_cells = record.task, cells_of(record.task, TASK_CELLS)
        return self.task_cells + cells_of(record.answer, ANSWER_CELLS)

    def close(self) -> None:
        self.text.flush()
        self.text.detach()


def cells_of(values: Values, functions: Iterable[tuple[str, Any]]) -> list[str]:
    return ["" if (value := values[name]) is None else cell(value) for name, cell in functions]


def json_cell(value: Any) -> str:
    return neutral_json(ENCODE(value))


def truth_cell(value: bool) -> str:
    return "true" if value else "false"


def cell_functions(columns: Iterable[Column]) -> tuple[tuple[str, Any], ...]:
    """For each column, how a value that is not null becomes a cell."""
    simple = {TEXT: neutral_cell, TRUTH: truth_cell, INTEGER: str, NUMBER: str, TIME: str}
    return tuple((column.name, simple.get(column.type, json_cell)) for column in columns)  # type: ignore[arg-type]


TASK_CELLS, ANSWER_CELLS = cell_functions(TASK_COLUMNS), cell_functions(ANSWER_COLUMNS)
WRITERS: dict[str, type[JsonlWriter] | type[CsvWriter] | type[ParquetWriter]] = {
    "jsonl": JsonlWriter,
    "csv": CsvWriter,
    "parquet": ParquetWriter,
}


def written(writer: Writer, records: Iterator[list[Record]]) -> Iterator[int]:
    """Write all chunks; yields how many records are written so far. The file is whole when it is exhausted."""
    count = 0
    for chunk in records:
        writer.write(chunk)
        count += len(chunk)
        yield count
    writer.close()
