"""Memory and time of the longest batch: estimated, compared with what is available, and measured in a dry run."""

import logging
import math
import os
import time
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

import psutil
import torch
from transformers import PreTrainedModel

from training.contract import hardware, memory_estimate
from training.contract.config import TrainingConfig
from training.contract.errors import MemoryShortError, ModelError
from training.contract.wording import counted
from training.engine.data.tokenization import Sequences
from training.engine.models import loading
from training.engine.runtime import distributed
from training.engine.runtime.failures import is_out_of_memory
from training.engine.trainers import packed_setup
from training.engine.trainers.row_checks import effective_batch, result

log = logging.getLogger("konomi.engine")

DryRun = Callable[[Sequence[int]], None]
# The longest batch is tried before a training of so many steps or more. The trial takes as long as a step: in a shorter
# training it is a notable part of it, and the first step is measured instead.
STEPS_WORTH_A_TRIAL = 40
# In multiples of the weights: the copy itself, gradients, two moments, and one for activations.
COPY_NEEDS = 5

LESS_MEMORY = (
    "Lower micro_batch_tokens or max_length (without packing: batch_size, with gradient_accumulation raised), turn "
    "gradient_checkpointing on, or train an adapter (LoRA) instead of all weights"
)


def longest_batch(config: TrainingConfig, sizes: Sequence[int]) -> list[int]:
    """Positions of the rows with the most tokens, as many as one step has."""
    return sorted(range(len(sizes)), key=lambda position: -sizes[position])[: effective_batch(config)]


def estimate(
    config: TrainingConfig,
    purpose: str,
    sequences: Sequence[Sequences],
    longest: Sequence[int],
    model: PreTrainedModel,
    *,
    packing: bool,
) -> memory_estimate.Estimate | None:
    """The estimate for the longest batch; None for an architecture whose memory is not estimated."""
    text: dict[str, Any] = model.config.get_text_config().to_dict()
    gpu = model.device.type == "cuda"
    width = loading.compute_dtype(config.precision).itemsize
    batch = [sequences[position] for position in longest]
    scored = [sum(map(len, item.completion_ids)) for item in batch]
    if packing:
        answers: dict[tuple[int, ...], set[tuple[int, ...]]] = {}  # a prompt with all its answers is a line
        for item in batch:
            answers.setdefault(tuple(item.prompt_ids), set()).update(map(tuple, item.completion_ids))
        scored = [sum(map(len, own)) for own in answers.values()]
        lines = [len(prompt) + count for prompt, count in zip(answers, scored, strict=True)]
        kind = model.device.type
        budget = config.micro_batch_tokens or packed_setup.automatic_budget(config, text, kind, width)
        tokens = max(max(lines), min(budget, sum(lines)))
        share = sum(scored) / sum(lines)
    else:
        lines = [len(item.prompt_ids) + max(map(len, item.completion_ids)) for item in batch]
        tokens = max(lines) * config.batch_size * (2 if purpose == "dpo" else 1)
        share = 1.0  # plain TRL scores prompts too
    quantized = config.lora is not None and config.lora.quantization != "none"
    try:
        return memory_estimate.estimate(
            text,
            method="full" if config.lora is None else "qlora" if quantized else "lora",
            objective="sft" if purpose == "sft" else "dpo",
            bytes_per_value=width,
            tokens=tokens,
            line=max(lines),
            scored=math.ceil(tokens * share),
            lora=config.lora,
            gradient_checkpointing=config.gradient_checkpointing,
            packing=packing,
            gpu=gpu,
        )
    except ModelError as error:
        log.info("no memory estimate: %s", error)
        return None


def available_bytes(model: PreTrainedModel) -> int:
    """What this process may take in all on the model's device: what is free, and what it holds already."""
    if model.device.type == "cuda":
        free, _total = torch.cuda.mem_get_info(model.device)
        return int(free + torch.cuda.memory_reserved(model.device))
    return hardware.available_ram() // distributed.count() + int(psutil.Process().memory_info().rss)


