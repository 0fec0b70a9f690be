"""Frozen rows to token ids, with every row accounted for.

Rows are read as they were frozen: `prompt`, `completion` (SFT), `prompt`, `chosen`, `rejected` (DPO) or `prompt`,
`completion`, `label` (KTO), each a string (standard) or a list of `{"role", "content"}` (conversational), beside
side columns that training ignores. Tokenisation follows TRL's (end of text appended to standard completions, chat
template for conversational ones); what TRL does silently, this module counts, logs or refuses.
"""

import dataclasses
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from transformers import PreTrainedTokenizerBase

from training.contract.errors import DatasetError

log = logging.getLogger("konomi.engine")

Row = dict[str, Any]
PURPOSES = {"sft": ("prompt", "completion"), "dpo": ("prompt", "chosen", "rejected"), "kto": ("prompt", "completion")}

# A few rows whose text merges across the end of the prompt can be left out (and are counted); more is a wrong format.
MISMATCH_TOLERANCE = 0.01


# How many row numbers of each kind are named.
LISTED = 20


@dataclass
class Counts:
    """What became of the rows; written to result.json. `listed` names the first of each kind by number, from 1."""

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


@dataclass(frozen=True)
class Sequences:
    """A prompt's tokens and those of each of its completions; `row` is the position in the file."""

    row: int
    prompt_ids: list[int]
    completion_ids: list[list[int]] = field(default_factory=list)


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
    """Raises DatasetError unless the rows are of that purpose, each with text in each of its columns."""
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
            raise DatasetError(f"{where}: {len(empty)} rows have an empty {name}, the first is row {empty[0] + 1}")
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


def tokenize(
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[Row],
    positions: Sequence[int],
    columns: Sequence[str],
    counts: Counts,
) -> list[Sequences]:
    """Prompt and completions of the rows at `positions` as token ids, not truncated.

    Rows whose prompt is not a token prefix of prompt and completion are left out and counted; raises DatasetError
    where more than 1 % are like that.
    """
    prompts = [rows[position]["prompt"] for position in positions]
    prompt_ids = _ids(tokenizer, prompts, generation_prompt=True)
    full_ids = []
    for column in columns:
        full_ids.append(
            _ids(tokenizer, _joined(tokenizer, prompts, [rows[position][column] for position in positions]))
        )
    found: list[Sequences] = []
    mismatches: list[int] = []
    for number, (position, prompt) in enumerate(zip(positions, prompt_ids, strict=True)):
        texts = [ids[number] for ids in full_ids]
        if any(text[: len(prompt)] != prompt for text in texts):
            mismatches.append(position)
        else:
            found.append(Sequences(position, prompt, [text[len(prompt) :] for text in texts]))
    for position in mismatches:
        counts.add("dropped_prefix_mismatch", position)
    if mismatches:
        words = (
            f"in {len(mismatches)} of {len(positions)} rows (the first is row {mismatches[0] + 1}) the prompt is not a "
            "token prefix of prompt and completion"
        )
        if len(mismatches) > MISMATCH_TOLERANCE * len(positions):
            raise DatasetError(
                f"{words}. The model would be trained on a context that it never sees when it answers. "
                + (
                    "The chat template writes the prompt alone differently: use one that keeps it unchanged."
                    if is_conversational(prompts[0])
                    else "Tokens merge across the border: end prompts with a line break, or freeze as conversations."
                )
            )
        log.warning("%s; they are left out", words)
    return found


def check_sequences(tokenizer: PreTrainedTokenizerBase, sequences: Iterable[Sequences], stop_ids: set[int]) -> None:
    """Raises DatasetError where no completion would teach the model to stop, or a text begins twice."""
    bos = tokenizer.bos_token_id
    unstopped = 0
    total = 0
    for item in sequences:
        start = item.prompt_ids[:2]
        if bos is not None and start == [bos, bos]:
            raise DatasetError(
                f"row {item.row + 1} begins with {tokenizer.bos_token!r} twice: take it out of the chat template or "
                "of the text, the tokenizer adds it itself"
            )
        for ids in item.completion_ids:
            total += 1
            unstopped += stop_ids.isdisjoint(ids)
    if unstopped:
        names = ", ".join(repr(tokenizer.decode([token])) for token in sorted(stop_ids))
        raise DatasetError(
            f"{unstopped} of {total} completions hold no stop token ({names}), so the model would never learn to end "
            "an answer. Make the chat template close the assistant's turn with eos_token, or set eos_token to what "
            "it writes"
        )


def fit(sequences: Sequence[Sequences], max_length: int, counts: Counts) -> list[Sequences]:
    """The sequences cut to `max_length` tokens, without those whose prompt leaves no room for a completion and pairs
    whose difference is cut away."""
    kept: list[Sequences] = []
    for item in sequences:
        room = max_length - len(item.prompt_ids)
        if room <= 0:
            counts.add("dropped_too_long", item.row)
            continue
        if any(len(ids) > room for ids in item.completion_ids):
            counts.add("truncated", item.row)
            item = Sequences(item.row, item.prompt_ids, [ids[:room] for ids in item.completion_ids])
            if len(item.completion_ids) == 2 and item.completion_ids[0] == item.completion_ids[1]:
                counts.add("dropped_equal_when_cut", item.row)
                continue
        kept.append(item)
    if counts.dropped_too_long:
        log.warning("%d rows left out: the prompt alone has max_length=%d tokens", counts.dropped_too_long, max_length)
    if counts.truncated:
        log.warning("%d rows cut to max_length=%d tokens: they end without a stop token", counts.truncated, max_length)
    if counts.dropped_equal_when_cut:
        log.warning("%d rows left out: cut to max_length, both sides are equal", counts.dropped_equal_when_cut)
    if sequences and not kept:
        longest = max(len(item.prompt_ids) for item in sequences)
        raise DatasetError(
            f"all {len(sequences)} rows would be left out: their prompts reach max_length={max_length} tokens, or "
            f"their sides do not differ before it (the longest prompt has {longest}). Raise max_length, or take a "
            "model with a longer context"
        )
    return kept


