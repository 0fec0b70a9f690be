"""Which column means what: chosen by a person, or detected from the columns' names."""

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from annotation.core.errors import InvalidInput

# In this order of preference, compared without case.
NAMES = {
    "messages": ("messages", "conversation", "conversations"),
    # From `source` on, a name means something else where another one is there: a data set, earlier turns, what a
    # question is about.
    "text": (
        *("text", "prompt", "source_text", "question", "instruction", "query"),
        *("source", "src", "history", "context", "input"),
    ),
    "input": ("input", "context"),
    "system": ("system", "system_prompt"),
    "history": ("history",),
    "reference": ("reference", "reference_text", "ref", "target", "output", "completion", "response", "answer"),
    "external_id": ("external_id", "id", "segment_id"),
    "source_document": ("source_document", "document", "document_id", "doc", "doc_id"),
    "context": ("context", "msgctxt"),
    "held_out": ("held_out", "split"),
    "candidate_list": (
        "candidates",
        "completions",
        "responses",
        "generations",
        "generated_texts",
        "generated_text",
        "outputs",
        "answers",
    ),
    "metadata_object": ("metadata", "meta"),
}
FIELDS = (*NAMES, "metadata.KEY")
# Beside a chat, these are a turn of it; other names of texts mean something else there (`source`: a data set).
BESIDE_MESSAGES = ("prompt", "text", "source_text", "question", "instruction", "query")
# An instruction and what it is about: these names then win over others (Alpaca repeats the whole as `text`).
INSTRUCTIONS = ("instruction", "question")
BESIDE_TEXT = ("context", "input")
CANDIDATE_COLUMN = re.compile(r"candidate[ ._:-](?!ids?$|count$|index$|digest$)(.+)", re.IGNORECASE)
TEXTS = "response|answer|completion|output|generation|conversation|translation|summary|reply"
NUMBERED_COLUMN = re.compile(
    rf"(?:{TEXTS}|hypothesis|human_ref|mt)[ _.-]?(?:[a-h]|\d{{1,2}})|candidate(?:[a-h]|\d{{1,2}})", re.IGNORECASE
)
# Two texts of which one was preferred: (the better, the other).
PREFERENCES = (
    ("chosen", "rejected"),
    ("accepted", "rejected"),
    ("preferred", "non_preferred"),
    ("preferred", "dispreferred"),
    ("preferred", "rejected"),
    ("winning", "losing"),
    ("better", "worse"),
)
WORDS = "|".join(sorted({word for pair in PREFERENCES for word in pair}, key=len, reverse=True))
THING = f"{TEXTS}|text|messages?"
PREFERENCE_COLUMN = re.compile(
    rf"(?P<word>{WORDS})(?:[ _.-](?P<after>{THING}))?|(?P<before>{THING})[ _.-](?P<last>{WORDS})", re.IGNORECASE
)
ALWAYS_TEXTS = re.compile(rf"(?:chosen|rejected)(?:[ _.-](?:{THING}))?|(?:non_)?preferred_output", re.IGNORECASE)
METADATA_COLUMN = re.compile(r"meta(?:data)?\.(.+)", re.IGNORECASE)
ORIGIN_NAME = re.compile(r"[^\x00-\x1f\x7f:]{1,180}")
MODEL_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,180}")
# Columns of the rows that Konomi freezes: `prompt` then has the persona, and a line feed where the answer begins.
OWN_COLUMNS = {"prompt", "prompt_id", "annotation_ids", "kinds", "votes"}


def preference_pairs(columns: Sequence[str]) -> list[tuple[str, str]]:
    """The columns of a better text and of the other one, where the file has both: chosen and rejected,
    chosen_response and rejected_response, response_chosen and response_rejected."""
    found: dict[tuple[str, str], str] = {}
    for column in columns:
        if match := PREFERENCE_COLUMN.fullmatch(column):
            kind = match["after"] or f"{match['before'] or ''}_"
            found.setdefault(((match["word"] or match["last"]).lower(), kind.lower()), column)
    kinds = dict.fromkeys(kind for _, kind in found)
    return [
        (found[better, kind], found[worse, kind])
        for kind in kinds
        for better, worse in PREFERENCES
        if (better, kind) in found and (worse, kind) in found
    ]


def preference_texts(columns: Sequence[str]) -> list[str]:
    """`chosen` and `rejected` are texts even alone (answer_chosen may be a number); others, beside their other one."""
    texts = {column for pair in preference_pairs(columns) for column in pair}
    return [column for column in columns if column in texts or ALWAYS_TEXTS.fullmatch(column)]


