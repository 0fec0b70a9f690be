"""Rows as tensors for a model.

Shapes: B lines, L tokens in a line, S texts of all rows, N scored tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from training.engine.packed.trie import Row as Row
from training.engine.packed.trie import make_row as make_row


@dataclass(frozen=True)
class MicroBatch:
    """Rows side by side, ready for the model.

    input_ids, position_ids, ends (B, L): `ends` is the first place in the line after a token's subtree; of padding, the
    place after it. target_positions (N,) into the flattened B·L: where a token is predicted. target_ids (N,): which.
    sum_targets, sum_sequences (M,): scored token → text, numbered row by row; shared tokens count for each.
    passes: the forwards that it takes, one but for position encodings that change with the length (see `rope`).
    """

    rows: tuple[Row, ...]
    input_ids: Tensor
    position_ids: Tensor
    ends: Tensor
    target_positions: Tensor
    target_ids: Tensor
    sum_targets: Tensor
    sum_sequences: Tensor
    passes: tuple[bool | None, ...] = (None,)

    @property
    def sequences(self) -> int:
        return sum(len(row.texts) for row in self.rows)

    @property
    def places(self) -> int:
        """Tokens that the model computes, padding included."""
        return int(self.input_ids.numel())

    @property
    def computed(self) -> int:
        return sum(row.computed for row in self.rows)

    @property
    def completion_tokens(self) -> list[int]:
        """Tokens of each text's completion (S)."""
        return [tokens for row in self.rows for tokens in row.completion_tokens]

    @property
    def is_causal(self) -> bool:
        """Whether plain causal attention is correct: a text a line, padded on the right, where nothing looks."""
        return len(self.input_ids) == len(self.rows) and all(row.is_one_text for row in self.rows)

    def to(self, device: torch.device) -> "MicroBatch":
        moved = {f.name: getattr(self, f.name) for f in fields(self)}
        return MicroBatch(
            **{k: v.to(device, non_blocking=True) if isinstance(v, Tensor) else v for k, v in moved.items()}
        )

    def sums(self, logps_N: Tensor) -> Tensor:
        """Log-probabilities of the texts' completions (S,), summed in float64: hundreds in float32 lose precision."""
        totals = torch.zeros(self.sequences, dtype=torch.float64, device=logps_N.device)
        return totals.index_add(0, self.sum_sequences, logps_N.double()[self.sum_targets])

    def by_row(self, sums_S: Tensor) -> list[list[float]]:
        """The same, row by row."""
        values = iter(sums_S.tolist())
        return [[next(values) for _ in row.texts] for row in self.rows]

    def by_sequence(self, logps_N: Tensor) -> list[Tensor]:
        """The log-probabilities of each text's completion tokens in order, row by row."""
        return [logps_N[self.sum_targets[self.sum_sequences == number]] for number in range(self.sequences)]


def lay_out(
    rows: Sequence[Row], *, pad_id: int, one_line: bool = False, multiple: int = 1, least: int = 1
) -> MicroBatch:
    """Rows as lines padded to the longest, or (`one_line`) all in one line; each `least` long, and a `multiple`."""
    lengths = [row.computed for row in rows]
    width = sum(lengths) if one_line else max(lengths)
    width = -(-max(width, least) // multiple) * multiple
    lines = 1 if one_line else len(rows)
    input_ids = torch.full((lines, width), pad_id)
    position_ids = torch.zeros((lines, width), dtype=torch.long)
    ends = torch.arange(1, width + 1).expand(lines, width).clone()
    positions: list[int] = []
    targets: list[int] = []
    sum_targets: list[int] = []
    sum_sequences: list[int] = []
    sequence = 0
    at = 0  # position in the flattened lines
    for number, row in enumerate(rows):
        start = at if one_line else number * width
        trie = row.trie
        line, column = divmod(start, width)
        span = slice(column, column + len(trie.ids))
        input_ids[line, span] = torch.tensor(trie.ids)
        position_ids[line, span] = torch.tensor(trie.positions)
        ends[line, span] = torch.tensor(trie.ends) + column
        at = start + len(trie.ids)
        first = len(targets)
        positions += [start + place for place in trie.target_places]
        targets += trie.target_ids
        for own in trie.targets:
            sum_targets += [first + target for target in own]
            sum_sequences += [sequence] * len(own)
            sequence += 1
    return MicroBatch(
        rows=tuple(rows),
        input_ids=input_ids,
        position_ids=position_ids,
        ends=ends,
        target_positions=torch.tensor(positions, dtype=torch.long),
        target_ids=torch.tensor(targets, dtype=torch.long),
        sum_targets=torch.tensor(sum_targets, dtype=torch.long),
        sum_sequences=torch.tensor(sum_sequences, dtype=torch.long),
    )
