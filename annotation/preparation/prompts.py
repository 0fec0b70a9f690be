"""A row → a prompt with its candidates, or its faults."""

import hashlib
from json.encoder import encode_basestring
from typing import Any

from annotation.preparation.answers import AnswerReader
from annotation.preparation.cells import METADATA_LIMIT, Cells, is_blank, is_empty, kind_of, shown, unfit_for_json
from annotation.preparation.chats import (
    Message,
    asking_transcript,
    check_turns,
    earlier_turns,
    is_chat,
    is_message,
    read_chat,
    read_the_same,
    split_answer,
)
from annotation.preparation.formats.table import Row
from annotation.preparation.mapping import Mapping, model_origin
from annotation.preparation.parsed import Fault, ParsedCandidate, ParsedPrompt
from annotation.text.digests import (
    canonical_json,
    context_key,
    distinction,
    falls_in_share,
    messages_digest,
    prompt_identity,
    text_digest,
)
from annotation.text.normalization import normal_form

ID_LIMIT = 200
DOCUMENT_LIMIT = 300
HELD_OUT = {"true", "yes", "1", "held_out", "held-out", "heldout", "test", "eval", "valid", "validation", "dev"}
TRAIN = {"false", "no", "0", "train", "training"}


class PromptParser:
    """Parses rows of one file. `seed` and `share` decide which documents are held out when the file does not say;
    `persona` is the project's, which files that Konomi wrote have before each prompt."""

    def __init__(self, mapping: Mapping, *, format: str, seed: str, share: float, persona: str = "") -> None:
        self.mapping, self.seed, self.share, self.persona = mapping, seed, share, persona.strip()
        self.cells = Cells(format=format)
        self.answers = AnswerReader(mapping, self.cells)
        self.only_text = bool(mapping.text) and not (
            mapping.messages or mapping.input or mapping.system or mapping.history or mapping.is_own
        )
        self.has_metadata = mapping.has_metadata
        self.drawn = "", False
        self.document = "", ""

    def parse(self, row: Row) -> ParsedPrompt | list[Fault] | None:
        """The prompt, or every fault of the row; None for a row without content."""
        cells, mapping = self.cells, self.mapping
        cells.start(row.number)
        if row.values is None:
            return [Fault(row.number, "", row.fault)]
        values, blank_before = row.values, cells.blank_candidates
        candidates = self.answers.candidates(values)
        text, messages, answer = self.prompt(values)
        reference = self.reference(values, text, messages) if mapping.reference else ""
        if answer and not reference:
            reference = answer
        elif answer and normal_form(answer) != normal_form(reference):
            candidates.append(ParsedCandidate(answer, model_origin(mapping.messages), text_digest(answer)))
        external_id = cells.name(values, mapping.external_id, ID_LIMIT)
        document = cells.name(values, mapping.source_document, DOCUMENT_LIMIT)
        held_out = self.held_out(values.get(mapping.held_out)) if mapping.held_out else None
        metadata, context = self.metadata(values) if self.has_metadata else ("{}", "")
        if cells.faults:
            if not all(map(is_blank, values.values())):
                return cells.faults
            cells.blank_candidates = blank_before  # the row is counted, and with it all that it lacks
            return None
        if messages is None or len(messages) == 1:
            digest = one_turn_digest(text)
            normal = normal_form(text)
            reads_as = digest if normal == text else one_turn_digest(normal)
            chat = None
        else:
            digest, chat = messages_digest(messages), canonical_json(messages)
            reads_as = prompt_identity(messages)
        if document != self.document[0]:  # rows of one document mostly follow each other
            self.document = document, normal_form(document)
        document_key = self.document[1]
        key = document_key or reads_as
        if key != self.drawn[0]:
            self.drawn = key, falls_in_share(self.seed, key, self.share)
        return ParsedPrompt(
            row.number,
            text,
            chat,
            reference,
            external_id,
            document,
            metadata,
            digest,
            reads_as,
            distinction(document_key, context, external_id) if document_key or context or external_id else "",
            context,
            held_out,
            held_out if held_out is not None else self.drawn[1],
            key,
            tuple(candidates),
        )

    # ---- what is asked ----

    def prompt(self, values: dict[str, Any]) -> tuple[str, list[Message] | None, str]:
        """(the last turn's text, the messages if the row has any, the answer with which its chat ends)."""
        cells, mapping = self.cells, self.mapping
        asked = self.answers.asked
        value = values.get(mapping.text) if mapping.text else None
        if self.only_text and not asked and type(value) is str and not value.startswith("\n\nHuman:"):
            return cells.required_text(value, mapping.text), None, ""  # nearly all rows
        chat = values.get(mapping.messages) if mapping.messages else None
        if type(value) is dict and is_chat(value.get("messages")):  # a request, as it was sent to a model
            cells.pass_over_keys(mapping.text, value, ("messages",))
            value = value["messages"]
        elif turns := asking_transcript(value):
            value = turns
        if is_empty(chat) and (is_chat(value) or is_message(value)):
            chat, value, column = value, None, mapping.text
        elif not is_empty(chat):
            column = mapping.messages
            chat = cells.json(chat, column)
        elif chat == [] and is_empty(value) and not asked:
            cells.fault(mapping.messages, "the messages are a list without messages, not a list of {role, content}")
            return "", None, ""
        if is_empty(chat) and not asked:
            if not mapping.text:
                column = mapping.messages or next((name for name, _ in mapping.candidates), "")
                message = "the messages are empty; fill them in or delete the row"
                if not mapping.messages:
                    message = "nothing says what is asked: choose the column of the prompt"
                cells.fault(column, message)
                return "", None, ""
            return self.one_turn(values, value)
        messages: list[Message] = []
        answer = ""
        if not is_empty(chat):
            messages, answer = split_answer(read_chat(cells, chat, column))
            if not messages and not answer:
                return "", None, ""  # after a fault
        for other in asked:
            if not messages:
                column, messages = other.column, other.messages
            elif not read_the_same(without_system(messages), without_system(other.messages)):
                cells.fault(
                    other.column, f"this answers another conversation than {column!r} has; correct it or delete the row"
                )
                return "", None, ""
            elif messages[0]["role"] != "system" and other.messages[0]["role"] == "system":
                messages = other.messages
        if not messages and is_empty(value):
            cells.fault(column, "the chat is an answer alone; begin it with what the user says")
            return "", None, ""
        if not messages:  # the chat is the answer to the text
            messages = user_turn(cells.required_text(value, mapping.text))
        elif not is_empty(value) and not self.repeats(messages, value):
            cells.fault(
                mapping.text,
                f"the row has both a text and messages ({column!r}), and they differ; leave one of the columns out",
            )
            return "", None, ""
        messages = self.with_system(values, messages, column)
        if not check_turns(cells, messages, column):
            return "", None, ""
        return messages[-1]["content"], messages, answer

    def one_turn(self, values: dict[str, Any], value: Any) -> tuple[str, list[Message] | None, str]:
        cells, mapping = self.cells, self.mapping
        text = cells.required_text(value, mapping.text)
        if mapping.input and text and (more := cells.optional_text(values.get(mapping.input), mapping.input)):
            text = f"{text}\n\n{more}"
        if mapping.is_own and self.persona and text.startswith(f"{self.persona}\n\n"):
            text = text.removeprefix(f"{self.persona}\n\n")
        if mapping.is_own:
            text = text.removesuffix("\n")  # where the answer begins
        earlier = earlier_turns(cells, values.get(mapping.history), mapping.history) if mapping.history and text else []
        if not (mapping.system or earlier) or not text:
            return text, None, ""
        return text, self.with_system(values, [*earlier, *user_turn(text)], mapping.system or mapping.history), ""

    def with_system(self, values: dict[str, Any], messages: list[Message], column: str) -> list[Message]:
        """With the row's system prompt first, and without one that is the project's own persona."""
        mapping = self.mapping
        if mapping.system and (said := self.cells.optional_text(values.get(mapping.system), mapping.system)):
            system = {"role": "system", "content": said}
            if messages[0]["role"] != "system":
                messages = [system, *messages]
            elif not read_the_same(messages[:1], [system]):
                self.cells.fault(mapping.system, f"{column!r} has another system message; leave one of them out")
        if self.persona and messages[0]["role"] == "system":
            said = messages[0]["content"]
            if normal_form(said) == normal_form(self.persona):
                return messages[1:]
            if mapping.is_own and said.startswith(f"{self.persona}\n\n"):
                return [{"role": "system", "content": said.removeprefix(f"{self.persona}\n\n")}, *messages[1:]]
        return messages

    def repeats(self, messages: list[Message], value: Any) -> bool:
        """Whether a text beside a chat is one of its turns (public sets often have the first one there)."""
        text = normal_form(self.cells.text(value, self.mapping.text))
        return any(normal_form(message["content"]) == text for message in messages)

    # ---- what comes with it ----

    def reference(self, values: dict[str, Any], text: str, messages: list[Message] | None) -> str:
        """A text, or the assistant's message after what is asked."""
        column = self.mapping.reference
        value = values.get(column)
        if value is None or value == "":
            return ""
        if not is_chat(value) and not is_message(value):
            return self.cells.optional_text(value, column)
        asked, answer = split_answer(read_chat(self.cells, value, column))
        if asked and not read_the_same(without_system(asked), without_system(messages or user_turn(text))):
            self.cells.fault(column, "this answers another conversation than the row's; correct it or delete the row")
        return answer

    def held_out(self, value: Any) -> bool | None:
        if is_empty(value):
            return None
        if type(value) is float and value in (0.0, 1.0):
            value = int(value)
        word = str(value).strip().lower() if type(value) in (str, bool, int) else None
        if word in HELD_OUT:
            return True
        if word in TRAIN:
            return False
        if word == "":
            return None
        message = f"{shown(value)} is no split; write train or held_out (or true, false)"
        self.cells.fault(self.mapping.held_out, message)
        return None

    def metadata(self, values: dict[str, Any]) -> tuple[str, str]:
        """(the metadata as JSON, the normal form of the context among them)."""
        mapping, cells = self.mapping, self.cells
        metadata: dict[str, Any] = {}
        column = mapping.metadata_object
        if column and (found := values.get(column)) not in (None, ""):
            found = cells.json(found, column)
            if type(found) is dict:
                metadata.update(found)
            elif found is not None:
                cells.fault(column, f"the metadata are {kind_of(found)}, not an object {{…}}")
        for key, column in mapping.metadata.items():
            if (value := values.get(column)) not in (None, ""):
                metadata[key] = value
        if mapping.context and not is_blank(value := values.get(mapping.context)):
            metadata["context"] = value
        if not metadata:
            return "{}", ""
        place = mapping.metadata_object or next(iter(mapping.metadata.values()), mapping.context)
        if problem := unfit_for_json(metadata):
            cells.fault(place, f"the metadata have {problem}")
            return "{}", ""
        encoded = canonical_json(metadata)
        if len(encoded) > METADATA_LIMIT:
            cells.fault(place, f"the metadata have {len(encoded):,} characters as JSON, more than {METADATA_LIMIT:,}")
        return encoded, context_key(metadata)


def user_turn(text: str) -> list[Message]:
    return [{"role": "user", "content": text}]


def without_system(messages: list[Message]) -> list[Message]:
    return messages[1:] if messages and messages[0]["role"] == "system" else messages


USER_TURN = '[{"content":%s,"role":"user"}]'


def one_turn_digest(text: str) -> str:
    """`digests.prompt_digest`, four times as fast: this one is called for every row."""
    return hashlib.sha256((USER_TURN % encode_basestring(text)).encode()).hexdigest()
