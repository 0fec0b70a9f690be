"""What a row becomes."""

from typing import NamedTuple


class Fault(NamedTuple):
    row: int
    column: str
    message: str


class ParsedCandidate(NamedTuple):
    text: str
    origin: str
    digest: str


class ParsedPrompt(NamedTuple):
    """`digest` is of the exact messages, `reads_as` of their normal form, `distinction` of what tells the prompt from
    others that read the same (document, context, id; empty if it has none). `held_out` is what the file says (None:
    nothing); `hashed` is where the seed puts it then. `split_key` is what is kept together: the source document, or
    what reads the same."""

    row: int
    text: str
    messages: str | None
    reference: str
    external_id: str
    source_document: str
    metadata: str
    digest: str
    reads_as: str
    distinction: str
    context: str
    held_out: bool | None
    hashed: bool
    split_key: str
    candidates: tuple[ParsedCandidate, ...]
