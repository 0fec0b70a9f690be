"""The effective batch of one training step, sorted and cut into micro-batches; `trainers.packed_trainer` runs it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from training.engine.packed import forward, rope
from training.engine.packed.cutting import cut
from training.engine.packed.grouping import Costs, Group, grouped
from training.engine.packed.layout import MicroBatch, Row, lay_out

Example = dict[str, Any]


@dataclass(frozen=True)
class Layout:
    """How rows become micro-batches.

    budget: tokens of one micro-batch, padding included. overhead: cost of a further one, in tokens (see `cutting.cut`).
    one_line: all rows in one line (FlexAttention) instead of one row per line. mask_dtype: that of the attention.
    place_cost: what a place of a line's dense mask costs, in tokens; 0 where masked places cost nothing.
    threshold: length at which the model's position encoding changes, if rows reach it (see `rope`). always_both: each
    micro-batch is computed with both encodings, since processes must make equally many forwards.
    """

    pad_id: int
    budget: int
    overhead: int = 0
    one_line: bool = False
    mask_dtype: torch.dtype = torch.float32
    place_cost: float = 0.0
    threshold: int | None = None
    always_both: bool = False

    def cut(self, rows: Sequence[Row]) -> list[list[int]]:
        if self.threshold is None:
            return cut([row.computed for row in rows], self.budget, self.overhead, self.one_line)
        sides = [rope.side(rope.text_lengths(row), self.threshold) for row in rows]
        return [
            [group[position] for position in positions]
            for group in rope.by_side(range(len(rows)), sides)
            for positions in cut([rows[n].computed for n in group], self.budget, self.overhead, self.one_line)
        ]

    def lay_out(self, rows: Sequence[Row]) -> MicroBatch:
        if self.one_line:
            batch = lay_out(
                rows, pad_id=self.pad_id, one_line=True, multiple=forward.LINE_MULTIPLE, least=forward.LEAST_LINE
            )
        else:
            batch = lay_out(rows, pad_id=self.pad_id)
        return rope.with_passes(batch, self.threshold, always_both=self.always_both)


@dataclass
class Part:
    """One micro-batch with the E examples in it. An idle part is computed but not counted.

    texts (E, k): the micro-batch's texts that are an example's completions. terms: the examples' numbers (E,).
    """

    batch: MicroBatch
    groups: tuple[Group, ...]
    texts: Tensor
    terms: dict[str, Tensor]
    idle: bool = False

    @property
    def tokens(self) -> int:
        """Tokens of the examples' texts, as if nothing were shared or padded."""
        lengths = [len(text) for row in self.batch.rows for text in row.texts]
        return sum(lengths[number] for own in self.texts.tolist() for number in own)

    def to(self, device: torch.device) -> "Part":
        return replace(
            self,
            batch=self.batch.to(device),
            texts=self.texts.to(device),
            terms={name: value.to(device) for name, value in self.terms.items()},
        )


@dataclass
class Step:
    """One process's part of an effective batch. `totals` are the denominators of the loss's means, by name."""

    parts: list[Part]
    totals: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class StepCollator:
    """Turn examples into a Step. `terms` names their numeric columns; `totals` counts what the loss divides by.

    Examples of one prompt are one row, and so are those whose prompts begin alike where that saves work (see
    `grouping`). `stand_in` is computed, and counts nothing, in a process that has no example of a step.
    """

    layout: Layout
    completions: tuple[str, ...]
    terms: tuple[str, ...]
    totals: Callable[[Sequence[Example]], dict[str, float]]
    stand_in: Example | None = None

    def __call__(self, examples: Sequence[Example]) -> dict[str, Step]:
        idle = not examples and self.stand_in is not None
        computed = [self.stand_in] if idle and self.stand_in else examples
        groups = grouped(computed, self.completions, Costs(self.layout.budget, self.layout.place_cost))
        rows = [group.row for group in groups]
        parts = [self.part([groups[position] for position in cut]) for cut in self.layout.cut(rows)]
        if idle:
            parts = [replace(part, idle=True) for part in parts]
        return {"step": Step(parts, self.totals(examples))}

    def part(self, groups: Sequence[Group]) -> Part:
        texts: list[list[int]] = []
        first = 0
        for group in groups:
            texts += [[first + text for text in member.texts] for member in group.members]
            first += len(group.row.texts)
        members = [member for group in groups for member in group.members]
        terms = {
            name: torch.tensor([member.example[name] for member in members], dtype=torch.float64) for name in self.terms
        }
        batch = self.layout.lay_out([group.row for group in groups])
        return Part(batch, tuple(groups), torch.tensor(texts, dtype=torch.long), terms)

    def halved(self, part: Part) -> list[Part]:
        """The part split in two; a part of a single row is returned with an idle copy."""
        groups = part.groups
        if len(groups) == 1:
            return [part, replace(part, idle=True)]
        middle = len(groups) // 2
        return [replace(self.part(groups[span]), idle=part.idle) for span in (slice(middle), slice(middle, None))]
