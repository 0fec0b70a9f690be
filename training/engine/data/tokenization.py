"""Rows to token ids, and the checks that need a tokenizer: prefix, stop token, length.

Tokenization follows TRL's (end of text appended to standard completions, chat template for conversational ones); what
TRL does silently, this module counts, logs or refuses. Control tokens that people typed are text (`control_tokens`).
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from transformers import PreTrainedTokenizerBase

from training.contract.errors import DatasetError
from training.contract.wording import counted
from training.engine.data.encoding import Encoder
from training.engine.data.rows import Counts, Row, is_conversational, row_number
from training.engine.data.splitting import CHUNK, Split, check_tools_are_written, split_chats, split_texts
from training.engine.data.token_cache import TokenCache

log = logging.getLogger("konomi.engine")

# A few rows whose text merges across the end of the prompt can be left out (and are counted); more mean that the
# format is wrong.
MISMATCH_TOLERANCE = 0.01
CHUNKS_AT_ONCE = 2

Advance = Callable[[int, int], None]


@dataclass(frozen=True)
class Sequences:
    """A prompt's tokens and those of each of its completions.

    `row` is the position among the rows that are trained on, `number` that of the row in its file, from 1, which is
    what people are shown.
    """

    row: int
    prompt_ids: list[int]
    completion_ids: list[list[int]] = field(default_factory=list)
    number: int = 0

    def __post_init__(self) -> None:
        if not self.number:
            object.__setattr__(self, "number", self.row + 1)


def tokenize(
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[Row],
    positions: Sequence[int],
    columns: Sequence[str],
    counts: Counts,
    *,
    cache: TokenCache | None = None,
    advance: Advance = lambda done, total: None,
) -> list[Sequences]:
    """Prompt and completions of the rows at `positions` as token ids, not truncated.

    Rows whose prompt is not a token prefix of prompt and completion are left out and counted; raises DatasetError
    where more than 1 % are like that. `advance` gets the rows done and all of them from time to time, and may raise.
    """
    positions = list(positions)
    if not positions:
        return []
    encoder = Encoder(tokenizer)

    def compute() -> Split:
        return split(encoder, rows, positions, columns, advance)

    found = cache.fetch(encoder, rows, positions, columns, compute) if cache else compute()
    numbers = [row_number(rows, position) for position in positions]
    for place in found.control_text:
        counts.add("control_text", numbers[place])
    for place in found.reasoning_left_out:
        counts.add("reasoning_left_out", numbers[place])
    mismatches = set(found.mismatches)
    for place in found.mismatches:
        counts.add("dropped_prefix_mismatch", numbers[place])
    if mismatches:
        summary = (
            f"In {len(mismatches)} of {counted(len(positions), 'row')} (the first is row "
            f"{numbers[found.mismatches[0]]}) the prompt is not a token prefix of prompt and completion"
        )
        if len(mismatches) > MISMATCH_TOLERANCE * len(positions):
            raise DatasetError(
                f"{summary}. The model would be trained on a context that it never sees when it answers. "
                + (
                    "The chat template writes the prompt alone differently: use one that keeps it unchanged."
                    if is_conversational(rows[positions[0]]["prompt"])
                    else "Tokens merge across the border: end prompts with a line break, or freeze as conversations."
                )
            )
        log.warning("%s; they are left out", summary)
    return [
        Sequences(position, found.prompt_ids[place], found.completion_ids[place], numbers[place])
        for place, position in enumerate(positions)
        if place not in mismatches
    ]


def split(
    encoder: Encoder, rows: Sequence[Row], positions: Sequence[int], columns: Sequence[str], advance: Advance
) -> Split:
    """Token ids of the prompts and of what follows them, chunk by chunk."""
    chats = is_conversational(rows[positions[0]]["prompt"])
    if any(is_conversational(rows[positions[0]][column]) != chats for column in columns):
        raise DatasetError("Prompts and completions must both be text or both be messages")
    ended = False
    if not chats:
        end = encoder.tokenizer.eos_token
        ended = all(rows[position][column].endswith(end) for position in positions for column in columns)
        if ended:  # as TRL's data sets are written; where only some do, somebody typed it
            log.info("all completions end with %r: taken as their end of text", end)
    else:
        _ = encoder.style  # found once, before there are threads

    def chunk(start: int) -> Split:
        part = positions[start : start + CHUNK]
        return split_chats(encoder, rows, part, columns) if chats else split_texts(encoder, rows, part, columns, ended)

    whole = Split()
    # While the tokenizers library encodes one chunk, without Python's lock, the template of the next is written.
    pool = ThreadPoolExecutor(CHUNKS_AT_ONCE)
    try:
        advance(0, len(positions))
        for done in pool.map(chunk, range(0, len(positions), CHUNK)):
            whole.extend(done)
            advance(len(whole.prompt_ids), len(positions))
    finally:
        pool.shutdown(cancel_futures=True)
    return whole


def check_sequences(tokenizer: PreTrainedTokenizerBase, sequences: Iterable[Sequences], stop_ids: set[int]) -> None:
    """Raises DatasetError where no completion would teach the model to stop, or a text begins twice."""
    bos = tokenizer.bos_token_id
    unstopped = 0
    total = 0
    for item in sequences:
        if not item.prompt_ids:
            raise DatasetError(f"Row {item.number}: the prompt has no token, so that nothing can follow it: write one")
        start = item.prompt_ids[:2]
        if bos is not None and start == [bos, bos]:
            raise DatasetError(
                f"Row {item.number} begins with {tokenizer.bos_token!r} twice: remove it from the chat template or "
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

    Dropped and counted: rows whose prompt leaves no room for a completion, and pairs that are equal as tokens, or when
    truncated.
    Raises DatasetError where no row is left.
    """
    kept: list[Sequences] = []
    for item in sequences:
        if _equal(item.completion_ids):
            counts.add("dropped_equal_tokens", item.number)
            continue
        available = max_length - len(item.prompt_ids)
        if available <= 0:
            counts.add("dropped_too_long", item.number)
            continue
        if any(len(ids) > available for ids in item.completion_ids):
            counts.add("truncated", item.number)
            item = replace(item, completion_ids=[ids[:available] for ids in item.completion_ids])
            if _equal(item.completion_ids):
                counts.add("dropped_equal_when_cut", item.number)
                continue
        kept.append(item)
    if counts.dropped_too_long:
        left_out = counted(counts.dropped_too_long, "row")
        log.warning("%s left out: the prompt alone has max_length=%d tokens", left_out, max_length)
    if counts.truncated:
        cut = counted(counts.truncated, "row")
        log.warning("%s cut to max_length=%d tokens, and so without a stop token", cut, max_length)
    if counts.dropped_equal_tokens:
        left_out = counted(counts.dropped_equal_tokens, "row")
        log.warning("%s left out: both sides have the same tokens", left_out)
    if counts.dropped_equal_when_cut:
        left_out = counted(counts.dropped_equal_when_cut, "row")
        log.warning("%s left out: cut to max_length, both sides are equal", left_out)
    if sequences and not kept:
        longest = max(len(item.prompt_ids) for item in sequences)
        everyone = "The only row" if len(sequences) == 1 else f"All {len(sequences)} rows"
        if counts.dropped_equal_tokens == len(sequences):
            raise DatasetError(f"{everyone} would be left out: both sides have the same tokens. Annotate other pairs")
        raise DatasetError(
            f"{everyone} would be left out: prompts reach max_length={max_length} tokens, "
            f"or sides do not differ before it (the longest prompt has {longest}). Raise max_length, or use a "
            "model with a longer context"
        )
    return kept


def _equal(completions: Sequence[list[int]]) -> bool:
    return len(completions) == 2 and completions[0] == completions[1]


def prompt_ids(tokenizer: PreTrainedTokenizerBase, rows: Sequence[Mapping[str, Any]]) -> list[list[int]]:
    """The tokens of each row's prompt (text or messages) as a model sees them when it answers.

    `tools` and `chat_template_kwargs` of a row are given to the chat template.
    """
    encoder = Encoder(tokenizer)
    if not is_conversational(rows[0]["prompt"]):
        return encoder.plain([encoder.plain_prompt(row["prompt"]) for row in rows])
    chats = [encoder.chat(row, row_number(rows, place), row["prompt"]) for place, row in enumerate(rows)]
    texts = encoder.prompts(chats)
    for chat, text in zip(chats, texts, strict=True):
        check_tools_are_written(chat, text)
    return encoder.written(texts)
