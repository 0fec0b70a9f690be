"""Forward of a causal language model over packed rows: masks by kind of attention, head on scored tokens only.

What an architecture does not support is detected before training: `unsupported_reason` reads its configuration,
`mismatch` compares a few rows with the plain forward.
"""

import functools
import logging
import types
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel
from trl.kernels import ChunkedLogProbFunction

from training.engine.packed import layout, masks
from training.engine.packed.layout import MicroBatch, Row

log = logging.getLogger("konomi.engine")

ATTENTIONS = ("sdpa", "eager", "flex_attention")
LAYERS = {"full_attention", "sliding_attention"}
# Largest allowed difference of a token's log-probability between the packed and the plain forward.
TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.25, torch.float16: 0.05}
LINE_MULTIPLE = 128  # FlexAttention's block size
# A line of one block would be compiled for itself: torch.compile has a kernel for all sizes from 2 on.
LEAST_LINE = 2 * LINE_MULTIPLE
# Kernels that are compiled before FlexAttention falls back to an eager one, which computes the whole matrix: with and
# without gradients, for the first size and for all others, for each window. torch's own limit is 8.
COMPILED_KERNELS = 64
# Columns of the head that are computed at a time: on CUDA as in TRL. On a CPU larger tiles leave the caches, and their
# memory is allocated again for each operation.
VOCABULARY_TILE = {"cuda": 32_768, "cpu": 4_096}


@dataclass(frozen=True)
class Scored:
    """For N scored tokens: natural-log probability (N,), and whether the token was the most likely one (N,)."""

    logps: Tensor
    top1: Tensor


def unsupported_reason(model: Any) -> str | None:
    """Why this model cannot compute packed rows, by its configuration; None if nothing is known against it."""
    config = model.config.get_text_config()
    if model.config.is_encoder_decoder:
        return f"{config.model_type} is an encoder-decoder"
    other = set(getattr(config, "layer_types", None) or ()) - LAYERS
    if other:
        return f"{config.model_type} has layers of {', '.join(sorted(other))}, which cannot mask a tail"
    if config._attn_implementation not in ATTENTIONS:
        return f"its attention is {config._attn_implementation}, which takes no custom mask"
    if getattr(config, "router_aux_loss_coef", 0) and getattr(config, "output_router_logits", False):
        return f"{config.model_type} balances its experts by a loss over whole batches"
    return None


def allow_kernels() -> None:
    """Let torch.compile keep a kernel of FlexAttention for each way that a training computes it."""
    import torch._dynamo

    torch._dynamo.config.recompile_limit = max(COMPILED_KERNELS, torch._dynamo.config.recompile_limit)


def add_packed_forward(model: PreTrainedModel) -> None:
    """Add `model(..., target_positions=, target_ids=)`, which returns (log-probabilities, is_top1), each (N,).

    Without targets the forward is unchanged. To be called before PEFT, FSDP or DDP wrap the model.
    """
    original = model.forward
    settings = _head_settings(model.config.get_text_config())

    @functools.wraps(type(model).forward)
    def forward(
        self: PreTrainedModel, *args: Any, target_positions: Any = None, target_ids: Any = None, **kwargs: Any
    ) -> Any:
        if target_positions is None:
            return original(*args, **kwargs)
        # Looked up at each call: FSDP and PEFT replace backbone and head after this.
        hidden_BLD = self.base_model(*args, use_cache=False, **kwargs).last_hidden_state
        head = self.get_output_embeddings()
        hidden_ND = hidden_BLD.flatten(0, 1)[target_positions].to(head.weight.device)
        weight, bias = _whole(head.weight), _whole(head.bias)
        tile = VOCABULARY_TILE.get(hidden_ND.device.type, VOCABULARY_TILE["cuda"])
        logps, _, _, _, top1 = ChunkedLogProbFunction.apply(
            hidden_ND, weight, bias, target_ids, 1.0, tile, *settings, ("log_probs", "is_top1")
        )
        return logps, top1

    model.forward = types.MethodType(forward, model)


