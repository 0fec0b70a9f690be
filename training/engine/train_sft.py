"""Supervised fine-tuning on the frozen rows, loss on completions only, in packed rows or by plain TRL.

`python -m training.engine.train_sft RUN_DIR`
"""

from typing import TYPE_CHECKING, Any

from training.contract.config import TrainingConfig
from training.contract.run_directory import TRAIN
from training.engine.data.subsets import nested_subset
from training.engine.runtime.program import TRAINERS, main
from training.engine.runtime.run import Outcome, Run

if TYPE_CHECKING:
    from training.engine.data.tokenization import Sequences
    from training.engine.packed.step import Layout


def train(run: Run) -> Outcome:
    """Fine-tune the model chain on dataset/train.parquet and leave an adapter (or full weights) in model/."""
    from training.engine.data.prepare import training_sequences
    from training.engine.data.rows import check_columns, read_rows
    from training.engine.models import loading
    from training.engine.trainers import checked_rows, packed_setup, preflight, run_checks, setup, tokenizing, training

    config: TrainingConfig = run.config
    rows = read_rows(run.directory.path / config.dataset, "train")
    rows = nested_subset(rows, config.share, config.seed)
    check_columns(rows, "sft", TRAIN)
    model, tokenizer = setup.load(config, run.directory.path)
    length = setup.max_length(config, model)
    sequences, counts = training_sequences(
        rows,
        tokenizer,
        purpose="sft",
        max_length=length,
        stop_ids=loading.stop_token_ids(model, tokenizer),
        where=TRAIN,
        **tokenizing.options(run),
    )
    reason = packed_setup.plain_trl_reason(config, model)
    layout = None
    if not reason:
        layout = packed_setup.make_layout(config, model, tokenizer)
        packed_setup.make_packable(model)
        reason = packed_setup.mismatch(model, checked_rows.rows_to_check(config, sequences), layout)
    details = {"method": packed_setup.describe_method(reason, layout)}
    run.stop_if_cancelled()
    sft = make_trainer(run, model, tokenizer, sequences, length, None if reason else layout)
    return training.run_training(
        run,
        sft,
        tokenizer,
        counts,
        details=details,
        preflight=lambda: preflight.check(
            run,
            purpose="sft",
            rows=rows,
            sequences=sequences,
            counts=counts,
            model=sft.model,
            tokenizer=tokenizer,
            max_length=length,
            packed=None if reason else sft,
            more=[*run_checks.settings(config, reason), *run_checks.position_encoding(model, sequences, reason)],
        ),
    )


def make_trainer(
    run: Run, model: Any, tokenizer: Any, sequences: "list[Sequences]", length: int, layout: "Layout | None"
) -> Any:
    """The trainer on packed rows with a layout, TRL's own without."""
    from transformers import TrainingArguments

    from training.engine.packed.sampling import Examples
    from training.engine.trainers import setup, supervised

    if layout is None:
        return plain_trainer(run, model, tokenizer, sequences, length)
    columns: dict[str, list[Any]] = {
        "row": [item.number - 1 for item in sequences],
        "prompt_ids": [item.prompt_ids for item in sequences],
        "completion_ids": [item.completion_ids[0] for item in sequences],
    }
    return supervised.PackedSupervisedTrainer(
        model=model,
        args=TrainingArguments(**setup.training_arguments(run, packed=True)),
        data_collator=supervised.collator(layout),
        train_dataset=Examples(columns),
        processing_class=tokenizer,
        lora=setup.lora_config(run.config.lora, model),
    )


def plain_trainer(run: Run, model: Any, tokenizer: Any, sequences: "list[Sequences]", length: int) -> Any:
    from datasets import Dataset
    from trl import SFTConfig

    from training.engine.trainers import plain_trl, setup

    arguments = SFTConfig(
        **setup.training_arguments(run),
        max_length=length,
        dataset_kwargs={"skip_prepare_dataset": True},  # prepared, checked and counted before
        packing=False,
        loss_type="nll",
    )
    columns = {
        "input_ids": [item.prompt_ids + item.completion_ids[0] for item in sequences],
        "labels": [[-100] * len(item.prompt_ids) + item.completion_ids[0] for item in sequences],
    }
    return plain_trl.PlainSupervisedTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict(columns),
        processing_class=tokenizer,
        peft_config=setup.lora_config(run.config.lora, model),
    )


if __name__ == "__main__":
    raise SystemExit(main("train_sft", train, imports=TRAINERS))