def preference_positions(rows: Sequence[Row], counts: Counts, *, keep_ties: bool = False) -> list[int]:
    """Positions of the rows that say which side is better: without ties and even splits (unless kept, as a training
    that learns from them does), and without pairs of equal texts. What is left out is counted."""
    kept = []
    for position, row in enumerate(rows):
        if row["chosen"] == row["rejected"]:
            counts.add("dropped_equal", position)
        elif not keep_ties and is_tie(row):
            counts.add("dropped_ties", position)
        else:
            kept.append(position)
    if all(is_tie(rows[position]) for position in kept):
        raise DatasetError(
            f"no preference to learn in {len(rows)} rows: {len(rows) - counts.dropped_equal} ties, "
            f"{counts.dropped_equal} pairs of equal texts"
        )
    if len(kept) < len(rows):
        log.warning("%d ties and %d pairs of equal texts left out", counts.dropped_ties, counts.dropped_equal)
    return kept


def is_tie(row: Row) -> bool:
    """Whether the annotators name no better side: half of them or more said "equal", or they are evenly split."""
    return float(row.get("tie") or 0) >= 0.5 or row.get("probability") == 0.5


def pair_terms(rows: Sequence[Row], *, soft_labels: bool, strength_offset: float) -> dict[str, list[float]]:
    """What `losses.dpo_loss` is given of each row: p, offset, weight (1 on average) and tie.

    `probability` counts ties half; p is the share of those who took a side. Without `soft_labels` p is the majority's.
    Raises DatasetError where no row has a weight.
    """
    found: dict[str, list[float]] = {"p": [], "offset": [], "weight": [], "tie": []}
    for row in rows:
        tie = float(row.get("tie") or 0)
        probability = row.get("probability")
        wins = (1.0 if probability is None else float(probability)) - tie / 2
        p = min(1.0, max(0.0, wins / (1 - tie))) if tie < 1 else 0.5
        found["p"].append(p if soft_labels or p == 0.5 else float(p > 0.5))
        found["offset"].append(strength_offset * float(row.get("strength") or 0))
        weight = row.get("weight")
        found["weight"].append(1.0 if weight is None else float(weight))
        found["tie"].append(tie)
    total = sum(found["weight"])
    if rows and total <= 0:
        raise DatasetError(f"the weights of all {len(rows)} rows are 0: nothing would be learnt")
    found["weight"] = [weight * len(rows) / total for weight in found["weight"]]
    return found


def training_sequences(
    rows: Sequence[Row],
    tokenizer: PreTrainedTokenizerBase,
    *,
    purpose: str,
    max_length: int,
    stop_ids: set[int],
    where: str,
    keep_ties: bool = False,
) -> tuple[list[Sequences], Counts]:
    """All of the above, in order: what a trainer is given, and what became of the rows."""
    counts = Counts(rows=len(rows))
    check_columns(rows, purpose, where)
    positions = preference_positions(rows, counts, keep_ties=keep_ties) if purpose == "dpo" else range(len(rows))
    sequences = tokenize(tokenizer, rows, positions, PURPOSES[purpose][1:], counts)
    check_sequences(tokenizer, sequences, stop_ids)
    kept = fit(sequences, max_length, counts)
    counts.used = len(kept)
    log.info("%s: %d of %d rows, %d tokens at most", where, counts.used, counts.rows, _longest(kept))
    return kept, counts


def _longest(sequences: Sequence[Sequences]) -> int:
    return max((len(item.prompt_ids) + max(map(len, item.completion_ids)) for item in sequences), default=0)


def _joined(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Any], completions: Sequence[Any]) -> list[Any]:
    if is_conversational(prompts[0]) != is_conversational(completions[0]):
        raise DatasetError("prompts and completions must both be text or both be messages")
    if is_conversational(prompts[0]):
        return [prompt + completion for prompt, completion in zip(prompts, completions, strict=True)]
    end = tokenizer.eos_token
    return [
        prompt + (completion if completion.endswith(end) else completion + end)
        for prompt, completion in zip(prompts, completions, strict=True)
    ]


def prompt_ids(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Any]) -> list[list[int]]:
    """The tokens of each prompt (text or messages) as a model sees them when it answers."""
    return _ids(tokenizer, prompts, generation_prompt=True)


def _ids(tokenizer: PreTrainedTokenizerBase, texts: Sequence[Any], generation_prompt: bool = False) -> list[list[int]]:
    if not is_conversational(texts[0]):
        return list(tokenizer(list(texts))["input_ids"])
    try:
        return list(
            tokenizer.apply_chat_template(
                list(texts), tokenize=True, return_dict=True, add_generation_prompt=generation_prompt
            )["input_ids"]
        )
    except Exception as error:  # whatever a template raises (TemplateError, TypeError …) is about the data
        raise DatasetError(f"the chat template does not accept these messages: {error}") from error
