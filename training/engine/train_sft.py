"""Supervised fine-tuning: TRL's SFTTrainer on the frozen rows, loss on the completions only.

`python -m training.engine.train_sft RUN_DIR`
"""

from training.engine.program import Outcome, Run, main
from training.engine.subsets import nested_subset


def train(run: Run) -> Outcome:
    """Fine-tune the model chain on dataset/train.parquet and leave an adapter (or full weights) in model/."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    from training.engine import data, models, trainer
    from training.engine.checkpointing import WholeCheckpoints

    class SupervisedTrainer(WholeCheckpoints, SFTTrainer):  # type: ignore[misc]
        pass

    rows = data.read_rows(run.directory.path / run.config.dataset, "train")
    rows = nested_subset(rows, run.config.share, run.config.seed)
    data.check_columns(rows, "sft", "train.parquet")
    model, tokenizer = trainer.load(run.config)
    length = trainer.max_length(run.config, model)
    sequences, counts = data.training_sequences(
        rows,
        tokenizer,
        purpose="sft",
        max_length=length,
        stop_ids=models.stop_token_ids(model, tokenizer),
        where="train.parquet",
    )
    run.stop_if_cancelled()
    dataset = Dataset.from_dict(
        {
            "input_ids": [item.prompt_ids + item.completion_ids[0] for item in sequences],
            "labels": [[-100] * len(item.prompt_ids) + item.completion_ids[0] for item in sequences],
        }
    )
    arguments = SFTConfig(
        **trainer.arguments(run, length),
        dataset_kwargs={"skip_prepare_dataset": True},  # prepared, checked and counted above
        packing=False,
        loss_type="nll",
    )
    sft = SupervisedTrainer(
        model=model,
        args=arguments,
        train_dataset=dataset,
        processing_class=tokenizer,
        peft_config=trainer.lora(run.config.lora),
    )
    return trainer.run_training(run, sft, tokenizer, counts)


if __name__ == "__main__":
    raise SystemExit(main("train_sft", train))
