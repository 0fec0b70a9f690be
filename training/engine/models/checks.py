"""Checks before a model is loaded or an adapter is added, which would otherwise fail minutes later."""

from collections import Counter
from pathlib import Path

from torch import nn

from training.contract import hardware, memory_estimate, model_shape
from training.contract.config import LoraSettings, ModelSource
from training.contract.errors import ModelError

NAMED = 12  # module names listed in an error


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
            f"{folder} has {parameters:,} parameters, {hardware.gigabytes(needed)} in float32, in which they are read; "
            f"{hardware.gigabytes(free)} of RAM are free. Use a machine with more, end other programs, or use a "
            "smaller model"
        )


def check_lora_targets(model: nn.Module, settings: LoraSettings | None) -> None:
    """Raises ModelError where a name in `lora.targets` is that of no module that can have an adapter."""
    if settings is None or settings.targets == ("all-linear",):
        return
    names = [name for name, module in model.named_modules() if isinstance(module, nn.Linear | nn.Embedding)]
    missing = [t for t in settings.targets if not any(name == t or name.endswith(f".{t}") for name in names)]
    if missing:
        known = Counter(name.rsplit(".", 1)[-1] for name in names)
        available = ", ".join(name for name, _count in known.most_common(NAMED))
        raise ModelError(
            f"lora.targets: the model has no module named {', '.join(missing)}. It has {available}; all-linear takes "
            "every linear module except the head"
        )
