"""DPO over packed pairs with cached reference log-probabilities."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from training.contract.config import TIE_THRESHOLD
from training.engine.packed import forward
from training.engine.packed.layout import Row
from training.engine.packed.step import Example, Layout, Part, StepCollator
from training.engine.trainers import losses
from training.engine.trainers.packed_trainer import PackedTrainer

COMPLETIONS = ("chosen_ids", "rejected_ids")
TERMS = ("ref_chosen_logps", "ref_rejected_logps", "p", "offset", "weight", "tie")


def totals(rows: Sequence[Row], examples: Sequence[Example]) -> dict[str, float]:
    """Denominators of the losses: pairs, and tokens of chosen sides (ties have none)."""
    sided = [row.completion_tokens[0] * (1 - example["tie"]) for row, example in zip(rows, examples, strict=True)]
    return {"pairs": float(len(rows)), "chosen_tokens": max(1.0, float(sum(sided)))}


def collator(layout: Layout) -> StepCollator:
    return StepCollator(layout, COMPLETIONS, TERMS, totals)


class PackedPreferenceTrainer(PackedTrainer):
    """To be created with `data_collator=collator(layout)`; the dataset has prompt_ids, COMPLETIONS and TERMS.

    `loss_weights` (by default 1 each) belong to `loss_types`.
    """

    def __init__(
        self,
        *,
        beta: float,
        loss_types: Sequence[str],
        loss_weights: Sequence[float] | None = None,
        tie_threshold: float = TIE_THRESHOLD,
        **kwargs: Any,
    ) -> None:
        self.beta, self.tie_threshold = beta, tie_threshold
        self.loss_types = loss_types
        self.loss_weights = loss_weights or [1.0] * len(loss_types)
        super().__init__(dropout=False, **kwargs)

    def part_loss(self, model: Any, part: Part, totals: dict[str, float]) -> tuple[Tensor, dict[str, float]]:
        batch, terms = part.batch, part.terms
        scored = forward.score(model, batch, self.layout.mask_dtype)
        tokens = torch.tensor([row.completion_tokens for row in batch.rows], device=scored.logps.device)
        logps = losses.PairLogps(
            policy=batch.sums(scored.logps),
            reference=torch.stack([terms["ref_chosen_logps"], terms["ref_rejected_logps"]], dim=1),
            tokens=tokens,
        )
        loss = losses.combined_loss(
            self.loss_types,
            self.loss_weights,
            logps,
            losses.PairTerms(terms["p"], terms["offset"], terms["weight"], terms["tie"]),
            beta=self.beta,
            threshold=self.tie_threshold,
            pairs=totals["pairs"],
            chosen_tokens=totals["chosen_tokens"],
        )
        return loss.float(), self._sums(part, logps, scored)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def _sums(self, part: Part, logps: losses.PairLogps, scored: forward.Scored) -> dict[str, float]:
        rewards = self.beta * logps.ratios
        sided = part.terms["tie"] < 1  # a pair that everybody called a tie has no better side
        right = (rewards[:, 0] > rewards[:, 1]) & sided
        chosen = part.batch.sum_sequences % 2 == 0
        values = {
            "sided": sided.sum(),
            "right": right.sum(),
            "reward_chosen": rewards[:, 0].sum(),
            "reward_rejected": rewards[:, 1].sum(),
            "logps_chosen": logps.policy[:, 0].sum(),
            "logps_rejected": logps.policy[:, 1].sum(),
            "chosen_tokens": logps.tokens[:, 0].sum(),
            "top1": scored.top1[part.batch.sum_targets[chosen]].sum(),
        }
        # One transfer from the device: reading numbers one by one would synchronise each time.
        sums = dict(zip(values, torch.stack([value.double() for value in values.values()]).tolist(), strict=True))
        tokens = sum(2 * row.prompt_tokens + sum(row.completion_tokens) for row in part.batch.rows)
        return {**sums, "pairs": float(len(part.batch.rows)), "tokens": float(tokens)}

    def log_sums(self, sums: dict[str, float]) -> dict[str, float]:
        pairs = sums["pairs"]
        metrics = {
            "rewards/chosen": sums["reward_chosen"] / pairs,
            "rewards/rejected": sums["reward_rejected"] / pairs,
            "rewards/margins": (sums["reward_chosen"] - sums["reward_rejected"]) / pairs,
            "logps/chosen": sums["logps_chosen"] / pairs,
            "logps/rejected": sums["logps_rejected"] / pairs,
            "mean_token_accuracy": sums["top1"] / max(1.0, sums["chosen_tokens"]),
        }
        if sums["sided"]:
            metrics["rewards/accuracies"] = sums["right"] / sums["sided"]
        return metrics
