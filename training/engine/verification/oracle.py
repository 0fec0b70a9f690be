"""The right answers: token ids, log-probabilities one sequence at a time, and the losses written out.

Nothing here is shared with a trainer: no padding, no packing, no cache, no library's loss.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from training.engine.verification.jobs import Pair
from training.engine.verification.models import ASSISTANT, BOS, END, USER

LN_2 = math.log(2)


def text_ids(tokenizer: Any, text: str) -> list[int]:
    """The text's tokens, and only text: what looks like a control token stays the characters that it is made of."""
    return list(tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])


def sequences(tokenizer: Any, pair: Pair) -> tuple[list[int], list[list[int]]]:
    """Token ids of the prompt, and of the chosen and the rejected completion, as the chat template lays them out."""
    bos, end, user, assistant = tokenizer.convert_tokens_to_ids([BOS, END, USER, ASSISTANT])
    prompt = [bos, user, *text_ids(tokenizer, pair.prompt), end, assistant]
    return prompt, [[*text_ids(tokenizer, text), end] for text in (pair.chosen, pair.rejected)]


def logps(model: Any, tokenizer: Any, pairs: Sequence[Pair], max_length: int = 1 << 20) -> Tensor:
    """Summed log-probabilities of the completions (pairs, 2), chosen first, in float64; with the gradient's graph.

    Each sequence is computed alone, cut to `max_length` tokens.
    """
    rows = []
    for pair in pairs:
        prompt, completions = sequences(tokenizer, pair)
        sides = [one_sequence(model, (prompt + ids)[:max_length], len(prompt)) for ids in completions]
        rows.append(torch.stack(sides))
    return torch.stack(rows)


def one_sequence(model: Any, ids: list[int], prompt: int) -> Tensor:
    """The summed log-probability of ids[prompt:], a scalar in float64."""
    logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, :-1].double()
    targets = torch.tensor(ids[1:])
    return logits.log_softmax(-1).gather(1, targets[:, None])[prompt - 1 :, 0].sum()


def completion_tokens(tokenizer: Any, pairs: Sequence[Pair]) -> Tensor:
    """Tokens of each completion (pairs, 2), the end of text included."""
    return torch.tensor([[len(ids) for ids in sequences(tokenizer, pair)[1]] for pair in pairs])


def dpo_losses(
    policy: Tensor, reference: Tensor, pairs: Sequence[Pair], beta: float, threshold: float = math.log(3)
) -> Tensor:
    """The loss of each pair (pairs,). Its mean is the loss of a step; weights are 1 on average over the dataset.

    With margin Δ = β((log π_c − log r_c) − (log π_r − log r_r)): −p log σ(Δ − o) − (1 − p) log σ(o − Δ) for votes that
    took a side, and for ties −log of Rao and Kupper's probability of a tie, (e^2ν − 1) σ(Δ − ν) σ(−Δ − ν).
    """
    ratios = policy - reference
    delta = beta * (ratios[:, 0] - ratios[:, 1])
    votes = [pair.labels for pair in pairs]
    p, tie, weight, offset = (
        torch.tensor([getattr(vote, name) for vote in votes], dtype=torch.float64)
        for name in ("preferred", "tie", "weight", "margin")
    )
    sided = p * torch.log1p(torch.exp(offset - delta)) + (1 - p) * torch.log1p(torch.exp(delta - offset))
    tied = (
        torch.log1p(torch.exp(threshold - delta))
        + torch.log1p(torch.exp(threshold + delta))
        - math.log(math.exp(2 * threshold) - 1)
    )
    return weight / weight.mean() * ((1 - tie) * sided + tie * tied)


def gradient_norm(model: Any, loss: Tensor) -> float:
    """The norm of the gradient of `loss` over all weights of the model."""
    model.zero_grad(set_to_none=True)
    loss.backward()
    squares = [parameter.grad.double().pow(2).sum() for parameter in model.parameters() if parameter.grad is not None]
    return float(torch.stack(squares).sum().sqrt())
