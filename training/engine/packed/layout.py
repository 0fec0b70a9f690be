"""Shared-prefix packing: common prefixes are computed once, and padding is minimal.

A row is one prompt with k completions (1 in SFT, 2 in DPO): [shared | tail 1 | … | tail k]. `shared` is the prompt and
the common start of the completions; each tail's positions continue after it, and it attends to the shared part and to
itself only. The last token of a completion predicts nothing and is left out.

Shapes: B lines, L tokens in a line, R rows, k completions of each, N scored tokens.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

PADDING = -1


@dataclass(frozen=True)
class Row:
    """Token ids of one row; `prompt_tokens` of `shared` are the prompt, what follows is the completions' common start.

    `index` is the caller's own number for the row.
    """

    index: int
    shared: list[int]
    tails: list[list[int]]
    prompt_tokens: int

    @property
    def computed(self) -> int:
        """Tokens that pass through the model."""
        return len(self.shared) + sum(max(0, len(tail) - 1) for tail in self.tails)

    @property
    def scored(self) -> int:
        """Tokens whose log-probability is computed."""
        return len(self.shared) - self.prompt_tokens + sum(map(len, self.tails))

    @property
    def completion_tokens(self) -> list[int]:
        """Tokens of each completion, the common start included."""
        common = len(self.shared) - self.prompt_tokens
        return [common + len(tail) for tail in self.tails]


def make_row(index: int, prompt_ids: list[int], completions: Sequence[list[int]]) -> Row:
    """The row of a prompt (one token at least) and its completions. Raises ValueError for an empty prompt."""
    if not prompt_ids:
        raise ValueError(f"row {index + 1}: a prompt without a token predicts nothing")
    common = common_start(completions) if len(completions) > 1 else 0
    shared = prompt_ids + completions[0][:common]
    return Row(index, shared, [completion[common:] for completion in completions], len(prompt_ids))


def common_start(texts: Sequence[Sequence[int]]) -> int:
    """The length of the longest common prefix, in tokens."""
    length = min(map(len, texts))
    for position in range(length):
        if any(text[position] != texts[0][position] for text in texts[1:]):
            return position
    return length


@dataclass(frozen=True)
class MicroBatch:
    """Rows side by side, ready for the model.

    input_ids, position_ids, document, segment (B, L): document is the row's number in this micro-batch, segment 0 in
    the shared part and 1…k in the tails, both PADDING where there is no token.
    target_positions (N,) into the flattened B·L: where a token is predicted. target_ids (N,): which.
    sum_targets, sum_sequences (M,): scored token → sequence (row · k + completion); common tokens count for each.
    passes: the forwards that it takes, one but for position encodings that change with the length (see `rope`).
    """

    rows: tuple[Row, ...]
    input_ids: Tensor
    position_ids: Tensor
    document: Tensor
    segment: Tensor
    target_positions: Tensor
    target_ids: Tensor
    sum_targets: Tensor
    sum_sequences: Tensor
    passes: tuple[bool | None, ...] = (None,)

    @property
    def sequences(self) -> int:
        return len(self.rows) * len(self.rows[0].tails)

    @property
    def places(self) -> int:
        """Tokens that the model computes, padding included."""
        return int(self.input_ids.numel())

    @property
    def computed(self) -> int:
        return sum(row.computed for row in self.rows)

    def to(self, device: torch.device) -> "MicroBatch":
        moved = {f.name: getattr(self, f.name) for f in fields(self)}
        return MicroBatch(
            **{k: v.to(device, non_blocking=True) if isinstance(v, Tensor) else v for k, v in moved.items()}
        )

    def sums(self, logps_N: Tensor) -> Tensor:
        """Log-probabilities of the sequences (R, k), summed in float64: summing hundreds in float32 loses precision."""
        totals = torch.zeros(self.sequences, dtype=torch.float64, device=logps_N.device)
        totals = totals.index_add(0, self.sum_sequences, logps_N.double()[self.sum_targets])
        return totals.view(len(self.rows), -1)

    def by_sequence(self, logps_N: Tensor) -> list[Tensor]:
        """The log-probabilities of each sequence's completion tokens in order, row by row."""
        return [logps_N[self.sum_targets[self.sum_sequences == number]] for number in range(self.sequences)]


