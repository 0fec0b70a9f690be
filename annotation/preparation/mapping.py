"""Which column means what: chosen by a person, or detected from the columns' names."""

import dataclasses
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from annotation.core.errors import InvalidInput

# In this order of preference, compared without case.
NAMES = {
    "messages": ("messages", "conversation"),
    "text": ("text", "prompt", "source", "source_text", "question", "instruction"),
    "reference": ("reference", "reference_text", "ref"),
    "external_id": ("external_id", "id"),
    "source_document": ("source_document", "document", "document_id", "doc", "doc_id"),
    "held_out": ("held_out", "split"),
    "candidate_list": ("candidates",),
    "metadata_object": ("metadata", "meta"),
}
FIELDS = (*NAMES, "metadata.KEY")
CANDIDATE_COLUMN = re.compile(r"candidate[ ._:-](.+)", re.IGNORECASE)
METADATA_COLUMN = re.compile(r"meta(?:data)?\.(.+)", re.IGNORECASE)
ORIGIN_NAME = re.compile(r"[^\x00-\x1f\x7f:]{1,180}")


class MappingError(InvalidInput):
    """The mapping names a column that is not there, or none for the text."""


@dataclass(frozen=True, kw_only=True)
class Mapping:
    """Column names by field; empty means the file has none. A prompt is `text` (one user turn) or `messages` (a
    chat). `candidates` pairs columns with origins; `candidate_list` is one column with a list of {text, origin}.
    `metadata` maps keys to columns, `metadata_object` is one column with an object."""

    text: str = ""
    messages: str = ""
    reference: str = ""
    external_id: str = ""
    source_document: str = ""
    held_out: str = ""
    candidate_list: str = ""
    metadata_object: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    candidates: tuple[tuple[str, str], ...] = ()

    def used_columns(self) -> list[str]:
        named = [getattr(self, name) for name in NAMES]
        return [column for column in [*named, *self.metadata.values(), *(c for c, _ in self.candidates)] if column]

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Mapping":
        pairs = tuple((str(column), str(origin)) for column, origin in values.get("candidates", ()))
        return cls(**{**values, "candidates": pairs})


def detect_mapping(columns: Sequence[str]) -> Mapping:
    """The mapping that the columns' names suggest."""
    by_name = {column.lower(): column for column in reversed(columns) if column}
    found = {name: next((by_name[known] for known in names if known in by_name), "") for name, names in NAMES.items()}
    if found["messages"]:
        found["text"] = ""
    metadata = {m[1]: column for column in columns if (m := METADATA_COLUMN.fullmatch(column))}
    candidates = tuple((column, file_origin(m[1])) for column in columns if (m := CANDIDATE_COLUMN.fullmatch(column)))
    return Mapping(**found, metadata=metadata, candidates=candidates)


def told_mapping(columns: Sequence[str], fields: Iterable[str], candidates: Iterable[str]) -> Mapping:
    """The detected mapping, changed by words such as `text=source`, `metadata.domain=domain`, `reference=` (none)
    and, for candidates, `formal=import:formal` (column=origin)."""
    mapping = detect_mapping(columns)
    changes: dict[str, Any] = {}
    metadata = dict(mapping.metadata)
    for word in fields:
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
    for word in candidates:
        column, equals, origin = word.partition("=")
        if not equals:
            raise MappingError(f"--candidate {word}: write COLUMN=ORIGIN, such as formal=import:formal")
        pairs.append((column.strip(), file_origin(origin.strip())))
    told = {column for column, _ in pairs}
    kept = [pair for pair in mapping.candidates if pair[0] not in told]
    metadata = {key: column for key, column in metadata.items() if column}
    return dataclasses.replace(mapping, **changes, metadata=metadata, candidates=(*kept, *pairs))


def checked_mapping(mapping: Mapping, columns: Sequence[str], filename: str, *, open_ended: bool) -> Mapping:
    """The mapping itself when it fits the columns. `open_ended`: later rows may bring further columns (JSONL)."""
    listed = ", ".join(repr(column[:40]) for column in columns[:20] if column) or "none"
    if not mapping.text and not mapping.messages:
        hint = ""
        if len(columns) == 1 and (mark := next((mark for mark in ";\t|," if mark in columns[0]), "")):
            name = {"\t": "tab"}.get(mark, f"'{mark}'")
            hint = f". The cells seem to be separated by {name}: --delimiter {name}"
        raise MappingError(
            f"{filename}: no column is the prompt's text. Columns: {listed}. Say which one is "
            f"(on the command line: --map text=COLUMN){hint}"
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


def file_origin(name: str) -> str:
    """`import:<name>`. A file cannot say that a text came from a checkpoint or from one of our people."""
    bare = name.removeprefix("import:").strip()
    if not ORIGIN_NAME.fullmatch(bare):
        raise MappingError(
            f"the origin {name[:60]!r} cannot come from a file: write import:NAME, at most 180 characters and no colon"
        )
    return f"import:{bare}"
