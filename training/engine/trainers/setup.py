"""Model, tokenizer, adapter settings and training arguments, common to all trainers."""

import logging
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from transformers import PreTrainedModel, PreTrainedTokenizerBase, set_seed

from training.contract.config import LoraSettings, TrainingConfig
from training.contract.run_directory import RunDirectory
from training.engine.models import adaptable, checks, loading
from training.engine.runtime import distributed
from training.engine.runtime.run import Run
from training.engine.trainers import same_inputs

log = logging.getLogger("konomi.engine")

ALL_STEPS = 1 - 1e-9  # transformers reads 1 as one step


def load(config: TrainingConfig, folder: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Model and tokenizer. Under LoRA the frozen weights may be in half precision; weights to train are float32.

    `folder` is the run directory, where a quantized model's merged base is written (see `quantized`).
    """
    distributed.init()
    torch.set_num_threads(config.threads or torch.get_num_threads())
    loading.check_folders(config.model)
    same_inputs.check(RunDirectory(folder), config)
    tokenizer = loading.load_tokenizer(config.model)
    checks.check_weights_fit(config.model)
    dtype = loading.compute_dtype(config.precision) if config.lora else torch.float32
    if config.lora and config.lora.quantization != "none":
        from training.engine.models.quantized import load_quantized

        model = load_quantized(config.model, config.lora, run_folder=folder, dtype=dtype)
    else:
        model = loading.load_model(config.model, dtype=dtype)
    loading.check_fits(model, tokenizer)
    checks.check_lora_targets(model, config.lora)
    set_seed(config.seed)  # for the adapter's random start
    return model, tokenizer


def max_length(config: TrainingConfig, model: PreTrainedModel) -> int:
    context = loading.context_length(model)
    if context < config.max_length:
        log.info("max_length %d exceeds the model's context: %d is used", config.max_length, context)
    return min(config.max_length, context)


def lora_config(settings: LoraSettings | None, model: PreTrainedModel) -> LoraConfig | None:
    if settings is None:
        return None
    targets: str | list[str] = list(settings.targets)
    unfit: list[str] = []
    if settings.targets == ("all-linear",):
        targets, unfit = "all-linear", sorted(adaptable.left_out_of_all_linear(model))
    return LoraConfig(
        r=settings.r,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=targets,
        exclude_modules=unfit or None,
        use_dora=settings.dora,
        task_type="CAUSAL_LM",
    )


def training_arguments(run: Run, *, packed: bool = False) -> dict[str, Any]:
    """For TrainingArguments and TRL's configurations alike. Values whose default is harmful are set explicitly.

    With `packed`, the loader's batch is that of a whole step, which the collator cuts into micro-batches.
    """
    config: TrainingConfig = run.config
    gpu = torch.cuda.is_available()
    whole_step = config.batch_size * config.gradient_accumulation
    return {
        "output_dir": str(run.directory.path),
        "run_name": config.run_id,
        "per_device_train_batch_size": whole_step if packed else config.batch_size,
        "gradient_accumulation_steps": 1 if packed else config.gradient_accumulation,
        "remove_unused_columns": not packed,
        "num_train_epochs": config.epochs,
        "max_steps": config.max_steps,
        "learning_rate": config.learning_rate,
        "lr_scheduler_type": config.lr_scheduler,
        "warmup_steps": min(config.warmup_ratio, ALL_STEPS),  # below 1 it is a fraction of all steps
        "weight_decay": config.weight_decay,
        "max_grad_norm": config.max_grad_norm,
        "optim": "adamw_torch",
        "seed": config.seed,
        "data_seed": config.seed,
        "bf16": loading.compute_dtype(config.precision) is torch.bfloat16,
        "gradient_checkpointing": config.gradient_checkpointing,
        "use_cpu": not gpu,
        "dataloader_pin_memory": gpu and not packed,
        "logging_steps": config.logging_steps,
        "logging_first_step": True,
        "logging_nan_inf_filter": False,  # it would hide a divergence, which must end the training
        "save_strategy": "steps",
        "save_steps": config.save_steps,
        "save_total_limit": config.save_total_limit,
        "report_to": "none",  # `runtime.tracking` reports every program's metrics, under our names
        "disable_tqdm": True,
        "push_to_hub": False,
    }
