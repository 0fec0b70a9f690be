"""A trainer's step over packed rows: the effective batch sorted, cut into micro-batches, and added up.

The gradient is that of the effective batch as one: how it is cut (or split over `gradient_accumulation`) changes
nothing but memory and speed.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor
from transformers import Trainer

from training.engine.packed import forward
from training.engine.packed.layout import MicroBatch, Row, cut, lay_out, make_row

Example = dict[str, Any]


@dataclass(frozen=True)
class Layout:
    """How rows become micro-batches.

    budget: tokens of one, padding included. overhead: what a further one costs, in tokens (see `packing.cut`).
    one_line: all rows in one line (FlexAttention) instead of one row a line. mask_dtype: that of the attention.
    """

    pad_id: int
    budget: int
    overhead: int = 0
    one_line: bool = False
    mask_dtype: torch.dtype = torch.float32

    def cut(self, rows: Sequence[Row]) -> list[list[int]]:
        return cut([row.computed for row in rows], self.budget, self.overhead, self.one_line)

    def lay_out(self, rows: Sequence[Row]) -> MicroBatch:
        multiple = forward.LINE_MULTIPLE if self.one_line else 1
        return lay_out(rows, pad_id=self.pad_id, one_line=self.one_line, multiple=multiple)


@dataclass
class Part:
    """One micro-batch with the numbers that its rows carry, each (R,). An idle one is computed and counts nothing."""

    batch: MicroBatch
    terms: dict[str, Tensor]
    idle: bool = False

    def to(self, device: torch.device) -> "Part":
        return replace(
            self, batch=self.batch.to(device), terms={name: value.to(device) for name, value in self.terms.items()}
        )


@dataclass
class Step:
    """One process's part of an effective batch: `totals` count what means are taken over, by name."""

    parts: list[Part]
    totals: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class StepCollator:
    """Examples to a Step. `terms` names their numbers; `totals` counts what the loss divides by."""

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
        return {"step": Step(parts, self.totals(rows, examples))}

    def part(self, rows: Sequence[Row], examples: Sequence[Example]) -> Part:
        terms = {
            name: torch.tensor([example[name] for example in examples], dtype=torch.float64) for name in self.terms
        }
        return Part(self.layout.lay_out(rows), terms)

    def halved(self, part: Part) -> list[Part]:
        """The part as two, where it has two rows; where not, with an idle copy."""
        rows = part.batch.rows
        if len(rows) == 1:
            return [part, replace(part, idle=True)]
        middle = len(rows) // 2
        return [
            Part(self.layout.lay_out(rows[span]), {name: value[span] for name, value in part.terms.items()})
            for span in (slice(None, middle), slice(middle, None))
        ]


class PackedSteps(Trainer):  # type: ignore[misc]
    """Mixin before a TRL trainer whose collator is a StepCollator.

    A subclass gives `part_loss`: the part of the step's loss that one micro-batch carries, and sums for the log.
    """

    layout: Layout
    _total_train_tokens: int  # TRL's

    def part_loss(self, model: Any, part: Part, totals: dict[str, float]) -> tuple[Tensor, dict[str, float]]:
        raise NotImplementedError

    def log_sums(self, sums: dict[str, float]) -> dict[str, float]:
        """The step's figures for the log, from the sums over all parts and processes."""
        raise NotImplementedError

    def training_step(self, model: Any, inputs: dict[str, Step], num_items_in_batch: Any = None) -> Tensor:
        model.train()
        step = inputs["step"]
        device = self.accelerator.device
        totals = self._over_processes(step.totals)
        parts = self._as_many_as_others(step.parts)
        loss = torch.zeros((), device=device)
        sums: dict[str, float] = {}
        for number, part in enumerate(parts):
            last = number == len(parts) - 1
            with contextlib.nullcontext() if last else self.accelerator.no_sync(model):
                with self.compute_loss_context_manager():
                    part_loss, found = self.part_loss(model, part.to(device), totals)
                # Processes' gradients are averaged, and `totals` count the rows of all.
                part_loss = part_loss * (0 if part.idle else self.accelerator.num_processes)
                self.accelerator.backward(part_loss)
            loss += part_loss.detach()
            for name, value in found.items():
                sums[name] = sums.get(name, 0.0) + (0.0 if part.idle else value)
        sums["places"] = sum(part.batch.places for part in parts)
        sums["computed"] = sum(part.batch.computed for part in parts)
        self._log_step(self._over_processes(sums))
        return loss

    def dry_run(self, positions: Sequence[int]) -> None:
        """One forward and backward of these training rows as a step would do it; gradients and figures are dropped."""
        examples = [self.train_dataset[position] for position in positions]
        if self.args.activation_checkpointing:  # as `train` does, which comes later
            self.model.activation_checkpointing_enable()
        # Autocast is put on the model's forward by `train` as well.
        with self._nothing_kept(), self.accelerator.autocast():
            self.training_step(self.model, self.data_collator(examples))

    @contextlib.contextmanager
    def _nothing_kept(self) -> Iterator[None]:
        tokens = self._total_train_tokens
        training = self.model.training
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            yield
        self.model.zero_grad(set_to_none=True)
        self.model.train(training)
        self._metrics["train"].clear()
        self._total_train_tokens = tokens

    def _log_step(self, sums: dict[str, float]) -> None:
        metrics = self._metrics["train"]
        for name, value in self.log_sums(sums).items():
            metrics[name].append(value)
        metrics["padding_share"].append(1 - sums["computed"] / sums["places"])
        self._total_train_tokens += int(sums["tokens"])
        metrics["num_tokens"] = [self._total_train_tokens]

    def _over_processes(self, sums: dict[str, float]) -> dict[str, float]:
        if self.accelerator.num_processes == 1:
            return sums
        values = torch.tensor(list(sums.values()), dtype=torch.float64, device=self.accelerator.device)
        return dict(zip(sums, self.accelerator.reduce(values, "sum").tolist(), strict=True))

    def _as_many_as_others(self, parts: list[Part]) -> list[Part]:
        """Under FSDP each forward gathers weights from all processes, so all must make as many."""
        if not self.is_fsdp_enabled or self.accelerator.num_processes == 1:
            return parts
        count = torch.tensor([len(parts)], device=self.accelerator.device)
        wanted = int(self.accelerator.gather(count).max())
        parts = list(parts)
        while len(parts) < wanted:
            longest = max(range(len(parts)), key=lambda n: len(parts[n].batch.rows))
            parts[longest : longest + 1] = self.data_collator.halved(parts[longest])
        return parts
