"""Tiny random models with a tokenizer and a chat template, made on the spot: nothing is downloaded.

Weights are drawn wide (standard deviation 0.2), so that the probabilities of tokens differ by orders of magnitude.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    CohereConfig,
    Gemma2Config,
    GPT2Config,
    LlamaConfig,
    ModernBertDecoderConfig,
    OPTConfig,
    Phi3Config,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen3MoeConfig,
)

PAD, BOS, END, USER, ASSISTANT = "<pad>", "<s>", "</s>", "<|user|>", "<|assistant|>"
SPECIAL = (PAD, BOS, END, USER, ASSISTANT)
TEMPLATE = (
    "{{- bos_token -}}"
    "{%- for message in messages -%}"
    "{{- '<|' + message['role'] + '|>' + message['content'] + eos_token -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}"
)
CONTEXT = 256
SHORT = 64  # where the frequencies of rotary positions change, in the families in which they do
SHAPE: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": CONTEXT,
    "initializer_range": 0.2,
    "tie_word_embeddings": False,
}
ROPE = {"rope_theta": 10_000.0}
DROPOUT = 0.5
AUX_COEFFICIENT = 0.1


def _llama(**changes: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda common: LlamaConfig(**{**SHAPE, **common, **changes})


FAMILIES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "llama": _llama(),
    "llama-tied": _llama(tie_word_embeddings=True),
    "llama-dropout": _llama(attention_dropout=DROPOUT),
    "llama-dynamic": _llama(
        max_position_embeddings=SHORT, rope_parameters={**ROPE, "rope_type": "dynamic", "factor": 4.0}
    ),
    "phi3-longrope": lambda common: Phi3Config(
        **SHAPE,
        **common,
        original_max_position_embeddings=SHORT,
        rope_parameters={
            **ROPE,
            "rope_type": "longrope",
            "short_factor": [1.0] * 4,
            "long_factor": [4.0] * 4,
            "original_max_position_embeddings": SHORT,
            "factor": CONTEXT / SHORT,
        },
    ),
    "qwen3-moe": lambda common: Qwen3MoeConfig(
        **SHAPE,
        **common,
        head_dim=8,
        moe_intermediate_size=16,
        num_experts=4,
        num_experts_per_tok=2,
        router_aux_loss_coef=AUX_COEFFICIENT,
    ),
    "cohere": lambda common: CohereConfig(**{**SHAPE, **common, "tie_word_embeddings": True}, logit_scale=0.25),
    "gemma2": lambda common: Gemma2Config(
        **{**SHAPE, **common, "tie_word_embeddings": True},
        head_dim=8,
        query_pre_attn_scalar=8,
        final_logit_softcapping=2.0,
    ),
    "modernbert-decoder": lambda common: ModernBertDecoderConfig(
        **{name: value for name, value in SHAPE.items() if name != "num_key_value_heads"}, **common
    ),
    "gpt2-dropout": lambda common: GPT2Config(
        n_embd=32,
        n_layer=2,
        n_head=4,
        n_positions=CONTEXT,
        initializer_range=0.2,
        resid_pdrop=DROPOUT,
        embd_pdrop=DROPOUT,
        attn_pdrop=DROPOUT,
        **common,
    ),
    "opt-dropout": lambda common: OPTConfig(
        hidden_size=32,
        ffn_dim=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        word_embed_proj_dim=32,
        max_position_embeddings=CONTEXT,
        init_std=0.2,
        dropout=DROPOUT,
        attention_dropout=DROPOUT,
        **common,
    ),
}


def make_tokenizer() -> PreTrainedTokenizerFast:
    """One token for each byte: lengths are those of the texts, and no token spans a border."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate((*SPECIAL, *alphabet))}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=[USER, ASSISTANT],
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = TEMPLATE
    return fast


def write_model(family: str, folder: Path, seed: int = 5) -> None:
    """A model of one of FAMILIES with random float32 weights, in Hugging Face layout."""
    tokenizer = make_tokenizer()
    common = {
        "vocab_size": len(tokenizer),
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(FAMILIES[family](common), dtype=torch.float32)
    if getattr(model.generation_config, "max_length", None):
        model.generation_config.max_length = None  # a leftover of defaults, which save_pretrained refuses
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def write_adapter(model: Path, folder: Path, seed: int = 7) -> None:
    """A LoRA adapter (PEFT) on the model, as an SFT would leave it: its effect is far from zero."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    settings = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")
    adapted = get_peft_model(base, settings)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.05)
    adapted.save_pretrained(folder)


def load(base: Path, adapters: tuple[Path, ...] = ()) -> PreTrainedModel:
    """The model with its adapters, merged but for the last, which stays live; float32, in evaluation mode."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    for number, folder in enumerate(adapters):
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, folder)
        if number < len(adapters) - 1:
            model = model.merge_and_unload()
    return model.eval()


def load_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    return AutoTokenizer.from_pretrained(folder)


def copy(folder: Path, to: Path) -> Path:
    shutil.copytree(folder, to)
    return to
