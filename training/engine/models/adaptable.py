"""Modules that an adapter fits, and those on which it would do nothing, or something else than it does once merged."""

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.pytorch_utils import Conv1D

# What PEFT's LoRA has layers for; Conv1D is how GPT-2 writes a linear module.
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
ADAPTABLE = (nn.Linear, nn.Embedding, Conv1D, *CONVOLUTIONS)
READ_BY_KERNELS = "whose weights Mamba's kernels read directly: an adapter there would have no effect"
READ_IN_TRAINING = "whose weights are read directly in training: an adapter there would never be trained"
# A module is known by what else it has → children whose weights are read past them.
READ_DIRECTLY = {
    "A_log": (("x_proj", "dt_proj", "out_proj", "conv1d"), READ_BY_KERNELS),  # a Mamba mixer, on a GPU
    "correct_output_scale": (("correction_coefs",), READ_IN_TRAINING),  # Gemma 3n's AltUp, where it clips them
}
COMPUTES_OTHERWISE = (
    "which the architecture computes in a way of its own (a router of experts, a module by groups): an adapter adds to "
    "what a plain module gives"
)
ARCHITECTURES = "transformers.models."
PROBES = 3


def unfit_modules(model: nn.Module) -> dict[str, str]:
    """Names of modules that PEFT would adapt and that an adapter does not fit, each with the reason."""
    unfit = {
        name: COMPUTES_OTHERWISE
        for name, module in model.named_modules()
        if isinstance(module, ADAPTABLE) and computes_otherwise(module)
    }
    return unfit | read_directly(model)


def left_out_of_all_linear(model: nn.Module) -> dict[str, str]:
    """Those of the linear modules: the ones that PEFT's `all-linear` would take."""
    unfit = unfit_modules(model)
    return {name: why for name, why in unfit.items() if isinstance(model.get_submodule(name), nn.Linear | Conv1D)}


def read_directly(model: nn.Module) -> dict[str, str]:
    """Modules whose weights are read past the module, each with the reason why an adapter would do nothing there."""
    return {
        f"{name}.{child}": why
        for name, parent in model.named_modules()
        for sign, (children, why) in READ_DIRECTLY.items()
        if hasattr(parent, sign)
        for child in children
        if isinstance(getattr(parent, child, None), nn.Module)
    }


@torch.no_grad()  # type: ignore[untyped-decorator]
def computes_otherwise(module: nn.Module) -> bool:
    """Whether a subclass that an architecture defines does not compute what its kind of module does.

    An adapter's output is added to the module's, and merged into its weight; the two are equal for a plain module, and
    for an embedding times `embed_scale`. A linear module may return a tuple, an embedding may be normalised.
    """
    kind = type(module)
    plain = next(base for base in kind.__mro__ if not base.__module__.startswith(ARCHITECTURES))
    if kind is plain or kind.forward is plain.forward:  # type: ignore[attr-defined]
        return False
    if isinstance(module, CONVOLUTIONS):
        return True
    weight = module.weight
    assert isinstance(weight, Tensor)
    if weight.device.type == "meta" or not weight.is_floating_point():
        return False
    try:
        if isinstance(module, nn.Embedding):
            ids = torch.arange(min(PROBES, module.num_embeddings), device=weight.device)[None]
            found, right = module(ids), functional.embedding(ids, weight) * getattr(module, "embed_scale", 1.0)
        else:
            probe = torch.linspace(-1, 1, PROBES * weight.shape[1]).view(1, PROBES, -1).to(weight)
            found, right = module(probe), functional.linear(probe, weight, getattr(module, "bias", None))
    except (TypeError, ValueError, RuntimeError, IndexError):
        return True
    return not (
        isinstance(found, Tensor) and found.shape == right.shape and torch.allclose(found, right, atol=1e-3, rtol=1e-2)
    )
