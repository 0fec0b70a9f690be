"""JSONL files."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from annotation.preparation.files import Unreadable, reason_of
from annotation.preparation.formats.table import Row, check_columns
from annotation.preparation.formats.text_file import TextFile

PEEKED_ROWS = 1000


class JsonlTable:
    """One JSON object a line. `columns` are the keys of all rows read so far, in order: the first PEEKED_ROWS when it
    is opened, all of the file's when `rows` has come to its end. `first_rows` says where each was first."""

    format = "jsonl"

    def __init__(self, path: Path, filename: str, encoding: str, languages: Sequence[str] = ()) -> None:
        self.encoding, self.filename = encoding, filename
        self.text = TextFile(path, filename, encoding, languages)
        self.share_read = self.text.share_read
        self.decoder = json.JSONDecoder(object_pairs_hook=without_repeats, parse_constant=refuse_constant)
        self.columns: list[str] = []
        self.first_rows: dict[str, int] = {}
        first_fault: Row | None = None
        for row in self.rows():
            if row.fault and first_fault is None:
                first_fault = row
            if row.number >= PEEKED_ROWS:
                break
        if not self.columns and first_fault:
            raise Unreadable(
                f"{filename}: row {first_fault.number:,}: {first_fault.fault}. No row so far is a JSON object",
                row=first_fault.number,
            )
        if not self.columns:
            raise Unreadable(f"{filename} has no rows with values; export it again")

    def reading(self) -> list[str]:
        """How the file is read, in words."""
        return ["JSONL", self.encoding]

    def learn(self, row: int, keys: Iterable[str]) -> None:
        for key in keys:
            if key not in self.first_rows:
                self.first_rows[key] = row
                self.columns.append(key)
        check_columns(self.filename, self.columns, what="different keys")

    def rows(self) -> Iterator[Row]:
        blank: list[int] = []
        for number, line in enumerate(self.text.lines(), 1):
            stripped = line.strip(" \t\r\n\ufeff")  # files that were put together have marks within
            if not stripped:
                blank.append(number)
                continue
            for empty in blank:
                yield Row(empty, {}, "", "")
            blank = []
            try:
                value = self.decoder.decode(stripped)
            except RecursionError:
                yield Row(number, None, "nested too deeply; flatten it", line)
            except json.JSONDecodeError as error:
                yield Row(number, None, f"not JSON: {error.msg} at character {error.colno}", line)
            except ValueError as error:
                yield Row(number, None, f"not usable JSON: {reason_of(error)}", line)
            else:
                if type(value) is dict:
                    if not value.keys() <= self.first_rows.keys():
                        self.learn(number, value)
                    yield Row(number, value, "", line)
                else:
                    yield Row(number, None, "not an object; each line is one {…} with names and values", line)


def without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} occurs twice in one object; rename one")
    return values


def refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value; write null or a number")