def copy_fits(model: PreTrainedModel, processes: int) -> bool:
    """Whether a frozen copy of the model fits beside all that full fine-tuning takes: gradients, and two moments."""
    weights = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    if model.device.type == "cuda":
        free = torch.cuda.mem_get_info(model.device)[0]
    else:
        free = hardware.available_ram() // processes
    return bool(free > COPY_NEEDS * weights)


def is_sharded() -> bool:
    """Whether FSDP will shard the model: a part of it cannot be computed with in one process alone."""
    return os.environ.get("ACCELERATE_USE_FSDP", "false").lower() in ("1", "true")


def memory_fits(estimated: memory_estimate.Estimate | None, available: int, model: PreTrainedModel) -> dict[str, str]:
    where = "GPU memory" if model.device.type == "cuda" else "RAM"
    if estimated is None:
        free = hardware.gibibytes(available)
        sentence = f"The memory of {model.config.model_type} is not estimated; {free} are available."
        return result("memory", sentence, warning=True)
    needed = estimated.total + estimated.process
    sentence = (
        f"About {hardware.gibibytes(needed)} of {where} are needed, {hardware.gibibytes(available)} are available."
    )
    if needed <= available:
        return result("memory", sentence)
    return result("memory", f"{sentence} {LESS_MEMORY}.", warning=True)


def measure(
    dry_run: DryRun | None, longest: Sequence[int], sizes: Sequence[int], model: PreTrainedModel
) -> tuple[float | None, int | None]:
    """Seconds and peak bytes of the longest batch's forward and backward.

    The peak is the GPU's, or this process's highest so far (loading included). On a GPU the second of two is timed:
    the first compiles kernels. Raises MemoryShortError where it does not fit.
    """
    if dry_run is None:
        return None, None
    gpu = model.device.type == "cuda"
    try:
        for _warm_up in range(2 if gpu else 1):
            began = time.perf_counter()
            dry_run(longest)
            if gpu:
                torch.cuda.synchronize(model.device)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        tokens = sum(sizes[position] for position in longest)
        raise MemoryShortError(
            f"The longest batch ({counted(len(longest), 'row')}, {counted(tokens, 'token')}, the longest row "
            f"{sizes[longest[0]]:,}) does not fit into memory; nothing was trained yet. {LESS_MEMORY}"
        ) from error
    seconds = time.perf_counter() - began
    peak = peak_bytes(model)
    log.info("preflight: the longest batch took %.1f s, peak memory %s", seconds, hardware.gibibytes(peak))
    return seconds, peak


def peak_bytes(model: PreTrainedModel) -> int:
    """The GPU's highest so far, or this process's."""
    return torch.cuda.max_memory_allocated(model.device) if model.device.type == "cuda" else hardware.peak_ram()


def steps_of(config: TrainingConfig, rows: int, an_epoch: int | None = None) -> int:
    """Optimizer steps of the whole training; `an_epoch` is their number in an epoch, where a trainer says so."""
    if config.max_steps > 0:
        return config.max_steps
    each = an_epoch or math.ceil(rows / (effective_batch(config) * config.processes))
    return math.ceil(each * config.epochs)


def expected_time(
    config: TrainingConfig, sizes: Sequence[int], measured: Sequence[int], seconds: float | None, steps: int
) -> dict[str, Any]:
    """Seconds of a mean step (those of the rows at `measured`, by tokens), how many steps, and all of them; without the
    optimizer's share and without saving."""
    if seconds is None:
        return {"seconds_per_step": None, "steps": steps, "estimate_s": None}
    mean = fmean(sizes) * len(measured)
    each = seconds * mean / sum(sizes[position] for position in measured)
    total = min(each * steps, config.max_seconds or math.inf)
    return {"seconds_per_step": round(each, 4), "steps": steps, "estimate_s": round(total, 1)}
