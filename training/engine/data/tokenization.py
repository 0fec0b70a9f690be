"""Rows to token ids, and the checks that need a tokenizer: prefix, stop token, length.

Tokenization follows TRL's (end of text appended to standard completions, chat template for conversational ones); what
TRL does silently, this module counts, logs or refuses.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from transformers import PreTrainedTokenizerBase

from training.contract.errors import DatasetError
from training.contract.wording import counted
from training.engine.data.rows import Counts, Row, is_conversational

log = logging.getLogger("konomi.engine")

# A few rows whose text merges across the end of the prompt can be left out (and are counted); more mean that the
# format is wrong.
MISMATCH_TOLERANCE = 0.01


@dataclass(frozen=True)
class Sequences:
    """A prompt's tokens and those of each of its completions; `row` is the position in the file."""

    row: int
    prompt_ids: list[int]
    completion_ids: list[list[int]] = field(default_factory=list)


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
    sequences: list[Sequences] = []
    mismatches: list[int] = []
    for number, (position, prompt) in enumerate(zip(positions, prompt_ids, strict=True)):
        texts = [ids[number] for ids in full_ids]
        if any(text[: len(prompt)] != prompt for text in texts):
            mismatches.append(position)
        else:
            sequences.append(Sequences(position, prompt, [text[len(prompt) :] for text in texts]))
    for position in mismatches:
        counts.add("dropped_prefix_mismatch", position)
    if mismatches:
        summary = (
            f"In {len(mismatches)} of {counted(len(positions), 'row')} (the first is row {mismatches[0] + 1}) the "
            "prompt is not a token prefix of prompt and completion"
        )
        if len(mismatches) > MISMATCH_TOLERANCE * len(positions):
            raise DatasetError(
                f"{summary}. The model would be trained on a context that it never sees when it answers. "
                + (
                    "The chat template writes the prompt alone differently: use one that keeps it unchanged."
                    if is_conversational(prompts[0])
                    else "Tokens merge across the border: end prompts with a line break, or freeze as conversations."
                )
            )
        log.warning("%s; they are left out", summary)
    return sequences


def check_sequences(tokenizer: PreTrainedTokenizerBase, sequences: Iterable[Sequences], stop_ids: set[int]) -> None:
    """Raises DatasetError where no completion would teach the model to stop, or a text begins twice."""
    bos = tokenizer.bos_token_id
    unstopped = 0
    total = 0
    for item in sequences:
        start = item.prompt_ids[:2]
        if bos is not None and start == [bos, bos]:
            raise DatasetError(
                f"Row {item.row + 1} begins with {tokenizer.bos_token!r} twice: remove it from the chat template or "
                "from the text, since the tokenizer adds it"
            )
        for ids in item.completion_ids:
            total += 1
            unstopped += stop_ids.isdisjoint(ids)
    if unstopped:
        names = ", ".join(repr(tokenizer.decode([token])) for token in sorted(stop_ids))
        hold = "holds" if unstopped == 1 else "hold"
        raise DatasetError(
            f"{unstopped} of {counted(total, 'completion')} {hold} no stop token ({names}), so the model would never "
            "learn to end an answer. Make the chat template close the assistant's turn with eos_token, or set "
            "eos_token to what it writes"
        )


def fit(sequences: Sequence[Sequences], max_length: int, counts: Counts) -> list[Sequences]:
    """The sequences truncated to `max_length` tokens.

    Dropped and counted: rows whose prompt leaves no room for a completion, and pairs that are equal when truncated.
    Raises DatasetError where no row is left.
    """
    kept: list[Sequences] = []
    for item in sequences:
        available = max_length - len(item.prompt_ids)
        if available <= 0:
            counts.add("dropped_too_long", item.row)
            continue
        if any(len(ids) > available for ids in item.completion_ids):
            counts.add("truncated", item.row)
            item = Sequences(item.row, item.prompt_ids, [ids[:available] for ids in item.completion_ids])
            if len(item.completion_ids) == 2 and item.completion_ids[0] == item.completion_ids[1]:
                counts.add("dropped_equal_when_cut", item.row)
                continue
        kept.append(item)
    if counts.dropped_too_long:
        left_out = counted(counts.dropped_too_long, "row")
        log.warning("%s left out: the prompt alone has max_length=%d tokens", left_out, max_length)
    if counts.truncated:
        cut = counted(counts.truncated, "row")
        log.warning("%s cut to max_length=%d tokens, and so without a stop token", cut, max_length)
    if counts.dropped_equal_when_cut:
        left_out = counted(counts.dropped_equal_when_cut, "row")
        log.warning("%s left out: cut to max_length, both sides are equal", left_out)
    if sequences and not kept:
        longest = max(len(item.prompt_ids) for item in sequences)
        everyone = "The only row" if len(sequences) == 1 else f"All {len(sequences)} rows"
        raise DatasetError(
            f"{everyone} would be left out: prompts reach max_length={max_length} tokens, "
            f"or sides do not differ before it (the longest prompt has {longest}). Raise max_length, or use a "
            "model with a longer context"
        )
    return kept


def prompt_ids(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Any]) -> list[list[int]]:
    """The tokens of each prompt (text or messages) as a model sees them when it answers."""
    return _ids(tokenizer, prompts, generation_prompt=True)


def _joined(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Any], completions: Sequence[Any]) -> list[Any]:
    if is_conversational(prompts[0]) != is_conversational(completions[0]):
        raise DatasetError("Prompts and completions must both be text or both be messages")
    if is_conversational(prompts[0]):
        return [prompt + completion for prompt, completion in zip(prompts, completions, strict=True)]
    end = tokenizer.eos_token
    return [
        prompt + (completion if completion.endswith(end) else completion + end)
        for prompt, completion in zip(prompts, completions, strict=True)
    ]


def _ids(tokenizer: PreTrainedTokenizerBase, texts: Sequence[Any], generation_prompt: bool = False) -> list[list[int]]:
    if not is_conversational(texts[0]):
        return list(tokenizer(list(texts))["input_ids"])
    try:
        return list(
            tokenizer.apply_chat_template(
                list(texts), tokenize=True, return_dict=True, add_generation_prompt=generation_prompt
            )["input_ids"]
        )
    except (
        Exception
    ) as error:  # a template may raise anything (TemplateError, TypeError …) for messages it does not support
        raise DatasetError(f"The chat template does not accept these messages: {error}") from error
