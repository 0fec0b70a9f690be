"""Dropout switched off in a whole model: modules, the numbers that functions take, and other random draws of training.

Policy and reference must be computed alike: the DPO paper's loss starts at log 2. TRL switches `nn.Dropout` off, the
adapter's included. Many architectures (OPT, BLOOM, Falcon, Starcoder2) call `functional.dropout` with a number that a
module or the configuration holds, skip layers at random, or shake a router; that stays on in TRL. Here the model's own
draws are off; an adapter that is added later keeps its `lora_dropout`.
"""

import logging
import math
import types
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

log = logging.getLogger("konomi.engine")

# Parts of the names that hold a probability or a strength of noise: attention_dropout, attn_pdrop, layerdrop,
# router_jitter_noise.
NAMES = ("drop", "jitter")
PROBES = 32
ORIGINALS = "konomi_dropout"


def switch_off(model: PreTrainedModel) -> None:
    """To be called before an adapter is added. What the configuration said is kept for `restore_configuration`.

    A number that the model uses outside of training, too, stays: with another it would be another model. What holds it
    (Phi-MoE's routers) computes in training as it does outside.
    """
    numbers = [(module, name, getattr(module, name)) for module in model.modules() for name in _jitter(vars(module))]
    before = _logits(model) if numbers else None
    for module in model.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
        for name in _random_numbers(vars(module)):
            setattr(module, name, 0.0)
    originals = []
    for config in _configurations(model):
        values = {name: vars(config)[name] for name in _random_numbers(vars(config))}
        for name in values:
            setattr(config, name, 0.0)
        originals.append((config, values))
    if before is not None and not torch.equal(before, _logits(model)):
        for module, name, value in numbers:
            setattr(module, name, value)
        for config, values in originals:
            for name in _jitter(values):
                setattr(config, name, values[name])
        for module in {id(module): module for module, _name, _value in numbers}.values():
            module.train = types.MethodType(_stay_in_evaluation, module)
            module.eval()
        listed = ", ".join(sorted({name for _module, name, _value in numbers}))
        log.info("this model uses %s outside of training, too: its routers compute as in evaluation", listed)
    setattr(model, ORIGINALS, [*getattr(model, ORIGINALS, []), *originals])


def restore_configuration(model: Any) -> None:
    """Before the model is saved for good: its config.json says what the base's said."""
    for config, values in getattr(model, ORIGINALS, []):
        for name, value in values.items():
            setattr(config, name, value)


def _random_numbers(values: dict[str, Any]) -> list[str]:
    return [
        name
        for name, value in values.items()
        if isinstance(value, float) and value > 0 and any(part in name for part in NAMES)
    ]


def _stay_in_evaluation(module: nn.Module, mode: bool = True) -> nn.Module:
    return nn.Module.train(module, False)


def _jitter(values: dict[str, Any]) -> list[str]:
    return [name for name in _random_numbers(values) if "jitter" in name]


@torch.no_grad()  # type: ignore[untyped-decorator]
def _logits(model: PreTrainedModel) -> torch.Tensor:
    """Of some tokens from all over the vocabulary, in evaluation mode."""
    embeddings = model.get_input_embeddings().weight
    ids = torch.linspace(0, len(embeddings) - 1, PROBES, device=embeddings.device).long()[None]
    was_training = model.training
    model.eval()
    try:
        logits: torch.Tensor = model(input_ids=ids, use_cache=False).logits
    finally:
        model.train(was_training)
    return logits


def _configurations(model: PreTrainedModel) -> list[Any]:
    """Each configuration that a module reads, once."""
    configs = [getattr(module, "config", None) for module in model.modules()]
    return list({id(config): config for config in configs if hasattr(config, "model_type")}.values())


@torch.no_grad()  # type: ignore[untyped-decorator]
def remaining_noise(model: PreTrainedModel, ids: Sequence[int]) -> float:
    """The largest difference of two forwards in training mode on these tokens, in logits; 0 where nothing is drawn."""
    was_training = model.training
    text = torch.tensor([list(ids)], device=model.device)
    model.train()
    try:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            one, other = (model(input_ids=text, use_cache=False).logits for _ in range(2))
    finally:
        model.train(was_training)
    difference = float((one - other).abs().max())
    return difference if math.isfinite(difference) else 0.0
