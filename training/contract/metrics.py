"""The metrics of a training and of an evaluation: each declared once. Labels are on the web side (reports/labels.py).

A training metric has TRL's name for it and the chart that draws it; an evaluation figure may have the parent's key.
Both tuples are in the order in which people see them. `share` means 0 to 1, shown as a percentage.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """A figure of a training step: `trl` is the trainer's name (empty: computed by the callback).

    `live` shows it beside the progress bar, `compared` over several runs, `reported` in the summary of result.json.
    """

    key: str
    trl: str = ""
    share: bool = False
    chart: str = ""
    smooth: bool = True
    live: bool = False
    compared: bool = False
    reported: bool = False


@dataclass(frozen=True)
class Figure:
    """A figure of an evaluation: `parent` is the key of the parent's value, `summary` prints it in one line."""

    key: str
    parent: str = ""
    share: bool = False
    higher_is_better: bool = True
    summary: bool = False


LOSS, LEARNING_RATE, GRAD_NORM, REWARD_CHOSEN = "loss", "learning_rate", "grad_norm", "reward_chosen"
CHRF, BLEU = "chrf", "bleu"
CHOSEN_LOGP, REJECTED_LOGP = "chosen_logp", "rejected_logp"
REWARD_ACCURACY, REWARD_MARGIN, LABEL_ACCURACY = "reward_accuracy", "reward_margin", "label_accuracy"
PERPLEXITY, LOGP_ACCURACY = "perplexity", "logp_accuracy"
TOKEN_ACCURACY = "token_accuracy"  # noqa: S105 - a metric's key
PADDING_SHARE = "padding_share"

METRICS = (
    Metric(LOSS, "loss", chart="loss", live=True, compared=True, reported=True),
    Metric(
        REWARD_ACCURACY, "rewards/accuracies", share=True, chart="accuracy", live=True, compared=True, reported=True
    ),
    Metric(REWARD_MARGIN, "rewards/margins", chart="margin", live=True, compared=True, reported=True),
    Metric(REWARD_CHOSEN, "rewards/chosen", chart="rewards"),
    Metric("reward_rejected", "rewards/rejected", chart="rewards"),
    Metric("logps_chosen", "logps/chosen", chart="logps", compared=True, reported=True),
    Metric("logps_rejected", "logps/rejected", chart="logps", compared=True, reported=True),
    Metric(
        TOKEN_ACCURACY,
        "mean_token_accuracy",
        share=True,
        chart="token_accuracy",
        live=True,
        compared=True,
        reported=True,
    ),
    Metric(LEARNING_RATE, "learning_rate", chart="learning_rate", smooth=False, live=True, compared=True),
    Metric(GRAD_NORM, "grad_norm", chart="grad_norm", reported=True),
    Metric("tokens_per_s", chart="tokens_per_s", compared=True),
    Metric("epoch", "epoch"),
    Metric(PADDING_SHARE, "padding_share", share=True),
)

FIGURES = (
    Figure(REWARD_ACCURACY, share=True, summary=True),
    Figure(LABEL_ACCURACY, share=True, summary=True),
    Figure(REWARD_MARGIN, summary=True),
    Figure(LOGP_ACCURACY, "parent_logp_accuracy", share=True, summary=True),
    Figure(CHOSEN_LOGP, "chosen_logp_parent"),
    Figure(REJECTED_LOGP, "rejected_logp_parent"),
    Figure(PERPLEXITY, "parent_perplexity", higher_is_better=False, summary=True),
    Figure(CHRF, "parent_chrf", summary=True),
    Figure(BLEU, "parent_bleu", summary=True),
)

# By trainer: the figure of its evaluations that says most, shown in lists and drawn in learning curves.
MAIN_FIGURES = {"pretrain": PERPLEXITY, "sft": PERPLEXITY, "dpo": REWARD_ACCURACY, "kto": LABEL_ACCURACY}

SHARES = frozenset(metric.key for metric in (*METRICS, *FIGURES) if metric.share)
# The trainers' names → ours.
TRL_NAMES = {metric.trl: metric.key for metric in METRICS if metric.trl}


def charts() -> dict[str, list[Metric]]:
    """Chart → the metrics that it draws, in order."""
    by_chart: dict[str, list[Metric]] = {}
    for metric in METRICS:
        if metric.chart:
            by_chart.setdefault(metric.chart, []).append(metric)
    return by_chart


def parent_key(key: str) -> str:
    """The key under which an evaluation has the same figure of the checkpoint's parent."""
    return next(figure.parent for figure in FIGURES if figure.key == key)


def interval_of(key: str) -> str:
    """The key of a figure's 95 % interval, [low, high]."""
    return f"{key}_interval"


def verdict_of(key: str) -> str:
    """The key of what a figure says beside the parent's: better, worse or unclear (see `statistics.verdict`)."""
    return f"{key}_verdict"
