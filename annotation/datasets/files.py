"""The files of a dataset version, JSONL beside Parquet, and the sha256 over their content. Pure: no Django."""

import hashlib
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

from annotation.core.errors import InvalidInput
from annotation.core.json_lines import encode_exactly
from annotation.datasets.rows import LabelledPrompt, Message
from annotation.kinds.votes import Chances, Row

COMPLETIONS = {"sft": ("completion",), "dpo": ("chosen", "rejected"), "kto": ("completion",)}
# That chosen is better: by votes, by the posterior, and by the calibrated one; null where a pair has none.
CHANCES = ("probability_votes", "probability_posterior", "probability_calibrated")
BLOCK = 8 * 1024 * 1024  # bytes of JSONL that become one row group


def canonical_row(
    row: Row, prompt: LabelledPrompt, purpose: str, format: str, *, with_chances: bool = False
) -> dict[str, Any]:
    """The row as the files have it: the trainers' columns first, then its provenance."""
    conversational = format == "conversational"
    values: dict[str, Any] = {"prompt": prompt.messages if conversational else plain_prompt(prompt)}
    for name, text in zip(COMPLETIONS[purpose], row.texts, strict=True):
        values[name] = [{"role": "assistant", "content": text}] if conversational else text
    if purpose == "kto":
        values["label"] = row.label
    if purpose == "dpo":
        values |= {"probability": row.probability, "tie": row.tie, "strength": row.strength}
    if purpose == "kto":
        values["probability"] = row.probability
    if with_chances:
        known = row.chances or Chances(row.probability, None, None)
        values |= dict(zip(CHANCES, known, strict=True))
    return values | {
        "weight": 1.0,
        "votes": row.votes,
        "reference": prompt.reference,
        "prompt_id": prompt.prompt_id,
        "source_document": prompt.source_document,
        "kinds": list(row.kinds),
        "annotation_ids": list(row.annotation_ids),
        "candidate_ids": list(row.candidate_ids),
    }


def plain_prompt(prompt: LabelledPrompt) -> str:
    """The standard format's prompt: the persona (if any), the text, and a line feed where the answer begins."""
    messages: list[Message] = prompt.messages
    if [message["role"] for message in messages] not in (["user"], ["system", "user"]):
        raise InvalidInput(
            f"prompt {prompt.prompt_id} is a chat of several turns, which the standard format cannot hold: freeze the "
            "conversational format"
        )
    return "\n\n".join(message["content"] for message in messages) + "\n"


def parquet_schema(purpose: str, format: str, *, with_chances: bool = False) -> Any:
    import pyarrow as pa

    text = pa.string()
    if format == "conversational":
        text = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
    fields = [("prompt", text), *((name, text) for name in COMPLETIONS[purpose])]
    if purpose == "kto":
        fields += [("label", pa.bool_()), ("probability", pa.float64())]
    if purpose == "dpo":
        fields += [("probability", pa.float64()), ("tie", pa.float64()), ("strength", pa.float64())]
    if with_chances:
        fields += [(name, pa.float64()) for name in CHANCES]
    fields += [
        ("weight", pa.float64()),
        ("votes", pa.int64()),
        ("reference", pa.string()),
        ("prompt_id", pa.int64()),
        ("source_document", pa.string()),
        ("kinds", pa.list_(pa.string())),
        ("annotation_ids", pa.list_(pa.int64())),
        ("candidate_ids", pa.list_(pa.int64())),
    ]
    return pa.schema(fields)


class SplitWriter:
    """Writes one split as <name>.jsonl and, from its lines, <name>.parquet. Memory does not grow with the rows.

    Arrow reads JSON lines much faster than Python could pass it the rows, and in a thread of its own: it needs no
    lock of Python's while the next rows are made.
    """

    def __init__(self, folder: Path, name: str, schema: Any) -> None:
        self.schema, self.path = schema, folder / f"{name}.jsonl"
        self.rows = self.longest = self.size = 0
        self.digest = hashlib.sha256()
        self.jsonl = self.path.open("wb", buffering=1 << 20)
        self.lines: list[bytes] = []
        self.thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"parquet-{name}")
        self.converting: Future[None] | None = None

    def write(self, row: dict[str, Any]) -> None:
        floats: tuple[float | None, ...] = (row.get("probability"), row.get("tie"), row.get("strength"))
        if CHANCES[0] in row:
            floats += tuple(row[name] for name in CHANCES)
        line = encode_exactly(row, floats) + b"\n"
        self.lines.append(line)
        self.rows += 1
        self.size += len(line)
        if len(line) > self.longest:
            self.longest = len(line)
        if self.size > BLOCK:
            self.put_block()

    def put_block(self) -> None:
        """The lines into both files, and one row group: whole lines, about BLOCK bytes of them."""
        block, self.lines, self.size = b"".join(self.lines), [], 0
        self.jsonl.write(block)
        self.digest.update(block)
        if self.converting:
            self.converting.result()  # at most one block waits, and what went wrong with it is raised
        self.converting = self.thread.submit(self.convert, block, 2 * BLOCK + 2 * self.longest)

    def convert(self, block: bytes, block_size: int) -> None:
        import pyarrow as pa
        import pyarrow.json as arrow_json

        parse = arrow_json.ParseOptions(explicit_schema=self.schema, unexpected_field_behavior="error")
        read = arrow_json.ReadOptions(use_threads=False, block_size=block_size)
        self.parquet.write_table(arrow_json.read_json(pa.BufferReader(block), read, parse))

    def __enter__(self) -> "SplitWriter":
        import pyarrow.parquet as pq

        self.parquet = pq.ParquetWriter(self.path.with_suffix(".parquet"), self.schema, compression="zstd")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if kind is None and self.lines:
                self.put_block()
            if kind is None and self.converting:
                self.converting.result()
        finally:
            self.thread.shutdown()
            self.parquet.close()
            self.jsonl.close()


def content_sha256(purpose: str, format: str, train: SplitWriter, held_out: SplitWriter) -> str:
    return sha256_of(purpose, format, train.digest.hexdigest(), held_out.digest.hexdigest())


def sha256_of(purpose: str, format: str, train: str, held_out: str) -> str:
    """The version's address: sha256 of purpose, format and the sha256 of both JSONL files. No time, no path."""
    parts = [purpose, format, f"train {train}", f"held_out {held_out}", ""]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def file_facts(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"sha256": hashlib.file_digest(file, "sha256").hexdigest(), "bytes": path.stat().st_size}
