"""Direct preference optimisation (Rafailov et al. 2023) on the frozen pairs, in packed rows or by plain TRL.

The model chain (base, then the SFT adapter) is merged in memory; training starts from it, and it is the reference. Its
log-probabilities are computed once, in the steps that come to a text first, and cached (see `packed.reference`).

`python -m training.engine.train_dpo RUN_DIR`
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.contract.config import TrainingConfig
from training.contract.run_directory import REFERENCE, TRAIN
from training.engine.data.subsets import nested_subset
from training.engine.runtime.program import TRAINERS, log, main
from training.engine.runtime.run import Outcome, Run

if TYPE_CHECKING:
    from training.engine.data.rows import Counts
    from training.engine.data.tokenization import Sequences
    from training.engine.packed.step import Layout


def train(run: Run) -> Outcome:
    """Train on the pairs of dataset/train.parquet and leave an adapter (or full weights) in model/."""
    from training.engine.data import leakage
    from training.engine.data.preferences import pair_terms
    from training.engine.data.prepare import training_sequences
    from training.engine.data.rows import check_columns, read_rows
    from training.engine.models import loading
    from training.engine.trainers import (
        checked_rows,
        dropout,
        label_terms,
        losses,
        packed_setup,
        preflight,
        row_checks,
        run_checks,
        setup,
        tokenizing,
        training,
    )

    config: TrainingConfig = run.config
    rows = read_rows(run.directory.path / config.dataset, "train")
    rows = nested_subset(rows, config.share, config.seed)
    check_columns(rows, "dpo", TRAIN)
    leakage.check_held_out(run.directory.path / config.dataset, rows)  # before minutes go into the reference
    model, tokenizer = setup.load(config, run.directory.path)
    length = setup.max_length(config, model)

    def prepare(*, packable: bool) -> "tuple[list[Sequences], Counts]":
        return training_sequences(
            rows,
            tokenizer,
            purpose="dpo",
            max_length=length,
            stop_ids=loading.stop_token_ids(model, tokenizer),
            where=TRAIN,
            keep_ties=packable and config.ties == "learn",
            **tokenizing.options(run),
        )

    reason = packed_setup.plain_trl_reason(config, model, losses.LOSSES)
    sequences, counts = prepare(packable=not reason)
    layout = None
    if not reason:
        layout = packed_setup.make_layout(config, model, tokenizer)
        packed_setup.make_packable(model)
        reason = packed_setup.mismatch(model, checked_rows.rows_to_check(config, sequences), layout)
        if reason:
            sequences, counts = prepare(packable=False)
    details: dict[str, Any] = {"method": packed_setup.describe_method(reason, layout)}
    run.stop_if_cancelled()
    columns: dict[str, list[Any]] = {
        "prompt_ids": [item.prompt_ids for item in sequences],
        "chosen_ids": [item.completion_ids[0] for item in sequences],
        "rejected_ids": [item.completion_ids[1] for item in sequences],
    }
    dropout.switch_off(model)
    used = [rows[item.row] for item in sequences]
    terms = None
    if not reason:
        terms = pair_terms(
            used,
            soft_labels=config.soft_labels,
            strength_offset=config.strength_offset,
            learn_ties=config.ties == "learn",
        )
    details["labels"] = label_terms.describe(config, used, terms)
    log.info("%s", details["labels"]["words"])
    more = [
        row_checks.result("labels", details["labels"]["words"]),
        *run_checks.settings(config, reason),
        *run_checks.position_encoding(model, sequences, reason),
        *run_checks.random_draws(model, sequences),
    ]
    if terms is None or layout is None:
        dpo = plain_trainer(run, model, tokenizer, columns, length)
    else:
        columns |= {"row": [item.number - 1 for item in sequences], **terms}  # `row` is for errors
        dpo = packed_trainer(run, model, tokenizer, columns, layout)
        details["reference_cache"] = dpo.reference.use
    return training.run_training(
        run,
        dpo,
        tokenizer,
        counts,
        details=details,
        preflight=lambda: preflight.check(
            run,
            purpose="dpo",
            rows=rows,
            sequences=sequences,
            counts=counts,
            model=dpo.model,
            tokenizer=tokenizer,
            max_length=length,
            packed=None if reason else dpo,
            more=more,
        ),
    )


def packed_trainer(run: Run, model: Any, tokenizer: Any, columns: dict[str, list[Any]], layout: "Layout") -> Any:
    """The trainer on packed rows, with the reference's log-probabilities or with what computes them."""
    import copy

    from transformers import TrainingArguments

    from training.engine.packed import reference
    from training.engine.packed.sampling import Examples
    from training.engine.trainers import preference, resources, setup

    config: TrainingConfig = run.config
    folder = Path(config.reference_cache) if config.reference_cache else run.directory.path / REFERENCE
    start = reference.open_reference(folder, config.model, model, layout, quantization(config))
    beforehand = resources.is_sharded() or (config.lora is None and not resources.copy_fits(model, config.processes))
    frozen = None
    if config.lora is None and not beforehand:
        frozen = start.model = copy.deepcopy(model).requires_grad_(False).eval()
    dpo = preference.PackedPreferenceTrainer(
        model=model,
        args=TrainingArguments(**setup.training_arguments(run, packed=True)),
        data_collator=preference.collator(layout),
        train_dataset=Examples(columns),
        processing_class=tokenizer,
        lora=setup.lora_config(config.lora, model),
        beta=config.beta,
        loss_types=config.losses,
        loss_weights=config.loss_weights or None,
        tie_threshold=config.tie_threshold,
        reference=start,
        frozen=frozen,
    )
    if beforehand:
        dpo.compute_references(run, config)
    return dpo


def quantization(config: TrainingConfig) -> str:
    return config.lora.quantization if config.lora else "none"


def plain_trainer(run: Run, model: Any, tokenizer: Any, columns: dict[str, list[Any]], length: int) -> Any:
    """TRL's own trainer: under LoRA the reference is the adapter switched off, in full fine-tuning a frozen copy."""
    import copy

    from datasets import Dataset
    from trl import DPOConfig

    from training.engine.trainers import plain_trl, setup

    config: TrainingConfig = run.config
    arguments = DPOConfig(
        **setup.training_arguments(run),
        max_length=length,
        beta=config.beta,
        loss_type=list(config.losses),
        loss_weights=list(config.loss_weights) or None,
        precompute_ref_log_probs=False,
        disable_dropout=False,  # the model's own is off already, whereas TRL would switch lora.dropout off as well
    )
    full = config.lora is None
    return plain_trl.PlainPreferenceTrainer(
        model=model,
        ref_model=copy.deepcopy(model).requires_grad_(False).eval() if full else None,
        args=arguments,
        train_dataset=Dataset.from_dict(columns),
        processing_class=tokenizer,
        peft_config=setup.lora_config(config.lora, model),
    )


if __name__ == "__main__":
    raise SystemExit(main("train_dpo", train, imports=TRAINERS))
