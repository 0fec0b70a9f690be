"""Load a model chain: a base folder and the adapters merged into it in order. Safetensors only."""

import logging
import os
from pathlib import Path

import torch
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from training.contract import lineage, model_files
from training.contract.config import ModelSource, Precision
from training.contract.errors import ModelError
from training.contract.run_directory import LINEAGE
from training.contract.wording import counted
from training.engine.artifacts.publishing import make_writable
from training.engine.models import base_weights, same_base

log = logging.getLogger("konomi.engine")

# For base models that come without a chat template. It needs no special tokens but the tokenizer's own end of text,
# which closes every assistant turn, so that a model learns to stop. Every turn's head ends in a line break: tokenizers
# do not merge that with the text after it, and the prompt stays a prefix of prompt and answer.
DEFAULT_CHAT_TEMPLATE = (
    "{{- bos_token or '' -}}"
    "{%- if tools -%}{{- 'Tools:' -}}"
    "{%- for tool in tools -%}{{- '\\n' + tool | tojson -}}{%- endfor -%}{{- '\\n' -}}"
    "{%- endif -%}"
    "{%- for message in messages -%}"
    "{%- if not loop.first -%}{{- '\\n' -}}{%- endif -%}"
    "{{- message['role'] | capitalize + ':' -}}"
    "{%- if message['content'] is string -%}{{- '\\n' + message['content'] | trim -}}"
    "{%- else -%}{%- for part in message['content'] or [] -%}"
    "{%- if part['text'] is not string -%}{{- raise_exception('only texts can be written') -}}{%- endif -%}"
    "{{- '\\n' + part['text'] | trim -}}"
    "{%- endfor -%}{%- endif -%}"
    "{%- for call in message['tool_calls'] or [] -%}{{- '\\n' + call | tojson -}}{%- endfor -%}"
    "{%- if message['role'] == 'assistant' -%}{{- eos_token -}}{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '\\nAssistant:\\n' -}}{%- endif -%}"
)

# Set on a tokenizer that received the template above, for a warning in preflight.
TEMPLATE_ADDED = "konomi_template_added"

PAD_TOKENS = ("<pad>", "<|pad|>", "[PAD]", "<|finetune_right_pad_id|>", "<|vision_pad|>", "<|endoftext|>", "<unk>")
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model")


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def compute_dtype(precision: Precision = "auto") -> torch.dtype:
    """float32 or bfloat16 as configured; "auto" is bfloat16 where hardware supports it (GPUs, CPUs with AMX).

    Elsewhere bfloat16 is emulated, and several times slower than float32.
    """
    if precision != "auto":
        return torch.float32 if precision == "fp32" else torch.bfloat16
    if torch.cuda.is_available():
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    return torch.bfloat16 if torch.cpu._is_amx_tile_supported() else torch.float32


