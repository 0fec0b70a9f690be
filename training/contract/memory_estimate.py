"""How much memory a training needs, part by part, from a model's config.json alone. Free of torch.

All figures are bytes unless they say otherwise. What autograd keeps for a token was counted from the operations of
transformers' Llama, Mistral, Qwen and Gemma layers (SDPA attention) and of PEFT's LoRA layers, in the manner of
Korthikanti et al. 2022 ("Reducing activation recomputation in large transformer models", §4); docs/memory.md has the
derivation, and tests compare the sum with measured peaks.
"""

from dataclasses import dataclass
from typing import Literal

from training.contract.config import LoraSettings
from training.contract.model_shape import Config, Shape

Method = Literal["lora", "qlora", "full"]
Objective = Literal["sft", "dpo"]

FP32 = 4
BF16 = 2
ADAM_MOMENTS = 2 * FP32

# NF4 (Dettmers et al. 2023): 4 bits a weight; a fp32 constant for each block of 64 weights, stored in 8 bits, with one
# fp32 constant for each 256 of them (double quantisation).
NF4_BYTES = 0.5 + 1 / 64 + FP32 / (64 * 256)
INT8_BYTES = 1.0

# TRL's chunked head: tiles of this many tokens by this many vocabulary entries (`trl.kernels.chunked_logprob`).
TILE_TOKENS = 4096
TILE_WORDS = 32768
# Copies of a tile in float32 that its backward holds at once in addition to the tile itself, without Triton's kernels.
TILE_COPIES = 5

# Python with torch, transformers, TRL and PEFT loaded on a CPU; a CUDA context with its kernels on a GPU.
PROCESS = 500_000_000
GPU_CONTEXT = 600_000_000


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """The highest memory of a training by part, in bytes, when a step has more than one micro-batch.

    weights: of the model and its adapters. gradients, optimizer: of the trained weights only. activations: what the
    backward pass keeps of one micro-batch, with the attention mask and autocast's copies of weights. logits: the
    head's tiles and gradients. update: what the optimizer's step needs briefly, after activations are freed (all
    parameters at once on a GPU).
    process: interpreter and libraries (on a GPU: its context), which `total` leaves out.
    """

    weights: int
    gradients: int
    optimizer: int
    activations: int
    logits: int
    update: int
    process: int

    @property
    def total(self) -> int:
        return self.weights + self.gradients + self.optimizer + max(self.activations + self.logits, self.update)

    def parts(self) -> dict[str, int]:
        names = ("weights", "gradients", "optimizer", "activations", "logits", "total")
        return {name: getattr(self, name) for name in names}


def estimate(
    config: Config,
    *,
    method: Method,
    objective: Objective,
    bytes_per_value: int,
    tokens: int,
    line: int,
    scored: int | None = None,
    lora: LoraSettings | None = None,
    gradient_checkpointing: bool = False,
    packing: bool = True,
    gpu: bool = False,
    parameters: int | None = None,
) -> Estimate:
    """The memory of a training with these settings.

    tokens: of one micro-batch, padding included; see `micro_batch`. line: tokens of its longest line. scored:
    how many of the tokens have a log-probability computed (default: all). parameters: of the model, where they were
    counted (default: from the configuration). DPO needs no second model: its reference is computed beforehand.
    Raises ModelError where `Shape.from_config` does.
    """
    shape = Shape.from_config(config)
    parameters = shape.parameters if parameters is None else parameters
    static = static_bytes(shape, method=method, bytes_per_value=bytes_per_value, lora=lora, parameters=parameters)
    adapters = method != "full"
    dense_mask = objective == "dpo" and not gpu
    activations = tokens * activation_bytes_per_token(
        config,
        lora=adapters,
        bytes_per_value=bytes_per_value,
        gradient_checkpointing=gradient_checkpointing,
        rank=(lora or LoraSettings()).r,
        dense_mask=dense_mask,
    )
    if dense_mask:
        activations += tokens * line * bytes_per_value
    if shape.eager:  # scores after the soft cap's tanh, and after the softmax (in float32, then in the layer's type)
        scores = 2 * FP32 if bytes_per_value == FP32 else 2 * BF16 + FP32
        activations += tokens * line * shape.heads * shape.layers * scores
    if (
        method == "full" and bytes_per_value == BF16
    ):  # autocast's copies of the weights, until the backward pass is done
        activations += BF16 * shape.linear_parameters
    if method == "qlora":  # one module at a time is brought back to its full width
        activations += bytes_per_value * max(inputs * outputs for inputs, outputs in shape.linears)
    whole_logits = objective == "sft" and not packing
    return Estimate(
        **static,
        activations=activations,
        logits=head_bytes(
            shape,
            scored=tokens if scored is None or whole_logits else scored,
            bytes_per_value=bytes_per_value,
            trained=not adapters,
            whole=whole_logits,
            gpu=gpu,
        ),
        update=static["optimizer"] // 2 if gpu else 0,
        process=GPU_CONTEXT if gpu else PROCESS,
    )


