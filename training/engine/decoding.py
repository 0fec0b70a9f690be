"""Sampling and greedy decoding in batches, the same however often a run was interrupted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase, StoppingCriteriaList

# A prompt that leaves less room than this for an answer is reported as too long.
LEAST_ROOM = 16


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


def batches(lengths: Sequence[int], rows: int) -> list[list[int]]:
    """Positions cut into batches of about equal length, the longest first (memory runs out at once, if it does)."""
    order = sorted(range(len(lengths)), key=lambda position: (-lengths[position], position))
    return [order[start : start + rows] for start in range(0, len(order), rows)]


@torch.inference_mode()  # type: ignore[untyped-decorator]
def generate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[list[int]],
    *,
    stop_ids: set[int],
    max_new_tokens: int,
    samples: int = 1,
    temperature: float = 0.0,
    top_p: float = 1.0,
    seed: int = 0,
    check: Callable[[], None] = lambda: None,
) -> list[list[Generated]]:
    """`samples` answers to each prompt of one batch; `check` is called at each token and may raise to stop.

    The random state is set from `seed`, so that a batch gives the same answers whatever was generated before it.
    """
    width = max(map(len, prompts))
    input_ids_BT = torch.full((len(prompts), width), tokenizer.pad_token_id)
    attention_mask_BT = torch.zeros_like(input_ids_BT)
    for row, ids in enumerate(prompts):
        input_ids_BT[row, width - len(ids) :] = torch.tensor(ids)
        attention_mask_BT[row, width - len(ids) :] = 1
    sampling = {"do_sample": True, "temperature": temperature, "top_p": top_p, "top_k": 0} if temperature else {}
    # Set on the model: `generate` fills what is not given from there, and a base model's recommended settings
    # (top_k, repetition penalty) must not slip into what was asked for.
    model.generation_config = GenerationConfig(
        max_new_tokens=max_new_tokens,
        num_return_sequences=samples,
        eos_token_id=sorted(stop_ids),
        pad_token_id=tokenizer.pad_token_id,
        **sampling,
    )

    def stopping(ids_BT: torch.Tensor, scores: torch.Tensor, **kwargs: object) -> torch.Tensor:
        check()
        return torch.zeros(ids_BT.shape[0], dtype=torch.bool, device=ids_BT.device)

    torch.manual_seed(seed)
    output_BT = model.generate(
        input_ids=input_ids_BT.to(model.device),
        attention_mask=attention_mask_BT.to(model.device),
        stopping_criteria=StoppingCriteriaList([stopping]),
    )
    answers = [_read(tokenizer, ids, stop_ids) for ids in output_BT[:, width:].tolist()]
    return [answers[start : start + samples] for start in range(0, len(answers), samples)]


def _read(tokenizer: PreTrainedTokenizerBase, ids: list[int], stop_ids: set[int]) -> Generated:
    end = next((position for position, token in enumerate(ids) if token in stop_ids), None)
    text = tokenizer.decode(ids[:end], skip_special_tokens=True)
    # PostgreSQL's text cannot hold the NUL that a byte-level vocabulary can produce.
    return Generated(text.replace("\x00", "").strip(), len(ids) if end is None else end + 1, end is not None)
