"""Supervised fine-tuning over packed rows: loss on completions only, no attention across documents."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from training.engine.packed import forward
from training.engine.packed.layout import Row
from training.engine.packed.step import Example, Layout, Part, StepCollator
from training.engine.trainers.packed_trainer import PackedTrainer


def totals(rows: Sequence[Row], examples: Sequence[Example]) -> dict[str, float]:
    """Denominator of the loss: scored tokens."""
    return {"scored": float(sum(row.scored for row in rows))}


def collator(layout: Layout) -> StepCollator:
    return StepCollator(layout, ("completion_ids",), (), totals)


class PackedSupervisedTrainer(PackedTrainer):
    """To be created with `data_collator=collator(layout)`; the dataset has prompt_ids and completion_ids."""

    def part_loss(self, model: Any, part: Part, totals: dict[str, float]) -> tuple[Tensor, dict[str, float]]:
        batch = part.batch
        scored = forward.score(model, batch, self.layout.mask_dtype)
        loss = -batch.sums(scored.logps).sum() / max(1.0, totals["scored"])
        with torch.no_grad():
            sums = {
                "scored": float(len(batch.sum_targets)),
                "top1": float(scored.top1[batch.sum_targets].sum()),
                "tokens": float(sum(row.prompt_tokens + row.completion_tokens[0] for row in batch.rows)),
            }
        return loss.float(), sums

    def log_sums(self, sums: dict[str, float]) -> dict[str, float]:
        return {"mean_token_accuracy": sums["top1"] / max(1.0, sums["scored"])}
