"""Rules on the optimizer's steps: whether the loss falls, and how often the gradient is clipped."""

from statistics import median

from django.utils.translation import gettext as _

from training.contract.metrics import GRAD_NORM, LOSS
from training.reports.diagnostics.facts import ENOUGH_STEPS, Facts, Note
from training.reports.progress import number

A_FALL = 0.05  # of the loss at the beginning


def loss_not_falling(facts: Facts) -> Note | None:
    ends = facts.ends(LOSS)
    if not ends or ends[1] < 0.99 * ends[0]:
        return None
    if ends[0] - ends[1] + facts.noise(LOSS)[0] > A_FALL * ends[0]:
        return None  # it may fall: the batches differ more than that
    return Note(
        "loss_not_falling",
        "warn",
        _(
            "The loss does not fall: %(first)s in the first fifth, %(last)s in the last. If it jumps, lower the "
            "learning rate; if it is flat, raise it."
        )
        % {"first": number(ends[0]), "last": number(ends[1])},
    )


def always_clipped(facts: Facts) -> Note | None:
    limit, norms = float(facts.config.get("max_grad_norm") or 0), facts.values(GRAD_NORM)
    if not limit or len(norms) < ENOUGH_STEPS:
        return None
    share = sum(norm > limit for norm in norms) / len(norms)
    if share < 0.95 or median(norms) < 2 * limit:
        return None
    return Note(
        "always_clipped",
        "warn",
        _(
            "The gradient is clipped in %(share)s %% of the steps (its norm is about %(norm)s, the limit %(limit)s): "
            "the learning rate is probably too high."
        )
        % {"share": round(100 * share), "norm": number(median(norms)), "limit": number(limit)},
    )