def static_bytes(
    shape: Shape,
    *,
    method: Method,
    bytes_per_value: int,
    lora: LoraSettings | None = None,
    parameters: int | None = None,
) -> dict[str, int]:
    """Weights, gradients and AdamW's two moments: what does not depend on the data.

    Trained weights are float32, whatever they are computed in; a frozen base is of `bytes_per_value`, or quantised.
    """
    settings = lora or LoraSettings()
    parameters = shape.parameters if parameters is None else parameters
    trained = parameters if method == "full" else shape.lora_parameters(settings)
    if method == "full":
        weights = FP32 * parameters
    else:
        packed = shape.linear_parameters if method == "qlora" else 0
        narrow = INT8_BYTES if settings.quantization == "8bit" else NF4_BYTES
        weights = bytes_per_value * (parameters - packed) + round(narrow * packed) + FP32 * trained
    return {"weights": weights, "gradients": FP32 * trained, "optimizer": ADAM_MOMENTS * trained}


def micro_batch(
    objective: Objective, *, packing: bool, max_length: int, micro_batch_tokens: int, batch_size: int
) -> tuple[int, int]:
    """(tokens of the largest micro-batch, tokens of its longest line) for rows of `max_length` tokens a text.

    Packed, a pair is one line of at most twice `max_length` tokens (its prompt counts once: usually far fewer), and a
    line longer than the budget is a micro-batch of its own. Plain TRL computes `batch_size` rows, each side of a pair
    separately.
    """
    if packing:
        line = max_length * (2 if objective == "dpo" else 1)
        return max(micro_batch_tokens, line), line
    return batch_size * max_length * (2 if objective == "dpo" else 1), max_length


def activation_bytes_per_token(
    config: Config,
    *,
    lora: bool,
    bytes_per_value: int,
    gradient_checkpointing: bool,
    rank: int = 16,
    dense_mask: bool = True,
) -> int:
    """What the backward pass needs to keep for one token of a micro-batch, in all layers.

    `bytes_per_value` 4 is float32 throughout; 2 is bfloat16 under autocast, as the trainers run on GPUs: a float32
    model in full fine-tuning, a bfloat16 base with float32 adapters under LoRA. With `gradient_checkpointing` only the
    input of each layer stays, and one layer at a time is computed again. `dense_mask`: SDPA with a custom mask, for
    which keys and values are repeated for each query head. The mask itself and the head are not in it. Raises
    ModelError where `Shape.from_config` does.
    """
    shape = Shape.from_config(config)
    residual = FP32 if bytes_per_value == FP32 or not lora else BF16
    layer = _layer_bytes(shape, lora, bytes_per_value, rank, dense_mask)
    edges = 3 * FP32 * shape.hidden  # the embedding's output, and the last norm's two tensors
    transient = transient_bytes_per_token(shape, bytes_per_value)
    kept = shape.layers * residual * shape.hidden + layer if gradient_checkpointing else shape.layers * layer
    return kept + edges + transient


def transient_bytes_per_token(shape: Shape, bytes_per_value: int) -> int:
    """Gradients within one feed-forward part, which come and go during the backward pass."""
    return bytes_per_value * (3 * shape.intermediate + 2 * shape.hidden)


def _layer_bytes(shape: Shape, lora: bool, bytes_per_value: int, rank: int, dense_mask: bool) -> int:
    """What autograd saves for one token in one layer; docs/memory.md has the list."""
    h, f, q = shape.hidden, shape.intermediate, shape.query
    norms = FP32 * h * shape.norms  # each norm's input, in float32 whatever the rest is
    if not lora:
        norms += FP32 * h * shape.norms  # what its weight is multiplied with, since that is trained
    if bytes_per_value == BF16:
        inputs = BF16 * 5 * h  # autocast makes a copy for each of q, k, v, gate and up
        inputs += BF16 * q if lora else 0  # and PEFT one for o's adapter
    else:
        inputs = FP32 * 2 * h
    keys = q if dense_mask else shape.key
    attention = bytes_per_value * 2 * (q + keys) + FP32 * shape.heads  # queries, keys, values, output; log-sum-exp
    if shape.qk_norm:
        attention += FP32 * (q + shape.key) * (1 if lora else 2)
    feed_forward = bytes_per_value * 4 * f  # gate, its activation, up, and their product
    adapters = bytes_per_value * 7 * rank if lora else 0
    return norms + inputs + attention + feed_forward + adapters


def head_bytes(shape: Shape, *, scored: int, bytes_per_value: int, trained: bool, whole: bool, gpu: bool) -> int:
    """Bytes of the head's forward and backward for `scored` tokens; `whole`: all logits at once, as in plain TRL's SFT.

    `trained`: the gradient of the head's weight is allocated for each micro-batch, then added to what is there. The
    tiles' buffer is TILE_WORDS wide even for a smaller vocabulary; on a CPU what is not written to takes no memory.
    """
    gradient = FP32 * shape.embedding_parameters if trained else 0
    states = scored * shape.hidden * (bytes_per_value + FP32)
    if whole:
        return states + gradient + scored * shape.vocabulary * (bytes_per_value + 2 * FP32)
    lines = min(scored, TILE_TOKENS)
    if gpu:
        return states + gradient + lines * TILE_WORDS * bytes_per_value
    tile = lines * min(shape.vocabulary, TILE_WORDS)
    return states + gradient + tile * (bytes_per_value + TILE_COPIES * FP32)
