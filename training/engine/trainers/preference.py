"""TRL's DPOTrainer over packed pairs with cached reference log-probabilities."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from trl import DPOTrainer

from training.contract.config import TIE_THRESHOLD
from training.engine.artifacts.checkpoints import WholeCheckpoints
from training.engine.packed import forward
from training.engine.packed.layout import Row
from training.engine.packed.step import Example, Layout, PackedSteps, Part, StepCollator
from training.engine.trainers import losses

COMPLETIONS = ("chosen_ids", "rejected_ids")
TERMS = ("ref_chosen_logps", "ref_rejected_logps", "p", "offset", "weight", "tie")


def totals(rows: Sequence[Row], examples: Sequence[Example]) -> dict[str, float]:
    """What the losses divide by: pairs, and tokens of chosen sides (ties have none)."""
    sided = [row.completion_tokens[0] * (1 - example["tie"]) for row, example in zip(rows, examples, strict=True)]
    return {"pairs": float(len(rows)), "chosen_tokens": max(1.0, float(sum(sided)))}


def collator(layout: Layout) -> StepCollator:
    return StepCollator(layout, COMPLETIONS, TERMS, totals)


class PlainPreferenceTrainer(WholeCheckpoints, DPOTrainer):  # type: ignore[misc]
    """TRL's own computing, on rows that were prepared, checked and counted before."""

    def _prepare_dataset(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        return dataset


class PackedPreferenceTrainer(PackedSteps, PlainPreferenceTrainer):
    """Made with `data_collator=collator(layout)`; the dataset has prompt_ids, COMPLETIONS and TERMS."""

    def __init__(self, *args: Any, layout: Layout, tie_threshold: float = TIE_THRESHOLD, **kwargs: Any) -> None:
        self.layout, self.tie_threshold = layout, tie_threshold
        super().__init__(*args, **kwargs)

    def _precompute_ref_logps(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        return dataset  # they stand in it

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
        sided = part.terms["tie"] < 1  # a pair that all called equal has no side to be right about
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
        # Brought over from the device in one piece: each look at a single number would stop it.
        found = dict(zip(values, torch.stack([value.double() for value in values.values()]).tolist(), strict=True))
        tokens = sum(2 * row.prompt_tokens + sum(row.completion_tokens) for row in part.batch.rows)
        return {**found, "pairs": float(len(part.batch.rows)), "tokens": float(tokens)}

    def log_sums(self, sums: dict[str, float]) -> dict[str, float]:
        pairs = sums["pairs"]
        figures = {
            "rewards/chosen": sums["reward_chosen"] / pairs,
            "rewards/rejected": sums["reward_rejected"] / pairs,
            "rewards/margins": (sums["reward_chosen"] - sums["reward_rejected"]) / pairs,
            "logps/chosen": sums["logps_chosen"] / pairs,
            "logps/rejected": sums["logps_rejected"] / pairs,
            "mean_token_accuracy": sums["top1"] / max(1.0, sums["chosen_tokens"]),
        }
        if sums["sided"]:
            figures["rewards/accuracies"] = sums["right"] / sums["sided"]
        return figures