def load_model(source: ModelSource, *, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """The chain as one model on the CPU, in evaluation mode. Adapters are merged in float32, whatever `dtype` is.

    Raises ModelError for whatever is not loaded completely (see `base_weights` and `adapters`), and for an adapter of
    another base (see `same_base`).
    """
    check_folders(source)
    same_base.check(source)
    model = base_weights.load_base(source.base, dtype=torch.float32)
    for folder in source.adapters:
        from training.engine.models import adapters  # PEFT takes seconds to import, and only such chains need it

        model = adapters.merge(adapters.attach(model, folder), ["default"], folder)
    base_weights.check_finite(model, describe(source))
    make_writable(model.generation_config)
    log.info("loaded %s: %s parameters", describe(source), f"{model.num_parameters():,}")
    return model.to(dtype).requires_grad_(True).eval()  # merging leaves the weights frozen


def check_folders(source: ModelSource) -> None:
    """Raises ModelError for a link of the chain that is no model or adapter folder."""
    for link in (source.base, *source.adapters):
        if Path(link).is_dir():
            model_files.check(Path(link), model_files.roots_of_environment())
    _check_folder(source.base, ("config.json",))
    for adapter in source.adapters:
        _check_folder(adapter, ("adapter_config.json", "adapter_model.safetensors"))


def load_tokenizer(source: ModelSource) -> PreTrainedTokenizerBase:
    """The tokenizer of the chain's last link that has one, with a chat template and a padding token.

    Padding is on the right (for training and scoring); generation sets it to the left.
    """
    links = [source.base, *source.adapters]
    folder = next((link for link in reversed(links) if _has_tokenizer(link)), source.base)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(
            f"The tokenizer in {folder} cannot be loaded: {base_weights.brief(error).rstrip(':. ')}. Copy its files "
            "(tokenizer.json and tokenizer_config.json) from where the model comes from"
        ) from error
    if tokenizer.eos_token_id is None:
        raise ModelError(f"The tokenizer in {folder} has no end-of-text token: set eos_token in tokenizer_config.json")
    if not tokenizer.chat_template:
        log.info("the tokenizer has no chat template: the plain default is used and saved with the model")
        tokenizer.chat_template = DEFAULT_CHAT_TEMPLATE
        setattr(tokenizer, TEMPLATE_ADDED, True)
    _set_pad_token(tokenizer)
    tokenizer.padding_side = "right"
    return tokenizer


def _set_pad_token(tokenizer: PreTrainedTokenizerBase) -> None:
    """A padding token that is not the end of text, where the vocabulary has one.

    Collators that mask padding by its id would mask the end of text too, and the model would never learn to stop.
    """
    if tokenizer.pad_token_id is not None and tokenizer.pad_token_id != tokenizer.eos_token_id:
        return
    vocabulary = tokenizer.get_vocab()
    candidates = [token for token in (*PAD_TOKENS, tokenizer.unk_token) if token and token in vocabulary]
    free = [token for token in candidates if vocabulary[token] not in (tokenizer.eos_token_id, tokenizer.bos_token_id)]
    tokenizer.pad_token = free[0] if free else tokenizer.eos_token
    if not free:
        log.info("no padding token but the end of text: harmless here, since masks are made from lengths")


def check_fits(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise ModelError(
            f"The tokenizer has {counted(len(tokenizer), 'token')}, the model {counted(rows, 'embedding')}: they do "
            "not belong together"
        )


def stop_token_ids(model: PreTrainedModel | None, tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """The tokens that end an answer: the tokenizer's end of text and what the model's generation settings add."""
    ids = {tokenizer.eos_token_id}
    configured = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    ids.update(configured if isinstance(configured, list) else [configured] if configured is not None else [])
    return ids


def context_length(model: PreTrainedModel) -> int:
    """The maximum number of positions of the model; 2²⁰ where its configuration has no limit."""
    return int(getattr(model.config.get_text_config(), "max_position_embeddings", 0) or 1 << 20)


def chain_of(folder: Path) -> ModelSource:
    """The source that loads a `model/` folder here. Raises ModelError where its base is known by name only."""
    source = lineage.local_chain(folder)
    if source is None:
        raise ModelError(
            f"{folder} does not say where its base is on this machine: give its base and adapters yourself "
            f"({LINEAGE} has their names)"
        )
    return source


def _has_tokenizer(link: str) -> bool:
    return any((Path(link) / name).is_file() for name in TOKENIZER_FILES)


def _check_folder(name: str, files: tuple[str, ...]) -> None:
    folder = Path(name)
    if not folder.is_dir():
        if os.environ.get("KONOMI_ALLOW_HUB") == "1" and name and not folder.is_absolute():
            return
        raise ModelError(f"Model folder {name!r} does not exist (hub names need KONOMI_ALLOW_HUB=1)")
    for file in files:
        if not (folder / file).is_file():
            raise ModelError(f"{folder} has no {file}: not a model in Hugging Face layout with safetensors weights")


def describe(source: ModelSource) -> str:
    """The chain as one line: base + adapter + …"""
    return " + ".join([source.base, *source.adapters])
