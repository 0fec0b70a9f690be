"""Candidates of a row, in the layouts that people have: a text, a chat, a list of texts or of answer objects."""

from typing import Any, NamedTuple

from annotation.preparation.cells import TEXT_LIMIT, Cells, is_blank, is_empty, kind_of
from annotation.preparation.chats import (
    Message,
    is_chat,
    is_message,
    is_transcript,
    read_chat,
    split_answer,
    transcript,
)
from annotation.preparation.mapping import Mapping, MappingError, file_origin, model_origin
from annotation.preparation.parsed import ParsedCandidate
from annotation.text.digests import text_digest
from annotation.text.normalization import has_ink

CANDIDATES_LIMIT = 100
NESTED_LIMIT = 5  # lists and objects inside one another
# The keys of an answer object, in this order of preference.
TEXT_KEYS = ("text", "answer", "response", "completion", "content", "output", "generated_text", "generation", "message")
ORIGIN_KEYS = ("origin", "model", "model_name", "generator", "source", "name")


class Asked(NamedTuple):
    """The messages before an answer, and the column that has them."""

    column: str
    messages: list[Message]


class AnswerReader:
    """Reads the candidates of rows. `asked` collects, for one row, the conversations that its chats answer."""

    def __init__(self, mapping: Mapping, cells: Cells) -> None:
        self.mapping, self.cells = mapping, cells
        self.asked: list[Asked] = []

    def candidates(self, values: dict[str, Any]) -> list[ParsedCandidate]:
        self.asked = []
        found: list[ParsedCandidate] = []
        for column, origin in self.mapping.candidates:
            value = values.get(column)
            if value is None or value == "":
                continue
            if (  # nearly all are plain texts; in CSV a chat begins with a bracket
                type(value) is str
                and len(value) <= TEXT_LIMIT
                and value.isprintable()
                and has_ink(value)
                and not value.startswith("[{")
            ):
                found.append(ParsedCandidate(value, origin, text_digest(value)))
                continue
            found += self.read(self.decoded(value), column, origin, "the candidate")
        column = self.mapping.candidate_list
        if column and not is_empty(listed := values.get(column)):
            listed = self.cells.json(listed, column) if self.cells.cells_are_text else listed
            if type(listed) is dict and not is_message(listed):
                self.cells.fault(
                    column, f"the candidates are {kind_of(listed)}, not a list of texts or {{text, origin}}"
                )
            elif listed is not None:
                found += self.read(listed, column, model_origin(column), "the candidate")
        return found

    def decoded(self, value: Any) -> Any:
        """In CSV and TSV a chat is JSON in its cell; a text that merely begins like one is a text."""
        if self.cells.cells_are_text and type(value) is str and value.startswith("[{"):
            before = len(self.cells.faults)
            chat = self.cells.json(value, "")
            del self.cells.faults[before:]
            if is_chat(chat):
                return chat
        return value

    def read(self, value: Any, column: str, origin: str, what: str, depth: int = 0) -> list[ParsedCandidate]:
        """The candidates in one value. Blank ones are none, and are counted."""
        if depth > NESTED_LIMIT:
            self.cells.fault(column, f"{what} is nested too deeply; flatten it")
            return []
        if is_blank(value):
            self.cells.blank_candidates += 1
            return []
        if is_chat(value) or is_message(value):
            return self.of_chat(read_chat(self.cells, value, column), column, origin, what)
        if is_transcript(value):
            text = self.cells.text(value, column, what)
            return self.of_chat(transcript(text), column, origin, what) if text else []
        if type(value) is list:
            if len(value) > CANDIDATES_LIMIT:
                self.cells.fault(column, f"{len(value):,} candidates, more than {CANDIDATES_LIMIT}; keep fewer")
                return []
            return [
                c
                for n, item in enumerate(value, 1)
                for c in self.read(item, column, origin, f"candidate {n}", depth + 1)
            ]
        if type(value) is dict:
            return self.of_object(value, column, origin, what, depth)
        text = self.cells.text(value, column, what)
        return [ParsedCandidate(text, origin, text_digest(text))] if has_ink(text) else []

    def of_chat(self, messages: list[Message], column: str, origin: str, what: str) -> list[ParsedCandidate]:
        if not messages:
            return []  # after a fault
        asked, answer = split_answer(messages)
        if not answer:
            self.cells.fault(column, f"{what} is a chat that does not end with the assistant's answer")
            return []
        if asked:
            self.asked.append(Asked(column, asked))
        return [ParsedCandidate(answer, origin, text_digest(answer))]

    def of_object(self, item: dict[str, Any], column: str, origin: str, what: str, depth: int) -> list[ParsedCandidate]:
        key = next((key for key in TEXT_KEYS if key in item), None)
        if key is None:
            self.cells.fault(column, f"{what} is an object without a text; name it text or answer")
            return []
        named = next((name for name in ORIGIN_KEYS if isinstance(item.get(name), str) and item[name].strip()), None)
        try:
            if named == "origin":
                origin = file_origin(item[named])
            elif named:
                origin = model_origin(item[named])
        except MappingError as error:
            self.cells.fault(column, f"{what}: {error}")
            return []
        self.cells.pass_over_keys(column, item, (key, named or key))
        return self.read(item[key], column, origin, what, depth + 1)
