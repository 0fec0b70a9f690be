"""Evaluation metrics with 95 % intervals: accuracies, margins, perplexity, and agreement with reference texts.

A verdict compares the model with its parent on the same rows: better, worse or unclear (`contract.statistics`).
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from sacrebleu.metrics import BLEU as Bleu
from sacrebleu.metrics import CHRF as Chrf
from sacrebleu.significance import PairedTest, Result

from training.contract.metrics import (
    BLEU,
    CHRF,
    LABEL_ACCURACY,
    LOGP_ACCURACY,
    PERPLEXITY,
    REWARD_ACCURACY,
    REWARD_MARGIN,
    interval_of,
    parent_key,
    verdict_of,
)
from training.contract.statistics import (
    BETTER,
    UNCLEAR,
    WORSE,
    Gain,
    gain_in_perplexity,
    gain_in_wins,
    mean_interval,
    perplexity_interval,
    share_interval,
    verdict,
)
from training.engine.inference.scoring import Score

# sacrebleu's own tokenizers for these need extra packages; characters are its documented way without them.
CHARACTER_LANGUAGES = ("ja", "zh", "ko", "th", "km", "lo", "my")
SIGNIFICANT = 0.05

Pair = tuple[Score, Score]  # chosen, rejected


def with_interval(key: str, value: float, interval: tuple[float, float] | None) -> dict[str, Any]:
    """The figure and its interval, which is missing where there are too few rows for one."""
    figures: dict[str, Any] = {key: value}
    if interval is not None:
        figures[interval_of(key)] = [round(bound, 6) for bound in interval]
    return figures


def share_figures(key: str, won: Sequence[float]) -> dict[str, Any]:
    share = float(np.mean(won))
    return with_interval(key, share, share_interval(share, len(won)))


def wins(differences: Sequence[float]) -> list[float]:
    """1 where the chosen side is ahead, ½ where both are equal, 0 where it is behind."""
    return [0.5 + 0.5 * float(np.sign(difference)) for difference in differences]


def verdict_on(gain: Gain | None) -> str:
    return verdict((gain.low, gain.high) if gain else None)


def logp_figures(pairs: Sequence[Pair], parent: Sequence[Pair] | None) -> dict[str, Any]:
    """Share of pairs whose chosen side has the greater log-probability per token, beside the parent's."""
    won = wins([chosen.per_token - rejected.per_token for chosen, rejected in pairs])
    figures = share_figures(LOGP_ACCURACY, won)
    if parent is not None:
        before = wins([chosen.per_token - rejected.per_token for chosen, rejected in parent])
        figures |= share_figures(parent_key(LOGP_ACCURACY), before)
        gain = gain_in_wins(dict(enumerate(before)), dict(enumerate(won)))
        figures[verdict_of(LOGP_ACCURACY)] = verdict_on(gain)
    return figures


def reward_figures(pairs: Sequence[Pair], reference: Sequence[Pair], beta: float) -> dict[str, Any]:
    """The implicit reward of DPO, beta · (log π − log π_ref), chosen against rejected.

    The reference is what the run started from: its own accuracy is ½ and its margin 0, which the verdicts compare with.
    """
    margins = [
        beta * ((chosen.logp - ref_chosen.logp) - (rejected.logp - ref_rejected.logp))
        for (chosen, rejected), (ref_chosen, ref_rejected) in zip(pairs, reference, strict=True)
    ]
    return _rewarded(REWARD_ACCURACY, wins(margins)) | _margin(float(np.mean(margins)), mean_interval(margins))


def label_figures(
    scores: Sequence[Score], reference: Sequence[Score], labels: Sequence[bool], beta: float
) -> dict[str, Any]:
    """The implicit reward of KTO, beta · (log π − log π_ref), on rows that are desirable (true) or not.

    A row is on the right side when it is desirable and gained probability, or undesirable and lost it. The margin
    (of the mean rewards) needs both kinds.
    """
    rewards = [beta * (score.logp - before.logp) for score, before in zip(scores, reference, strict=True)]
    won = wins([reward if label else -reward for reward, label in zip(rewards, labels, strict=True)])
    figures = _rewarded(LABEL_ACCURACY, won)
    good, bad = ([r for r, label in zip(rewards, labels, strict=True) if label is kind] for kind in (True, False))
    if good and bad:
        figures |= _margin(float(np.mean(good) - np.mean(bad)), mean_interval(good, minus=bad))
    return figures


