"""What the trainers share: model, adapter, arguments, layout of a step, training with resume and cancel, model/."""

import logging
import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
import torch
from peft import LoraConfig
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback, Trainer, set_seed

from training.contract import memory_estimate
from training.contract.config import LoraSettings, TrainingConfig
from training.contract.errors import ModelError
from training.engine.artifacts import checkpoints, publishing
from training.engine.data.rows import Counts
from training.engine.models import checks, loading
from training.engine.packed import forward
from training.engine.packed.layout import Row
from training.engine.packed.step import Layout
from training.engine.runtime import distributed
from training.engine.runtime.run import Outcome, Run
from training.engine.trainers.callbacks import ProgressCallback

log = logging.getLogger("konomi.engine")

# A micro-batch's activations may take so much of the memory that is free, and on CPU no more than CPU_ACTIVATIONS:
# beyond that, larger ones are no faster there.
MEMORY_SHARE = {"cpu": 0.25, "cuda": 0.4}
CPU_ACTIVATIONS = 768 << 20
LEAST_TOKENS, MOST_TOKENS = 256, 16_384
UNKNOWN_TOKENS = 2_048  # for architectures that the memory estimate does not know
# Starting a micro-batch costs about a millisecond a layer; in tokens of 6 · parameters operations at 50 GFLOP/s.
OVERHEAD = 8e6
# Rows on which packed and plain forward are compared before a training.
CHECKED_ROWS = 3


