"""Put adapters on a model and merge them: each completely, and so that the result is what was trained.

PEFT warns of missing tensors, ignores unknown ones, and merges an adapter on tied embeddings into both of them.
"""

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftConfig, PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils.other import AuxiliaryTrainingWrapper
from torch import nn
from transformers import PreTrainedModel

from training.contract.errors import ModelError
from training.contract.weights import ADAPTER, listed, tensors
from training.contract.wording import counted
from training.engine.models.base_weights import brief, set_tied
from training.engine.runtime.failures import is_out_of_memory

log = logging.getLogger("konomi.engine")

# Kinds that choose among other adapters, or add tokens or attention of their own: no weight of the base changes.
UNMERGEABLE = ("XLORA", "POLY", "ADAPTION_PROMPT", "CARTRIDGE")
SIZES = re.compile(r"size mismatch for (\S+): .*?shape torch\.Size\((\[.*?\])\).*?is torch\.Size\((\[.*?\])\)")
AGAIN = "Copy the whole adapter folder again, or train it again"


def attach(model: PreTrainedModel | PeftModel, folder: str, name: str = "default") -> PeftModel:
    """The model with the folder's adapter on it, frozen; a PeftModel gets it beside those that it has.

    Raises ModelError for a kind that cannot be merged later, and for a file whose tensors are not exactly those of
    the adapter that adapter_config.json describes on this base.
    """
    base = model.get_base_model() if isinstance(model, PeftModel) else model
    check_kind(folder)
    check_embeddings(base, folder)
    ties = dict(getattr(base, "all_tied_weights_keys", None) or {})
    options = {
        "is_trainable": False,
        "torch_device": "cpu",
        "key_mapping": getattr(base, "_checkpoint_conversion_mapping", None),
    }
    try:
        if not isinstance(model, PeftModel):
            config = PeftConfig.from_pretrained(folder)
            config.inference_mode = True
            model = PeftModel(model, config, adapter_name=name)
            _untie(model, ties)
        result = model.load_adapter(folder, adapter_name=name, **options)
    except KeyError as error:
        raise ModelError(f"{folder} is incomplete: it has no tensor {error.args[0]}. {AGAIN}") from error
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise ModelError(f"{folder} cannot be loaded onto its base: {_reason(error, name)}") from error
    _untie(model, ties)
    _check_complete(folder, *(_as_in_file(names, name) for names in (result.missing_keys, result.unexpected_keys)))
    _note_unknown_targets(model, folder, name)
    if changes_nothing(model, name):
        log.warning("%s changes nothing: all its B matrices are zero, as before its first step", folder)
    return model


def merge(live: PeftModel, names: Sequence[str], described: str) -> PreTrainedModel:
    """The base with these adapters merged into it. Raises ModelError for adapters that cannot be."""
    try:
        model = live.merge_and_unload(safe_merge=True, adapter_names=list(names))
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise ModelError(f"{described} cannot be merged: {brief(error)}") from error
    model.peft_config = None
    del model.peft_config
    _settle_ties(model)
    return model


def check_kind(folder: str) -> None:
    """Raises ModelError for an adapter that changes no weights: it cannot be merged, and no run can start from it."""
    try:
        config = PeftConfig.from_pretrained(folder)
    except Exception as error:
        raise ModelError(f"{folder} has no readable adapter_config.json: {brief(error)}") from error
    kind = str(getattr(config.peft_type, "value", config.peft_type))
    if config.is_prompt_learning or config.is_adaption_prompt or kind in UNMERGEABLE:
        raise ModelError(
            f"{folder} is an adapter of the kind {kind}, which changes no weights and cannot be merged into its base. "
            "Train a LoRA adapter instead, or start from its base without it"
        )


def check_embeddings(base: PreTrainedModel, folder: str) -> None:
    """Raises ModelError where the adapter came with embeddings of another vocabulary than the base's."""
    rows = base.get_input_embeddings().weight.shape[0]
    width = base.get_input_embeddings().weight.shape[1]
    head = base.get_output_embeddings()
    modules = {id(base.get_input_embeddings()), id(head)}
    names = {name for name, module in base.named_modules(remove_duplicate=False) if id(module) in modules}
    file = Path(folder) / ADAPTER
    for tensor in tensors(file) if file.is_file() else ():  # none for a hub name
        plain = tensor.name.removeprefix("base_model.model.").removesuffix(".weight").removesuffix(".base_layer")
        if plain in names and len(tensor.shape) == 2 and tensor.shape[1] == width and tensor.shape[0] != rows:
            raise ModelError(
                f"{folder} was trained on a vocabulary of {tensor.shape[0]:,} tokens, and its base has {rows:,}: the "
                f"embeddings were resized before the training. Load the base, call resize_token_embeddings("
                f"{tensor.shape[0]}), save it with the adapter's tokenizer, and use that folder as the base"
            )


