"""Merge adapters into a model, and measure how much that changes the logits."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from training.contract.errors import MergeError, ModelError
from training.contract.lineage import link_name
from training.contract.run_directory import MODEL, TRAIN
from training.contract.wording import counted
from training.engine.data.rows import read_rows
from training.engine.models.adapters import attach, changes_nothing, merge
from training.engine.models.base_weights import load_base

# Logits are compared on this many sequences, truncated to this many tokens.
SEQUENCES, TOKENS = 4, 96

log = logging.getLogger("konomi.engine")


@dataclass(frozen=True)
class Merged:
    """The merged model, its logits, and largest differences of logits.

    `difference`: of the merged weights from the live adapters. `effect`: of the model with its adapters from its base.
    """

    model: PreTrainedModel
    logits: list[torch.Tensor]
    difference: float
    effect: float


def merge_adapters(model: PreTrainedModel, adapters: Sequence[str], sequences: list[list[int]]) -> Merged:
    """The model with the adapters merged into it, compared with the live ones.

    "Live" is PEFT with the adapters unmerged. Plain LoRA is additive, so consecutive LoRA adapters are live together;
    where an adapter depends on the weights below it (DoRA, retrained modules), those before it are merged first.
    Raises ModelError for an adapter that does not load, MergeError for one that cannot be merged or changes nothing.
    """
    largest_difference = 0.0
    start = after = logits(model.eval(), sequences)
    for group in groups(adapters):
        names = [f"link{number}" for number in range(len(group))]
        live: Any = model
        for name, folder in zip(names, group, strict=True):
            live = attach(live, folder, name)
            if changes_nothing(live, name):
                raise MergeError(
                    f"{folder} changes nothing: all its B matrices are zero, as before its first step, and nothing "
                    "was written. Train it, or merge without it"
                )
        live.base_model.set_adapter(names)
        below, before = after, logits(live.eval(), sequences)
        if difference_of(below, before) == 0:
            raise MergeError(
                f"{' + '.join(group)} changes no logit of its base, so that nothing was written: the merged model "
                "would be the base. Train it for longer, or merge without it"
            )
        model = merge(live, names, " + ".join(group))
        after = logits(model.eval(), sequences)
        difference = difference_of(before, after)
        log.info("%s: logits differ by %.2g at most", " + ".join(group), difference)
        largest_difference = difference if difference != difference else max(largest_difference, difference)
        if largest_difference != largest_difference:
            break
    return Merged(model, after, largest_difference, difference_of(start, after))


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
            name = link_name(str(dataset.parent / MODEL)) if (dataset.parent / MODEL).is_dir() else dataset.name
            return encoded, f"{counted(len(encoded), 'text')} of the dataset of {name}"
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
    return logits(load_base(str(folder), dtype=torch.float32), sequences)


def difference_of(one: list[torch.Tensor], other: list[torch.Tensor]) -> float:
    """The largest absolute difference; NaN where there is one."""
    return max((float((a - b).abs().max()) for a, b in zip(one, other, strict=True)), key=lambda x: (x != x, x))


def largest(logits: list[torch.Tensor]) -> float:
    return max(float(values.abs().max()) for values in logits)
