"""What a cell may hold, and the faults of the row that is being read."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from annotation.preparation.files import reason_of
from annotation.preparation.parsed import Fault
from annotation.text.normalization import has_ink

TEXT_LIMIT = 100_000  # characters
METADATA_LIMIT = 20_000
METADATA_DEPTH = 20

# Control characters but tab and line feed, half a surrogate pair, and what Unicode calls no character.
FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
# How something else becomes a text, in formats that have no quotation marks.
AS_TEXT = {"parquet": "convert the column to strings"}
LIST_REMEDY = "write one text, or take the column as a list of candidates"
LARGEST_EXACT_FLOAT = 2.0**53


class Cells:
    """Reads cells of one file. `faults` are the current row's; `passed_over` counts, over all rows, what stood in a
    mapped column and was not read, by a name such as “messages: tool_calls”."""

    def __init__(self, *, format: str) -> None:
        # JSON inside a cell is JSONL's and Parquet's own; in CSV and TSV it is a cell's text.
        self.cells_are_text = format in ("csv", "tsv")
        self.as_text = AS_TEXT.get(format, "put it in quotation marks")
        self.faults: list[Fault] = []
        self.row = 0
        self.passed_over: Counter[str] = Counter()
        self.blank_candidates = 0

    def start(self, row: int) -> None:
        self.row, self.faults = row, []

    def fault(self, column: str, message: str) -> None:
        self.faults.append(Fault(self.row, column, message))

    def text(self, value: Any, column: str, what: str = "the text") -> str:
        """A text that may be stored, with line feeds for line ends; the empty string after a fault."""
        if not isinstance(value, str):
            remedy = LIST_REMEDY if isinstance(value, list) else self.as_text
            self.fault(column, f"{what} is {kind_of(value)}, not a text; {remedy}")
            return ""
        if len(value) > TEXT_LIMIT:
            self.fault(column, f"{what} has {len(value):,} characters, more than {TEXT_LIMIT:,}; shorten or split it")
            return ""
        if value.isprintable():
            return value
        if "\r" in value:
            value = value.replace("\r\n", "\n").replace("\r", "\n")
        if bad := FORBIDDEN.search(value):
            self.fault(column, f"{what} has {character_name(bad[0])} at character {bad.start() + 1}; remove it")
            return ""
        return str(value)

    def required_text(self, value: Any, column: str, what: str = "the text") -> str:
        if value is None or (type(value) is str and not has_ink(value)):
            self.fault(column, f"{what} is empty; fill it in or delete the row")
            return ""
        return self.text(value, column, what)

    def optional_text(self, value: Any, column: str, what: str = "the text") -> str:
        if is_empty(value):
            return ""
        text = self.text(value, column, what)
        return text if has_ink(text) else ""

    def name(self, values: dict[str, Any], column: str, limit: int) -> str:
        """An id or a document's name: a text on one line, or a whole number of at most 64 bits."""
        value = values.get(column) if column else None
        if value is None or value == "" or (type(value) is str and not has_ink(value)):
            return ""
        if type(value) is str and len(value) <= limit and value.isprintable():
            return value.strip()
        if (
            type(value) is Decimal and value.is_finite() and value == value.to_integral_value()
        ):  # as databases export whole numbers
            value = int(value)
        if type(value) is float:  # as pandas and spreadsheets write whole numbers beside empty cells
            if value != value:
                return ""
            if value.is_integer() and abs(value) <= LARGEST_EXACT_FLOAT:
                value = int(value)
        if type(value) is int:
            if not -(2**63) <= value < 2**63:
                self.fault(column, f"a number of more than 64 bits; {self.as_text} to make it a text")
                return ""
            return str(value)
        text = self.text(value, column, "the name").strip()
        if len(text) > limit:
            self.fault(column, f"the name has {len(text):,} characters, more than {limit}; shorten it")
        elif "\n" in text or "\t" in text:
            self.fault(column, "the name has a line break or a tab; write it on one line")
        return text

    def json(self, value: Any, column: str) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except (ValueError, RecursionError) as error:
            reason = reason_of(error) if isinstance(error, ValueError) else "nested too deeply"
            self.fault(column, f"the cell is not JSON ({reason})"[:200])
            return None

    def pass_over(self, name: str) -> None:
        self.passed_over[name] += 1

    def pass_over_keys(self, column: str, item: dict[str, Any], read: Iterable[str]) -> None:
        """Count what an object in a column has beside the keys that were read."""
        for key, value in item.items():
            if key not in read and not is_empty(value):
                self.pass_over(f"{column}: {key}")


def is_empty(value: Any) -> bool:
    """Whether a cell holds nothing: null, an empty text, list or object, or not a number."""
    return value is None or value == "" or value == [] or value == {} or value != value


def is_blank(value: Any) -> bool:
    """Whether nothing of a cell could be read: empty, or only spaces and characters that cannot be seen."""
    return is_empty(value) or (type(value) is str and not has_ink(value))


def unfit_for_json(value: Any, depth: int = 0) -> str:
    """What PostgreSQL's jsonb cannot hold, in words; empty when all is well."""
    if depth > METADATA_DEPTH:
        return f"more than {METADATA_DEPTH} levels; flatten them"
    if value is None or type(value) is bool:
        return ""
    if type(value) is str:
        if value.isprintable():
            return ""
        bad = FORBIDDEN.search(value.replace("\r", "\n"))
        return f"{character_name(bad[0])} in a text; remove it" if bad else ""
    if type(value) is int:
        return "" if -(2**63) <= value < 2**63 else "a number of more than 64 bits; make it a text"
    if type(value) is float:
        return "" if value - value == 0 else "a number that is not finite; write null"
    if type(value) is list:
        return next((problem for item in value if (problem := unfit_for_json(item, depth + 1))), "")
    if type(value) is dict:
        for key, item in value.items():
            problem = unfit_for_json(key, depth + 1) or unfit_for_json(item, depth + 1)
            if problem:
                return problem
        return ""
    return f"{kind_of(value)}, which JSON has not; make it a text"


def kind_of(value: Any) -> str:
    names = {
        type(None): "null",
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "a text",
        list: "a list",
        dict: "an object",
        bytes: "bytes",
    }
    return names.get(type(value), f"of the type {type(value).__name__}")


def shown(value: Any) -> str:
    return repr(value)[:60]


def character_name(character: str) -> str:
    code = ord(character)
    if code == 0:
        return "a NUL character"
    if 0xD800 <= code <= 0xDFFF:
        return f"half a surrogate pair (U+{code:04X})"
    return f"the control character U+{code:04X}" if code < 0xFFFE else f"U+{code:04X}, which is no character"
