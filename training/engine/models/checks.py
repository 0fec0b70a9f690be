"""Checks before a model is loaded or an adapter is added, which would otherwise fail minutes later."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from transformers import PreTrainedModel

from training.contract import hardware, memory_estimate, model_shape
from training.contract.config import LoraSettings, ModelSource
from training.contract.errors import ModelError
from training.engine.models.adaptable import ADAPTABLE, left_out_of_all_linear, unfit_modules

log = logging.getLogger("konomi.engine")

NAMED = 12  # module names listed in an error
# Ours and TRL's trainers alike compute log-probabilities from the head's weight.
ON_THE_HEAD = (
    "lora.targets names the head (lm_head): its weight is read directly, so that an adapter on it would never be "
    "trained. Remove it from lora.targets"
)


def check_weights_fit(source: ModelSource) -> None:
    """Raises ModelError where the weights alone need more than the memory that is free.

    They are read into RAM in float32, whatever they are trained in. A hub name is not checked: it has no folder yet.
    """
    folder = Path(source.base)
    if not folder.is_dir():
        return
    parameters = model_shape.count_parameters(folder)
    needed, free = memory_estimate.FP32 * parameters, hardware.available_ram()
    if needed > free:
        raise ModelError(
            f"{folder} has {parameters:,} parameters, {hardware.gibibytes(needed)} in float32, in which they are read; "
            f"{hardware.gibibytes(free)} of RAM are free. Use a machine with more, end other programs, or use a "
            "smaller model"
        )


def check_lora_targets(model: PreTrainedModel, settings: LoraSettings | None) -> None:
    """Raises ModelError where a name in `lora.targets` is that of no module that can have an adapter."""
    if settings is None:
        return
    if settings.targets == ("all-linear",):
        left_out = left_out_of_all_linear(model)
        for why in sorted(set(left_out.values())):
            leaves = {name.rpartition(".")[2] for name, reason in left_out.items() if reason == why}
            log.info("all-linear leaves out %s, %s", ", ".join(sorted(leaves)), why)
        return
    unfit = unfit_modules(model)
    modules = {name: module for name, module in model.named_modules() if isinstance(module, ADAPTABLE)}
    named = {target: [name for name in modules if f".{name}".endswith(f".{target}")] for target in settings.targets}
    missing = [target for target, names in named.items() if not names]
    if missing:
        known = Counter(name.rsplit(".", 1)[-1] for name in modules)
        available = ", ".join(name for name, _count in known.most_common(NAMED))
        raise ModelError(
            f"lora.targets: the model has no module named {', '.join(missing)}. It has {available}; all-linear takes "
            "every linear module except the head"
        )
    head = model.get_output_embeddings()
    if any(modules[name] is head for names in named.values() for name in names):
        raise ModelError(ON_THE_HEAD)
    for target, names in named.items():
        why = next((unfit[name] for name in names if name in unfit), "")
        if why:
            raise ModelError(
                f"lora.targets names {target}, {why}. Remove it, or use all-linear, which leaves such modules out"
            )
    note_tied_targets(model, named)


def note_tied_targets(model: PreTrainedModel, named: Mapping[str, Sequence[str]]) -> None:
    """An adapter on one of two tied matrices is on that one alone: merged, each has its own weights."""
    chosen = {name for names in named.values() for name in names}
    for pair in (getattr(model, "all_tied_weights_keys", None) or {}).items():
        tied = [name.rpartition(".")[0] for name in pair]
        if len(chosen.intersection(tied)) == 1:
            adapted, other = sorted(tied, key=lambda name: name not in chosen)
            log.warning(
                "lora.targets: %s shares its weights with %s. The adapter is on the former alone; merged, both have "
                "weights of their own, and the model is larger by %s parameters",
                adapted,
                other,
                f"{model.get_parameter(pair[0]).numel():,}",
            )
