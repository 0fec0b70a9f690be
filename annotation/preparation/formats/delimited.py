"""CSV and TSV files."""

import csv
import re
from collections.abc import Generator, Iterator, Sequence
from itertools import islice
from pathlib import Path

from annotation.preparation.files import Unreadable
from annotation.preparation.formats.quoting import is_quoted
from annotation.preparation.formats.table import Row, check_columns
from annotation.preparation.formats.text_file import MAX_LINE, TextFile

# The line by which Excel is told the delimiter; it is no row, and Excel does not show it.
SEPARATOR_LINE = re.compile(r'"?sep=(\\t|[^"\r\n])"?[,;\t ]*[\r\n]*', re.IGNORECASE)

# Looked for where the header is one cell by the usual one.
OTHER_DELIMITERS = (";", "\t", "|", ",")
LOOKED_AT = 1_000  # lines
# Not part of a name: byte order marks (a file may have two) and other characters without ink.
UNSEEN = "\ufeff\u200b\u200e\u200f\u2060\u00ad"

csv.field_size_limit(MAX_LINE)


class DelimitedTable:
    """CSV (RFC 4180, strictly) or TSV. `quoted` tells whether cells may be in quotation marks: None means yes in CSV,
    and in TSV what the content shows. An empty `delimiter` is the one that a first line `sep=;` names, else the
    format's, or another by which the rows have as many cells as the header while by the format's they have not."""

    def __init__(
        self,
        path: Path,
        filename: str,
        format: str,
        encoding: str,
        delimiter: str = "",
        quoted: bool | None = None,
        languages: Sequence[str] = (),
    ) -> None:
        self.format, self.encoding, self.filename = format, encoding, filename
        self.text = TextFile(path, filename, encoding, languages)
        self.share_read = self.text.share_read
        first = next(lines := self.text.lines(), "")
        lines.close()
        named = SEPARATOR_LINE.fullmatch(first)
        self.skipped_lines = 1 if named else 0
        usual = "," if format == "csv" else "\t"
        self.delimiter = delimiter or (named[1].replace("\\t", "\t") if named else usual)
        if not delimiter and not named:
            widths = self.first_widths(usual)
            if widths[:1] == [1] or len(set(widths)) > 1:
                self.delimiter = self.other_delimiter() or usual
        self.quotation_marks = False
        self.quoted = format == "csv" if quoted is None else quoted
        if quoted is None and format == "tsv":
            self.quoted, self.quotation_marks = is_quoted(self.lines, self.delimiter)
        self.columns: list[str] = []
        records = self.records()
        header = next(records, (1, []))[1]
        records.close()
        self.columns = self.checked_header(header)

    def first_widths(self, delimiter: str) -> list[int]:
        """How many cells the first rows have with this delimiter; 0 for those that cannot be read so."""
        lines = self.text.lines()
        rows = csv.reader(islice(lines, LOOKED_AT), delimiter=delimiter, strict=True)
        widths: list[int] = []
        try:
            for row in rows:
                widths += [len(row)] if row else []
        except csv.Error:
            widths.append(0)  # perhaps a cell of several lines that is cut off
        lines.close()
        return widths

    def other_delimiter(self) -> str | None:
        """The one delimiter by which all of the first rows have as many cells as the header, two at least: programs
        write semicolons where the comma is the decimal sign. None if it is not plain."""
        fitting = []
        for mark in OTHER_DELIMITERS:
            widths = self.first_widths(mark)
            if widths and widths[0] > 1 and len(set(widths) - {0}) == 1:
                fitting.append(mark)
        return fitting[0] if len(fitting) == 1 else None

    def reading(self) -> list[str]:
        """How the file is read, in words."""
        name = {"\t": "tab", " ": "space", ",": "comma"}.get(self.delimiter, self.delimiter)
        words = [self.format.upper(), self.encoding, f"separated by {name}"]
        if self.quoted:
            return [*words, "cells may be in quotation marks"]
        if self.quotation_marks:
            return [*words, "quotation marks are part of the texts"]
        return words

    def lines(self) -> Generator[str, None, None]:
        """Without the line that names the delimiter."""
        lines = self.text.lines()
        for _ in range(self.skipped_lines):
            next(lines, None)
        yield from lines

    def records(self) -> Generator[tuple[int, list[str]], None, None]:
        reader = csv.reader(
            self.lines(),
            delimiter=self.delimiter,
            strict=True,
            quoting=csv.QUOTE_MINIMAL if self.quoted else csv.QUOTE_NONE,
        )
        number = 0
        while True:
            line = reader.line_num + 1 + self.skipped_lines
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
        return Unreadable(
            f"{self.filename}: row {row:,} (from line {line:,}): {what}. Correct that row, or, if quotation marks are "
            "part of the texts, read them as text",
            row=row,
            options=("--no-quoted",),
        )

    def checked_header(self, header: list[str]) -> list[str]:
        names = [name.strip().strip(UNSEEN).strip() for name in header]
        if any("\0" in name for name in names):
            raise self.text.without_mark()
        if not any(names):
            raise Unreadable(f"{self.filename}: row 1 is empty; it must name the columns", row=1)
        check_columns(self.filename, names, row=1)
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
        several_unnamed = columns.count("") > 1
        records = self.records()
        next(records, None)
        blank: list[int] = []
        for number, record in records:
            if not record:
                blank.append(number)  # at the end of a file it means nothing
                continue
            for empty in blank:
                yield Row(empty, {}, "", [])
            blank = []
            if len(record) != width:
                yield Row(number, None, self.ragged(len(record)), record)
                continue
            values = dict(zip(columns, record, strict=True))
            if several_unnamed:
                values[""] = next((cell for name, cell in zip(columns, record, strict=True) if cell and not name), "")
            yield Row(number, values, "", record)

    def ragged(self, cells: int) -> str:
        count = f"{cells} cell{'' if cells == 1 else 's'} where the header has {len(self.columns)}"
        if cells < len(self.columns):
            return f"{count}; add the missing ones"
        return f"{count}; is a {'tab' if self.delimiter == chr(9) else repr(self.delimiter)} in a text not quoted?"
