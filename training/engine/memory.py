"""How much memory a training needs, part by part, from a model's config.json alone. Free of torch.

All figures are bytes unless they say otherwise. What autograd keeps for a token was counted from the operations of
transformers' Llama, Mistral, Qwen and Gemma layers (SDPA attention) and of PEFT's LoRA layers, in the manner of
Korthikanti et al. 2022 ("Reducing activation recomputation in large transformer models", §4); docs/memory.md has the
derivation, and tests compare the sum with measured peaks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from training.engine.config import LoraSettings
from training.engine.errors import ModelError

Method = Literal["lora", "qlora", "full"]
Objective = Literal["sft", "dpo"]
Config = Mapping[str, Any]

FP32 = 4
BF16 = 2
ADAM_MOMENTS = 2 * FP32

# NF4 (Dettmers et al. 2023): 4 bits a weight; a fp32 constant for each block of 64 weights, itself held in 8 bits with
# one fp32 constant for each 256 of them (double quantisation).
NF4_BYTES = 0.5 + 1 / 64 + FP32 / (64 * 256)
INT8_BYTES = 1.0

# TRL's chunked head: tiles of so many tokens by so many words (`trl.kernels.chunked_logprob`).
TILE_TOKENS = 4096
TILE_WORDS = 32768
# Copies of a tile in float32 that its backward holds at once beside the tile itself, without Triton's kernels.
TILE_COPIES = 5

# transformers' names of dense decoder-only architectures, and what in them is not in their configuration.
NORMS_IN_LAYER = {"gemma2": 4, "gemma3_text": 4}
QK_NORM = {"qwen3", "gemma3_text"}
QKV_BIAS = {"qwen2"}
KNOWN = ("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text")


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A dense decoder-only transformer in numbers; `from_config` reads them from a config.json.

    hidden, intermediate: widths. head_size: width of one head. norms: in each layer. qk_norm: whether queries and
    keys are normalised by head. tied: whether the head shares the weights of the embedding.
    """

    model_type: str
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    intermediate: int
    vocabulary: int
    tied: bool
    qkv_bias: bool
    output_bias: bool
    mlp_bias: bool
    qk_norm: bool
    norms: int

    @classmethod
    def from_config(cls, config: Config) -> "Shape":
        """Raises ModelError for architectures that are not of this kind, and for a config.json that lacks a number."""
        config = {**config, **config["text_config"]} if isinstance(config.get("text_config"), Mapping) else config
        kind = str(config.get("model_type", "llama"))
        if kind not in KNOWN:
            raise ModelError(
                f"the memory of model_type {kind!r} cannot be estimated from config.json: known are {', '.join(KNOWN)}"
            )
        try:
            heads = int(config["num_attention_heads"])
            hidden = int(config["hidden_size"])
            attention_bias = bool(config.get("attention_bias", False))
            return cls(
                model_type=kind,
                hidden=hidden,
                layers=int(config["num_hidden_layers"]),
                heads=heads,
                kv_heads=int(config.get("num_key_value_heads") or heads),
                head_size=int(config.get("head_dim") or hidden // heads),
                intermediate=int(config["intermediate_size"]),
                vocabulary=int(config["vocab_size"]),
                tied=bool(config.get("tie_word_embeddings", kind.startswith("gemma"))),
                qkv_bias=attention_bias or kind in QKV_BIAS,
                output_bias=attention_bias and kind not in QKV_BIAS,
                mlp_bias=bool(config.get("mlp_bias", False)),
                qk_norm=kind in QK_NORM,
                norms=NORMS_IN_LAYER.get(kind, 2),
            )
        except KeyError as error:
            raise ModelError(f"config.json has no {error.args[0]}: not a config.json of transformers") from error

    @property
    def query(self) -> int:
        """Width of all queries of a token."""
        return self.heads * self.head_size

    @property
    def key(self) -> int:
        """Width of all keys of a token, and of all values."""
        return self.kv_heads * self.head_size

    @property
    def linears(self) -> tuple[tuple[int, int], ...]:
        """(inputs, outputs) of a layer's linear modules: q, k, v, o, gate, up, down."""
        h, f = self.hidden, self.intermediate
        return ((h, self.query), (h, self.key), (h, self.key), (self.query, h), (h, f), (h, f), (f, h))

    @property
    def linear_parameters(self) -> int:
        """Weights of all layers' linear modules: what quantisation holds in fewer bits."""
        return self.layers * sum(inputs * outputs for inputs, outputs in self.linears)

    @property
    def embedding_parameters(self) -> int:
        return self.vocabulary * self.hidden

    @property
    def parameters(self) -> int:
        """Of the whole model; a tied head counts once."""
        biases = (self.query + 2 * self.key) * self.qkv_bias
        biases += self.hidden * self.output_bias + (2 * self.intermediate + self.hidden) * self.mlp_bias
        norms = self.norms * self.hidden + 2 * self.head_size * self.qk_norm
        inner = self.linear_parameters + self.layers * (biases + norms)
        return inner + self.hidden + self.embedding_parameters * (1 if self.tied else 2)

    def lora_parameters(self, settings: LoraSettings) -> int:
        """Of the adapters: r · (inputs + outputs) for each target, and DoRA's magnitudes."""
        names = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
        everywhere = "all-linear" in settings.targets
        chosen = [
            size
            for name, size in zip(names, self.linears, strict=True)
            if everywhere or any(name == target or target.endswith(f".{name}") for target in settings.targets)
        ]
        one = sum(settings.r * (inputs + outputs) + outputs * settings.dora for inputs, outputs in chosen)
        return self.layers * one


def activation_bytes_per_token(
    config: Config, *, lora: bool, bytes_per_value: int, gradient_checkpointing: bool, rank: int = 16
) -> int:
    """What the backward pass needs to keep for one token of a micro-batch, in all layers.

    `bytes_per_value` 4 is float32 throughout; 2 is bfloat16 under autocast, as the trainers run on GPUs: a float32
    model in full fine-tuning, a bfloat16 base with float32 adapters under LoRA. With `gradient_checkpointing` only the
    input of each layer stays, and one layer at a time is computed again. Attention masks and the head are not in it
    (`mask_bytes`, `head_bytes`). Raises ModelError for architectures that `Shape` does not know.
    """
    shape = Shape.from_config(config)
    residual = FP32 if bytes_per_value == FP32 or not lora else BF16
    layer = _layer_bytes(shape, lora, bytes_per_value, rank)
    edges = 3 * FP32 * shape.hidden  # the embedding's output, and the last norm's two tensors
    transient = bytes_per_value * (3 * shape.intermediate + 2 * shape.hidden)  # gradients within one feed-forward part
    kept = shape.layers * residual * shape.hidden + layer if gradient_checkpointing else shape.layers * layer
    return kept + edges + transient


def _layer_bytes(shape: Shape, lora: bool, bytes_per_value: int, rank: int) -> int:
    """What autograd saves for one token in one layer; docs/memory.md has the list."""
    h, f, q = shape.hidden, shape.intermediate, shape.query
    half = bytes_per_value == BF16
    norms = FP32 * h * shape.norms  # each norm's input, in float32 whatever the rest is
    normed = 0 if lora else FP32 * h * shape.norms  # what its weight is multiplied with, where that is trained
    if half:
        inputs = BF16 * (5 * h)  # autocast makes a copy for each of q, k, v, gate and up
        inputs += BF16 * (q + f) if lora else 0  # and PEFT one for o's and down's adapters
    else:
        inputs = FP32 * 2 * h
    # Keys and values are repeated for each query head before SDPA, which keeps them with the queries and its output.
    attention = bytes_per_value * 4 * q + FP32 * shape.heads
    if shape.qk_norm:
        attention += FP32 * (q + shape.key) * (1 if lora else 2)
    feed_forward = bytes_per_value * 4 * f  # gate, its activation, up, and their product
    adapters = bytes_per_value * 7 * rank if lora else 0
    return norms + normed + inputs + attention + feed_forward + adapters
