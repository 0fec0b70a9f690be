"""Mixtures of experts: which of them have routers, and what their configurations call the number of experts."""

import operator
from typing import Any

import torch

# What configurations call what TRL reads as `num_experts`.
NAMES = ("num_local_experts", "n_routed_experts", "moe_num_experts")
TOKENS = 2


@torch.no_grad()  # type: ignore[untyped-decorator]
def has_routers(model: Any) -> bool:
    """Whether a forward has router logits: a configuration may speak of experts where all layers are dense."""
    plain = model.get_base_model() if hasattr(model, "get_base_model") else model
    tokens = torch.zeros((1, TOKENS), dtype=torch.long, device=plain.get_input_embeddings().weight.device)
    was_training = plain.training
    plain.eval()
    try:
        outputs = plain.base_model(input_ids=tokens, output_router_logits=True, use_cache=False)
    finally:
        plain.train(was_training)
    return bool(getattr(outputs, "router_logits", None))


def name_experts(config: Any) -> None:
    """TRL reads `num_experts`: where a configuration has another name for it, its class gets this one, too."""
    if hasattr(config, "num_experts"):
        return
    for name in NAMES:
        if getattr(config, name, None):
            # On the class, so that nothing of it is saved with the model.
            type(config).num_experts = property(operator.attrgetter(name))
            return
