"""DPO over packed pairs, against reference log-probabilities that are computed once."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from training.contract.config import TIE_THRESHOLD, TrainingConfig
from training.engine.packed import forward
from training.engine.packed.layout import MicroBatch
from training.engine.packed.reference import Reference, compute_all
from training.engine.packed.sampling import groups_of
from training.engine.packed.step import Example, Layout, Part, Step, StepCollator
from training.engine.packed.trie import make_row_of_texts
from training.engine.runtime import distributed
from training.engine.runtime.run import Run
from training.engine.trainers import losses
from training.engine.trainers.packed_trainer import PackedTrainer

COMPLETIONS = ("chosen_ids", "rejected_ids")
TERMS = ("p", "offset", "weight", "tie")


def totals(examples: Sequence[Example]) -> dict[str, float]:
    """Denominators of the losses: pairs, and tokens of chosen sides (ties have none)."""
    sided = sum(len(example["chosen_ids"]) * (1 - example["tie"]) for example in examples)
    return {"pairs": float(len(examples)), "chosen_tokens": float(sided)}


def collator(layout: Layout) -> StepCollator:
    return StepCollator(layout, COMPLETIONS, TERMS, totals)


class PackedPreferenceTrainer(PackedTrainer):
    """To be created with `data_collator=collator(layout)`; the dataset has prompt_ids, COMPLETIONS and TERMS.

    `loss_weights` (by default 1 each) belong to `loss_types`. `reference` has log-probabilities of the start; what it
    lacks is computed in the step that needs it, by `frozen`, a copy of the start, or by the model without its adapter.
    """

    def __init__(
        self,
        *,
        beta: float,
        loss_types: Sequence[str],
        reference: Reference,
        frozen: Any = None,
        loss_weights: Sequence[float] | None = None,
        tie_threshold: float = TIE_THRESHOLD,
        **kwargs: Any,
    ) -> None:
        self.beta, self.tie_threshold = beta, tie_threshold
        self.loss_types = loss_types
        self.loss_weights = loss_weights or [1.0] * len(loss_types)
        self.reference, self.frozen = reference, frozen
        self.trying = False
        super().__init__(model_dropout=False, **kwargs)
        self.add_callback(KeepReference(reference))

    def groups(self) -> list[list[int]]:
        """A prompt's pairs stay together."""
        return groups_of(tuple(ids) for ids in self.train_dataset["prompt_ids"])

    def compute_references(self, run: Run, config: TrainingConfig) -> None:
        """Beforehand, by the model as it is now without its adapter, of the rows that the steps will come to."""
        positions = self.steps.visited(config.max_steps, config.epochs)
        rows = [
            make_row_of_texts(example["row"], [(example["prompt_ids"], example[name]) for name in COMPLETIONS])
            for example in (self.train_dataset[position] for position in positions)
        ]
        with self._as_reference(self.model) as model:
            compute_all(run, model, rows, self.layout, self.reference)

    def training_step(self, model: Any, inputs: dict[str, Step], num_items_in_batch: Any = None) -> Tensor:
        self._compute_references(model, [part for part in inputs["step"].parts if not part.idle])
        return super().training_step(model, inputs, num_items_in_batch)

    def part_loss(self, model: Any, part: Part, totals: dict[str, float]) -> tuple[Tensor, dict[str, float]]:
        batch, terms = part.batch, part.terms
        scored = forward.score(model, batch, self.layout.mask_dtype)
        policy = batch.sums(scored.logps)
        reference = self._known(batch, policy, part.idle)
        tokens = torch.tensor(batch.completion_tokens, device=policy.device)
        logps = losses.PairLogps(policy=policy[part.texts], reference=reference[part.texts], tokens=tokens[part.texts])
        loss = losses.combined_loss(
            self.loss_types,
            self.loss_weights,
            logps,
            losses.PairTerms(terms["p"], terms["offset"], terms["weight"], terms["tie"]),
            beta=self.beta,
            threshold=self.tie_threshold,
            pairs=totals["pairs"],
            chosen_tokens=max(1.0, totals["chosen_tokens"]),  # of all processes
        )
        return loss.float(), self._sums(part, logps, scored)

    def _compute_references(self, model: Any, parts: Sequence[Part]) -> None:
        lacking = [part for part in parts if self.reference.missing(part.batch.rows)]
        if not lacking:
            return
        with self._as_reference(model) as reference, torch.no_grad():
            for part in lacking:
                batch = part.batch.to(self.accelerator.device)
                sums = batch.sums(forward.score(reference, batch, self.layout.mask_dtype).logps)
                if not self.trying:  # a trial's micro-batches are no step's, and would round otherwise
                    self.reference.store(batch.rows, batch.by_row(sums))

    @contextlib.contextmanager
    def _as_reference(self, model: Any) -> Iterator[Any]:
        if self.frozen is not None:
            yield self.frozen
            return
        policy = self.accelerator.unwrap_model(model)
        training = policy.training
        policy.eval()
        try:
            with policy.disable_adapter() if isinstance(policy, PeftModel) else contextlib.nullcontext():
                yield policy
        finally:
            policy.train(training)

    def _known(self, batch: MicroBatch, policy: Tensor, idle: bool) -> Tensor:
        if idle or (self.trying and self.reference.missing(batch.rows)):
            return policy.detach()
        return self.reference.of(batch.rows).to(policy.device)

    @contextlib.contextmanager
    def _restored(self) -> Iterator[None]:
        self.trying = True
        use = dict(self.reference.use)
        try:
            with super()._restored():
                yield
        finally:
            self.trying = False
            self.reference.use.update(use)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def _sums(self, part: Part, logps: losses.PairLogps, scored: forward.Scored) -> dict[str, float]:
        rewards = self.beta * logps.ratios
        sided = part.terms["tie"] < 1  # a pair that everybody called a tie has no better side
        right = (rewards[:, 0] > rewards[:, 1]) & sided
        values = {
            "sided": sided.sum(),
            "right": right.sum(),
            "reward_chosen": rewards[:, 0].sum(),
            "reward_rejected": rewards[:, 1].sum(),
            "logps_chosen": logps.policy[:, 0].sum(),
            "logps_rejected": logps.policy[:, 1].sum(),
            "chosen_tokens": logps.tokens[:, 0].sum(),
            "top1": part.batch.sums(scored.top1)[part.texts[:, 0]].sum(),
        }
        # One transfer from the device: reading numbers one by one would synchronise each time.
        sums = dict(zip(values, torch.stack([value.double() for value in values.values()]).tolist(), strict=True))
        return {**sums, "pairs": float(len(part.texts)), "tokens": float(part.tokens)}

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


class KeepReference(TrainerCallback):  # type: ignore[misc]
    """Writes what steps computed of the reference: before each checkpoint, so that a resumed run reads the same."""

    def __init__(self, reference: Reference) -> None:
        self.reference, self.begun = reference, False

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """What one process computed in an epoch, another may need in the next."""
        self.reference.counting = not self.begun
        self.begun = True
        if distributed.count() > 1:
            self.reference.save()
            distributed.barrier()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if control.should_save:
            self.reference.save()

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.reference.save()
        self.reference.use.update(distributed.sum_counts(self.reference.use))
