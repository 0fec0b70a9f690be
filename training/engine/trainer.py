"""What SFT and DPO share: arguments, adapters, the training with resume and cancel, and what is left in model/."""

import logging
import shutil
from typing import Any

import torch
from peft import LoraConfig
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback, Trainer

from training.engine import checkpointing, models, publishing
from training.engine.callbacks import ProgressCallback
from training.engine.config import LoraSettings, TrainingConfig
from training.engine.data import Counts
from training.engine.program import Outcome, Run

log = logging.getLogger("konomi.engine")


def load(config: TrainingConfig) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Tokenizer and model to train: under LoRA the frozen weights may be in half precision, trained ones never are."""
    torch.set_num_threads(config.threads or torch.get_num_threads())
    tokenizer = models.load_tokenizer(config.model)
    dtype = models.compute_dtype() if config.lora else torch.float32
    model = models.load_model(config.model, dtype=dtype)
    models.check_fits(model, tokenizer)
    return model, tokenizer


def max_length(config: TrainingConfig, model: PreTrainedModel) -> int:
    context = models.context_length(model)
    if context < config.max_length:
        log.info("max_length %d is beyond the model's context: %d is used", config.max_length, context)
    return min(config.max_length, context)


def lora(settings: LoraSettings | None) -> LoraConfig | None:
    if settings is None:
        return None
    targets: str | list[str] = list(settings.targets)
    if settings.targets == ("all-linear",):
        targets = "all-linear"
    return LoraConfig(
        r=settings.r,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=targets,
        task_type="CAUSAL_LM",
    )


def arguments(run: Run, length: int) -> dict[str, Any]:
    """For SFTConfig and DPOConfig alike. Whatever has a harmful default in TRL is set here, in so many words."""
    config: TrainingConfig = run.config
    gpu = torch.cuda.is_available()
    return {
        "output_dir": str(run.directory.path),
        "run_name": config.run_id,
        "per_device_train_batch_size": config.batch_size,
        "gradient_accumulation_steps": config.gradient_accumulation,
        "num_train_epochs": config.epochs,
        "max_steps": config.max_steps,
        "learning_rate": config.learning_rate,
        "lr_scheduler_type": config.lr_scheduler,
        "warmup_steps": config.warmup_ratio,  # below 1 it is a share of all steps
        "weight_decay": config.weight_decay,
        "max_grad_norm": config.max_grad_norm,
        "optim": "adamw_torch",
        "max_length": length,
        "seed": config.seed,
        "data_seed": config.seed,
        "bf16": models.compute_dtype() is torch.bfloat16,
        "gradient_checkpointing": config.gradient_checkpointing,
        "use_cpu": not gpu,
        "dataloader_pin_memory": gpu,
        "logging_steps": config.logging_steps,
        "logging_first_step": True,
        "logging_nan_inf_filter": False,  # it would hide the very thing that must end a training
        "save_strategy": "steps",
        "save_steps": config.save_steps,
        "save_total_limit": config.save_total_limit,
        "report_to": list(config.report_to) or "none",
        "disable_tqdm": True,
        "push_to_hub": False,
    }


def run_training(run: Run, trainer: Trainer, tokenizer: PreTrainedTokenizerBase, counts: Counts) -> Outcome:
    """Train (or resume), then publish model/. The trainer must have the mixin WholeCheckpoints."""
    config: TrainingConfig = run.config
    progress = ProgressCallback(run)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(progress)
    resume = checkpointing.newest_whole(run.directory)
    if resume:
        log.info("resuming from %s", resume.name)
    run.stop_if_cancelled()
    trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    details = {"rows": counts.as_dict(), "resumed_from": resume.name if resume else ""}
    metrics = publishing.final_metrics(run)
    if progress.cancelled:
        return Outcome(metrics=metrics, tokens=progress.tokens, cancelled=True, details=details)
    publish_model(run, trainer, tokenizer, metrics, counts)
    trainable = sum(p.numel() for p in trainer.model.parameters() if p.requires_grad)
    metrics["trainable_parameters"] = trainable
    log.info("model/ is written: %s", "adapter" if config.lora else "full weights")
    return Outcome(metrics=metrics, tokens=progress.tokens, details=details)


def publish_model(
    run: Run, trainer: Trainer, tokenizer: PreTrainedTokenizerBase, metrics: dict[str, Any], counts: Counts
) -> None:
    config: TrainingConfig = run.config
    partial = run.directory.path / ".model.partial"
    shutil.rmtree(partial, ignore_errors=True)
    trainer.save_model(str(partial))
    (partial / "training_args.bin").unlink(missing_ok=True)  # a pickle; run.json says it all
    publishing.finish_model(
        partial, run, tokenizer, adapter=config.lora is not None, metrics=metrics, counts=counts.as_dict()
    )