def _whole(parameter: Tensor | None) -> Tensor | None:
    return parameter.full_tensor() if isinstance(parameter, DTensor) else parameter


def _head_settings(config: Any) -> tuple[float | None, float]:
    """(soft cap, factor) of the logits, under the names that architectures use (those that TRL knows)."""
    for name in ("logit_scale", "output_multiplier", "lm_head_multiplier"):
        if getattr(config, name, None) is not None:
            return getattr(config, "final_logit_softcapping", None), getattr(config, name)
    divisor = getattr(config, "logits_scaling", None)
    if divisor is not None:
        factor = divisor if config.model_type == "hyperclovax" else 1 / divisor
        return getattr(config, "final_logit_softcapping", None), factor
    return getattr(config, "final_logit_softcapping", None), 1.0


def score(model: Any, batch: MicroBatch, mask_dtype: torch.dtype) -> Scored:
    """The scored tokens' log-probabilities under `model` (wrapped or not) with the forward above."""
    config = getattr(model, "module", model).config.get_text_config()
    with autocast(batch.input_ids.device, mask_dtype):
        logps, top1 = model(
            input_ids=batch.input_ids,
            target_positions=batch.target_positions,
            target_ids=batch.target_ids,
            **attention_inputs(config, batch, mask_dtype),
        )
    return Scored(logps, top1)


def autocast(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """The training's autocast, for forwards outside of it: policy and reference must round alike."""
    return torch.autocast(device.type, dtype=dtype, enabled=dtype is not torch.float32)


def attention_inputs(config: Any, batch: MicroBatch, dtype: torch.dtype) -> dict[str, Any]:
    """position_ids and attention_mask for the model's kinds of layers; empty if plain causal attention is correct."""
    kinds = set(getattr(config, "layer_types", None) or ())
    window = getattr(config, "sliding_window", None) if not kinds or "sliding_attention" in kinds else None
    longest = int(batch.position_ids.max()) + 1
    if window is not None and window >= longest:
        window = None
    if window is None and batch.is_causal:
        return {}

    def mask(window: int | None) -> Any:
        if config._attn_implementation == "flex_attention":
            return masks.block_mask(batch, window)
        return masks.dense_mask(batch, dtype, window)

    if len(kinds) > 1:
        by_kind = {"full_attention": mask(None), "sliding_attention": mask(window)}
        return {"position_ids": batch.position_ids, "attention_mask": by_kind}
    return {"position_ids": batch.position_ids, "attention_mask": mask(window)}


@torch.no_grad()  # type: ignore[untyped-decorator]
def mismatch(model: PreTrainedModel, rows: Sequence[Row], *, pad_id: int, mask_dtype: torch.dtype) -> str | None:
    """How the packed forward differs from the plain one on these rows; None if they agree."""
    device = model.device
    batch = layout.lay_out(rows, pad_id=pad_id).to(device)
    try:
        packed = batch.by_sequence(score(model, batch, mask_dtype).logps)
    except (TypeError, ValueError, RuntimeError, AttributeError, KeyError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        return f"{model.config.model_type} does not take packed rows ({type(error).__name__}: {str(error)[:200]})"
    worst = 0.0
    number = 0
    for row in rows:
        for ids in row.texts:
            with autocast(device, mask_dtype):
                logits = model(input_ids=torch.tensor([ids], device=device), use_cache=False).logits[0, :-1]
            plain = logits.float().log_softmax(-1).gather(1, torch.tensor(ids[1:], device=device)[:, None])[:, 0]
            logps = packed[number].float()
            if len(logps):
                worst = max(worst, float((logps - plain[-len(logps) :]).abs().max()))
            number += 1
    if worst <= TOLERANCE.get(mask_dtype, 1e-3):
        return None
    return f"{model.config.model_type} gives other log-probabilities in packed rows (by {worst:.2g})"