def load(config: TrainingConfig, folder: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Tokenizer and model to train: under LoRA the frozen weights may be in half precision, trained ones never are.

    `folder` is the run directory, for what has to be written before (see `quantized`).
    """
    distributed.init()
    torch.set_num_threads(config.threads or torch.get_num_threads())
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
    set_seed(config.seed)  # what comes next is the adapter's random start
    return model, tokenizer


def max_length(config: TrainingConfig, model: PreTrainedModel) -> int:
    context = loading.context_length(model)
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
        use_dora=settings.dora,
        task_type="CAUSAL_LM",
    )


def arguments(run: Run, length: int, *, packing: bool = False) -> dict[str, Any]:
    """For SFTConfig, DPOConfig and KTOConfig alike. What has a harmful default in TRL is set here, in so many words.

    With `packing` a batch of the loader is a whole step's: `stepping` cuts it.
    """
    config: TrainingConfig = run.config
    gpu = torch.cuda.is_available()
    together = config.batch_size * config.gradient_accumulation
    return {
        "output_dir": str(run.directory.path),
        "run_name": config.run_id,
        "per_device_train_batch_size": together if packing else config.batch_size,
        "gradient_accumulation_steps": 1 if packing else config.gradient_accumulation,
        "remove_unused_columns": not packing,
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
        "bf16": loading.compute_dtype(config.precision) is torch.bfloat16,
        "gradient_checkpointing": config.gradient_checkpointing,
        "use_cpu": not gpu,
        "dataloader_pin_memory": gpu and not packing,
        "logging_steps": config.logging_steps,
        "logging_first_step": True,
        "logging_nan_inf_filter": False,  # it would hide the very thing that must end a training
        "save_strategy": "steps",
        "save_steps": config.save_steps,
        "save_total_limit": config.save_total_limit,
        "report_to": "none",  # `tracking` follows the metrics of every program, under our names
        "disable_tqdm": True,
        "push_to_hub": False,
    }


# ---- packed rows, or plain TRL ----


def plain_trl_reason(config: TrainingConfig, model: PreTrainedModel, losses: Sequence[str] = ()) -> str:
    """Why this run is computed by plain TRL; empty when it can be packed. `losses` are those of packed rows."""
    if not config.packing:
        return "packing is switched off"
    others = [name for name in config.losses if losses and name not in losses]
    if others:
        return f"the loss {', '.join(others)} is computed by TRL only"
    why: str = forward.unsupported_reason(model)
    return why


def mismatch(model: PreTrainedModel, rows: Sequence[Row], layout: Layout) -> str:
    """What a comparison with the plain forward finds, on the shortest row and on middling ones; empty when they agree.

    To be called after `packed.add_packed_forward`.
    """
    ordered = sorted(rows, key=lambda row: row.computed)
    step = max(1, len(ordered) // (2 * CHECKED_ROWS))
    some = ordered[::step][:CHECKED_ROWS]
    why: str = forward.differs(model, some, pad_id=layout.pad_id, mask_dtype=layout.mask_dtype)
    return why


def make_packable(model: PreTrainedModel) -> None:
    """The packed forward, on the device where the training will be."""
    forward.add_packed_forward(model)
    if getattr(model, "hf_quantizer", None) is None:  # quantized weights are where they were loaded to
        model.to(loading.device())


def make_layout(config: TrainingConfig, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Layout:
    """How steps are cut on this machine: the token budget from the memory that is free, or as the run asks."""
    kind = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = loading.compute_dtype(config.precision)
    one_line = False
    if kind == "cuda" and model._supports_flex_attn and model.config._attn_implementation == "sdpa":
        model.set_attn_implementation("flex_attention")
        one_line = True
    text = model.config.get_text_config()
    parameters = sum(p.numel() for p in model.base_model.parameters()) or 1
    return Layout(
        pad_id=tokenizer.pad_token_id,
        budget=config.micro_batch_tokens or automatic_budget(config, text.to_dict(), kind, dtype.itemsize),
        overhead=math.ceil(OVERHEAD * text.num_hidden_layers / parameters),
        one_line=one_line,
        mask_dtype=dtype,
    )


def automatic_budget(config: TrainingConfig, model_config: dict[str, Any], kind: str, bytes_per_value: int) -> int:
    """Tokens of a micro-batch whose activations stay within their share of the free memory."""
    if kind == "cuda":
        free = torch.cuda.mem_get_info()[0] * MEMORY_SHARE[kind]
    else:
        free = min(CPU_ACTIVATIONS, psutil.virtual_memory().available * MEMORY_SHARE[kind] / config.processes)
    try:
        per_token = memory_estimate.activation_bytes_per_token(
            model_config,
            lora=config.lora is not None,
            bytes_per_value=bytes_per_value,
            gradient_checkpointing=config.gradient_checkpointing,
        )
    except ModelError as error:
        log.info("%s: micro-batches of %d tokens", error, UNKNOWN_TOKENS)
        return UNKNOWN_TOKENS
    return int(min(MOST_TOKENS, max(LEAST_TOKENS, free / per_token)))


def method(why: str, layout: Layout | None) -> dict[str, Any]:
    """For the log and result.json: packed rows, or plain TRL and why."""
    if why or layout is None:
        log.warning("computed by plain TRL: %s", why)
        return {"packing": False, "why": why}
    log.info("packed rows, at most %d tokens in a micro-batch", layout.budget)
    return {"packing": True, "why": "", "micro_batch_tokens": layout.budget}


# ---- the training ----


def run_training(
    run: Run,
    trainer: Trainer,
    tokenizer: PreTrainedTokenizerBase,
    counts: Counts,
    *,
    details: dict[str, Any] | None = None,
    preflight: Callable[[], dict[str, Any]] | None = None,
) -> Outcome:
    """Train (or resume), then publish model/. The trainer must have the mixin WholeCheckpoints.

    `preflight` is called before the first step of a run that is not resumed. `details` go to result.json.
    """
    config: TrainingConfig = run.config
    progress = ProgressCallback(run)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(progress)
    resume = checkpoints.newest_whole(run.directory)
    if resume:
        log.info("resuming from %s", resume.name)
    elif preflight is not None:
        preflight()
    run.stop_if_cancelled()
    trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    details = {**(details or {}), "rows": counts.as_dict(), "resumed_from": resume.name if resume else ""}
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
    if distributed.is_main_process():
        shutil.rmtree(partial, ignore_errors=True)
    distributed.barrier()
    trainer.save_model(str(partial))  # by all: sharded weights are gathered
    distributed.barrier()
    if not distributed.is_main_process():
        return
    (partial / "training_args.bin").unlink(missing_ok=True)  # a pickle; run.json says it all
    publishing.finish_model(
        partial, run, tokenizer, adapter=config.lora is not None, metrics=metrics, counts=counts.as_dict()
    )
