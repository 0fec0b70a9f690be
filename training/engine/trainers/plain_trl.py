"""TRL's own trainers, for what cannot be packed and for KTO, on rows that were prepared, checked and counted before."""

from typing import Any

from trl import DPOTrainer, KTOTrainer, SFTTrainer

from training.engine.trainers.steps import EachRowOnce, KonomiSteps


class PlainSupervisedTrainer(EachRowOnce, KonomiSteps, SFTTrainer):  # type: ignore[misc]
    """To be created with `dataset_kwargs={"skip_prepare_dataset": True}`; the dataset has input_ids and labels."""


class PlainPreferenceTrainer(KonomiSteps, DPOTrainer):  # type: ignore[misc]
    """The dataset has prompt_ids, chosen_ids and rejected_ids."""

    def _prepare_dataset(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        return dataset


class UnpairedTrainer(KonomiSteps, KTOTrainer):  # type: ignore[misc]
    """The dataset has prompt_ids, completion_ids, KL_completion_ids and label."""

    def _prepare_dataset(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        return dataset