def changes_nothing(live: PeftModel, name: str) -> bool:
    """Whether every LoRA B matrix is zero and nothing else was trained: such an adapter adds zero to each weight."""
    second = [
        part[name].weight if isinstance(part[name], nn.Module) else part[name]
        for module in live.modules()
        if isinstance(module, BaseTunerLayer)
        for part in (getattr(module, "lora_B", {}), getattr(module, "lora_embedding_B", {}))
        if name in part
    ]
    config = live.peft_config[name]
    others = ("modules_to_save", "use_dora", "trainable_token_indices", "target_parameters")
    if not second or getattr(config, "bias", "none") != "none" or any(getattr(config, key, None) for key in others):
        return False
    return not any(bool(weight.any()) for weight in second)


def _as_in_file(names: Sequence[str], adapter: str) -> list[str]:
    """Names of tensors without the adapter's, which PEFT puts before the last part or at the end."""
    return [f"{name}.".replace(f".{adapter}.", ".").rstrip(".") for name in names]


def _check_complete(folder: str, missing: Sequence[str], unknown: Sequence[str]) -> None:
    faults = []
    if missing:
        faults.append(f"{counted(len(missing), 'tensor')} missing, which would do nothing ({listed(missing, 2)})")
    if unknown:
        faults.append(f"{counted(len(unknown), 'tensor')} in the file without a place ({listed(unknown, 2)})")
    if faults:
        raise ModelError(
            f"{folder} does not fit its adapter_config.json and its base: {'; '.join(faults)}. {AGAIN}, or name the "
            "base that it was trained on"
        )


def _note_unknown_targets(live: PeftModel, folder: str, name: str) -> None:
    targets = getattr(live.peft_config[name], "target_modules", None)
    if not isinstance(targets, set | list | tuple):
        return
    adapted = live.base_model.targeted_module_names
    absent = {target for target in targets if not any(f".{key}".endswith(f".{target}") for key in adapted)}
    if absent:
        log.warning("%s names modules that its base does not have, and has no tensors for: %s", folder, listed(absent))


# ---- tied weights ----


def _untie(live: PeftModel, ties: dict[str, str]) -> None:
    """Give weights of their own to tied parameters where an adapter is on either side.

    An adapter on the embedding changes what goes in, not the head's weights (and the other way round); merged into one
    shared matrix it would change both.
    """
    base = live.get_base_model()
    shared = getattr(base, "all_tied_weights_keys", None)
    for target, source in ties.items():
        if shared is None or target not in shared:
            continue
        modules = [base.get_submodule(parameter.rpartition(".")[0]) for parameter in (target, source)]
        if any(isinstance(module, BaseTunerLayer | AuxiliaryTrainingWrapper) for module in modules):
            inner, leaf = _inner(modules[0]), target.rpartition(".")[2]
            copy = getattr(inner, leaf).detach().clone()
            setattr(inner, leaf, nn.Parameter(copy, requires_grad=False))
            del shared[target]
            base._konomi_untied = {**getattr(base, "_konomi_untied", {}), target: source}


def _inner(module: nn.Module) -> Any:
    """The module below the adapter's wrappers."""
    while isinstance(module, BaseTunerLayer | AuxiliaryTrainingWrapper):
        module = module.get_base_layer() if isinstance(module, BaseTunerLayer) else module.original_module
    return module


def _settle_ties(model: PreTrainedModel) -> None:
    """After merging: what is equal again is tied again; else the configuration says that it is not tied any more."""
    untied = model.__dict__.pop("_konomi_untied", {})
    for target, source in untied.items():
        one, other = model.get_parameter(target), model.get_parameter(source)
        if one.shape == other.shape and torch.equal(one, other):
            setattr(model.get_submodule(target.rpartition(".")[0]), target.rpartition(".")[2], other)
            model.all_tied_weights_keys[target] = source
        else:
            log.info("%s and %s were tied, and an adapter was on one: each has its own weights now", target, source)
    if not untied:
        return
    tied = set(untied) <= set(model.all_tied_weights_keys)
    set_tied(model, tied)  # PEFT sets it to False wherever it merges into one of them
    if not tied:
        # The flag is one for all: of an architecture that shares layers (Zamba 2), the rest is not tied either.
        for target in list(model.all_tied_weights_keys):
            module, leaf = model.get_submodule(target.rpartition(".")[0]), target.rpartition(".")[2]
            setattr(module, leaf, nn.Parameter(getattr(module, leaf).detach().clone(), requires_grad=False))
            del model.all_tied_weights_keys[target]


def _reason(error: BaseException, adapter: str) -> str:
    """PEFT lists every tensor of another size: the first one is enough."""
    sizes = SIZES.search(" ".join(str(error).split()))
    if sizes is None:
        return brief(error)
    (tensor,) = _as_in_file([sizes[1]], adapter)
    return (
        f"{tensor} is {sizes[2]} in the file and {sizes[3]} on this base. It was trained on a base of another size, "
        "or its adapter_config.json was changed: name the base that it was trained on"
    )
