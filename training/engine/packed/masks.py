"""Attention masks of packed rows: a key is visible to itself and to what continues after it (see `trie`)."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from training.engine.packed.layout import MicroBatch


def dense_mask(batch: MicroBatch, dtype: torch.dtype, window: int | None = None) -> Tensor:
    """Additive mask (B, 1, L, L): 0 where a key is visible, the dtype's minimum elsewhere.

    `window` is that of sliding attention: keys fewer than `window` positions back, counted in positions of the text.
    Padding sees itself, so that no row of the softmax is empty.
    """
    place = torch.arange(batch.input_ids.shape[1], device=batch.input_ids.device)
    query, key = place[:, None], place[None, :]
    seen = (key <= query) & (query < batch.ends[:, None, :])
    if window is not None:
        seen &= batch.position_ids[:, :, None] - batch.position_ids[:, None, :] < window
    mask = torch.zeros(seen.shape, dtype=dtype, device=seen.device)
    return mask.masked_fill_(~seen, torch.finfo(dtype).min)[:, None]


def block_mask(batch: MicroBatch, window: int | None = None) -> Any:
    """The same mask as a BlockMask of FlexAttention (Dong et al. 2024), for `attn_implementation="flex_attention"`."""
    from torch.nn.attention.flex_attention import create_block_mask

    lines, width = batch.input_ids.shape
    return create_block_mask(
        mask_function(batch, window), B=lines, H=None, Q_LEN=width, KV_LEN=width, device=batch.input_ids.device
    )


def mask_function(batch: MicroBatch, window: int | None = None) -> Callable[..., Tensor]:
    """FlexAttention's `mask_mod(b, h, q, k)` of a micro-batch.

    It closes over tensors only: what the compiler guards on is then the same for all micro-batches.
    """
    ends, positions = batch.ends, batch.position_ids

    def attends(line: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return (key <= query) & (query < ends[line, key])

    def attends_nearby(line: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return attends(line, head, query, key) & (positions[line, query] - positions[line, key] < window)

    return attends if window is None else attends_nearby