class MappingError(InvalidInput):
    """The mapping names a column that is not there, or none for the text. `options` are those of import_prompts that
    may help, any one of them."""

    def __init__(self, message: str, *, options: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.options = options


@dataclass(frozen=True, kw_only=True)
class Mapping:
    """Column names by field; empty means the file has none. A prompt is `text` (one user turn, with `input` below it
    and the turns of `history` before it) or `messages` (a chat, which may end with an answer); `system` goes before
    either. `candidates` pairs columns with origins; `candidate_list` is one column with a list of texts or of {text,
    origin}. `context` is kept in the metadata and tells texts apart that read the same. `metadata` maps keys to
    columns, `metadata_object` is one column with an object. `is_own`: Konomi wrote the file."""

    text: str = ""
    input: str = ""
    system: str = ""
    history: str = ""
    messages: str = ""
    reference: str = ""
    external_id: str = ""
    source_document: str = ""
    context: str = ""
    held_out: str = ""
    candidate_list: str = ""
    metadata_object: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    candidates: tuple[tuple[str, str], ...] = ()
    is_own: bool = False

    @property
    def asks(self) -> bool:
        """Whether a column says what is asked; else the candidates' chats do."""
        return bool(self.text or self.messages)

    @property
    def has_metadata(self) -> bool:
        return bool(self.metadata or self.metadata_object or self.context)

    def used_columns(self) -> list[str]:
        named = [getattr(self, name) for name in NAMES]
        return [column for column in [*named, *self.metadata.values(), *(c for c, _ in self.candidates)] if column]

    def in_words(self) -> list[str]:
        """Such as “instruction: text”, for people to check."""
        fields = [f"{getattr(self, name)}: {name}" for name in NAMES if getattr(self, name)]
        metadata = [f"{column}: metadata.{key}" for key, column in self.metadata.items()]
        return [*fields, *metadata, *(f"{column}: candidate ({origin})" for column, origin in self.candidates)]

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Mapping":
        pairs = tuple((str(column), str(origin)) for column, origin in values.get("candidates", ()))
        return cls(**{**values, "candidates": pairs})


def detect_mapping(columns: Sequence[str], *, asks: bool = True) -> Mapping:
    """The mapping that the columns' names suggest. Without `asks`, somebody named the column of what is asked: then
    `context` and `input` are not that."""
    by_name = {column.lower(): column for column in reversed(columns) if column}
    found = {name: next((by_name[known] for known in names if known in by_name), "") for name, names in NAMES.items()}
    if not asks and found["text"].lower() in BESIDE_TEXT:
        found["text"] = ""
    if found["messages"]:
        found["text"] = next((by_name[name] for name in BESIDE_MESSAGES if name in by_name), "")
    instruction = next((by_name[name] for name in INSTRUCTIONS if name in by_name), "")
    if instruction and not found["messages"] and (found["input"] or "output" in by_name or "response" in by_name):
        found["text"] = instruction
    if found["text"] != instruction or not instruction or found["messages"]:
        found["input"] = found["history"] = ""
    if found["context"] in (found["input"], found["text"]):
        found["context"] = ""
    metadata = {m[1]: column for column in columns if (m := METADATA_COLUMN.fullmatch(column))}
    candidates = [(column, file_origin(m[1])) for column in columns if (m := CANDIDATE_COLUMN.fullmatch(column))]
    preferred = preference_texts(columns)
    pairs = [column for column in columns if NUMBERED_COLUMN.fullmatch(column) or column in preferred]
    if "label" in by_name and "completion" in by_name:
        pairs.append(by_name["completion"])  # desirable or not (KTO): no text that is known to be good
        if found["reference"] == by_name["completion"]:
            found["reference"] = ""
    candidates += [(column, file_origin(column)) for column in pairs]
    return Mapping(**found, metadata=metadata, candidates=tuple(candidates), is_own=set(by_name) >= OWN_COLUMNS)


@dataclass(frozen=True, kw_only=True)
class MappingWords:
    """What a person says about columns on the command line: `fields` such as text=source, metadata.domain=domain and
    reference= (none); `candidates` such as formal=import:formal (column=origin) and candidate_b= (no candidate);
    `ignored` columns. The columns' names decide the rest."""

    fields: tuple[str, ...] = ()
    candidates: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    def on(self, columns: Sequence[str]) -> Mapping:
        """The detected mapping of the columns that are not ignored, changed as asked."""
        told_what_is_asked = any(word.partition("=")[0].strip() in ("text", "messages") for word in self.fields)
        read = [column for column in columns if column not in self.ignored]
        mapping = detect_mapping(read, asks=not told_what_is_asked)
        changes: dict[str, Any] = {}
        metadata = dict(mapping.metadata)
        for word in self.fields:
            name, equals, column = word.partition("=")
            name, column = name.strip(), column.strip()
            if equals and name.startswith("metadata.") and len(name) > len("metadata."):
                metadata[name.removeprefix("metadata.")] = column
            elif equals and name in NAMES:
                changes[name] = column
            else:
                raise MappingError(f"--map {word}: write FIELD=COLUMN, FIELD one of {', '.join(FIELDS)}")
        if changes.get("text") and "messages" not in changes:
            changes["messages"] = ""
        pairs = []
        told = set()
        for word in self.candidates:
            column, equals, origin = word.partition("=")
            if not equals:
                raise MappingError(f"--candidate {word}: write COLUMN=ORIGIN, such as formal=import:formal")
            told.add(column.strip())
            if origin.strip():
                pairs.append((column.strip(), file_origin(origin.strip())))
        given = {column for column in changes.values() if column} | {column for column, _ in pairs}
        # A column that is given a meaning has only that one.
        for name in NAMES:
            if name not in changes and getattr(mapping, name) in given:
                changes[name] = ""
        kept = [pair for pair in mapping.candidates if pair[0] not in told and pair[0] not in given]
        metadata = {key: column for key, column in metadata.items() if column}
        return dataclasses.replace(mapping, **changes, metadata=metadata, candidates=(*kept, *pairs))


def checked_mapping(mapping: Mapping, columns: Sequence[str], filename: str, *, open_ended: bool) -> Mapping:
    """The mapping itself when it fits the columns. `open_ended`: later rows may bring further columns (JSONL)."""
    listed = ", ".join(repr(column[:40]) for column in columns[:20] if column) or "none"
    if not mapping.asks and not (mapping.candidates and (open_ended or may_ask(mapping))):
        hint, options = "", ("--map text=COLUMN",)
        if len(columns) == 1 and (mark := separator_in(columns[0])):
            name = {"\t": "tab"}.get(mark, f"'{mark}'")
            hint, options = f". The cells seem to be separated by {name}: choose that", (f"--delimiter {name}",)
        raise MappingError(
            f"{filename}: no column is the prompt's text. Columns: {listed}. Say which one is{hint}", options=options
        )
    if mapping.text and mapping.text == mapping.messages:
        raise MappingError(f"{filename}: the column {mapping.text!r} cannot be both text and messages; choose one")
    missing = [column for column in mapping.used_columns() if column not in columns]
    if missing and not open_ended:
        raise MappingError(f"{filename}: there is no column {missing[0]!r}. Columns: {listed}")
    texts = [mapping.text, mapping.messages, *(column for column, _ in mapping.candidates)]
    twice = next((column for column in texts if column and texts.count(column) > 1), None)
    if twice:
        raise MappingError(f"{filename}: the column {twice!r} cannot be a prompt and a candidate, or two candidates")
    for _, origin in mapping.candidates:
        file_origin(origin)
    return mapping


def separator_in(header: str) -> str:
    """What seems to separate the names in a header; empty if nothing does."""
    marks = [mark for mark in ";\t|,^:~" if mark in header]
    named = next((mark for mark in marks if detect_mapping(header.split(mark)).asks), "")
    return named or next((mark for mark in marks if mark in ";\t|,"), "")


def may_ask(mapping: Mapping) -> bool:
    """Whether candidates may hold whole conversations, so that no column need say what is asked."""
    return bool(preference_texts([column for column, _ in mapping.candidates]))


def file_origin(name: str) -> str:
    """`import:<name>`. A file cannot say that a text came from a checkpoint or from one of our people."""
    bare = name.removeprefix("import:").strip()
    if not ORIGIN_NAME.fullmatch(bare):
        raise MappingError(
            f"the origin {name[:60]!r} cannot come from a file: write import:NAME, at most 180 characters and no colon"
        )
    return f"import:{bare}"


def model_origin(name: str) -> str:
    """The origin of a text of the model `name`, which may have a colon (llama3:8b); never one of our own."""
    bare = name.removeprefix("import:").strip()
    if bare.startswith(("checkpoint:", "human:")) or not MODEL_NAME.fullmatch(bare):
        return file_origin(name)
    return f"import:{bare}"
