"""Supervised fine-tuning over packed rows: loss on completions only, no attention across documents."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from training.engine.packed import forward
from training.engine.packed.step import Example, Layout, Part, StepCollator
from training.engine.trainers.packed_trainer import PackedTrainer


def totals(examples: Sequence[Example]) -> dict[str, float]:
    """Denominator of the loss: tokens of the completions."""
    return {"scored": float(sum(len(example["completion_ids"]) for example in examples))}


def collator(layout: Layout) -> StepCollator:
    return StepCollator(layout, ("completion_ids",), (), totals)


class PackedSupervisedTrainer(PackedTrainer):
    """To be created with `data_collator=collator(layout)`; the dataset has prompt_ids and completion_ids."""

    def part_loss(self, model: Any, part: Part, totals: dict[str, float]) -> tuple[Tensor, dict[str, float]]:
        batch, own = part.batch, part.texts[:, 0]
        scored = forward.score(model, batch, self.layout.mask_dtype)
        # Through the texts: a token that several completions begin with counts for each of them.
        loss = -batch.sums(scored.logps)[own].sum() / max(1.0, totals["scored"])
        with torch.no_grad():
            lengths = batch.completion_tokens
            sums = {
                "scored": float(sum(lengths[number] for number in own.tolist())),
                "top1": float(batch.sums(scored.top1)[own].sum()),
                "tokens": float(part.tokens),
            }
        return loss.float(), sums

    def log_sums(self, sums: dict[str, float]) -> dict[str, float]:
        return {"mean_token_accuracy": sums["top1"] / max(1.0, sums["scored"])}
