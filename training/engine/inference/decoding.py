"""Sampling and greedy decoding: a text does not depend on the other rows of its batch.

Each answer draws from random numbers of its own and ends at its own limit, so neither the memory that is free nor an
interruption changes a text (but for ties within the last digits, which batches of other shapes may round otherwise).
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    StoppingCriteriaList,
    TemperatureLogitsWarper,
    TopPLogitsWarper,
)

from training.engine.inference import batching
from training.engine.packed import rope

# A prompt that leaves less room than this for an answer is reported as too long.
LEAST_ROOM = 16


@dataclass(frozen=True)
class Request:
    """One answer to write: the prompt's tokens, the most tokens that it may have, and the seed of its draws."""

    prompt_ids: list[int]
    room: int
    seed: int = 0


@dataclass(frozen=True)
class Generated:
    """One answer: its text without special tokens, its tokens, and whether the model itself ended it."""

    text: str
    tokens: int
    finished: bool


def room(prompt_tokens: int, context: int, max_new_tokens: int) -> int:
    """How many tokens an answer may have; 0 where the prompt is too long for the model's context."""
    left = context - prompt_tokens
    return min(max_new_tokens, left) if left >= min(LEAST_ROOM, max_new_tokens) else 0


def seed_of(*parts: int) -> int:
    """A seed (63 bits) for what these numbers name, such as (seed, prompt, sample)."""
    digest = hashlib.sha256(" ".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    requests: Sequence[Request],
    done: Callable[[list[int], list[Generated]], None],
    *,
    stop_ids: set[int],
    temperature: float = 0.0,
    top_p: float = 1.0,
    most_rows: int = 16,
    budget: int | None = None,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Writes all answers, the longest prompts first; `done` receives the positions and answers of each batch.

    `temperature=0` is greedy. A batch has `most_rows` rows at most, and fewer where keys and values, activations and
    logits would take more than `budget` bytes (by default, what the free memory allows). `check` is called at each
    token and may raise to stop.
    """
    costs = batching.Costs.of(model)
    most_room = max((item.room for item in requests), default=0)

    limit = rope.threshold(model)
    # From the prompt alone to the longest text that may come of it.
    sides = [rope.side([len(item.prompt_ids), len(item.prompt_ids) + item.room], limit) for item in requests]
    for group in rope.by_side(range(len(requests)), sides):
        switching = sides[group[0]] == rope.BOTH

        def compute(numbers: list[int], group: list[int] = group) -> None:
            positions = [group[number] for number in numbers]
            rows = [requests[position] for position in positions]
            done(positions, _batch(model, tokenizer, rows, stop_ids, temperature, top_p, check))

        batching.in_batches(
            [len(requests[position].prompt_ids) for position in group],
            compute,
            cost=lambda rows, longest: costs.generation(rows, longest, most_room),
            budget=batching.free_bytes(model.device) if budget is None else budget,
            # A text that crosses the threshold would change how the others of its batch are encoded.
            most_rows=1 if switching else most_rows,
        )


class Draw(LogitsProcessor):  # type: ignore[misc]
    """Leaves one token of each row: the one at which the summed probabilities pass the row's random number."""

    def __init__(self, uniforms_BT: torch.Tensor, width: int) -> None:
        self.uniforms_BT, self.width = uniforms_BT, width

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        step = input_ids.shape[1] - self.width
        sums_BV = scores.double().softmax(-1).cumsum(-1)
        at_B1 = self.uniforms_BT[:, step : step + 1] * sums_BV[:, -1:]
        token_B1 = torch.searchsorted(sums_BV, at_B1, right=True).clamp(max=scores.shape[1] - 1)
        return torch.full_like(scores, -torch.inf).scatter_(1, token_B1, 0.0)


@torch.inference_mode()  # type: ignore[untyped-decorator]
def _batch(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    requests: Sequence[Request],
    stop_ids: set[int],
    temperature: float,
    top_p: float,
    check: Callable[[], None],
) -> list[Generated]:
    width = max(len(item.prompt_ids) for item in requests)
    most = max(item.room for item in requests)
    device = model.device
    input_ids_BT = torch.full((len(requests), width), tokenizer.pad_token_id)
    attention_mask_BT = torch.zeros_like(input_ids_BT)
    for row, item in enumerate(requests):
        input_ids_BT[row, width - len(item.prompt_ids) :] = torch.tensor(item.prompt_ids)
        attention_mask_BT[row, width - len(item.prompt_ids) :] = 1
    rooms_B = torch.tensor([item.room for item in requests], device=device)
    processors = LogitsProcessorList()
    if temperature:
        processors.append(TemperatureLogitsWarper(temperature))
        if top_p < 1:
            processors.append(TopPLogitsWarper(top_p))
        # Drawn on the CPU, one row at a time: the same numbers on every device and in every batch.
        uniforms_BT = torch.stack(
            [
                torch.rand(most, dtype=torch.float64, generator=torch.Generator().manual_seed(item.seed))
                for item in requests
            ]
        )
        processors.append(Draw(uniforms_BT.to(device), width))
    # Set on the model: `generate` takes missing settings from there, and a base model's recommended settings
    # (top_k, repetition penalty) must not affect the requested ones.
    model.generation_config = GenerationConfig(
        max_new_tokens=most, do_sample=False, eos_token_id=sorted(stop_ids), pad_token_id=tokenizer.pad_token_id
    )

    def stopping(ids_BT: torch.Tensor, scores: torch.Tensor, **kwargs: object) -> torch.Tensor:
        check()
        return rooms_B <= ids_BT.shape[1] - width

    output_BT = model.generate(
        input_ids=input_ids_BT.to(device),
        attention_mask=attention_mask_BT.to(device),
        logits_processor=processors,
        stopping_criteria=StoppingCriteriaList([stopping]),
    )
    written = output_BT[:, width:].tolist()
    return [_read(tokenizer, ids[: item.room], stop_ids) for ids, item in zip(written, requests, strict=True)]


def _read(tokenizer: PreTrainedTokenizerBase, ids: list[int], stop_ids: set[int]) -> Generated:
    end = next((position for position, token in enumerate(ids) if token in stop_ids), None)
    text = tokenizer.decode(ids[:end], skip_special_tokens=True)
    # PostgreSQL's text cannot hold the NUL that a byte-level vocabulary can produce.
    return Generated(text.replace("\x00", "").strip(), len(ids) if end is None else end + 1, end is not None)
