"""TRL's own trainers, for what cannot be packed and for KTO, on rows that were prepared, checked and counted before."""

from typing import Any

from trl import DPOTrainer, KTOTrainer, SFTTrainer

from training.contract.errors import ModelError
from training.engine.inference.alone import largest_difference, logps_alone, logps_together
from training.engine.models.experts import has_routers, name_experts
from training.engine.packed.forward import TOLERANCE
from training.engine.trainers.each_row_once import ExamplesOnce, LabelsOnce
from training.engine.trainers.steps import KonomiSteps

CHECKED_TOKENS = 64
SKIPS_A_LAYER = (
    ": the model has a layer between its last block and its head that TRL skips, or reads a text otherwise than other "
    "models. It would learn from wrong numbers; train another model"
)
READS_PADDING = (
    " where it is padded beside a longer text: the model does not tell padding from text. It would learn from wrong "
    "numbers; train another model"
)
ONE_AT_A_TIME = ", or this one with batch_size 1, which pads nothing, and a higher gradient_accumulation"


class CheckedHead:
    """A mixin: before a training TRL's log-probabilities are compared with those of the model's own logits.

    A layer before the head would be skipped, and never learn; padding might be read as text.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        trainer: Any = self
        model = trainer.accelerator.unwrap_model(trainer.model)
        config = model.config.get_text_config()
        name_experts(config)
        if getattr(trainer, "aux_loss_enabled", False) and not has_routers(model):
            # A configuration of experts whose layers are all dense: TRL would look for router logits.
            trainer.aux_loss_enabled = config.output_router_logits = False
        row = trainer.train_dataset[0]
        ids = row.get("input_ids") or [*row["prompt_ids"], *(row.get("chosen_ids") or row["completion_ids"])]
        check_head(model, [int(token) for token in ids[:CHECKED_TOKENS]])
        self.check_padding(model, [int(token) for token in ids[:CHECKED_TOKENS]])

    def check_padding(self, model: Any, ids: list[int]) -> None:
        trainer: Any = self
        check_padding(model, ids, trainer.processing_class.pad_token_id)


def check_head(model: Any, ids: list[int]) -> None:
    """Raises ModelError where TRL's log-probabilities are not those of the model's logits, or it has none."""
    _compare(model, [ids], 0, SKIPS_A_LAYER)


def check_padding(model: Any, ids: list[int], pad_id: int, otherwise: str = "") -> None:
    """Raises ModelError where a text has other log-probabilities beside a longer one; `otherwise` is a remedy."""
    _compare(model, [ids, ids[: max(2, len(ids) // 2)]], pad_id, READS_PADDING + otherwise)


def _compare(model: Any, texts: list[list[int]], pad_id: int, why: str) -> None:
    kind = model.config.get_text_config().model_type
    was_training = model.training
    model.eval()
    try:
        right = [logps_alone(model, ids) for ids in texts]
        found = logps_together(model, texts, pad_id)
    except (AttributeError, IndexError, TypeError, KeyError) as error:
        raise ModelError(
            f"TRL cannot compute {kind}: {type(error).__name__}: {str(error)[:200]}. Of a mixture of experts, "
            "`router_aux_loss_coef: 0` in config.json leaves out what TRL cannot read; else train another model"
        ) from error
    finally:
        model.train(was_training)
    difference = largest_difference(found, right)
    if not difference <= TOLERANCE[model.dtype]:
        raise ModelError(
            f"TRL's log-probabilities of {kind} differ from the model's own by {difference:.2g} a token{why}"
        )


class PlainSupervisedTrainer(CheckedHead, LabelsOnce, KonomiSteps, SFTTrainer):  # type: ignore[misc]
    """To be created with `dataset_kwargs={"skip_prepare_dataset": True}`; the dataset has input_ids and labels."""

    def check_padding(self, model: Any, ids: list[int]) -> None:
        if self.args.per_device_train_batch_size > 1:
            check_padding(model, ids, self.processing_class.pad_token_id, ONE_AT_A_TIME)


class PlainPreferenceTrainer(CheckedHead, ExamplesOnce, KonomiSteps, DPOTrainer):  # type: ignore[misc]
    """The dataset has prompt_ids, chosen_ids and rejected_ids."""

    def _prepare_dataset(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        return dataset


class UnpairedTrainer(CheckedHead, ExamplesOnce, KonomiSteps, KTOTrainer):  # type: ignore[misc]
    """The dataset has prompt_ids, completion_ids, KL_completion_ids and label."""

    def _prepare_dataset(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        return dataset
