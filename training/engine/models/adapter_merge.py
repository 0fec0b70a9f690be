"""Merge adapters into a model, and measure how much that changes the logits."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from training.contract.errors import MergeError, ModelError
from training.contract.run_directory import TRAIN
from training.contract.wording import counted
from training.engine.data.rows import read_rows

# Logits are compared on this many sequences, truncated to this many tokens.
SEQUENCES, TOKENS = 4, 96

log = logging.getLogger("konomi.engine")


def merge_adapters(
    model: PreTrainedModel, adapters: Sequence[str], sequences: list[list[int]]
) -> tuple[PreTrainedModel, list[torch.Tensor], float]:
    """The model with the adapters merged, its logits, and their largest difference from those of the live adapters.

    "Live" is PEFT with the adapters unmerged. Plain LoRA is additive, so consecutive LoRA adapters are live together;
    where an adapter depends on the weights below it (DoRA, retrained modules), those before it are merged first.
    Raises ModelError for an adapter that does not load, MergeError for one that cannot be merged.
    """
    largest_difference, after = 0.0, []
    for group in groups(adapters):
        names = [f"link{number}" for number in range(len(group))]
        try:
            live = PeftModel.from_pretrained(model, group[0], adapter_name=names[0], is_trainable=False)
            for name, folder in zip(names[1:], group[1:], strict=True):
                live.load_adapter(folder, adapter_name=name, is_trainable=False)
        except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
            raise ModelError(f"{' + '.join(group)} cannot be loaded onto its base: {error}") from error
        live.base_model.set_adapter(names)
        before = logits(live.eval(), sequences)
        try:
            model = live.merge_and_unload(safe_merge=True, adapter_names=names)
        except ValueError as error:
            raise MergeError(f"{' + '.join(group)} cannot be merged: {error}") from error
        model.peft_config = None
        del model.peft_config
        after = logits(model.eval(), sequences)
        difference = difference_of(before, after)
        log.info("%s: logits differ by %.2g at most", " + ".join(group), difference)
        largest_difference = difference if difference != difference else max(largest_difference, difference)
        if largest_difference != largest_difference:
            break
    return model, after, largest_difference


def groups(adapters: Sequence[str]) -> list[list[str]]:
    """The adapters in order, consecutive plain LoRA adapters in one group."""
    grouped: list[list[str]] = []
    plain_before = False
    for folder in adapters:
        plain = is_plain_lora(Path(folder))
        if plain and plain_before:
            grouped[-1].append(folder)
        else:
            grouped.append([folder])
        plain_before = plain
    return grouped


def is_plain_lora(folder: Path) -> bool:
    """Whether the adapter only adds to weights, independently of their values.

    Raises ModelError for a folder without a readable adapter_config.json.
    """
    try:
        settings = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder} has no readable adapter_config.json: not a PEFT adapter ({error})") from error
    more = ("use_dora", "modules_to_save", "trainable_token_indices", "layer_replication")
    return (
        settings.get("peft_type") == "LORA"
        and settings.get("bias", "none") == "none"
        and not any(settings.get(name) for name in more)
    )


def token_sequences(dataset: Path | None, tokenizer: PreTrainedTokenizerBase) -> tuple[list[list[int]], str]:
    """Token sequences on which logits are compared, and a description of them for the log."""
    if dataset is not None and (dataset / TRAIN).is_file():
        rows = read_rows(dataset, "train")
        chosen = rows[:: max(1, len(rows) // SEQUENCES)][:SEQUENCES]
        encoded = [tokenizer(text_of(row, tokenizer), add_special_tokens=False)["input_ids"][:TOKENS] for row in chosen]
        if all(encoded):
            return encoded, f"{counted(len(encoded), 'text')} of {dataset}"
    ids = [number for number in sorted(tokenizer.get_vocab().values()) if number not in tokenizer.all_special_ids]
    stride = max(1, len(ids) // (SEQUENCES * TOKENS))
    spread = ids[::stride][: SEQUENCES * TOKENS]
    parts = [spread[number::SEQUENCES] for number in range(SEQUENCES)]
    return [part for part in parts if part], f"{counted(len(spread), 'token')} from all over the vocabulary"


def text_of(row: dict[str, Any], tokenizer: PreTrainedTokenizerBase) -> str:
    answer = row.get("chosen") or row.get("completion") or []
    if isinstance(row["prompt"], str):
        return row["prompt"] + str(answer or "")
    return str(tokenizer.apply_chat_template([*row["prompt"], *answer], tokenize=False))


def logits(model: Any, sequences: list[list[int]]) -> list[torch.Tensor]:
    """Logits of each sequence, computed separately: [tokens, vocabulary] in float32."""
    with torch.inference_mode():
        return [model(input_ids=torch.tensor([ids])).logits[0].float() for ids in sequences]


def logits_of_folder(folder: Path, sequences: list[list[int]]) -> list[torch.Tensor]:
    """Logits of a written model folder, loaded the usual way, but in float32 for the comparison."""
    return logits(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval(), sequences)


def difference_of(one: list[torch.Tensor], other: list[torch.Tensor]) -> float:
    """The largest absolute difference; NaN where there is one."""
    return max((float((a - b).abs().max()) for a, b in zip(one, other, strict=True)), key=lambda x: (x != x, x))


def largest(logits: list[torch.Tensor]) -> float:
    return max(float(values.abs().max()) for values in logits)
