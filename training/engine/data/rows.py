"""Frozen rows as they are read and checked, and counts of what is done with each of them. Free of torch.

Rows are read as they were frozen: `prompt`, `completion` (SFT), `prompt`, `chosen`, `rejected` (DPO) or `prompt`,
`completion`, `label` (KTO), each a string (standard) or a list of messages (conversational, see `messages`), beside
`tools` and `chat_template_kwargs` for the chat template, the numbers of `numbers`, and columns that training ignores.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from training.contract.errors import DatasetError
from training.contract.wording import counted
from training.engine.data import messages, numbers

PURPOSES = {"sft": ("prompt", "completion"), "dpo": ("prompt", "chosen", "rejected"), "kto": ("prompt", "completion")}

# Columns with what is no text, under the names that TRL and other programs give them.
MEDIA = ("image", "images", "video", "videos", "audio", "audios")
# How many row numbers of each kind are listed.
LISTED = 20


class Row(dict[str, Any]):
    """A row of a file. `number` is its place there, from 1: the only number that people are shown."""

    __slots__ = ("number",)

    def __init__(self, values: Mapping[str, Any], number: int) -> None:
        super().__init__(values)
        self.number = number


def row_number(rows: Sequence[Mapping[str, Any]], position: int) -> int:
    """The number in its file of the row at `position`; without a file, it is the place in `rows`, from 1."""
    return int(getattr(rows[position], "number", position + 1))


@dataclass
class Counts:
    """Rows used, truncated and dropped, for result.json. `listed`: the first row numbers of each, from 1.

    `control_text`: rows in which somebody typed a control token; `reasoning_left_out`: rows whose reasoning the chat
    template does not write.
    """

    rows: int = 0
    used: int = 0
    truncated: int = 0
    dropped_too_long: int = 0
    dropped_ties: int = 0
    dropped_equal: int = 0
    dropped_equal_tokens: int = 0
    dropped_equal_when_cut: int = 0
    dropped_prefix_mismatch: int = 0
    control_text: int = 0
    reasoning_left_out: int = 0
    listed: dict[str, list[int]] = field(default_factory=dict)

    def add(self, kind: str, number: int) -> None:
        """Count the row with this number in the file (from 1) under `kind`, a field of this class."""
        setattr(self, kind, getattr(self, kind) + 1)
        numbers_of_kind = self.listed.setdefault(kind, [])
        if len(numbers_of_kind) < LISTED:
            numbers_of_kind.append(number)

    def as_dict(self) -> dict[str, int]:
        return {name: value for name, value in dataclasses.asdict(self).items() if name != "listed"}


def read_rows(folder: Path, split: str) -> list[Row]:
    """The rows of `<folder>/<split>.parquet`. Raises DatasetError when it is absent, broken or empty."""
    path = folder / f"{split}.parquet"
    if not path.is_file():
        raise DatasetError(f"{path} does not exist: the run directory has no frozen dataset")
    try:
        rows = [Row(values, number) for number, values in enumerate(pq.read_table(path).to_pylist(), 1)]
    except (OSError, pa.ArrowException) as error:
        raise DatasetError(f"{path} is not a readable Parquet file: {error}") from error
    if not rows:
        raise DatasetError(f"{path} has no rows: annotate and freeze more before training on it")
    return rows


def check_columns(rows: Sequence[Mapping[str, Any]], purpose: str, where: str) -> None:
    """Raises DatasetError unless the rows have the columns of that purpose, with text and numbers that can be used."""
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
        empty = [position for position, row in enumerate(rows) if not _has_text(row[name])]
        if empty:
            have = "has" if len(empty) == 1 else "have"
            first = row_number(rows, empty[0])
            raise DatasetError(
                f"{where}: {counted(len(empty), 'row')} {have} an empty {name}, the first is row {first}"
            )
        kinds = {is_conversational(row[name]) for row in rows}
        if len(kinds) > 1:
            raise DatasetError(f"{where}: column {name} mixes text and messages")
    check_media(rows, where)
    check_numbers(rows, where)


def check_media(rows: Sequence[Mapping[str, Any]], where: str) -> None:
    """Raises DatasetError for rows with images, videos or sounds beside their text: only text is trained."""
    for column in MEDIA:
        having = [position for position, row in enumerate(rows) if row.get(column)]
        if having:
            raise DatasetError(
                f"{where}: {counted(len(having), 'row')} with {column}, the first is row "
                f"{row_number(rows, having[0])}, and only text is trained: the model would not see them. Leave such "
                "rows out"
            )


def check_numbers(rows: Sequence[Mapping[str, Any]], where: str) -> None:
    """Raises DatasetError for the first column with a number that cannot be used, naming the first such row."""
    for rule in numbers.RULES:
        if rule.column not in rows[0]:
            continue
        wrong = [position for position, row in enumerate(rows) if not rule.accepts(row.get(rule.column))]
        if wrong:
            value = rows[wrong[0]].get(rule.column)
            more = f" (and {counted(len(wrong) - 1, 'more row')})" if len(wrong) > 1 else ""
            raise DatasetError(
                f"{where}, row {row_number(rows, wrong[0])}{more}: {rule.column} is {value!r}, but must be "
                f"{rule.expected}. {rule.remedy}"
            )


def check_labels(rows: Sequence[Mapping[str, Any]], where: str) -> None:
    """Raises DatasetError unless each row's label is true or false."""
    wrong = [position for position, row in enumerate(rows) if not isinstance(row.get("label"), bool)]
    if wrong:
        value = rows[wrong[0]].get("label")
        raise DatasetError(
            f"{where}: {counted(len(wrong), 'row')} without a label (true or false), the first is row "
            f"{row_number(rows, wrong[0])}: label is {value!r}. Write true for desirable, false for undesirable"
        )


def is_conversational(value: Any) -> bool:
    return isinstance(value, list)


def _has_text(value: Any) -> bool:
    if isinstance(value, str):
        return bool(value.strip())
    if not isinstance(value, list) or not all(messages.has_content(turn) for turn in value):
        return False
    return any(messages.plain_text(turn).strip() for turn in value)
