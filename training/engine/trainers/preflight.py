"""What is checked, measured and estimated before the first step: preflight.json in the run directory.

What `data` refuses outright (no stop token, a text that begins twice, a prompt that is no prefix) has ended the run
before this. Here is what it counted, what is wrong with the split, and whether memory and time will do.
"""

import json
import logging
import math
import time
from collections.abc import Callable, Sequence
from statistics import fmean, median
from typing import Any

import psutil
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from training.contract import hardware, memory_estimate
from training.contract.config import TrainingConfig
from training.contract.errors import MemoryShortError, ModelError
from training.contract.run_directory import write_atomically
from training.engine.data import leakage
from training.engine.data.rows import Counts, Sequences, is_conversational
from training.engine.models import loading
from training.engine.runtime import distributed
from training.engine.runtime.failures import is_out_of_memory
from training.engine.runtime.run import Run
from training.engine.trainers import packed_setup

log = logging.getLogger("konomi.engine")

BINS = 20
DryRun = Callable[[Sequence[int]], None]
Row = dict[str, Any]

LESS_MEMORY = (
    "Lower micro_batch_tokens or max_length (without packing: batch_size, with gradient_accumulation raised), turn "
    "gradient_checkpointing on, or train an adapter (LoRA) instead of all weights"
)
DROPPED = {
    "dropped_too_long": "whose prompt alone reaches max_length",
    "dropped_ties": "that name no better side",
    "dropped_equal": "whose sides are equal",
    "dropped_equal_when_cut": "whose sides are equal when cut to max_length",
    "dropped_prefix_mismatch": "whose prompt is not a token prefix of prompt and completion",
}


def check(
    run: Run,
    *,
    purpose: str,
    rows: Sequence[Row],
    sequences: Sequence[Sequences],
    counts: Counts,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    dry_run: DryRun | None,
) -> dict[str, Any]:
    """Check everything that can be known before the first step; returns the content of preflight.json.

    `sequences` are in the order of the training dataset. `dry_run` computes one step's forward and backward of the
    sequences at the given positions and keeps nothing (None: plain TRL, which is not tried). Raises DatasetError for
    held-out prompts in the training rows, MemoryShortError where the longest batch does not fit.
    """
    config: TrainingConfig = run.config
    checks = [
        held_out(run, rows),
        padding(tokenizer),
        chat_template(tokenizer, rows),
        stop_tokens(counts, max_length),
        *dropped_rows(counts),
        enough_rows(config, len(sequences)),
    ]
    sizes = [len(item.prompt_ids) + sum(map(len, item.completion_ids)) for item in sequences]
    longest = longest_batch(config, sizes)
    estimated = estimate(config, purpose, sequences, longest, model, packing=dry_run is not None)
    available = available_bytes(model)
    checks.append(memory_fits(estimated, available, model))
    for warning in (item for item in checks if item["status"] == "warning"):
        log.warning("preflight: %s", warning["words"])
    seconds, peak = measure(dry_run, longest, sizes, model)
    found = {
        "checks": checks,
        "lengths": lengths(sequences),
        "truncated": {"count": counts.truncated, "rows": counts.listed.get("truncated", [])},
        "dropped": {
            name.removeprefix("dropped_"): {"count": getattr(counts, name), "rows": counts.listed.get(name, [])}
            for name in DROPPED
            if getattr(counts, name)
        },
        "memory": {
            "estimate_bytes": estimated.parts() if estimated else None,
            "available_bytes": available,
            "measured_peak_bytes": peak,
        },
        "time": expected_time(config, sizes, longest, seconds),
    }
    if distributed.is_main_process():
        write_atomically(run.directory.preflight_path, json.dumps(found, indent=2, ensure_ascii=False) + "\n")
        run.record(event="preflight", warnings=sum(item["status"] == "warning" for item in checks))
    return found


def _said(name: str, words: str, *, warning: bool = False) -> dict[str, str]:
    return {"name": name, "status": "warning" if warning else "ok", "words": words}


# ---- the rows ----


def held_out(run: Run, rows: Sequence[Row]) -> dict[str, str]:
    count = leakage.check_held_out(run.directory.path / run.config.dataset, rows)
    if not count:
        return _said("held_out", "There are no held-out rows: figures of this checkpoint need others.", warning=True)
    return _said("held_out", f"None of the {count:,} held-out rows is given away by a training row.")


def padding(tokenizer: PreTrainedTokenizerBase) -> dict[str, str]:
    pad = repr(tokenizer.pad_token)
    if tokenizer.pad_token_id != tokenizer.eos_token_id:
        return _said("padding", f"Padding ({pad}) is not the end of text.")
    words = (
        f"Padding and the end of text are one token ({pad}). Harmless here, since masks are made from lengths; another "
        "trainer that masks padding by its id would mask the end of text too, and the model would not learn to stop."
    )
    return _said("padding", words, warning=True)