def lay_out(rows: Sequence[Row], *, pad_id: int, one_line: bool = False, multiple: int = 1) -> MicroBatch:
    """Rows as lines padded to the longest, or (`one_line`) all in one line, padded to a multiple of `multiple`."""
    lengths = [row.computed for row in rows]
    width = sum(lengths) if one_line else max(lengths)
    width = -(-width // multiple) * multiple
    lines = 1 if one_line else len(rows)
    input_ids = torch.full((lines, width), pad_id)
    position_ids = torch.zeros((lines, width), dtype=torch.long)
    document = torch.full((lines, width), PADDING)
    segment = torch.full((lines, width), PADDING)
    positions: list[int] = []
    targets: list[int] = []
    sum_targets: list[int] = []
    sum_sequences: list[int] = []
    at = 0  # position in the flattened lines
    for number, row in enumerate(rows):
        start = at if one_line else number * width
        ids, places, segments = _line_of(row)
        line, column = divmod(start, width)
        span = slice(column, column + len(ids))
        input_ids[line, span] = torch.tensor(ids)
        position_ids[line, span] = torch.tensor(places)
        segment[line, span] = torch.tensor(segments)
        document[line, span] = number
        at = start + len(ids)

        common = []
        for position in range(row.prompt_tokens, len(row.shared)):
            common.append(len(positions))
            positions.append(start + position - 1)
            targets.append(row.shared[position])
        tail_start = start + len(row.shared)
        for completion, tail in enumerate(row.tails):
            sequence = number * len(row.tails) + completion
            own = range(len(positions), len(positions) + len(tail))
            if tail:  # the first is predicted at the end of the shared part, the others by the one before
                positions += [start + len(row.shared) - 1, *range(tail_start, tail_start + len(tail) - 1)]
                targets += tail
                tail_start += len(tail) - 1
            sum_targets += [*common, *own]
            sum_sequences += [sequence] * (len(common) + len(own))
    return MicroBatch(
        rows=tuple(rows),
        input_ids=input_ids,
        position_ids=position_ids,
        document=document,
        segment=segment,
        target_positions=torch.tensor(positions, dtype=torch.long),
        target_ids=torch.tensor(targets, dtype=torch.long),
        sum_targets=torch.tensor(sum_targets, dtype=torch.long),
        sum_sequences=torch.tensor(sum_sequences, dtype=torch.long),
    )


def _line_of(row: Row) -> tuple[list[int], list[int], list[int]]:
    """(ids, positions, segments) of one row."""
    ids, place = list(row.shared), list(range(len(row.shared)))
    part = [0] * len(row.shared)
    for number, tail in enumerate(row.tails, 1):
        inner = tail[:-1]
        ids += inner
        place += range(len(row.shared), len(row.shared) + len(inner))
        part += [number] * len(inner)
    return ids, place, part


# ---- masks ----


def visible(
    query: Tensor, key: Tensor, *, document: Callable[..., Any], segment: Callable[..., Any], order: bool = True
) -> Any:
    """Whether `query` attends to `key` (positions in a line); `document` and `segment` look a position up."""
    same = document(query) == document(key)
    own = (segment(key) == 0) | (segment(key) == segment(query))
    return (query >= key) & same & own


def dense_mask(batch: MicroBatch, dtype: torch.dtype, window: int | None = None) -> Tensor:
    """Additive mask (B, 1, L, L): 0 where a key is visible, the dtype's minimum elsewhere.

    `window` is that of sliding attention: keys fewer than `window` positions back, counted in positions of the text.
    Padding attends to padding, so that no row of the softmax is empty.
    """
    place = torch.arange(batch.input_ids.shape[1], device=batch.input_ids.device)
    query, key = place[:, None], place[None, :]
    seen = visible(
        query,
        key,
        document=lambda at: batch.document[:, at],
        segment=lambda at: batch.segment[:, at],
    )
    if window is not None:
        seen &= batch.position_ids[:, :, None] - batch.position_ids[:, None, :] < window
    mask = torch.zeros(seen.shape, dtype=dtype, device=seen.device)
    return mask.masked_fill_(~seen, torch.finfo(dtype).min)[:, None]


def block_mask(batch: MicroBatch, window: int | None = None) -> Any:
    """The same mask as a BlockMask of FlexAttention (Dong et al. 2024), for `attn_implementation="flex_attention"`."""
    from torch.nn.attention.flex_attention import create_block_mask

    lines, width = batch.input_ids.shape
    return create_block_mask(
        mask_function(batch, window), B=lines, H=None, Q_LEN=width, KV_LEN=width, device=batch.input_ids.device
    )


def mask_function(batch: MicroBatch, window: int | None = None) -> Callable[..., Tensor]:
    """FlexAttention's `mask_mod(b, h, q, k)` of a micro-batch."""

    def attends(line: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        allowed = visible(
            query, key, document=lambda at: batch.document[line, at], segment=lambda at: batch.segment[line, at]
        )
        if window is None:
            return allowed
        return allowed & (batch.position_ids[line, query] - batch.position_ids[line, key] < window)

    return attends


# ---- micro-batches ----


def cut(lengths: Sequence[int], budget: int, overhead: int = 0, one_line: bool = False) -> list[list[int]]:
    """Positions of `lengths` in micro-batches of at most `budget` tokens with their padding, the longest first.

    Sorted by length, then cut where the padding and `overhead` (what a further micro-batch costs, in tokens) are
    least in sum, by dynamic programming. A row longer than the budget is a micro-batch of its own. With
    `one_line` nothing is padded, and lines are filled by first fit.
    """
    order = sorted(range(len(lengths)), key=lambda position: (-lengths[position], position))
    if one_line:
        return _fill(order, lengths, budget)
    best: list[float] = [0.0]  # best[n]: least cost of the first n
    last: list[int] = [0]  # last[n]: where the last micro-batch of the first n begins
    for end in range(1, len(order) + 1):
        costs = []
        for start in range(end - 1, -1, -1):
            tokens = (end - start) * lengths[order[start]]
            if tokens > budget and end - start > 1:
                break
            costs.append((best[start] + tokens + overhead, start))
        cost, start = min(costs)
        best.append(cost)
        last.append(start)
    cuts: list[list[int]] = []
    end = len(order)
    while end:
        cuts.append(order[last[end] : end])
        end = last[end]
    return cuts[::-1]


def _fill(order: Sequence[int], lengths: Sequence[int], budget: int) -> list[list[int]]:
    """First fit: each into the first line that has room for it."""
    lines: list[list[int]] = []
    room: list[int] = []
    for position in order:
        fitting = next((n for n, left in enumerate(room) if left >= lengths[position]), None)
        if fitting is None:
            lines.append([])
            room.append(budget)
            fitting = -1
        lines[fitting].append(position)
        room[fitting] -= lengths[position]
    return lines
