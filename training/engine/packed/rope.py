"""Position encodings that change with the length of a text (longrope: Phi-3, PhiMoE), chosen for each text by itself.

transformers takes the long frequencies for all texts of a batch where its longest one has more than
`original_max_position_embeddings` tokens, so that a text's log-probability depends on its neighbours. Here each text
has what it has alone: a micro-batch with texts on both sides of the threshold is computed with both sets of
frequencies (`MicroBatch.passes`), and each text's tokens are taken from its own.
"""

import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from training.engine.packed.layout import MicroBatch, Row

SWITCHING = "longrope"
# Set on a rotary embedding: the frequencies of the forward that runs (None: as transformers would choose).
CHOICE = "konomi_long"

SHORT, BOTH, LONG = 0, 1, 2

Item = TypeVar("Item")


def threshold(model: Any) -> int | None:
    """Tokens beyond which a text is computed with other frequencies; None for models without such a change."""
    parameters = getattr(model.config.get_text_config(), "rope_parameters", None) or {}
    # Either one set of parameters, or one for each type of layer.
    sets = [value for value in parameters.values() if isinstance(value, dict)] or [parameters]
    found = [
        values.get("original_max_position_embeddings")
        or getattr(model.config.get_text_config(), "original_max_position_embeddings", None)
        for values in sets
        if values.get("rope_type") == SWITCHING
    ]
    return min((int(value) for value in found if value), default=None)


def make_choosable(model: nn.Module) -> None:
    """Let `choosing` decide about the frequencies of this model's rotary embeddings."""
    limit = threshold(model)
    if limit is None:
        return
    for module in model.modules():
        kinds = getattr(module, "rope_type", None)
        if SWITCHING in (kinds.values() if isinstance(kinds, dict) else [kinds]) and not hasattr(module, CHOICE):
            setattr(module, CHOICE, None)
            module.forward = types.MethodType(_choosing_forward(module.forward, limit), module)


def _choosing_forward(original: Callable[..., Any], limit: int) -> Callable[..., Any]:
    """The embedding's forward, which looks at the largest position that it is given."""

    def forward(self: nn.Module, x: Tensor, position_ids: Tensor, *args: Any, **kwargs: Any) -> Any:
        choice = getattr(self, CHOICE)
        if choice is None:
            return original(x, position_ids, *args, **kwargs)
        if not choice:  # texts beyond the threshold are computed too, but not read
            return original(x, position_ids.clamp(max=limit - 1), *args, **kwargs)
        beyond = position_ids.new_full((*position_ids.shape[:-1], 1), limit)
        widened = original(x, torch.cat([position_ids, beyond], dim=-1), *args, **kwargs)
        return tuple(values[..., :-1, :] for values in widened)

    return forward


@contextmanager
def choosing(model: nn.Module, long: bool | None) -> Iterator[None]:
    """Within it, forwards take the long frequencies, the short ones, or what transformers would choose (None)."""
    chosen = [module for module in model.modules() if hasattr(module, CHOICE)] if long is not None else []
    for module in chosen:
        setattr(module, CHOICE, long)
    try:
        yield
    finally:
        for module in chosen:
            setattr(module, CHOICE, None)


def text_lengths(row: Row) -> list[int]:
    """Tokens of each text, the last one included, which transformers counts as well."""
    return [len(text) for text in row.texts]


def with_passes(batch: MicroBatch, limit: int | None, *, always_both: bool = False) -> MicroBatch:
    """The micro-batch with the frequencies that its texts need; `limit` is the model's threshold.

    With two passes the scored tokens' values come twice, short before long, and `sum_targets` points each text to its
    own. `always_both` where processes must make equally many forwards.
    """
    if limit is None:
        return batch
    long = torch.tensor([length > limit for row in batch.rows for length in text_lengths(row)])
    if bool(long.all() | ~long.any()) and not always_both:
        return replace(batch, passes=(bool(long[0]),))
    offset = long.to(batch.sum_targets.device)[batch.sum_sequences] * len(batch.target_ids)
    return replace(batch, passes=(False, True), sum_targets=batch.sum_targets + offset)


def side(lengths: Sequence[int], limit: int | None) -> int:
    """Where the texts of a row lie: all SHORT, all LONG, or BOTH (such rows cost two forwards)."""
    beyond = 0 if limit is None else sum(length > limit for length in lengths)
    return SHORT if not beyond else LONG if beyond == len(lengths) else BOTH


def by_side(items: Sequence[Item], sides: Sequence[int]) -> list[list[Item]]:
    """The items in groups of one side each, in order; micro-batches are cut within a group."""
    return [
        group
        for wanted in (SHORT, BOTH, LONG)
        if (group := [item for item, at in zip(items, sides, strict=True) if at == wanted])
    ]
