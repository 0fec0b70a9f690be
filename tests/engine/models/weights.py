"""Change the tensors of a model folder, as broken downloads and other programs do."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

Tensors = dict[str, "object"]


def changed(folder: str | Path, to: Path, change: Callable[[Tensors], Tensors]) -> str:
    """A copy of the folder whose tensors went through `change`; its path."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(folder, to)
    file = to / ("adapter_model.safetensors" if (to / "adapter_config.json").exists() else "model.safetensors")
    tensors = {name: tensor.contiguous().clone() for name, tensor in change(load_file(file)).items()}
    save_file(tensors, file, metadata={"format": "pt"})
    return str(to)


def without(*parts: str) -> Callable[[Tensors], Tensors]:
    """The tensors whose names contain none of these."""
    return lambda tensors: {name: t for name, t in tensors.items() if not any(part in name for part in parts)}


def renamed(old: str, new: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {name.replace(old, new): t for name, t in tensors.items()}


def reconfigured(folder: str | Path, **values: object) -> None:
    """Set values in the folder's config.json (or adapter_config.json)."""
    for name in ("adapter_config.json", "config.json"):
        file = Path(folder) / name
        if file.exists():
            file.write_text(json.dumps({**json.loads(file.read_text()), **values}))
            return
