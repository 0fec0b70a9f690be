"""CSV, TSV, JSONL and Parquet as one stream of numbered rows, in memory that does not grow with the file."""

import csv
import io
import json
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from annotation.preparation.files import ReadOptions, Unreadable, detect_encoding, identify, undecodable

MAX_LINE = 8 * 1024 * 1024  # characters
MAX_COLUMNS = 1000
PEEKED_ROWS = 1000
PARQUET_BATCH = 512
PARQUET_GROUP_LIMIT = 1 << 30  # bytes, unpacked

csv.field_size_limit(MAX_LINE)


class Row(NamedTuple):
    """One row. `number` is how a person finds it: as a spreadsheet counts (the header is row 1) in CSV and TSV, the
    line in JSONL, from 1 in Parquet. `values` is None when the row itself is at fault (`fault` says why);
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

    def rows(self) -> Iterator[Row]: ...

    def share_read(self) -> float: ...


def open_table(path: Path, filename: str, options: ReadOptions, size_limit: int | None = None) -> Table:
    """Open a file for reading; Unreadable when it cannot be trusted as a whole."""
    format = identify(path, filename, options, size_limit)
    if format == "parquet":
        return ParquetTable(path, filename)
    encoding = detect_encoding(path, options.encoding)
    if format == "jsonl":
        return JsonlTable(path, filename, encoding)
    delimiter = {"tab": "\t", "\\t": "\t"}.get(options.delimiter, options.delimiter)
    delimiter = delimiter or ("," if format == "csv" else "\t")
    if len(delimiter) != 1 or delimiter in '"\r\n' or ord(delimiter) > 127:
        raise Unreadable(f"{options.delimiter!r} is no delimiter; give one character such as ; or the word tab")
    quoted = options.quoted if options.quoted is not None else format == "csv"
    return DelimitedTable(path, filename, format, encoding, delimiter, quoted)


class TextFile:
    """Lines of a text file, none longer than MAX_LINE; remembers how far it has read."""

    def __init__(self, path: Path, filename: str, encoding: str) -> None:
        self.path, self.filename, self.encoding = path, filename, encoding
        self.size = max(1, path.stat().st_size)
        self.position = 0

    def lines(self) -> Iterator[str]:
        number = 0
        with self.path.open("rb") as raw, io.TextIOWrapper(raw, self.encoding, newline="") as file:
            try:
                while line := file.readline(MAX_LINE):
                    number += 1
                    if not number % 512:
                        self.position = raw.tell()
                    if len(line) == MAX_LINE and not line.endswith("\n"):
                        raise Unreadable(
                            f"{self.filename}: line {number:,} is longer than {MAX_LINE:,} characters; is it the "
                            "right file?",
                            row=number,
                        )
                    yield line
            except UnicodeError:
                raise undecodable(self.path, self.filename, self.encoding) from None

    def share_read(self) -> float:
        return min(1.0, self.position / self.size)


class DelimitedTable:
    """CSV (RFC 4180, strictly) or TSV (cells are taken as they are, unless `quoted`)."""

    def __init__(self, path: Path, filename: str, format: str, encoding: str, delimiter: str, quoted: bool) -> None:
        self.format, self.encoding, self.filename = format, encoding, filename
        self.delimiter, self.quoted = delimiter, quoted
        self.text = TextFile(path, filename, encoding)
        self.share_read = self.text.share_read
        self.columns: list[str] = []
        records = self.records()
        header = next(records, (1, []))[1]
        records.close()
        self.columns = self.checked_header(header)

    def records(self) -> Generator[tuple[int, list[str]], None, None]:
        reader = csv.reader(
            self.text.lines(),
            delimiter=self.delimiter,
            strict=True,
            quoting=csv.QUOTE_MINIMAL if self.quoted else csv.QUOTE_NONE,
        )
        number = 0
        while True:
            line = reader.line_num + 1
            try:
                record = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise self.broken(number + 1, line, str(error)) from None
            number += 1
            yield number, record

    def broken(self, row: int, line: int, reason: str) -> Unreadable:
        if "unexpected end of data" in reason or "field larger" in reason:
            what = "a quotation mark opens a cell and none closes it"
        elif "expected after" in reason:
            what = "a cell goes on after its closing quotation mark; a mark inside a cell is written twice"
        else:
            what = reason
        remedy = 'Mend that row, or read the file with unquoted cells (--unquoted) if " is part of the texts'
        return Unreadable(f"{self.filename}: row {row:,} (from line {line:,}): {what}. {remedy}", row=row)

    def checked_header(self, header: list[str]) -> list[str]:
        names = [name.strip() for name in header]
        if any("\0" in name for name in names):
            raise Unreadable(
                f"{self.filename}: the header contains NUL characters; is it UTF-16 without a byte order mark? "
                "(--encoding utf-16-le)",
                row=1,
            )
        if not any(names):
            raise Unreadable(f"{self.filename}: row 1 is empty; it must name the columns", row=1)
        if len(names) > MAX_COLUMNS:
            raise Unreadable(f"{self.filename}: {len(names):,} columns; at most {MAX_COLUMNS:,} are read", row=1)
        seen: dict[str, int] = {}
        for position, name in enumerate(names, 1):
            if name and name in seen:
                raise Unreadable(
                    f"{self.filename}: columns {seen[name]} and {position} are both called {name!r}; rename one",
                    row=1,
                    column=name,
                )
            seen[name] = position
        return names

    def rows(self) -> Iterator[Row]:
        columns, width = self.columns, len(self.columns)
        records = self.records()
        next(records, None)
        blank: list[int] = []
        for number, record in records:
            if not record:
                blank.append(number)  # at the end of a file it means nothing
                continue
            for empty in blank:
                yield Row(empty, None, "the row is empty; delete it", [])
            blank = []
            if len(record) != width:
                yield Row(number, None, self.ragged(len(record)), record)
            else:
                yield Row(number, dict(zip(columns, record, strict=True)), "", record)

    def ragged(self, cells: int) -> str:
        count = f"{cells} cell{'' if cells == 1 else 's'} where the header has {len(self.columns)}"
        if cells < len(self.columns):
            return f"{count}; add the missing ones"
        return f"{count}; is a {'tab' if self.delimiter == chr(9) else repr(self.delimiter)} in a text not quoted?"


class JsonlTable:
    """One JSON object a line; keys of the first PEEKED_ROWS lines make the columns."""

    format = "jsonl"

    def __init__(self, path: Path, filename: str, encoding: str) -> None:
        self.encoding, self.filename = encoding, filename
        self.text = TextFile(path, filename, encoding)
        self.share_read = self.text.share_read
        self.decoder = json.JSONDecoder(object_pairs_hook=without_repeats, parse_constant=refuse_constant)
        self.columns: list[str] = []
        columns: dict[str, None] = {}
        first_fault: Row | None = None
        for row in self.rows():
            columns.update(dict.fromkeys(row.values or ()))
            if row.fault and first_fault is None:
                first_fault = row
            if row.number >= PEEKED_ROWS:
                break
        self.columns = list(columns)
        if not columns and first_fault:
            raise Unreadable(
                f"{filename}: row {first_fault.number:,}: {first_fault.fault}. No row so far is a JSON object",
                row=first_fault.number,
            )
        if not columns:
            raise Unreadable(f"{filename} has no rows with values; export it again")
        if len(self.columns) > MAX_COLUMNS:
            raise Unreadable(f"{filename}: {len(self.columns):,} different keys; at most {MAX_COLUMNS:,} are read")

    def rows(self) -> Iterator[Row]:
        blank: list[int] = []
        for number, line in enumerate(self.text.lines(), 1):
            stripped = line.strip(" \t\r\n")
            if not stripped:
                blank.append(number)
                continue
            for empty in blank:
                yield Row(empty, None, "the line is empty; delete it", "")
            blank = []
            try:
                value = self.decoder.decode(stripped)
            except RecursionError:
                yield Row(number, None, "nested too deeply; flatten it", line)
            except json.JSONDecodeError as error:
                if number == 1 and stripped[0] in "[{" and len(stripped) == 1:
                    raise self.not_lines() from None
                yield Row(number, None, f"not JSON: {error.msg} at character {error.colno}", line)
            except ValueError as error:
                yield Row(number, None, f"not usable JSON: {error}", line)
            else:
                if type(value) is dict:
                    yield Row(number, value, "", line)
                elif number == 1 and type(value) is list:
                    raise self.not_lines()
                else:
                    yield Row(number, None, "not an object; each line is one {…} with names and values", line)

    def not_lines(self) -> Unreadable:
        return Unreadable(
            f"{self.filename}: row 1 begins a value that spans the file; JSONL has one object a line "
            "(for an array: jq -c '.[]' FILE > FILE.jsonl)",
            row=1,
        )


def without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} stands twice in one object; rename one")
    return values


def refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value; write null or a number")


class ParquetTable:
    """Parquet, unpacked a few hundred rows at a time."""

    format = "parquet"
    encoding = "utf-8"

    def __init__(self, path: Path, filename: str) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.path, self.filename, self.errors = path, filename, (pa.ArrowException, OSError)
        try:
            self.file = pq.ParquetFile(path, pre_buffer=False)
            self.schema = self.file.schema_arrow
            metadata = self.file.metadata
        except self.errors as error:
            raise self.unreadable(error) from None
        self.columns = list(self.schema.names)
        if len(set(self.columns)) != len(self.columns):
            twice = next(name for name in self.columns if self.columns.count(name) > 1)
            raise Unreadable(f"{filename}: two columns are called {twice!r}; rename one", column=twice)
        if len(self.columns) > MAX_COLUMNS:
            raise Unreadable(f"{filename}: {len(self.columns):,} columns; at most {MAX_COLUMNS:,} are read")
        for group in range(metadata.num_row_groups):
            unpacked = metadata.row_group(group).total_byte_size
            if unpacked > PARQUET_GROUP_LIMIT:
                raise Unreadable(
                    f"{filename}: row group {group} unpacks to {unpacked:,} bytes, more than {PARQUET_GROUP_LIMIT:,}; "
                    "write it with smaller row groups"
                )
        self.total, self.read = max(1, metadata.num_rows), 0

    def unreadable(self, error: Exception) -> Unreadable:
        reason = str(error).split("\n")[0][:200]
        return Unreadable(f"{self.filename} is damaged or incomplete Parquet ({reason}); write or copy it again")

    def rows(self) -> Iterator[Row]:
        self.read = number = 0
        batches = self.file.iter_batches(batch_size=PARQUET_BATCH, use_threads=False)
        while True:
            try:
                batch = next(batches, None)
            except self.errors as error:
                raise self.unreadable(error) from None
            if batch is None:
                return
            for index, (values, fault) in enumerate(unpacked_rows(batch)):
                number += 1
                yield Row(number, values, fault, (batch, index))
            self.read = number

    def share_read(self) -> float:
        return float(self.read / self.total)


def unpacked_rows(batch: Any) -> Iterator[tuple[dict[str, Any] | None, str]]:
    try:
        yield from ((values, "") for values in batch.to_pylist())
        return
    except (ValueError, OverflowError):
        pass  # one cell cannot be turned into a Python value: find it
    for index in range(batch.num_rows):
        values: dict[str, Any] = {}
        fault = ""
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            try:
                values[name] = column[index].as_py()
            except (ValueError, OverflowError) as error:
                fault = f"column {name!r} cannot be read: {error}"
        yield (None, fault) if fault else (values, "")
