"""Direct preference optimisation (Rafailov et al. 2023): TRL's DPOTrainer on the frozen pairs.

The model chain (base, then the SFT adapter) is merged in memory; training starts from it, and it is the reference:
the new adapter switched off under LoRA, a frozen copy in full fine-tuning.

`python -m training.engine.train_dpo RUN_DIR`
"""

from typing import Any

from training.engine.program import Outcome, Run, main
from training.engine.subsets import nested_subset


def train(run: Run) -> Outcome:
    """Train on the pairs of dataset/train.parquet and leave an adapter (or full weights) in model/."""
    import copy

    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    from training.engine import data, models, trainer
    from training.engine.checkpointing import WholeCheckpoints

    class PreferenceTrainer(WholeCheckpoints, DPOTrainer):  # type: ignore[misc]
        def _prepare_dataset(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
            return dataset  # prepared, checked and counted below

    rows = data.read_rows(run.directory.path / run.config.dataset, "train")
    rows = nested_subset(rows, run.config.share, run.config.seed)
    data.check_columns(rows, "dpo", "train.parquet")
    model, tokenizer = trainer.load(run.config)
    length = trainer.max_length(run.config, model)
    sequences, counts = data.training_sequences(
        rows,
        tokenizer,
        purpose="dpo",
        max_length=length,
        stop_ids=models.stop_token_ids(model, tokenizer),
        where="train.parquet",
    )
    run.stop_if_cancelled()
    dataset = Dataset.from_dict(
        {
            "prompt_ids": [item.prompt_ids for item in sequences],
            "chosen_ids": [item.completion_ids[0] for item in sequences],
            "rejected_ids": [item.completion_ids[1] for item in sequences],
        }
    )
    arguments = DPOConfig(
        **trainer.arguments(run, length),
        beta=run.config.beta,
        loss_type=list(run.config.losses),
        loss_weights=list(run.config.loss_weights) or None,
        precompute_ref_log_probs=False,
    )
    full = run.config.lora is None
    dpo = PreferenceTrainer(
        model=model,
        ref_model=copy.deepcopy(model).requires_grad_(False).eval() if full else None,
        args=arguments,
        train_dataset=dataset,
        processing_class=tokenizer,
        peft_config=trainer.lora(run.config.lora),
    )
    return trainer.run_training(run, dpo, tokenizer, counts)


if __name__ == "__main__":
    raise SystemExit(main("train_dpo", train))
