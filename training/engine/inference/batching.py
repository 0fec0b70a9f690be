"""Batches for evaluation and generation: sorted by length, and bounded by the free memory.

What a batch costs is estimated from the model's configuration; where memory runs out all the same, the batch is
halved, and the budget with it.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import psutil
import torch

from training.contract.wording import counted
from training.engine.runtime.failures import is_out_of_memory

log = logging.getLogger("konomi.engine")

# Fraction of the memory that is free when a model is loaded. The rest is for what the estimate omits, and for others.
SHARE = {"cpu": 0.4, "cuda": 0.7}
# Copies of a row's logits while one token of it is drawn: float32 (original, filtered, sorted) and two of float64.
LOGIT_BYTES = 3 * 4 + 2 * 8


@dataclass(frozen=True)
class Costs:
    """Bytes that inference needs in addition to the weights.

    cache_token: keys and values of one token in all layers. working_token: what one layer computes of one token.
    draw: the logits of one row.
    """

    cache_token: int
    working_token: int
    draw: int

    @classmethod
    def of(cls, model: Any) -> "Costs":
        """From the configuration; values that an architecture does not define are those of a plain Llama."""
        config = model.config.get_text_config()
        size = model.dtype.itemsize
        width = _number(config, "hidden_size") or model.get_input_embeddings().weight.shape[-1]
        layers = _number(config, "num_hidden_layers") or 1
        heads = _number(config, "num_attention_heads") or 1  # a state space has none
        head_size = _number(config, "head_dim") or width // heads
        kv_heads = _number(config, "num_key_value_heads") or heads
        inner = _number(config, "intermediate_size") or 4 * width
        return cls(
            cache_token=2 * layers * kv_heads * head_size * size,
            working_token=(6 * width + 3 * inner + 2 * heads * head_size) * size,
            draw=model.get_input_embeddings().weight.shape[0] * LOGIT_BYTES,
        )

    def generation(self, rows: int, prompt: int, room: int) -> int:
        """Of so many rows, padded to `prompt` tokens, that may write `room` more each."""
        return rows * ((prompt + room) * self.cache_token + prompt * self.working_token + self.draw)


def _number(config: Any, name: str) -> int:
    """The largest one, where layers differ; 0 where there is none."""
    try:
        value = getattr(config, name, None)
    except RuntimeError:  # layers have their own values, in a way that transformers wants asked for (Gemma 4)
        value = [getattr(layer, name, None) or 0 for layer in _layers(config)]
    return int(max(value, default=0) if isinstance(value, list | tuple) else value or 0)


def _layers(config: Any) -> list[Any]:
    return [config.per_layer_config[layer] for layer in range(config.num_hidden_layers)]


def free_bytes(device: torch.device) -> int:
    """Bytes that batches may take: a fraction of the memory that is free now."""
    if device.type == "cuda":
        held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(SHARE["cuda"] * (torch.cuda.mem_get_info(device)[0] + held))
    return int(SHARE["cpu"] * psutil.virtual_memory().available)


def in_batches(
    lengths: Sequence[int],
    compute: Callable[[list[int]], None],
    *,
    cost: Callable[[int, int], int],
    budget: int,
    most_rows: int | None = None,
) -> None:
    """Calls `compute` with positions of `lengths`, batch by batch until all are done, the longest first.

    `cost(rows, longest)` of a batch is at most `budget`, but a batch has one row at least. A batch that runs
    out of memory is halved, and so are later ones; for a single row the error is raised. When `compute` raises, it
    must leave nothing behind.
    """
    waiting = sorted(range(len(lengths)), key=lambda position: (-lengths[position], position))
    halved = False
    while waiting:
        longest = lengths[waiting[0]]
        rows = 1
        while rows < min(len(waiting), most_rows or len(waiting)) and cost(rows + 1, longest) <= budget:
            rows += 1
        batch = waiting[:rows]
        try:
            compute(batch)
        except Exception as error:
            if rows == 1 or not is_out_of_memory(error):
                raise
            budget = cost(rows // 2, longest)
        else:
            del waiting[:rows]
            continue
        # Out of the handler: the traceback would keep the batch's tensors alive.
        if not halved:
            log.warning("out of memory with %s of up to %d tokens side by side: halved", counted(rows, "text"), longest)
        halved = True
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
