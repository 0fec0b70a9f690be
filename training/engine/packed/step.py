"""The effective batch of one training step, sorted and cut into micro-batches; `trainers.packed_trainer` runs it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from training.engine.packed import forward, rope
from training.engine.packed.layout import MicroBatch, Row, cut, lay_out, make_row

Example = dict[str, Any]


@dataclass(frozen=True)
class Layout:
    """How rows become micro-batches.

    budget: tokens of one micro-batch, padding included. overhead: cost of a further one, in tokens (see `layout.cut`).
    one_line: all rows in one line (FlexAttention) instead of one row per line. mask_dtype: that of the attention.
    threshold: length at which the model's position encoding changes, if rows reach it (see `rope`). always_both: each
    micro-batch is computed with both encodings, since processes must make equally many forwards.
    """

    pad_id: int
    budget: int
    overhead: int = 0
    one_line: bool = False
    mask_dtype: torch.dtype = torch.float32
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
        multiple = forward.LINE_MULTIPLE if self.one_line else 1
        batch = lay_out(rows, pad_id=self.pad_id, one_line=self.one_line, multiple=multiple)
        return rope.with_passes(batch, self.threshold, always_both=self.always_both)


@dataclass
class Part:
    """One micro-batch with its rows' numbers (`terms`), each (R,). An idle part is computed but not counted."""

    batch: MicroBatch
    terms: dict[str, Tensor]
    idle: bool = False

    def to(self, device: torch.device) -> "Part":
        return replace(
            self, batch=self.batch.to(device), terms={name: value.to(device) for name, value in self.terms.items()}
        )


@dataclass
class Step:
    """One process's part of an effective batch. `totals` are the denominators of the loss's means, by name.

    `examples` are what it was made from: a process's last step of an epoch may hold rows that another step has too.
    """

    parts: list[Part]
    totals: dict[str, float] = field(default_factory=dict)
    examples: Sequence[Example] = ()


@dataclass(frozen=True)
class StepCollator:
    """Turn examples into a Step. `terms` names their numeric columns; `totals` counts what the loss divides by."""

    layout: Layout
    completions: tuple[str, ...]
    terms: tuple[str, ...]
    totals: Callable[[Sequence[Row], Sequence[Example]], dict[str, float]]

    def __call__(self, examples: Sequence[Example]) -> dict[str, Step]:
        rows = [
            make_row(number, example["prompt_ids"], [example[name] for name in self.completions])
            for number, example in enumerate(examples)
        ]
        parts = [self.part([rows[p] for p in cut], [examples[p] for p in cut]) for cut in self.layout.cut(rows)]
        return {"step": Step(parts, self.totals(rows, examples), examples)}

    def first(self, step: Step, count: int) -> Step:
        """The step with its first `count` examples only; with none, a row is computed that counts nothing."""
        if count:
            first: Step = self(step.examples[:count])["step"]
            return first
        shortest = min(step.parts, key=lambda part: part.batch.places)
        return Step([replace(shortest, idle=True)], dict.fromkeys(step.totals, 0.0))

    def part(self, rows: Sequence[Row], examples: Sequence[Example]) -> Part:
        terms = {
            name: torch.tensor([example[name] for example in examples], dtype=torch.float64) for name in self.terms
        }
        return Part(self.layout.lay_out(rows), terms)

    def halved(self, part: Part) -> list[Part]:
        """The part split in two; a part of a single row is returned with an idle copy."""
        rows = part.batch.rows
        if len(rows) == 1:
            return [part, replace(part, idle=True)]
        middle = len(rows) // 2
        return [
            Part(self.layout.lay_out(rows[span]), {name: value[span] for name, value in part.terms.items()})
            for span in (slice(None, middle), slice(middle, None))
        ]
