"""Labels of the metrics and figures that training.contract.metrics declares."""

from django.utils.translation import gettext_lazy as _

# Beside the progress bar, and in the legend of a chart with several lines.
METRIC_LABELS = {
    "loss": _("loss"),
    "reward_accuracy": _("reward accuracy"),
    "reward_margin": _("margin"),
    "reward_chosen": _("chosen"),
    "reward_rejected": _("rejected"),
    "logps_chosen": _("chosen"),
    "logps_rejected": _("rejected"),
    "token_accuracy": _("token accuracy"),
    "learning_rate": _("learning rate"),
    "grad_norm": _("gradient norm"),
    "tokens_per_s": _("tokens/s"),
}
CHART_TITLES = {
    "loss": _("Loss"),
    "accuracy": _("Reward accuracy"),
    "margin": _("Reward margin"),
    "rewards": _("Rewards"),
    "logps": _("Log-probabilities"),
    "token_accuracy": _("Token accuracy"),
    "learning_rate": _("Learning rate"),
    "grad_norm": _("Gradient norm"),
    "tokens_per_s": _("Tokens per second"),
}
# Where a chart draws several metrics, each has a title of its own when runs are compared.
COMPARED_TITLES = {
    "logps_chosen": _("Log-probability of the chosen texts"),
    "logps_rejected": _("Log-probability of the rejected texts"),
}
# What a figure says beside the parent's (`training.contract.statistics`).
VERDICT_LABELS = {
    "better": _("better"),
    "worse": _("worse"),
    "unclear": _("no clear difference"),
}
# Key → label, explanation.
FIGURE_LABELS = {
    "reward_accuracy": (
        _("Preference accuracy"),
        _("pairs whose preferred side gained more than the other, relative to the model that training started from"),
    ),
    "label_accuracy": (
        _("Label accuracy"),
        _("texts whose probability rose if people called them good, and fell if they called them bad"),
    ),
    "reward_margin": (_("Preference margin"), _("how much more, on average, in units of β · log-probability")),
    "logp_accuracy": (_("Likelihood accuracy"), _("pairs whose preferred side has the higher likelihood per token")),
    "chosen_logp": (_("Log-probability, preferred"), _("mean of the preferred texts")),
    "rejected_logp": (_("Log-probability, other"), _("mean of the other texts")),
    "perplexity": (_("Perplexity"), _("on the good texts; lower is better")),
    "chrf": ("chrF", _("character-level similarity to the reference texts, 0 to 100")),
    "bleu": ("BLEU", _("word-level similarity to the reference texts, 0 to 100")),
}
