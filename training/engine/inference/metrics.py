"""Evaluation metrics: accuracies with confidence intervals, margins, and agreement with reference texts."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import sacrebleu

from training.contract.metrics import BLEU, CHRF, LABEL_ACCURACY, REWARD_ACCURACY, REWARD_MARGIN, interval_of
from training.engine.inference.scoring import Score

Z = 1.959964  # the standard normal's 97.5 % quantile
# sacrebleu's own tokenizers for these need extra packages; characters are its documented way without them.
CHARACTER_LANGUAGES = ("ja", "zh", "ko", "th", "km", "lo", "my")

Pair = tuple[Score, Score]  # chosen, rejected


def interval(values: Sequence[float]) -> list[float]:
    """95 % score interval of a proportion (Wilson 1927); unlike a bootstrap, valid at 0 and 1 and in small samples."""
    n, share = len(values), float(np.mean(values))
    centre = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    return [round(max(0.0, centre - half), 6), round(min(1.0, centre + half), 6)]


def wins(differences: Sequence[float]) -> list[float]:
    """1 where the chosen side is ahead, ½ where both are equal, 0 where it is behind."""
    return [0.5 + 0.5 * float(np.sign(difference)) for difference in differences]


def logp_accuracy(pairs: Sequence[Pair], key: str) -> dict[str, Any]:
    """Share of pairs whose chosen side has the greater log-probability per token."""
    won = wins([chosen.per_token - rejected.per_token for chosen, rejected in pairs])
    return {key: float(np.mean(won)), interval_of(key): interval(won)}


def reward_figures(pairs: Sequence[Pair], reference: Sequence[Pair], beta: float) -> dict[str, Any]:
    """The implicit reward of DPO, beta · (log π − log π_ref), chosen against rejected."""
    margins = [
        beta * ((chosen.logp - ref_chosen.logp) - (rejected.logp - ref_rejected.logp))
        for (chosen, rejected), (ref_chosen, ref_rejected) in zip(pairs, reference, strict=True)
    ]
    won = wins(margins)
    return {
        REWARD_ACCURACY: float(np.mean(won)),
        interval_of(REWARD_ACCURACY): interval(won),
        REWARD_MARGIN: float(np.mean(margins)),
    }


def label_figures(
    scores: Sequence[Score], reference: Sequence[Score], labels: Sequence[bool], beta: float
) -> dict[str, Any]:
    """The implicit reward of KTO, beta · (log π − log π_ref), on rows that are desirable (true) or not.

    A row is on the right side when it is desirable and gained probability, or undesirable and lost it. The margin
    (of the mean rewards) needs both kinds.
    """
    rewards = [beta * (score.logp - before.logp) for score, before in zip(scores, reference, strict=True)]
    won = wins([reward if label else -reward for reward, label in zip(rewards, labels, strict=True)])
    figures: dict[str, Any] = {LABEL_ACCURACY: float(np.mean(won)), interval_of(LABEL_ACCURACY): interval(won)}
    kinds = {kind: [r for r, label in zip(rewards, labels, strict=True) if label is kind] for kind in (True, False)}
    if kinds[True] and kinds[False]:
        figures[REWARD_MARGIN] = float(np.mean(kinds[True]) - np.mean(kinds[False]))
    return figures


def perplexity(scores: Sequence[Score]) -> float:
    """exp of the mean negative log-probability over all completion tokens."""
    tokens = sum(score.tokens for score in scores)
    exponent = -sum(score.logp for score in scores) / max(1, tokens)
    return math.exp(min(exponent, 700.0))


def mean_logp(scores: Sequence[Score]) -> float:
    return float(np.mean([score.logp for score in scores]))


def text_figures(outputs: Sequence[str], references: Sequence[str], language: str, prefix: str = "") -> dict[str, Any]:
    """Corpus chrF and BLEU (0 to 100) with sacrebleu's signatures, which say how the text was tokenised."""
    tokenizer = "char" if language.lower().split("-")[0] in CHARACTER_LANGUAGES else "13a"
    chrf = sacrebleu.CHRF()
    bleu = sacrebleu.BLEU(tokenize=tokenizer)
    figures: dict[str, Any] = {
        prefix + CHRF: chrf.corpus_score(list(outputs), [list(references)]).score,
        prefix + BLEU: bleu.corpus_score(list(outputs), [list(references)]).score,
    }
    if not prefix:
        figures[f"{CHRF}_signature"] = chrf.get_signature().format()
        figures[f"{BLEU}_signature"] = bleu.get_signature().format()
    return figures
