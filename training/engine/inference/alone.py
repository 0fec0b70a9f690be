"""A text's log-probabilities by the model's own forward, by itself: what each faster way of computing must agree with.

TRL computes the head itself, from the weights of the last matrix and some known factors, and of padded batches.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


@torch.no_grad()  # type: ignore[untyped-decorator]
def logps_alone(model: Any, ids: Sequence[int]) -> Tensor:
    """Natural-log probabilities (T − 1,) of all tokens but the first, in float32, by the model's own logits."""
    tokens = torch.tensor([list(ids)], device=device_of(model))
    logits = model(input_ids=tokens, attention_mask=torch.ones_like(tokens)).logits[0, :-1]
    return logits.float().log_softmax(-1).gather(-1, tokens[0, 1:, None]).squeeze(-1)


@torch.no_grad()  # type: ignore[untyped-decorator]
def logps_together(model: Any, texts: Sequence[Sequence[int]], pad_id: int) -> list[Tensor]:
    """The same of several texts in one batch, padded on the right, by TRL's head, which the model must have."""
    tokens = torch.full((len(texts), max(map(len, texts))), pad_id)
    mask = torch.zeros_like(tokens)
    for row, ids in enumerate(texts):
        tokens[row, : len(ids)] = torch.tensor(list(ids))
        mask[row, : len(ids)] = 1
    device = device_of(model)
    tokens, mask = tokens.to(device), mask.to(device)
    output = model(
        input_ids=tokens, attention_mask=mask, labels=tokens.masked_fill(mask == 0, -100), fused_lm_head=True
    )
    return [output.log_probs[row, : len(ids) - 1].float() for row, ids in enumerate(texts)]


def largest_difference(some: Sequence[Tensor], others: Sequence[Tensor]) -> float:
    """NaN where one of the values is."""
    differences = [(one - other).abs().max() for one, other in zip(some, others, strict=True) if one.numel()]
    return float(torch.stack(differences).max()) if differences else 0.0


def device_of(model: Any) -> torch.device:
    device: torch.device = model.get_input_embeddings().weight.device
    return device
