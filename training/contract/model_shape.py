"""Sizes of a decoder-only transformer, from its config.json or from the headers of its weights. Free of torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.contract.config import LoraSettings
from training.contract.errors import ModelError
from training.contract.model_files import read_json
from training.contract.weights import tensors, weight_files

Config = Mapping[str, Any]

# Architectures whose counts are tested against transformers, and what their configuration does not say.
KNOWN = ("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text")
NORMS_IN_LAYER = {"gemma2": 4, "gemma3_text": 4}
QK_NORM = {"qwen3", "gemma3_text"}
QKV_BIAS = {"qwen2"}
EAGER = {"gemma2"}  # its soft cap on attention scores is not supported by SDPA
EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts")


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A dense decoder-only transformer in numbers; `from_config` reads them from a config.json.

    hidden, intermediate: widths. head_size: width of one head. norms: in each layer. qk_norm: whether queries and
    keys are normalised by head. tied: whether the head shares the weights of the embedding. known: whether the
    architecture is one of KNOWN; others with the same numbers are treated as a Llama.
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
        """Raises ModelError for mixtures of experts, and for a config.json that lacks one of the numbers."""
        config = {**config, **config["text_config"]} if isinstance(config.get("text_config"), Mapping) else config
        kind = str(config.get("model_type", ""))
        if any(config.get(name) for name in EXPERTS):
            raise ModelError(f"{kind} is a mixture of experts, whose memory is not estimated: use the dry run's figure")
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
        except TypeError as error:  # a list, one value for each layer
            raise ModelError(
                f"config.json (model_type {kind!r}) has layers of different sizes: the memory of such a model is not "
                "estimated"
            ) from error
        except KeyError as error:
            raise ModelError(
                f"config.json (model_type {kind!r}) has no {error.args[0]}: the memory of such a model is not estimated"
            ) from error

    @property
    def known(self) -> bool:
        return self.model_type in KNOWN

    @property
    def eager(self) -> bool:
        """Whether attention scores are stored in full, since SDPA cannot compute them."""
        return self.model_type in EAGER

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
        """Parameters of the model; a tied head counts once."""
        biases = (self.query + 2 * self.key) * self.qkv_bias
        biases += self.hidden * self.output_bias + (2 * self.intermediate + self.hidden) * self.mlp_bias
        norms = self.norms * self.hidden + 2 * self.head_size * self.qk_norm
        inner = self.linear_parameters + self.layers * (biases + norms)
        return inner + self.hidden + self.embedding_parameters * (1 if self.tied else 2)

    def lora_parameters(self, settings: LoraSettings) -> int:
        """Parameters of the adapters: r · (inputs + outputs) for each target, and DoRA's magnitudes."""
        names = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
        everywhere = "all-linear" in settings.targets
        chosen = [
            size
            for name, size in zip(names, self.linears, strict=True)
            if everywhere or any(name == target or target.endswith(f".{name}") for target in settings.targets)
        ]
        one = sum(settings.r * (inputs + outputs) + outputs * settings.dora for inputs, outputs in chosen)
        return self.layers * one


def read_config(path: Path) -> dict[str, Any]:
    """A config.json. Raises ModelError where it cannot be read or holds no JSON object."""
    try:
        return read_json(path)
    except ModelError as error:
        raise ModelError(f"{error}: not a model's config.json") from error


def count_parameters(folder: Path) -> int:
    """Parameters in the files that are loaded from the folder, from their headers alone; 0 where there are none.

    Raises ModelError for a file that cannot be read. A head that shares the embedding's weights may be stored with
    them or not: it counts as often as it is stored.
    """
    return sum(tensor.count for file in weight_files(folder) for tensor in tensors(file))
