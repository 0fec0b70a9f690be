"""Kahneman-Tversky optimisation (Ethayarajh et al. 2024): TRL's KTOTrainer on desirable and undesirable rows.

The model chain is merged in memory; training starts from it, and it is the reference, as in `train_dpo`. The KL term
is estimated from mismatched pairs: each prompt with the completion of its neighbour in the batch.

`python -m training.engine.train_kto RUN_DIR`
"""

import random
from collections.abc import Sequence
from typing import Any

from training.contract.config import TrainingConfig
from training.contract.errors import DatasetError
from training.contract.run_directory import TRAIN
from training.engine.data.rows import check_labels
from training.engine.data.subsets import nested_subset
from training.engine.runtime.program import TRAINERS, log, main
from training.engine.runtime.run import Outcome, Run

# Equation 8 of the paper: desirable weight · rows over undesirable weight · rows.
LEAST_RATIO, GREATEST_RATIO = 1.0, 4 / 3


def train(run: Run) -> Outcome:
    """Train on the rows of dataset/train.parquet and leave an adapter (or full weights) in model/."""
    import copy

    from datasets import Dataset
    from trl import KTOConfig

    from training.engine.data.prepare import training_sequences
    from training.engine.data.rows import check_columns, read_rows
    from training.engine.models import loading
    from training.engine.trainers import dropout, plain_trl, preflight, run_checks, setup, tokenizing, training

    config: TrainingConfig = run.config
    rows = read_rows(run.directory.path / config.dataset, "train")
    rows = nested_subset(rows, config.share, config.seed)
    check_columns(rows, "kto", TRAIN)
    labels = read_labels(rows, TRAIN)
    model, tokenizer = setup.load(config, run.directory.path)
    length = setup.max_length(config, model)
    sequences, counts = training_sequences(
        rows,
        tokenizer,
        purpose="kto",
        max_length=length,
        stop_ids=loading.stop_token_ids(model, tokenizer),
        where=TRAIN,
        **tokenizing.options(run),
    )
    run.stop_if_cancelled()
    # TRL reads KTO rows in order, so that mismatched completions stay with their rows: shuffled once, here.
    random.Random(config.seed).shuffle(sequences)
    used = [labels[item.row] for item in sequences]
    check_both_kinds(used, "train.parquet, without the rows left out")
    desirable_weight, undesirable_weight = weights(sum(used), len(used) - sum(used), config)
    completions = [item.completion_ids[0] for item in sequences]
    dataset = Dataset.from_dict(
        {
            "prompt_ids": [item.prompt_ids for item in sequences],
            "completion_ids": completions,
            "KL_completion_ids": mismatched(completions, config.batch_size * config.processes),
            "label": used,
        }
    )
    arguments = KTOConfig(
        **setup.training_arguments(run),
        max_length=length,
        beta=config.beta,
        loss_type="kto",
        desirable_weight=desirable_weight,
        undesirable_weight=undesirable_weight,
        precompute_ref_log_probs=False,
        disable_dropout=False,  # the model's own is off already, whereas TRL would switch lora.dropout off as well
    )
    reason = "KTO is computed by TRL only"
    dropout.switch_off(model)
    more = [
        *run_checks.settings(config, reason),
        *run_checks.position_encoding(model, sequences, reason),
        *run_checks.random_draws(model, sequences),
    ]
    full = config.lora is None
    kto = plain_trl.UnpairedTrainer(
        model=model,
        ref_model=copy.deepcopy(model).requires_grad_(False).eval() if full else None,
        args=arguments,
        train_dataset=dataset,
        processing_class=tokenizer,
        peft_config=setup.lora_config(config.lora, model),
    )
    return training.run_training(
        run,
        kto,
        tokenizer,
        counts,
        details={"method": {"packing": False, "why": reason}},
        preflight=lambda: preflight.check(
            run,
            purpose="kto",
            rows=rows,
            sequences=sequences,
            counts=counts,
            model=kto.model,
            tokenizer=tokenizer,
            max_length=length,
            packed=None,
            more=more,
        ),
    )


def read_labels(rows: Sequence[dict[str, Any]], where: str) -> list[bool]:
    """The label of each row (true: desirable). Raises DatasetError unless all rows have one, and both kinds occur."""
    if "label" not in rows[0]:
        raise DatasetError(f"{where} lacks the column label: freeze the dataset for kto")
    check_labels(rows, where)
    labels = [row["label"] for row in rows]
    check_both_kinds(labels, where)
    return labels


def check_both_kinds(labels: Sequence[bool], where: str) -> None:
    desirable = sum(labels)
    if not desirable:
        raise DatasetError(
            f"{where}: none of the {len(labels)} rows is desirable, and KTO learns from both kinds. Desirable rows "
            "come from post-edits accepted unchanged and from good scores"
        )
    if desirable == len(labels):
        raise DatasetError(
            f"{where}: none of the {len(labels)} rows is undesirable, and KTO learns from both kinds. Undesirable rows "
            "come from “both bad” and from bad scores; for desirable rows alone, use train_sft"
        )


def weights(desirable: int, undesirable: int, config: TrainingConfig) -> tuple[float, float]:
    """The weights of desirable and undesirable rows: as configured, and where that is 0, balanced.

    Balanced is 1 ≤ (weight · rows of the desirable) / (weight · rows of the undesirable) ≤ 4/3. A weight that is
    not configured is 1 where that is balanced already; otherwise the rarer kind's is raised to the nearest bound.
    """
    fixed_desirable, fixed_undesirable = config.desirable_weight, config.undesirable_weight
    good, bad = fixed_desirable or 1.0, fixed_undesirable or 1.0
    ratio = good * desirable / (bad * undesirable)
    bound = min(max(ratio, LEAST_RATIO), GREATEST_RATIO)
    if not fixed_desirable and (ratio < bound or fixed_undesirable):
        good *= bound / ratio
    elif not fixed_undesirable:
        bad *= ratio / bound
    balance = good * desirable / (bad * undesirable)
    log.info(
        "%d desirable rows of weight %.4g, %d undesirable ones of weight %.4g: %.3g to 1",
        desirable,
        good,
        undesirable,
        bad,
        balance,
    )
    if not LEAST_RATIO - 1e-9 <= balance <= GREATEST_RATIO + 1e-9:
        log.warning(
            "the KTO paper recommends 1 to 1 up to 4 to 3: remove one of the weights, and it is chosen accordingly"
        )
    return good, bad


def mismatched(completions: Sequence[list[int]], batch_size: int) -> list[list[int]]:
    """For each row another row's completion, of the same batch (of all processes) wherever that has two rows.

    TRL rotates the completions within each batch; a single last row would get its own, and takes the one
    before instead.
    """
    shifted: list[list[int]] = []
    for start in range(0, len(completions), batch_size):
        batch = completions[start : start + batch_size]
        shifted += [batch[-1], *batch[:-1]] if len(batch) > 1 else [completions[start - 1]]
    return shifted


if __name__ == "__main__":
    raise SystemExit(main("train_kto", train, imports=TRAINERS))
