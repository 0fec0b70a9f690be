"""Detect held-out prompts and source documents among the training rows. Free of torch."""

import json
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from training.contract.errors import DatasetError
from training.contract.run_directory import HELD_OUT
from training.contract.wording import counted
from training.engine.data.messages import plain_text
from training.engine.data.rows import row_number

Row = Mapping[str, Any]
COLUMNS = ("prompt", "prompt_id", "source_document")
NAMED = 5


def check_held_out(folder: Path, rows: Sequence[Row]) -> int:
    """The number of rows in `<folder>/held_out.parquet` (0 without that file); none of them may leak into `rows`.

    Raises DatasetError where a training row has the prompt of a held-out one (by its id, or by its text after Unicode
    NFC and with white space collapsed), or comes from the same source document.
    """
    path = folder / HELD_OUT
    if not path.is_file():
        return 0
    try:
        present = pq.read_schema(path).names
        held_out = pq.read_table(path, columns=[name for name in COLUMNS if name in present]).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise DatasetError(f"{path} is not a readable Parquet file: {error}") from error
    for label, key_of in (("the prompt", prompt_text), ("the prompt_id", prompt_id), ("the source document", document)):
        barred = {key for row in held_out if (key := key_of(row))}
        shared = [row_number(rows, position) for position, row in enumerate(rows) if key_of(row) in barred]
        if shared:
            first = ", ".join(map(str, shared[:NAMED])) + (", …" if len(shared) > NAMED else "")
            share = "shares" if len(shared) == 1 else "share"
            raise DatasetError(
                f"{counted(len(shared), 'row')} of train.parquet {share} {label} with held_out.parquet (row {first}): "
                "figures on "
                "held-out prompts would be meaningless. Freeze the dataset again with a split by prompt and by document"
            )
    return len(held_out)


def prompt_text(row: Row) -> str:
    """The prompt normalized for comparison (Unicode NFC, white space collapsed); empty where there is none."""
    prompt = row.get("prompt")
    if isinstance(prompt, str):
        return _plain(prompt)
    turns = [[turn["role"], _plain(plain_text(turn))] for turn in prompt or []]
    return json.dumps(turns, ensure_ascii=False) if turns else ""


def prompt_id(row: Row) -> str:
    number = row.get("prompt_id")
    return "" if number is None else str(number)


def document(row: Row) -> str:
    return str(row.get("source_document") or "")


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())
