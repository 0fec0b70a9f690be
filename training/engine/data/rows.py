"""Frozen rows as they are read and checked, and counts of what is done with each of them. Free of torch.

Rows are read as they were frozen: `prompt`, `completion` (SFT), `prompt`, `chosen`, `rejected` (DPO) or `prompt`,
`completion`, `label` (KTO), each a string (standard) or a list of `{"role", "content"}` (conversational), beside
other columns that training ignores.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from training.contract.errors import DatasetError
from training.contract.wording import counted

Row = dict[str, Any]
PURPOSES = {"sft": ("prompt", "completion"), "dpo": ("prompt", "chosen", "rejected"), "kto": ("prompt", "completion")}

# How many row numbers of each kind are listed.
LISTED = 20


@dataclass
class Counts:
    """Rows used, truncated and dropped, for result.json. `listed`: the first row numbers of each, from 1."""

    rows: int = 0
    used: int = 0
    truncated: int = 0
    dropped_too_long: int = 0
    dropped_ties: int = 0
    dropped_equal: int = 0
    dropped_equal_when_cut: int = 0
    dropped_prefix_mismatch: int = 0
    listed: dict[str, list[int]] = field(default_factory=dict)

    def add(self, kind: str, position: int) -> None:
        """Count the row at `position` of the file under `kind`, a field of this class."""
        setattr(self, kind, getattr(self, kind) + 1)
        numbers = self.listed.setdefault(kind, [])
        if len(numbers) < LISTED:
            numbers.append(position + 1)

    def as_dict(self) -> dict[str, int]:
        return {name: value for name, value in dataclasses.asdict(self).items() if name != "listed"}


def read_rows(folder: Path, split: str) -> list[Row]:
    """The rows of `<folder>/<split>.parquet`. Raises DatasetError when it is absent, broken or empty."""
    path = folder / f"{split}.parquet"
    if not path.is_file():
        raise DatasetError(f"{path} does not exist: the run directory has no frozen dataset")
    try:
        rows: list[Row] = pq.read_table(path).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise DatasetError(f"{path} is not a readable Parquet file: {error}") from error
    if not rows:
        raise DatasetError(f"{path} has no rows: annotate and freeze more before training on it")
    return rows


def check_columns(rows: Sequence[Row], purpose: str, where: str) -> None:
    """Raises DatasetError unless the rows have the columns of that purpose, with text in each of them."""
    columns = PURPOSES[purpose]
    present = set(rows[0])
    missing = [name for name in columns if name not in present]
    if missing:
        raise DatasetError(
            f"{where} lacks the column {', '.join(missing)} (it has {', '.join(sorted(present))}): "
            f"freeze the dataset for {purpose}"
        )
    if purpose == "sft" and "label" in present:
        raise DatasetError(f"{where} is a KTO dataset (column label): freeze the dataset for sft")
    for name in columns:
        empty = [number for number, row in enumerate(rows) if not _has_text(row[name])]
        if empty:
            have = "has" if len(empty) == 1 else "have"
            raise DatasetError(
                f"{where}: {counted(len(empty), 'row')} {have} an empty {name}, the first is row {empty[0] + 1}"
            )
        kinds = {is_conversational(row[name]) for row in rows}
        if len(kinds) > 1:
            raise DatasetError(f"{where}: column {name} mixes text and messages")


def is_conversational(value: Any) -> bool:
    return isinstance(value, list)


def _has_text(value: Any) -> bool:
    if isinstance(value, str):
        return bool(value.strip())
    if not isinstance(value, list) or not value:
        return False
    return all(isinstance(turn, dict) and turn.get("role") and turn.get("content") is not None for turn in value)
