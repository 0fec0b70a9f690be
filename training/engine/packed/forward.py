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
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel
from trl.kernels import ChunkedLogProbFunction

from training.engine.packed import masks, rope
from training.engine.packed.layout import MicroBatch

log = logging.getLogger("konomi.engine")

ATTENTIONS = ("sdpa", "eager", "flex_attention")
LAYERS = {"full_attention", "sliding_attention"}
ALIBI = {"bloom"}  # always; others say so in their configuration
# Largest allowed difference of a token's log-probability between the packed and the plain forward.
TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.25, torch.float16: 0.05}
MOST_LOGITS = 1 << 26  # of one text, in the comparison before a training: 256 MB in float32
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
    kind = config.model_type
    if model.config.is_encoder_decoder:
        return f"{kind} is an encoder-decoder"
    if any(getattr(part, "_is_stateful", False) for part in (model, getattr(model, "base_model", None))):
        return f"{kind} carries a state from token to token, which would leak from one completion into the next"
    if any(isinstance(module, nn.Conv1d) for module in model.modules()):
        return f"{kind} mixes neighbouring tokens by convolution, also those of two completions"
    other = set(getattr(config, "layer_types", None) or ()) - LAYERS
    if other:
        return f"{kind} has layers of {', '.join(sorted(other))}, which cannot mask a tail"
    if "local" in (getattr(config, "attention_layers", None) or ()):
        return f"{kind} counts its local windows in places of the line, not in positions of the text"
    if kind in ALIBI or getattr(config, "alibi", False) or _alibi_of_mpt(config):
        return f"{kind} biases attention by the place in the line (ALiBi), not by the position in the text"
    if config._attn_implementation not in ATTENTIONS:
        return f"its attention is {config._attn_implementation}, which takes no custom mask"
    return None


def allow_kernels() -> None:
    """Let torch.compile keep a kernel of FlexAttention for each way that a training computes it."""
    import torch._dynamo

    torch._dynamo.config.recompile_limit = max(COMPILED_KERNELS, torch._dynamo.config.recompile_limit)


def _alibi_of_mpt(config: Any) -> bool:
    return bool(getattr(getattr(config, "attn_config", None), "alibi", False))


def add_packed_forward(model: PreTrainedModel) -> None:
    """Add `model(..., target_positions=, target_ids=)`, which returns (log-probabilities, is_top1), each (N,).

    With several `passes` (see `rope`) the values of one after those of the other. Without targets the forward is
    unchanged. To be called before PEFT, FSDP or DDP wrap the model.
    """
    rope.make_choosable(model)
    original = model.forward
    settings = _head_settings(model.config.get_text_config())

    @functools.wraps(type(model).forward)
    def forward(
        self: PreTrainedModel,
        *args: Any,
        target_positions: Any = None,
        target_ids: Any = None,
        passes: tuple[bool | None, ...] = (None,),
        **kwargs: Any,
    ) -> Any:
        if target_positions is None:
            return original(*args, **kwargs)
        # Looked up at each call: FSDP and PEFT replace backbone and head after this.
        head = self.get_output_embeddings()
        hidden = []
        for long in passes:
            with rope.choosing(self, long):
                hidden_BLD = self.base_model(*args, use_cache=False, **kwargs).last_hidden_state
            hidden.append(hidden_BLD.flatten(0, 1)[target_positions].to(head.weight.device))
        hidden_ND = torch.cat(hidden) if len(hidden) > 1 else hidden[0]
        target_ids = target_ids.repeat(len(passes))
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
            passes=batch.passes,
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
def mismatch(model: PreTrainedModel, batches: Sequence[MicroBatch], mask_dtype: torch.dtype) -> str | None:
    """How packed rows differ from each text alone, computed plainly; None if they agree."""
    kind = model.config.model_type
    worst = 0.0
    for batch in batches:
        try:
            packed = batch.by_sequence(score(model, batch.to(model.device), mask_dtype).logps)
        except (TypeError, ValueError, RuntimeError, AttributeError, KeyError, IndexError) as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            return f"{kind} does not take packed rows ({type(error).__name__}: {str(error)[:200]})"
        texts = [text for row in batch.rows for text in zip(row.texts, row.prompt_tokens, strict=True)]
        for logps, (ids, prompt_tokens) in zip(packed, texts, strict=True):
            alone = _alone(model, ids, prompt_tokens, mask_dtype)
            if len(logps):
                worst = max(worst, float((logps.float() - alone).abs().max()))
    if worst <= TOLERANCE.get(mask_dtype, 1e-3):
        return None
    return f"{kind} gives other log-probabilities in packed rows (by {worst:.2g})"


def _alone(model: PreTrainedModel, ids: list[int], prompt_tokens: int, dtype: torch.dtype) -> Tensor:
    """Log-probabilities of a text's completion tokens by the model's plain forward.

    The logits of a long text may not fit into memory: its plain hidden states go through the head in tiles.
    """
    device = model.device
    text, targets = torch.tensor([ids], device=device), torch.tensor(ids[prompt_tokens:], device=device)
    with autocast(device, dtype):
        if len(ids) * model.config.get_text_config().vocab_size > MOST_LOGITS:
            places = torch.arange(prompt_tokens - 1, len(ids) - 1, device=device)
            logps: Tensor = model(input_ids=text, target_positions=places, target_ids=targets)[0]
            return logps.float()
        logits = model(input_ids=text, use_cache=False).logits[0, prompt_tokens - 1 : -1]
    return logits.float().log_softmax(-1).gather(1, targets[:, None])[:, 0]
