"""Decide whether a run trains on packed rows, and how its steps are cut into micro-batches on this machine."""

import logging
import math
from collections.abc import Sequence
from typing import Any

import psutil
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from training.contract import memory_estimate
from training.contract.config import TrainingConfig
from training.contract.errors import ModelError
from training.engine.models import loading
from training.engine.models.experts import has_routers
from training.engine.packed import forward, rope
from training.engine.packed.layout import Row
from training.engine.packed.step import Layout

log = logging.getLogger("konomi.engine")

# Fraction of the free memory for a micro-batch's activations; on a CPU at most CPU_ACTIVATIONS bytes, since larger
# micro-batches are no faster there.
MEMORY_SHARE = {"cpu": 0.25, "cuda": 0.4}
CPU_ACTIVATIONS = 768 << 20
LEAST_TOKENS, MOST_TOKENS = 256, 16_384
UNKNOWN_TOKENS = 2_048  # for architectures that the memory estimate does not know
# A further micro-batch costs about a millisecond per layer; here in tokens of 6 · parameters operations at 50 GFLOP/s.
OVERHEAD = 8e6
# A place of a dense mask costs 4 · width · layers operations, a token 2 · parameters; the former are slower ones.
PLACE_FACTOR = 2 * 3
# Rows on which packed and plain forward are compared before a training.
CHECKED_ROWS = 3


def plain_trl_reason(config: TrainingConfig, model: PreTrainedModel, losses: Sequence[str] = ()) -> str | None:
    """Why plain TRL has to compute this run; None if it can be packed. `losses` are those of packed rows, if any."""
    if not config.packing:
        return "packing is switched off"
    others = [name for name in config.losses if losses and name not in losses]
    if others:
        return f"the loss {', '.join(others)} is computed by TRL only"
    return router_loss(model) or forward.unsupported_reason(model)


def router_loss(model: PreTrainedModel) -> str | None:
    """Why the auxiliary loss of a mixture of experts needs plain TRL; None for models that have none.

    It multiplies means over all tokens of a batch, so that neither micro-batches nor prompts that are computed once
    give its value. TRL goes by the coefficient (`router_aux_loss_coef`), whatever `output_router_logits` says.
    """
    config = model.config.get_text_config()
    coefficient = getattr(config, "router_aux_loss_coef", 0.0)
    if not coefficient or not hasattr(config, "output_router_logits") or not has_routers(model):
        return None
    return (
        f"{config.model_type} balances its experts by an auxiliary loss over whole batches "
        f"(router_aux_loss_coef {coefficient:g})"
    )


def mismatch(model: PreTrainedModel, rows: Sequence[Row], layout: Layout) -> str | None:
    """How packed rows differ from each text alone, on short and medium rows and the longest; None if they agree.

    To be called after `forward.add_packed_forward`. The longest row shares a micro-batch with the others where the
    budget has room for that.
    """
    ordered = sorted(rows, key=lambda row: row.computed)
    step = max(1, len(ordered) // (2 * CHECKED_ROWS))
    sample, longest = ordered[:-1:step][:CHECKED_ROWS], ordered[-1]
    mixed = longest.computed * (len(sample) + 1) <= layout.budget
    groups = [[*sample, longest]] if mixed or not sample else [sample, [longest]]
    reason: str | None = forward.mismatch(model, [layout.lay_out(group) for group in groups], layout.mask_dtype)
    return reason


def make_packable(model: PreTrainedModel) -> None:
    """Add the packed forward, and move the model to the device of the training."""
    forward.add_packed_forward(model)
    if getattr(model, "hf_quantizer", None) is None:  # quantized weights stay where they were loaded
        model.to(loading.device())


def make_layout(config: TrainingConfig, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Layout:
    """How steps are cut on this machine: the token budget is configured, or follows from the free memory."""
    threshold = rope.threshold(model)
    kind = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = loading.compute_dtype(config.precision)
    one_line = False
    if kind == "cuda" and model._supports_flex_attn and model.config._attn_implementation == "sdpa":
        model.set_attn_implementation("flex_attention")
        forward.allow_kernels()
        one_line = True
    text = model.config.get_text_config()
    # BLT has several stacks, and no such numbers.
    layers, width = getattr(text, "num_hidden_layers", None) or 1, getattr(text, "hidden_size", None) or 1
    parameters = sum(p.numel() for p in model.base_model.parameters()) or 1
    return Layout(
        pad_id=tokenizer.pad_token_id,
        budget=config.micro_batch_tokens or automatic_budget(config, text.to_dict(), kind, dtype.itemsize),
        overhead=math.ceil(OVERHEAD * layers / parameters),
        one_line=one_line,
        mask_dtype=dtype,
        place_cost=0.0 if one_line else PLACE_FACTOR * width * layers / parameters,
        threshold=threshold,
        # FSDP gathers weights at each forward of each process.
        always_both=threshold is not None and config.processes > 1 and bool(config.accelerate_config),
    )


def automatic_budget(config: TrainingConfig, model_config: dict[str, Any], kind: str, bytes_per_value: int) -> int:
    """Tokens of a micro-batch whose activations stay within MEMORY_SHARE of the free memory."""
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


def describe_method(reason: str | None, layout: Layout | None) -> dict[str, Any]:
    """For the log and result.json: packed rows, or plain TRL and the reason."""
    if reason or layout is None:
        log.warning("computed by plain TRL: %s", reason)
        return {"packing": False, "why": reason}
    log.info("packed rows, at most %d tokens in a micro-batch", layout.budget)
    return {"packing": True, "why": "", "micro_batch_tokens": layout.budget}
