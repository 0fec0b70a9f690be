"""Load a base completely or not at all: every tensor of the architecture, and every one of the files.

transformers loads what it finds, initialises the rest at random, and says so in a log. Here both are errors, except
for what an architecture leaves out on purpose.
"""

import logging
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.models.auto.configuration_auto import CONFIG_MAPPING, CONFIG_MAPPING_NAMES
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from training.contract import model_shape
from training.contract.errors import ModelError
from training.contract.weights import listed, weight_files
from training.contract.wording import counted
from training.engine.runtime.failures import is_out_of_memory

log = logging.getLogger("konomi.engine")

# Buffers that older versions stored, and that are computed today.
COMPUTED = re.compile(r"(^|\.)(rotary_emb\.inv_freq|masked_bias|position_ids)$")
# Layers that predict further tokens ahead, which transformers' causal models leave out.
AHEAD = re.compile(r"(^|\.)(mtp|nextn)\w*(\.|$)")
LAYER = re.compile(r"(?:^|\.)layers?\.(\d+)\.")
AHEAD_COUNTS = ("num_nextn_predict_layers", "num_mtp_layers", "mtp_num_hidden_layers", "num_mtp_modules")
OTHER_PARTS = ("vision_config", "audio_config", "image_config", "visual_config", "speech_config", "vq_config")
AGAIN = "Download the folder again, or save the model again with save_pretrained, so that its config.json fits"


def load_base(folder: str, **options: Any) -> PreTrainedModel:
    """The folder's causal language model, in evaluation mode. `options` are those of `from_pretrained`.

    Raises ModelError where it is no causal language model of text, or where the files and the architecture in
    config.json do not fit one another: tensors that are missing, unknown, or of another shape.
    """
    check_architecture(folder)
    try:
        with _without_reports():
            model, report = AutoModelForCausalLM.from_pretrained(
                folder,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # reported below, all of them
                **options,
            )
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise ModelError(f"{folder} cannot be loaded: {brief(error)}") from error
    fault = fault_of(model, report, folder)
    if fault:
        raise ModelError(f"{folder} is not loaded: {fault}")
    _note_untied(model, folder)
    _name_backbone(model)
    return model


def _name_backbone(model: PreTrainedModel) -> None:
    """Llama 4's text model names another part as its base model, so that `base_model` is the whole of it."""
    if model.base_model is model and isinstance(getattr(model, "model", None), PreTrainedModel):
        model.base_model_prefix = "model"


def check_finite(model: PreTrainedModel, described: str) -> None:
    """Raises ModelError for a model with a weight that is NaN or infinite: whatever it computes would be so, too."""
    for name, parameter in model.named_parameters():
        # A sum needs no memory of the weight's size, as `isfinite` does; only one that overflowed is looked at closer.
        if torch.isfinite(parameter.detach().sum()) or torch.isfinite(parameter).all():
            continue
        raise ModelError(
            f"{described}: the weight {name} holds values that are not finite, so that nothing can be computed with "
            "it. Start from another checkpoint, or download the folder again"
        )


def check_architecture(folder: str) -> None:
    """Raises ModelError for a folder whose config.json is not that of a causal language model that can be loaded."""
    path = Path(folder)
    if not path.is_dir():
        return  # a hub name
    if (path / "adapter_config.json").is_file():
        raise ModelError(f"{folder} is an adapter: name its base as the base, and this folder as an adapter")
    config = model_shape.read_config(path / "config.json")
    kind = config.get("model_type")
    written_for = [str(name) for name in config.get("architectures") or []]
    described = f"{folder} is a model of type {kind!r}" + (f" ({', '.join(written_for)})" if written_for else "")
    if kind not in CONFIG_MAPPING_NAMES:
        own_code = "It needs program code of its own, which is never run. " if config.get("auto_map") else ""
        raise ModelError(
            f"{described}, which the installed transformers does not know. {own_code}Choose a model whose "
            "architecture it has, or install a version that has this one"
        )
    masked = bool(written_for) and all(name.endswith("ForMaskedLM") for name in written_for)
    usually = getattr(CONFIG_MAPPING[kind], "is_encoder_decoder", False)
    if kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES or masked or config.get("is_encoder_decoder", usually):
        raise ModelError(
            f"{described}, and no causal language model of text. Choose a folder whose config.json names a "
            "…ForCausalLM architecture; of a model for images or speech, its language model has such a folder"
        )
    if not weight_files(path):
        others = sorted(file.name for file in path.iterdir() if file.suffix in (".safetensors", ".bin", ".pth"))
        beside = f" ({listed(others)} {'is' if len(others) == 1 else 'are'} not read)" if others else ""
        raise ModelError(
            f"{folder} has no model.safetensors and no index of shards{beside}: not a model in Hugging Face layout "
            "with safetensors weights. Save it with save_pretrained"
        )


