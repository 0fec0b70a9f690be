"""JSON files that are not one object a line: a list of objects, objects one after the other, or columns.

Lists are read piece by piece, so that memory does not grow with the file. An object that holds columns ({"text": […],
"answer": […]}, or {"0": …} in the place of a list, as pandas writes) or wraps a list ({"data": […]}) is read whole.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from annotation.preparation.cells import is_empty
from annotation.preparation.chats import is_chat
from annotation.preparation.files import Unreadable
from annotation.preparation.formats.jsonl import JsonlTable
from annotation.preparation.formats.table import Row
from annotation.preparation.formats.text_file import MAX_LINE
from annotation.preparation.mapping import detect_mapping

PIECE = 1 << 18  # characters
MAX_WHOLE = 128 << 20  # bytes of a file that is one object
BLANK = " \t\r\n"


def is_lines(path: Path, filename: str, encoding: str) -> bool:
    """Whether the file is one JSON object a line (or no JSON at all), by its first two lines that are not blank. One
    line with one object is a row, but in a .json file may be columns or wrap a list."""
    try:
        with path.open(encoding=encoding, errors="replace") as file:
            lines = (line.strip() for line in iter(lambda: file.readline(MAX_LINE), "") if line.strip())
            first, second = next(lines, ""), next(lines, "")
    except OSError:
        return True
    if first[:1] not in ("[", "{"):
        return True
    try:
        value = json.loads(first)
    except json.JSONDecodeError:
        return first[0] == "{" and second[:1] in ("{", "")
    except (ValueError, RecursionError):
        return True
    if second or type(value) is not dict:  # a list in one line is the file; before other lines it is a fault
        return bool(second)
    return not (filename.lower().endswith(".json") and (is_columns(value) or wrapped(value)))


class JsonTable(JsonlTable):
    """Rows are numbered from 1, as the objects come. Its rows count as those of JSONL, and what is not kept is written
    as JSONL."""

    layout = ""
    in_list = False
    read = 0

    def reading(self) -> list[str]:
        return ["JSON", self.encoding, self.layout]

    def rows(self) -> Iterator[Row]:
        number = 0
        for value in self.objects():
            number += 1
            if type(value) is not dict:
                message = "not an object; each item of the list is one {…} with names and values"
                yield Row(number, None, message, json.dumps(value, ensure_ascii=False))
                continue
            if not value.keys() <= self.first_rows.keys():
                self.learn(number, value)
            yield Row(number, value, "", json.dumps(value, ensure_ascii=False))

    def objects(self) -> Iterator[Any]:
        """The items of the list; the objects that follow one another; or the rows of columns."""
        values = self.values()
        first = next(values, None)
        self.layout = "a list of objects"
        if self.in_list or type(first) is not dict:
            if first is not None:
                yield first
            yield from values
            return
        second = next(values, None)
        if second is not None:
            self.layout = "objects one after the other"
            yield first
            yield second
            yield from values
        elif is_columns(first):
            self.layout = "columns"
            yield from rows_of(first)
        elif items := wrapped(first):
            self.layout = f"the list “{items[0]}”"
            yield from first[items[0]]
        else:
            self.layout = "one object"
            yield first

    def values(self) -> Iterator[Any]:
        """The values of the file, or, if it is a list, its items. `in_list` says which, from the first one on."""
        buffer, at, self.in_list, self.read = "", 0, False, 0
        pieces = self.text.pieces(PIECE)
        begun = False
        while True:
            at = next((p for p in range(at, len(buffer)) if buffer[p] not in BLANK), len(buffer))
            if at == len(buffer):
                buffer, at = next(pieces, ""), 0
                if buffer:
                    continue
                if self.in_list:
                    raise self.broken("the list is not closed; the file is cut off")
                return
            if not begun:
                begun = True
                if buffer[at] == "[":
                    self.in_list, at = True, at + 1
                    continue
            if self.in_list and buffer[at] == "]":
                if buffer[at + 1 :].strip(BLANK) or any(piece.strip(BLANK) for piece in pieces):
                    raise self.broken("more follows after the end of the list")
                return
            if buffer[at] == "," and self.in_list:
                at += 1
                continue
            while True:
                try:
                    value, end = self.decoder.raw_decode(buffer, at)
                except RecursionError:
                    raise self.broken("nested too deeply; flatten it") from None
                except ValueError as error:
                    limit = MAX_LINE if self.in_list else MAX_WHOLE
                    more = next(pieces, "") if len(buffer) - at < limit else ""
                    if not more:
                        reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
                        raise self.broken(f"not JSON: {reason}") from None
                    buffer, at = buffer[at:] + more, 0
                    if len(more) < len(buffer):  # double what is read, so that a long value is not read again and again
                        buffer += "".join(piece for _, piece in zip(range(len(buffer) // PIECE), pieces, strict=False))
                    continue
                if end == len(buffer) and type(value) in (int, float) and (more := next(pieces, "")):
                    buffer, at = buffer[at:] + more, 0  # a number may go on
                    continue
                break
            self.read += 1
            yield value
            at = end

    def broken(self, reason: str) -> Unreadable:
        return Unreadable(f"{self.filename}: after {self.read:,} items: {reason}. Export the file again")


def is_columns(value: dict[str, Any]) -> bool:
    """{"text": ["One", "Two"], "answer": ["1", "2"]}, or {"text": {"0": "One", "1": "Two"}, …}."""
    columns = list(value.values())
    if not columns or any(is_chat(column) for column in columns) or not detect_mapping(list(value)).asks:
        return False
    if all(type(column) is list and column for column in columns):
        return len({len(column) for column in columns}) == 1
    return all(type(column) is dict and column for column in columns) and len({tuple(c) for c in columns}) == 1


def rows_of(value: dict[str, Any]) -> Iterator[dict[str, Any]]:
    columns = [column if type(column) is list else list(column.values()) for column in value.values()]
    for cells in zip(*columns, strict=True):
        yield dict(zip(value, cells, strict=True))


def wrapped(value: dict[str, Any]) -> list[str]:
    """The key of the one list of objects in an object that is no row itself: {"version": 1, "data": [{…}, …]}."""
    if detect_mapping(list(value)).asks:
        return []
    lists = [key for key, item in value.items() if type(item) is list and item and type(item[0]) is dict]
    others = [key for key, item in value.items() if key not in lists and isinstance(item, list) and not is_empty(item)]
    return lists if len(lists) == 1 and not others else []
