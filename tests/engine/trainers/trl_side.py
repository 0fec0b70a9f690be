"""Tiny models of several families, pairs of token ids, and TRL's own DPOTrainer on them."""

import random
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    Gemma3TextConfig,
    Lfm2Config,
    LlamaConfig,
    MistralConfig,
    OPTConfig,
    Phi3Config,
    PreTrainedModel,
    Qwen3Config,
    Qwen3MoeConfig,
)
from trl import DPOConfig, DPOTrainer

VOCABULARY = 400
WINDOW = 9  # less than most texts have
SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 128,
    "initializer_range": 0.2,
    "tie_word_embeddings": False,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
# Gemma's have one layer of each kind of attention.
ALTERNATING = {"sliding_window": WINDOW, "layer_types": ["sliding_attention", "full_attention"]}
FAMILIES: dict[str, Any] = {
    "llama": lambda: LlamaConfig(**SHAPE),
    "mistral": lambda: MistralConfig(**SHAPE, sliding_window=WINDOW),
    "qwen3": lambda: Qwen3Config(**SHAPE),
    "gemma2": lambda: Gemma2Config(
        **SHAPE, **ALTERNATING, attn_logit_softcapping=2.0, final_logit_softcapping=3.0, query_pre_attn_scalar=8
    ),
    "gemma3": lambda: Gemma3TextConfig(**SHAPE, **ALTERNATING, query_pre_attn_scalar=8),
}
# Beyond this many tokens phi3's texts have other frequencies; here all do, as TRL's batches would have it.
THRESHOLD = 6
LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 10_000.0,
    "short_factor": [1.0] * 4,
    "long_factor": [2.0, 3.0, 5.0, 8.0],
    "original_max_position_embeddings": THRESHOLD,
}
FAMILIES |= {
    "phi3": lambda: Phi3Config(**SHAPE, original_max_position_embeddings=THRESHOLD, rope_parameters=LONGROPE),
    # Its dropout, which functions apply, stays on in TRL: off in the configuration, so that there is a TRL to equal.
    "opt": lambda: OPTConfig(
        **{name: SHAPE[name] for name in ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads")},
        ffn_dim=64,
        max_position_embeddings=128,
        word_embed_proj_dim=32,
        init_std=0.2,
        dropout=0.0,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    ),
    "qwen3_moe": lambda: Qwen3MoeConfig(
        **SHAPE, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=32, router_aux_loss_coef=0.1
    ),
    "lfm2": lambda: Lfm2Config(**SHAPE, layer_types=["conv", "full_attention"]),  # a hybrid
}
Pair = tuple[list[int], list[int], list[int]]


def make_model(family: str, seed: int = 5) -> PreTrainedModel:
    """Random weights in fp32, wide enough apart that tokens' probabilities differ by orders of magnitude."""
    torch.manual_seed(seed)
    return AutoModelForCausalLM.from_config(FAMILIES[family](), dtype=torch.float32).eval()


def shaken(model: PreTrainedModel, actor: float = 0.02) -> PreTrainedModel:
    """The model with noise on its weights: a policy that has left its reference."""
    torch.manual_seed(11)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(actor * torch.randn_like(parameter))
    return model


def awkward_pairs() -> list[Pair]:
    """(prompt, chosen, rejected) as people will never write them, and a few as they do."""
    lots = random.Random(3)

    def ids(length: int) -> list[int]:
        return [lots.randrange(3, VOCABULARY) for _ in range(length)]

    start = ids(6)
    return [
        (ids(12), ids(7), ids(5)),
        (ids(4), [*start, 2], [*start, *ids(5), 2]),  # an end of text where the other goes on
        (ids(5), start, start + ids(3)),  # the chosen side is the beginning of the rejected one
        (ids(5), start + ids(8), start),  # and the reverse
        (ids(9), [*start, 17], [*start, 19]),  # equal up to the last token
        (ids(8), [23], [29]),  # answers of one token
        (ids(60), [31, 2], ids(2)),  # a prompt many times as long as its answers
        (ids(1), ids(50), ids(3)),  # the shortest prompt, very different lengths
        (ids(10), ids(9), ids(9)),  # equal lengths
        ([1, 0, 5, 0], [0, 7, 0, 2], [0, 0, 2]),  # padding's own id within the text
        (ids(70), ids(40), ids(30)),  # cut by MAX_LENGTH, both sides
        (ids(79), ids(40), ids(30)),  # so that one token is left of either
    ]


MAX_LENGTH = 80


def columns(pairs: list[Pair]) -> dict[str, list[Any]]:
    prompts, chosen, rejected = (list(side) for side in zip(*pairs, strict=True))
    return {"prompt_ids": prompts, "chosen_ids": chosen, "rejected_ids": rejected}


def dataset(pairs: list[Pair]) -> Dataset:
    return Dataset.from_dict(columns(pairs))


class TokenisedTRL(DPOTrainer):  # type: ignore[misc]
    """TRL's, on rows that are token ids already."""

    def _prepare_dataset(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        return dataset


def arguments(folder: Path, **changes: Any) -> DPOConfig:
    """In full precision, without whatever writes, asks the network or is beside the point here."""
    values: dict[str, Any] = {
        "output_dir": str(folder),
        "bf16": False,
        "use_cpu": True,
        "gradient_checkpointing": False,
        "seed": 17,
        "data_seed": 17,
        "max_length": MAX_LENGTH,
        "beta": 0.1,
        "report_to": "none",
        "disable_tqdm": True,
        "logging_steps": 1,
        "save_strategy": "no",
        "dataloader_pin_memory": False,
    }
    return DPOConfig(**{**values, **changes})


def token_logps(trainer: DPOTrainer, model: Any, batch: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    """Log-probabilities of the completions' tokens: each row's chosen side, then each row's rejected one."""
    labels = batch["input_ids"].masked_fill(batch["completion_mask"] == 0, -100)
    found = model(
        input_ids=batch["input_ids"],
        attention_mask=batch["attention_mask"],
        labels=labels,
        use_cache=False,
        fused_lm_head=True,
    ).log_probs
    return [line[mask.bool()] for line, mask in zip(found, batch["completion_mask"][:, 1:], strict=True)]
