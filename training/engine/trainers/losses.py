"""Losses of preference pairs as a function of the margin, with the votes of annotators. Pure functions of tensors.

β-scaled margin of a pair: delta = β · ((log π(y_c|x) − log π_ref(y_c|x)) − (log π(y_r|x) − log π_ref(y_r|x))).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from training.contract.config import TIE_THRESHOLD

# Losses that the packed trainer computes itself; every other `loss_type` of TRL goes through plain TRL.
PAIR_LOSSES = ("sigmoid", "ipo", "sigmoid_norm")
LOSSES = (*PAIR_LOSSES, "sft")

Real: TypeAlias = Tensor | float


def dpo_loss(
    delta: Tensor,
    p: Real = 1.0,
    offset: Real = 0.0,
    weight: Real = 1.0,
    tie: Real = 0.0,
    *,
    threshold: float = TIE_THRESHOLD,
) -> Tensor:
    """DPO with soft labels, an offset, weights and ties: one loss for each pair, in the shape of `delta`.

    delta: β-scaled margin. p: fraction that preferred the chosen side, among those who took a side, in [0, 1] (1 in
    Rafailov et al. 2023; below 1 for labels that may be wrong: Mitchell 2023). offset: the required margin (ODPO, Amini
    et al. 2024).
    weight: ≥ 0. tie: fraction of all annotators who chose "equal", in [0, 1].

    (1 − tie) · (−p · log σ(delta − offset) − (1 − p) · log σ(offset − delta)) + tie · (−log P(tie)), by Rao and
    Kupper (1967): P(tie) = (e^2ν − 1) · σ(delta − ν) · σ(−delta − ν) with ν = `threshold` > 0, as Chen et al. (2024)
    have it. The threshold affects ties only, so that a pair without ties is plain DPO.

    With p = 1, offset = 0, weight = 1, tie = 0 it is TRL's `sigmoid` to the last digit. Swapping the sides is
    delta → −delta, p → 1 − p, offset → −offset, and changes nothing.
    """
    distance = delta - offset
    sided = -(p * F.logsigmoid(distance) + (1 - p) * F.logsigmoid(-distance))
    if not isinstance(tie, Tensor) and tie == 0:
        return weight * sided
    return weight * ((1 - tie) * sided + tie * tie_loss(delta, threshold))


def tie_loss(delta: Tensor, threshold: float = TIE_THRESHOLD) -> Tensor:
    """−log of Rao and Kupper's probability of a tie; symmetric in `delta`, least at 0. `threshold` > 0."""
    scale = torch.log(torch.expm1(torch.tensor(2.0 * threshold, dtype=delta.dtype, device=delta.device)))
    return -(F.logsigmoid(delta - threshold) + F.logsigmoid(-delta - threshold) + scale)


def ipo_loss(mean_delta: Tensor, beta: float, p: Real = 1.0, weight: Real = 1.0, tie: Real = 0.0) -> Tensor:
    """IPO (Azar et al. 2023): squared distance of the margin from 1 / 2β (−1 / 2β for 1 − p of it, 0 for ties).

    `mean_delta` is the margin (not scaled by β) of log-probabilities per token, as in TRL.
    """
    goal = 1 / (2 * beta)
    sided = p * (mean_delta - goal) ** 2 + (1 - p) * (mean_delta + goal) ** 2
    if not isinstance(tie, Tensor) and tie == 0:
        return weight * sided
    return weight * ((1 - tie) * sided + tie * mean_delta**2)


@dataclass(frozen=True)
class PairTerms:
    """Votes on R pairs, each (R,): see `dpo_loss`. `weight` is 1 on average over the dataset."""

    p: Tensor
    offset: Tensor
    weight: Tensor
    tie: Tensor


@dataclass(frozen=True)
class PairLogps:
    """Summed log-probabilities of R pairs (R, 2; chosen first) under policy and reference, and token counts (R, 2)."""

    policy: Tensor
    reference: Tensor
    tokens: Tensor

    @property
    def ratios(self) -> Tensor:
        """log π − log π_ref, (R, 2)."""
        return self.policy - self.reference

    @property
    def delta(self) -> Tensor:
        """The margin, not scaled, (R,)."""
        return self.ratios[:, 0] - self.ratios[:, 1]

    @property
    def mean_delta(self) -> Tensor:
        """The margin of log-probabilities per token, (R,)."""
        per_token = self.ratios / self.tokens.clamp(min=1)
        return per_token[:, 0] - per_token[:, 1]


def pair_loss(name: str, logps: PairLogps, terms: PairTerms, *, beta: float, threshold: float) -> Tensor:
    """The loss of each pair (R,) under one of PAIR_LOSSES. Raises KeyError for another name."""
    p, offset, weight, tie = terms.p, terms.offset, terms.weight, terms.tie
    if name == "sigmoid":
        return dpo_loss(beta * logps.delta, p, offset, weight, tie, threshold=threshold)
    if name == "sigmoid_norm":
        return dpo_loss(beta * logps.mean_delta, p, offset, weight, tie, threshold=threshold)
    if name == "ipo":
        return ipo_loss(logps.mean_delta, beta, p, weight, tie)
    raise KeyError(name)


def combined_loss(
    names: Sequence[str],
    weights: Sequence[float],
    logps: PairLogps,
    terms: PairTerms,
    *,
    beta: float,
    threshold: float,
    pairs: float,
    chosen_tokens: float,
) -> Tensor:
    """The contribution of these pairs to a step's loss, a scalar: contributions of one step add up to its loss.

    `pairs` and `chosen_tokens` count the whole step. A pair loss is a mean over pairs; `sft` is the negative
    log-likelihood of the chosen side, a mean over its tokens (weighted by pair; ties have no chosen side to learn).
    """
    total = logps.policy.new_zeros(())
    for name, factor in zip(names, weights, strict=True):
        if name == "sft":
            share = terms.weight * (1 - terms.tie)
            total = total - factor * (share * logps.policy[:, 0]).sum() / chosen_tokens
        else:
            loss = pair_loss(name, logps, terms, beta=beta, threshold=threshold)
            total = total + factor * loss.sum() / pairs
    return total
