"""A row → a prompt with its candidates, or its faults."""

import hashlib
import json
import re
from json.encoder import encode_basestring
from typing import Any, NamedTuple

from annotation.preparation.formats import Row
from annotation.preparation.mapping import Mapping, MappingError, file_origin
from annotation.text.digests import canonical_json, falls_in_share, messages_digest, text_digest

TEXT_LIMIT = 100_000  # characters
METADATA_LIMIT = 20_000
METADATA_DEPTH = 20
MESSAGES_LIMIT = 200
CANDIDATES_LIMIT = 100
ID_LIMIT = 200
DOCUMENT_LIMIT = 300
ROLES = ("system", "user", "assistant")

# Control characters but tab and line feed, half a surrogate pair, and what Unicode calls no character.
FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
HELD_OUT = {"true", "yes", "1", "held_out", "held-out", "heldout", "test", "eval", "valid", "validation", "dev"}
TRAIN = {"false", "no", "0", "train", "training"}


class Fault(NamedTuple):
    row: int
    column: str
    message: str


class ParsedCandidate(NamedTuple):
    text: str
    origin: str
    digest: str


class ParsedPrompt(NamedTuple):
    """`held_out` is what the file says (None: nothing); `hashed` is where the seed puts it then. `split_key` is what
    is kept together: the source document, or the prompt's own digest."""

    row: int
    text: str
    messages: str | None
    reference: str
    external_id: str
    source_document: str
    metadata: str
    digest: str
    held_out: bool | None
    hashed: bool
    split_key: str
    candidates: tuple[ParsedCandidate, ...]


