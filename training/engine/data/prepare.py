"""All steps from frozen rows to the sequences that a trainer receives."""

import logging
from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from training.contract.wording import counted
from training.engine.data.preferences import preference_positions
from training.engine.data.rows import PURPOSES, Counts, Row, check_columns
from training.engine.data.token_cache import TokenCache
from training.engine.data.tokenization import Advance, Sequences, check_sequences, fit, tokenize

log = logging.getLogger("konomi.engine")


def training_sequences(
    rows: Sequence[Row],
    tokenizer: PreTrainedTokenizerBase,
    *,
    purpose: str,
    max_length: int,
    stop_ids: set[int],
    where: str,
    keep_ties: bool = False,
    cache: TokenCache | None = None,
    advance: Advance = lambda done, total: None,
) -> tuple[list[Sequences], Counts]:
    """Tokenized rows for a trainer, and the counts of what was used, truncated and dropped.

    `purpose` is sft, dpo or kto; `max_length` counts tokens of prompt and completion; `where` names the rows in errors.
    `cache` and `advance`: see `tokenize`. Raises DatasetError.
    """
    counts = Counts(rows=len(rows))
    check_columns(rows, purpose, where)
    positions = preference_positions(rows, counts, keep_ties=keep_ties) if purpose == "dpo" else range(len(rows))
    sequences = tokenize(tokenizer, rows, positions, PURPOSES[purpose][1:], counts, cache=cache, advance=advance)
    check_sequences(tokenizer, sequences, stop_ids)
    kept = fit(sequences, max_length, counts)
    counts.used = len(kept)
    log.info("%s: %d of %s, %d tokens at most", where, counts.used, counted(counts.rows, "row"), _longest(kept))
    return kept, counts


def _longest(sequences: Sequence[Sequences]) -> int:
    return max((len(item.prompt_ids) + max(map(len, item.completion_ids)) for item in sequences), default=0)