def chat_template(tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> dict[str, str]:
    if not is_conversational(rows[0]["prompt"]):
        return _said("chat_template", "Rows are plain text, without a chat template.")
    if not getattr(tokenizer, loading.TEMPLATE_ADDED, False):
        return _said("chat_template", "Chats are written with the model's own chat template.")
    words = (
        "The model has no chat template: a plain default is used, and saved with the checkpoint. Where the model was "
        "trained on chats before, put its chat_template.jinja into its folder."
    )
    return _said("chat_template", words, warning=True)


def stop_tokens(counts: Counts, max_length: int) -> dict[str, str]:
    cut = counts.truncated - counts.dropped_equal_when_cut
    if not cut:
        return _said("stop_token", "Every completion that is trained on ends with a stop token.")
    words = (
        f"{cut:,} of {counts.used:,} rows are cut to max_length={max_length} and lose their stop token "
        f"({_numbers(counts, 'truncated')}): raise max_length, or leave such rows out."
    )
    return _said("stop_token", words, warning=True)


def dropped_rows(counts: Counts) -> list[dict[str, str]]:
    """One warning for each reason for which rows were left out; one that all is well where there is none."""
    found = [
        _said(name, f"{getattr(counts, name):,} rows left out {why} ({_numbers(counts, name)}).", warning=True)
        for name, why in DROPPED.items()
        if getattr(counts, name)
    ]
    return found or [_said("dropped", f"All {counts.rows:,} rows are trained on.")]


def _numbers(counts: Counts, kind: str) -> str:
    listed = counts.listed.get(kind, [])
    more = ", …" if getattr(counts, kind) > len(listed) else ""
    return f"row {', '.join(map(str, listed))}{more}"


def enough_rows(config: TrainingConfig, rows: int) -> dict[str, str]:
    batch = effective_batch(config) * config.processes
    if rows >= batch:
        return _said("rows", f"{rows:,} rows, {batch:,} in a step.")
    words = f"{rows:,} rows do not fill one step of {batch:,}: lower batch_size, or annotate more."
    return _said("rows", words, warning=True)


def effective_batch(config: TrainingConfig) -> int:
    """Rows of one optimizer step in one process."""
    return config.batch_size * config.gradient_accumulation


def lengths(sequences: Sequence[Sequences]) -> dict[str, Any]:
    """Tokens of each row's prompt with its longest completion: `bins` are edges, one more than `counts`."""
    found = sorted(len(item.prompt_ids) + max(map(len, item.completion_ids)) for item in sequences)
    width = max(1, math.ceil(found[-1] / BINS))
    counts = [0] * math.ceil(found[-1] / width)
    for length in found:
        counts[(length - 1) // width] += 1
    return {
        "bins": [width * number for number in range(len(counts) + 1)],
        "counts": counts,
        "longest": found[-1],
        "median": median(found),
        "p95": found[math.ceil(0.95 * len(found)) - 1],
    }


def longest_batch(config: TrainingConfig, sizes: Sequence[int]) -> list[int]:
    """Positions of the rows with the most tokens, as many as one step has."""
    return sorted(range(len(sizes)), key=lambda position: -sizes[position])[: effective_batch(config)]


# ---- memory and time ----


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
        lines = [len(item.prompt_ids) + count for item, count in zip(batch, scored, strict=True)]
        kind = model.device.type
        budget = config.micro_batch_tokens or packed_setup.automatic_budget(config, text, kind, width)
        tokens = max(lines[0], min(budget, sum(lines)))
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


def memory_fits(estimated: memory_estimate.Estimate | None, available: int, model: PreTrainedModel) -> dict[str, str]:
    where = "GPU memory" if model.device.type == "cuda" else "RAM"
    if estimated is None:
        words = f"The memory of {model.config.model_type} is not estimated; {hardware.gigabytes(available)} are there."
        return _said("memory", words, warning=True)
    needed = estimated.total + estimated.process
    words = f"About {hardware.gigabytes(needed)} of {where} are needed, {hardware.gigabytes(available)} are there."
    if needed <= available:
        return _said("memory", words)
    return _said("memory", f"{words} {LESS_MEMORY}.", warning=True)


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
            f"The longest batch ({len(longest)} rows, {tokens:,} tokens, the longest row {sizes[longest[0]]:,}) does "
            f"not fit into memory; nothing was trained yet. {LESS_MEMORY}"
        ) from error
    seconds = time.perf_counter() - began
    peak = torch.cuda.max_memory_allocated(model.device) if gpu else hardware.peak_ram()
    log.info("preflight: the longest batch took %.1f s, peak memory %s", seconds, hardware.gigabytes(peak))
    return seconds, peak


def expected_time(
    config: TrainingConfig, sizes: Sequence[int], longest: Sequence[int], seconds: float | None
) -> dict[str, Any]:
    """Seconds of a mean step (the longest batch's, by tokens), how many steps, and all of them; without the
    optimizer's share and without saving."""
    batch = effective_batch(config)
    steps = config.max_steps
    if steps <= 0:
        steps = math.ceil(math.ceil(len(sizes) / (batch * config.processes)) * config.epochs)
    if seconds is None:
        return {"seconds_per_step": None, "steps": steps, "estimate_s": None}
    mean = fmean(sizes) * len(longest)
    each = seconds * mean / sum(sizes[position] for position in longest)
    total = min(each * steps, config.max_seconds or math.inf)
    return {"seconds_per_step": round(each, 4), "steps": steps, "estimate_s": round(total, 1)}