class PromptParser:
    """Parses rows of one file. `seed` and `share` decide which documents are held out when the file does not say."""

    def __init__(self, mapping: Mapping, *, format: str, seed: str, share: float) -> None:
        self.mapping, self.seed, self.share = mapping, seed, share
        # JSON inside a cell is JSONL's and Parquet's own; in CSV and TSV it is a cell's text.
        self.cells_are_text = format in ("csv", "tsv")
        self.faults: list[Fault] = []
        self.row = 0
        self.drawn = "", False

    def parse(self, row: Row) -> ParsedPrompt | list[Fault]:
        """The prompt, or every fault of the row."""
        self.row, self.faults = row.number, []
        if row.values is None:
            return [Fault(row.number, "", row.fault)]
        values, mapping = row.values, self.mapping
        text, messages, digest = self.prompt(values)
        reference = self.optional_text(values, mapping.reference)
        external_id = self.name(values, mapping.external_id, ID_LIMIT)
        document = self.name(values, mapping.source_document, DOCUMENT_LIMIT)
        held_out = self.held_out(values.get(mapping.held_out)) if mapping.held_out else None
        metadata = self.metadata(values)
        candidates = self.candidates(values)
        if self.faults:
            return self.faults
        key = document or digest
        if key != self.drawn[0]:  # rows of one document mostly follow each other
            self.drawn = key, falls_in_share(self.seed, key, self.share)
        hashed = held_out if held_out is not None else self.drawn[1]
        return ParsedPrompt(
            row.number,
            text,
            messages,
            reference,
            external_id,
            document,
            metadata,
            digest,
            held_out,
            hashed,
            key,
            candidates,
        )

    def fault(self, column: str, message: str) -> None:
        self.faults.append(Fault(self.row, column, message))

    # ---- texts ----

    def text(self, value: Any, column: str, what: str = "the text") -> str:
        """A text that may be stored, with line feeds for line ends; the empty string after a fault."""
        if not isinstance(value, str):
            self.fault(column, f"{what} is {kind_of(value)}, not a text; put it in quotation marks")
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
        if value is None or (type(value) is str and not value.strip()):
            self.fault(column, f"{what} is empty; fill it in or delete the row")
            return ""
        return self.text(value, column, what)

    def optional_text(self, values: dict[str, Any], column: str) -> str:
        value = values.get(column) if column else None
        if value is None or value == "":
            return ""
        text = self.text(value, column)
        return text if text.strip() else ""

    def name(self, values: dict[str, Any], column: str, limit: int) -> str:
        """An id or a document's name: a text on one line, or a whole number of at most 64 bits."""
        value = values.get(column) if column else None
        if value is None or value == "":
            return ""
        if type(value) is str and len(value) <= limit and value.isprintable():
            return value.strip()
        if type(value) is int:
            if not -(2**63) <= value < 2**63:
                self.fault(column, "a number of more than 64 bits; put it in quotation marks to make it a text")
                return ""
            return str(value)
        text = self.text(value, column, "the name").strip()
        if len(text) > limit:
            self.fault(column, f"the name has {len(text):,} characters, more than {limit}; shorten it")
        elif "\n" in text or "\t" in text:
            self.fault(column, "the name has a line break or a tab; write it on one line")
        return text

    def held_out(self, value: Any) -> bool | None:
        if value is None or value == "":
            return None
        word = str(value).strip().lower() if type(value) in (str, bool, int) else None
        if word in HELD_OUT:
            return True
        if word in TRAIN:
            return False
        self.fault(self.mapping.held_out, f"{shown(value)} is no split; write train or held_out (or true, false)")
        return None

    # ---- the prompt ----

    def prompt(self, values: dict[str, Any]) -> tuple[str, str | None, str]:
        """(text, messages as JSON or None, digest)."""
        mapping = self.mapping
        chat = values.get(mapping.messages) if mapping.messages else None
        if chat is None or chat == "":
            if not mapping.text:
                self.fault(mapping.messages, "the messages are empty; fill them in or delete the row")
                return "", None, ""
            text = self.required_text(values.get(mapping.text), mapping.text)
            return text, None, one_turn_digest(text) if text else ""
        if mapping.text and values.get(mapping.text):
            self.fault(mapping.text, "the row has both a text and messages; leave one of them empty")
            return "", None, ""
        messages = self.messages(self.json_cell(chat, mapping.messages))
        if not messages:
            return "", None, ""
        text = messages[-1]["content"]
        if len(messages) == 1:
            return text, None, one_turn_digest(text)
        return text, canonical_json(messages), messages_digest(messages)

    def messages(self, chat: Any) -> list[dict[str, str]]:
        """Checked messages: an optional system message, then user and assistant in turn, the user last."""
        column = self.mapping.messages
        if type(chat) is not list or not chat:
            if not self.faults:
                self.fault(column, f"the messages are {kind_of(chat)}, not a list of {{role, content}}")
            return []
        if len(chat) > MESSAGES_LIMIT:
            self.fault(column, f"{len(chat):,} messages, more than {MESSAGES_LIMIT}; keep the last ones")
            return []
        messages: list[dict[str, str]] = []
        before = len(self.faults)
        for number, message in enumerate(chat, 1):
            if type(message) is not dict or set(message) != {"role", "content"}:
                self.fault(column, f"message {number} is not an object with role and content only")
                return []
            role = message["role"]
            if role not in ROLES:
                self.fault(column, f"message {number} has the role {shown(role)}; roles are system, user, assistant")
                return []
            content = self.required_text(message["content"], column, f"message {number}")
            messages.append({"role": role, "content": content})
        turns = [message["role"] for message in messages if message["role"] != "system"]
        if any(message["role"] == "system" for message in messages[1:]):
            self.fault(column, "only the first message may be of the role system")
        elif turns != ["user", "assistant"] * (len(turns) // 2) + ["user"]:
            self.fault(column, "user and assistant must take turns, and the user speak first and last")
        return messages if len(self.faults) == before else []

    def json_cell(self, value: Any, column: str) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except (ValueError, RecursionError) as error:
            self.fault(column, f"the cell is not JSON ({str(error) or 'nested too deeply'})"[:200])
            return None

    # ---- what comes with it ----

    def metadata(self, values: dict[str, Any]) -> str:
        mapping = self.mapping
        if not mapping.metadata and not mapping.metadata_object:
            return "{}"
        metadata: dict[str, Any] = {}
        if mapping.metadata_object and (found := values.get(mapping.metadata_object)) not in (None, ""):
            found = self.json_cell(found, mapping.metadata_object)
            if type(found) is dict:
                metadata.update(found)
            elif found is not None:
                self.fault(mapping.metadata_object, f"the metadata are {kind_of(found)}, not an object {{…}}")
        for key, column in mapping.metadata.items():
            if (value := values.get(column)) not in (None, ""):
                metadata[key] = value
        if not metadata:
            return "{}"
        place = mapping.metadata_object or next(iter(mapping.metadata.values()))
        if problem := unfit_for_json(metadata):
            self.fault(place, f"the metadata have {problem}")
            return "{}"
        encoded = canonical_json(metadata)
        if len(encoded) > METADATA_LIMIT:
            self.fault(place, f"the metadata have {len(encoded):,} characters as JSON, more than {METADATA_LIMIT:,}")
        return encoded

    def candidates(self, values: dict[str, Any]) -> tuple[ParsedCandidate, ...]:
        found: list[ParsedCandidate] = []
        for column, origin in self.mapping.candidates:
            value = values.get(column)
            if value is None or value == "":
                continue
            if type(value) is str and len(value) <= TEXT_LIMIT and value.isprintable() and not value.isspace():
                found.append(ParsedCandidate(value, origin, text_digest(value)))  # nearly all are so plain
                continue
            if text := self.required_text(value, column, "the candidate"):
                found.append(ParsedCandidate(text, origin, text_digest(text)))
        column = self.mapping.candidate_list
        if column and (listed := values.get(column)) not in (None, ""):
            listed = self.json_cell(listed, column) if self.cells_are_text else listed
            if type(listed) is not list:
                if listed is not None:
                    self.fault(column, f"the candidates are {kind_of(listed)}, not a list of {{text, origin}}")
            elif len(listed) > CANDIDATES_LIMIT:
                self.fault(column, f"{len(listed):,} candidates, more than {CANDIDATES_LIMIT}; keep fewer")
            else:
                found.extend(c for n, item in enumerate(listed, 1) if (c := self.listed_candidate(n, item)))
        return tuple(found)

    def listed_candidate(self, number: int, item: Any) -> ParsedCandidate | None:
        column = self.mapping.candidate_list
        if type(item) is not dict or not {"text", "origin"} >= set(item) or "text" not in item:
            self.fault(column, f"candidate {number} is not an object with text and origin only")
            return None
        text = self.required_text(item["text"], column, f"candidate {number}")
        origin = item.get("origin")
        if type(origin) is not str:
            self.fault(column, f"candidate {number} has no origin; add one such as import:formal")
            return None
        try:
            origin = file_origin(origin)
        except MappingError as error:
            self.fault(column, f"candidate {number}: {error}")
            return None
        return ParsedCandidate(text, origin, text_digest(text)) if text else None


USER_TURN = '[{"content":%s,"role":"user"}]'


def one_turn_digest(text: str) -> str:
    """`digests.prompt_digest`, four times as fast: this one is called for every row."""
    return hashlib.sha256((USER_TURN % encode_basestring(text)).encode()).hexdigest()


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