def fault_of(model: PreTrainedModel, report: dict[str, Any], folder: str = "") -> str | None:
    """Why the files do not fit the architecture; None where they do. `report` is transformers' loading info."""
    missing, mismatched = set(report["missing_keys"]), sorted(report["mismatched_keys"])
    unknown = {name for name in report["unexpected_keys"] if not _left_out(model, name)}
    if not missing and not mismatched and unknown and _has_other_parts(model, folder):
        log.info("%s: %s of other parts than the language model are not used", folder, counted(len(unknown), "tensor"))
        return None
    faults = []
    if missing:
        faults.append(f"{counted(len(missing), 'tensor')} missing, which would be random ({listed(missing)})")
    if mismatched:
        name, stored, expected = mismatched[0]
        faults.append(
            f"{counted(len(mismatched), 'tensor')} of another shape ({name} is {list(stored)} in the files and "
            f"{list(expected)} by config.json)"
        )
    if unknown:
        prefix = _common_prefix(unknown, missing)
        why = f", under the prefix {prefix!r}" if prefix else ""
        faults.append(
            f"{counted(len(unknown), 'tensor')} that this architecture does not have{why} ({listed(unknown)})"
        )
    if not faults:
        return None
    return f"its weights do not fit {type(model).__name__}: {'; '.join(faults)}. {AGAIN}"


def _left_out(model: PreTrainedModel, name: str) -> bool:
    """Whether a tensor of the files is one that the architecture leaves out on purpose."""
    if COMPUTED.search(name) or AHEAD.search(name):
        return True
    if any(buffer == name or buffer.endswith(f".{name}") for buffer in _computed_buffers(model)):
        return True
    config = model.config.get_text_config()
    layer = LAYER.search(name)
    ahead = max(int(getattr(config, key, 0) or 0) for key in AHEAD_COUNTS)  # some are names of one another
    first = int(getattr(config, "num_hidden_layers", 0) or 0)
    return layer is not None and first <= int(layer[1]) < first + ahead


def _computed_buffers(model: PreTrainedModel) -> Collection[str]:
    return {name for name, _buffer in model.named_buffers()} - set(model.state_dict())


def _has_other_parts(model: PreTrainedModel, folder: str) -> bool:
    """Whether the folder holds a model of several parts, of which only the language model was loaded."""
    path = Path(folder) / "config.json"
    if not path.is_file():
        return False
    return any(model_shape.read_config(path).get(part) for part in OTHER_PARTS) and not any(
        getattr(model.config, part, None) for part in OTHER_PARTS
    )


def _common_prefix(unknown: Collection[str], missing: Collection[str]) -> str:
    """What is before every unknown name, where without it most of them are the missing ones."""
    for name in sorted(unknown):
        for wanted in missing:
            if name.endswith(f".{wanted}"):
                prefix = name.removesuffix(wanted)
                renamed = sum(other.removeprefix(prefix) in missing for other in unknown if other.startswith(prefix))
                if renamed > len(unknown) / 2:
                    return prefix
    return ""


def _note_untied(model: PreTrainedModel, folder: str) -> None:
    """config.json may ask for tied embeddings while the files hold two different matrices: both stay as they are."""
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    if head is None or embedding is None or not getattr(model.config.get_text_config(), "tie_word_embeddings", False):
        return
    if head.weight is not embedding.weight and head.weight.shape == embedding.weight.shape:
        log.warning("%s: config.json ties head and embedding, but the files hold two matrices: both are kept", folder)
        set_tied(model, False)


def set_tied(model: PreTrainedModel, tied: bool) -> None:
    for config in (model.config, model.config.get_text_config()):
        config.tie_word_embeddings = tied


def brief(error: BaseException) -> str:
    """A library's error in one line, without the pages that some of them write."""
    line = " ".join(str(error).strip().partition("\n")[0].split())
    if "automatic conversion of the weights" in line:
        return f"its tensors cannot be brought into the architecture's form; those of some layer are missing. {AGAIN}"
    return line if len(line) <= 300 else f"{line[:300]} …"


@contextmanager
def _without_reports() -> Iterator[None]:
    """transformers logs its loading report as a coloured table; here it becomes an error, or is of no interest."""
    logger = logging.getLogger("transformers.modeling_utils")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
