"""TRL's own trainers, for what cannot be packed and for KTO, on rows that were prepared, checked and counted before."""

import operator
from typing import Any

import torch
from trl import DPOTrainer, KTOTrainer, SFTTrainer

from training.contract.errors import ModelError
from training.engine.packed.forward import TOLERANCE
from training.engine.trainers.steps import EachRowOnce, KonomiSteps

CHECKED_TOKENS = 64
# What configurations of mixtures of experts call what TRL reads as `num_experts`.
EXPERTS = ("num_local_experts", "n_routed_experts", "moe_num_experts")


class CheckedHead:
    """A mixin: TRL computes the head itself, from the weights of the last matrix and some known factors. Before a
    training it is compared with the model's own logits: a layer before the head would be skipped, and never learn."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        trainer: Any = self
        model = trainer.accelerator.unwrap_model(trainer.model)
        row = trainer.train_dataset[0]
        ids = row.get("input_ids") or [*row["prompt_ids"], *(row.get("chosen_ids") or row["completion_ids"])]
        check_head(model, [int(token) for token in ids[:CHECKED_TOKENS]])


def check_head(model: Any, ids: list[int]) -> None:
    """Raises ModelError where TRL's log-probabilities are not those of the model's logits, or it has none."""
    kind = model.config.get_text_config().model_type
    name_experts(model.config.get_text_config())
    device = model.get_input_embeddings().weight.device
    tokens = torch.tensor([ids], device=device)
    given = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            right = model(**given).logits[:, :-1].float().log_softmax(-1)
            right = right.gather(-1, tokens[:, 1:, None]).squeeze(-1)
            found = model(**given, labels=tokens, fused_lm_head=True).log_probs.float()
    except (AttributeError, IndexError, TypeError, KeyError) as error:
        raise ModelError(
            f"TRL cannot compute {kind}: {type(error).__name__}: {str(error)[:200]}. Of a mixture of experts, "
            "`router_aux_loss_coef: 0` in config.json leaves out what TRL cannot read; else train another model"
        ) from error
    finally:
        model.train(was_training)
    difference = (found - right).abs().max().item() if found.numel() else 0.0
    if not difference <= TOLERANCE[model.dtype]:
        raise ModelError(
            f"TRL's log-probabilities of {kind} differ from the model's own by {difference:.2g} a token: the model has "
            "a layer between its last block and its head that TRL skips, or reads a text otherwise than other models. "
            "It would learn from wrong numbers; train another model"
        )


def name_experts(config: Any) -> None:
    """TRL reads `num_experts`: where a configuration has another name for it, its class gets this one, too."""
    if hasattr(config, "num_experts"):
        return
    for name in EXPERTS:
        if getattr(config, name, None):
            # On the class, so that nothing of it is saved with the model.
            type(config).num_experts = property(operator.attrgetter(name))
            return


class PlainSupervisedTrainer(CheckedHead, EachRowOnce, KonomiSteps, SFTTrainer):  # type: ignore[misc]
    """To be created with `dataset_kwargs={"skip_prepare_dataset": True}`; the dataset has input_ids and labels."""


class PlainPreferenceTrainer(CheckedHead, KonomiSteps, DPOTrainer):  # type: ignore[misc]
    """The dataset has prompt_ids, chosen_ids and rejected_ids."""

    def _prepare_dataset(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        return dataset


class UnpairedTrainer(CheckedHead, KonomiSteps, KTOTrainer):  # type: ignore[misc]
    """The dataset has prompt_ids, completion_ids, KL_completion_ids and label."""

    def _prepare_dataset(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        return dataset
