"""A tiny configuration for each family of `AutoModelForCausalLM`: fields are shrunk by name, a few families need more.

A family that an upgrade of transformers adds is built by the same names, or the table gives the reason why not.
"""

import dataclasses
from typing import Any

# Not models that continue a text by themselves: transformers lists them under these tasks, too, or they are named here.
OTHER_TASKS = (
    "MASKED_LM",
    "SEQ_TO_SEQ_CAUSAL_LM",
    "IMAGE_TEXT_TO_TEXT",
    "SPEECH_SEQ_2_SEQ",
    "MULTIMODAL_LM",
    "TEXT_TO_WAVEFORM",
)
OTHERS = ("bert-generation", "gemma4_assistant", "gemma4_unified_assistant", "moshi", "trocr", "xlnet")

LAYERS = 4
WINDOW = 24  # shorter than most texts
CONTEXT = 256
VOCABULARY = 272

# Field of a configuration → its value here. Only fields that a family's configuration has are set.
TINY: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "vocab_size_per_layer_input": VOCABULARY,
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "n_embed", "embedding_size", "word_embed_proj_dim"), 32),
    **dict.fromkeys(("dim", "lru_width", "emb_dim", "decoder_hidden_size", "attention_hidden_size"), 32),
    "hidden_size_global": 32,
    "encoder_hash_byte_group_vocab": 500,
    **dict.fromkeys(("embed_dim", "width", "input_embedding_size", "query_pre_attn_scalar"), 32),
    **dict.fromkeys(("intermediate_size", "ffn_dim", "n_inner", "d_ff"), 64),
    **dict.fromkeys(("ffn_hidden_size", "dff", "mlp_hidden_size", "dense_intermediate_size", "dim_ff"), 64),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers"), LAYERS),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads"), 4),
    **dict.fromkeys(("num_key_value_heads", "num_kv_heads", "n_kv_heads", "swa_num_key_value_heads"), 2),
    "swa_num_attention_heads": 4,
    **dict.fromkeys(("head_dim", "attention_head_dim", "global_head_dim", "swa_head_dim", "rotary_dim"), 8),
    **dict.fromkeys(("kv_channels", "v_head_dim", "qk_rope_head_dim", "qk_nope_head_dim", "swa_v_head_dim"), 8),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "context_length"), CONTEXT),
    "max_sequence_length": CONTEXT,
    **dict.fromkeys(("sliding_window", "attention_window_size", "window_size", "sliding_window_size"), WINDOW),
    # Latent attention and its index.
    "q_lora_rank": 16,
    "kv_lora_rank": 16,
    "o_lora_rank": 16,
    "qk_head_dim": 16,
    "index_head_dim": 16,
    "index_n_heads": 2,
    "index_topk": CONTEXT,
    # Experts.
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "moe_top_k", "moe_topk", "top_k_experts", "moe_k"), 2),
    **dict.fromkeys(("moe_intermediate_size", "shared_expert_intermediate_size", "expert_ffn_hidden_size"), 16),
    "shared_intermediate_size": 16,
    "n_shared_experts": 1,
    "num_shared_experts": 1,
    "n_group": 1,
    "topk_group": 1,
    "first_k_dense_replace": 1,
    "zero_expert_num": 1,
    # State space, linear attention and convolution.
    **dict.fromkeys(("mamba_d_state", "state_size", "ssm_state_size"), 8),
    **dict.fromkeys(("mamba_expand", "expand"), 2),
    **dict.fromkeys(("mamba_n_heads", "mamba_num_heads", "n_mamba_heads"), 8),
    **dict.fromkeys(("mamba_d_head", "mamba_head_dim", "mamba_headdim"), 8),
    **dict.fromkeys(("mamba_n_groups", "n_groups", "mamba_ngroups"), 1),
    **dict.fromkeys(("mamba_chunk_size", "chunk_size"), 16),
    "time_step_rank": 4,
    "mamba_dt_rank": 4,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "block_size": 16,
    "hidden_size_per_layer_input": 8,
    "num_kv_shared_layers": 0,
    # Random weights wide enough that tokens' probabilities differ by orders of magnitude.
    **dict.fromkeys(("initializer_range", "init_std"), 0.1),
    "use_cache": False,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}

ATTENTIONS = ("full_attention", "sliding_attention")

# What a family needs besides, where the names above give no valid configuration or leave a kind of layer out.
FAMILIES: dict[str, dict[str, Any]] = {
    "cohere_compass_text": {
        "rope_parameters": {kind: {"rope_theta": 1e4, "rope_type": "default"} for kind in ATTENTIONS}
    },
    "dbrx": {
        "attn_config": {"kv_n_heads": 2, "rope_theta": 1e4, "clip_qkv": 8.0},
        "ffn_config": {"ffn_hidden_size": 64},
    },
    "gpt_neo": {"attention_types": [[["global", "local"], 2]]},
    "zaya": {"num_experts_per_tok": 1},
    "bamba": {"attn_layer_indices": [1, 3]},
    "falcon_h1": {"mamba_d_ssm": 64},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1, "use_mamba_kernels": False},
    "lfm2": {"layer_types": ["conv", "full_attention"] * 2},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"] * 2},
    "mamba2": {"num_heads": 8, "head_dim": 8},
    "nemotron_h": {"layers_block_type": ["mamba", "attention", "moe", "mamba"]},
    "recurrent_gemma": {"num_hidden_layers": 3},
    "zamba": {"attn_layer_period": 2, "attn_layer_offset": 1, "n_mamba_heads": 2, "use_mamba_kernels": False},
    "zamba2": {"layers_block_type": ["mamba", "hybrid"] * 2, "use_mamba_kernels": False},
}

# Where a family has none of these, it is by design.
KEPT_NONE = (
    "sliding_window",
    "q_lora_rank",
    "attention_window_size",
    "n_inner",
    "embedding_size",
    "query_pre_attn_scalar",
)


def families() -> tuple[list[str], list[str]]:
    """Names of the families of decoders for text, and of those left out because they are something else besides."""
    from transformers.models.auto import modeling_auto

    others = {*OTHERS}
    for task in OTHER_TASKS:
        others.update(getattr(modeling_auto, f"MODEL_FOR_{task}_MAPPING_NAMES"))
    every = list(modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
    return [name for name in every if name not in others], [name for name in every if name in others]


def tiny(cls: type[Any], family: str = "") -> Any:
    """A tiny configuration of this class. Raises whatever its own checks raise."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(cls):
        if field.name in TINY and not (field.default is None and field.name in KEPT_NONE):
            values[field.name] = TINY[field.name]
    for name, sub in (getattr(cls, "sub_configs", None) or {}).items():
        if dataclasses.is_dataclass(sub) and name in {field.name for field in dataclasses.fields(cls)}:
            values[name] = tiny(sub)
    if values.get("kv_lora_rank"):  # keys and values of latent attention have as many heads as queries
        values["num_key_value_heads"] = values["num_attention_heads"]
    return cls(**{**values, **FAMILIES.get(family, {})})