def _rewarded(key: str, won: Sequence[float]) -> dict[str, Any]:
    figures = share_figures(key, won)
    return {**figures, verdict_of(key): verdict(figures[interval_of(key)], neutral=0.5)}


def _margin(value: float, interval: tuple[float, float] | None) -> dict[str, Any]:
    return {**with_interval(REWARD_MARGIN, value, interval), verdict_of(REWARD_MARGIN): verdict(interval)}


def perplexity_figures(scores: Sequence[Score], parent: Sequence[Score] | None) -> dict[str, Any]:
    """exp of the mean negative log-probability over all completion tokens, beside the parent's."""
    figures = _perplexity(PERPLEXITY, scores)
    if parent is not None:
        figures |= _perplexity(parent_key(PERPLEXITY), parent)
        before, after = ({row: score.logp for row, score in enumerate(part)} for part in (parent, scores))
        tokens = {row: score.tokens for row, score in enumerate(scores)}
        figures[verdict_of(PERPLEXITY)] = verdict_on(gain_in_perplexity(before, after, tokens))
    return figures


def _perplexity(key: str, scores: Sequence[Score]) -> dict[str, Any]:
    logps, tokens = [score.logp for score in scores], [score.tokens for score in scores]
    value = math.exp(min(-sum(logps) / max(1, sum(tokens)), 700.0))
    return with_interval(key, value, perplexity_interval(logps, tokens))


def mean_figures(key: str, scores: Sequence[Score]) -> dict[str, Any]:
    """The mean log-probability of completions, in nats."""
    logps = [score.logp for score in scores]
    return with_interval(key, float(np.mean(logps)), mean_interval(logps))


def text_figures(
    outputs: Sequence[str], parent: Sequence[str] | None, references: Sequence[str], language: str
) -> dict[str, Any]:
    """Corpus chrF and BLEU (0 to 100) of outputs and the parent's, with sacrebleu's signatures.

    The signatures name the tokenisation, the number of bootstrap samples and their seed. Intervals and the verdict are
    from sacrebleu's paired bootstrap over the texts (Koehn 2004); a single text has neither.
    """
    metrics: dict[str, Chrf | Bleu] = {CHRF: Chrf(), BLEU: Bleu(tokenize=tokenizer_for(language))}
    systems = [("model", list(outputs))] if parent is None else [("parent", list(parent)), ("model", list(outputs))]
    figures: dict[str, Any] = {}
    if len(outputs) < 2:
        for key, metric in metrics.items():
            for name, texts in systems:
                figures[key if name == "model" else parent_key(key)] = metric.corpus_score(texts, [references]).score
            figures[f"{key}_signature"] = metric.get_signature().format()
        return figures
    test = PairedTest(systems, metrics, [list(references)], test_type="bs")
    signatures, results = test()
    for key, name in zip(metrics, signatures, strict=True):
        by_system: dict[str, Any] = dict(zip(results["System"], results[name], strict=True))
        for system, result in by_system.items():
            figures |= with_interval(key if system == "model" else parent_key(key), result.score, _spread(result))
        if parent is not None:
            figures[verdict_of(key)] = _text_verdict(by_system["model"], by_system["parent"])
        figures[f"{key}_signature"] = signatures[name].format()
    return figures


def tokenizer_for(language: str) -> str:
    return "char" if language.lower().split("-")[0] in CHARACTER_LANGUAGES else "13a"


def _spread(result: Result) -> tuple[float, float] | None:
    if result.mean is None or result.ci is None:
        return None
    return float(result.mean - result.ci), float(result.mean + result.ci)


def _text_verdict(model: Result, parent: Result) -> str:
    if model.p_value is None or model.p_value >= SIGNIFICANT or model.score == parent.score:
        return UNCLEAR
    return BETTER if model.score > parent.score else WORSE
