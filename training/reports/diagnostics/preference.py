"""Rules on preference trainings: where the loss starts, and what happens to both sides of the pairs."""

import math
from statistics import fmean

from django.utils.translation import gettext as _

from training.contract.metrics import LOSS, REWARD_ACCURACY, REWARD_CHOSEN, REWARD_MARGIN
from training.reports.diagnostics.facts import ENOUGH_STEPS, Facts, Note
from training.reports.progress import number

LN_2 = math.log(2)
# Where a rule applies. From experience with β = 0.1: wide enough that a good run gets no notes.
FIRST_LOSS_TOLERANCE, NO_MARGIN = 0.02, 0.005
EARLY_STEPS = 10
EASY_ACCURACY = 0.98
EXPLODED_MARGIN = 8.0
HARDLY_MOVED = 0.02
SURELY_BETTER = 0.6  # an accuracy that may be this high by the batches' chance is not called chance


def first_loss(facts: Facts) -> Note | None:
    """Plain DPO starts at ln 2, because policy and reference are the same model then: every margin is 0. A first loss
    beside it at margin 0 comes from the weights of the first rows, which average 1 over all."""
    if facts.config.get("program") != "train_dpo" or not facts.steps or facts.steps[0].get("step") != 1:
        return None
    values, losses = facts.values(LOSS), tuple(facts.config.get("losses") or ("sigmoid",))
    if not values or losses[0] != "sigmoid" or facts.config.get("strength_offset"):
        return None
    figures = {"loss": number(values[0])}
    if losses == ("sigmoid",) and not facts.config.get("loss_weights"):
        apart = abs((facts.values(REWARD_MARGIN) or [1.0])[0]) > NO_MARGIN
        if abs(values[0] - LN_2) > FIRST_LOSS_TOLERANCE and apart:
            return Note(
                "first_loss",
                "bad",
                _(
                    "The first loss is %(loss)s, not 0.693 (ln 2): the model did not start as its own reference. "
                    "Check which checkpoint and adapters it starts from."
                )
                % figures,
            )
        if abs(values[0] - LN_2) <= FIRST_LOSS_TOLERANCE and len(facts.steps) <= EARLY_STEPS:
            return Note(
                "first_loss",
                "info",
                _("The loss starts at 0.693 (ln 2), as it should: model and reference are still the same."),
            )
    elif facts.sft_term and len(facts.steps) <= EARLY_STEPS:
        return Note(
            "first_loss",
            "info",
            _("The loss starts at %(loss)s and not at 0.693 (ln 2), because the SFT term is added to it.") % figures,
        )
    return None


def chosen_falls(facts: Facts) -> Note | None:
    """The reward of the chosen texts is their log-probability against the reference's: below zero, it fell."""
    chosen, margin = facts.ends(REWARD_CHOSEN), facts.ends(REWARD_MARGIN)
    if not (facts.preference and chosen and margin) or chosen[1] > -max(HARDLY_MOVED, facts.noise(REWARD_CHOSEN)[1]):
        return None
    change, last = facts.noise(REWARD_MARGIN)
    if margin[1] - margin[0] < -change or margin[1] + last < HARDLY_MOVED:
        return Note(
            "chosen_falls",
            "bad",
            _(
                "The chosen log-probability falls and the margin does not grow: the model is getting worse, not "
                "more selective. Lower the learning rate or raise beta."
            ),
        )
    if facts.sft_term:
        return Note(
            "chosen_falls",
            "warn",
            _(
                "The chosen log-probability falls although the SFT term is on. The margin grows, so this can be fine; "
                "if output degrades, give the SFT term more weight or lower the learning rate."
            ),
        )
    return Note(
        "chosen_falls",
        "info",
        _(
            "The chosen log-probability falls as well, which is normal while the margin grows; add the SFT term if "
            "output degrades."
        ),
    )


def easy_accuracy(facts: Facts) -> Note | None:
    until = min(facts.done, max(ENOUGH_STEPS, facts.total // 5))
    early = facts.values(REWARD_ACCURACY, until=until)
    if not facts.preference or len(early) < ENOUGH_STEPS or fmean(early[-10:]) < EASY_ACCURACY:
        return None
    return Note(
        "easy_accuracy",
        "warn",
        _(
            "Reward accuracy was near 100 %% after %(steps)s steps: the pairs are easy to tell apart (by length or a "
            "phrase?), or memorised. Trust the held-out figure, and read some outputs."
        )
        % {"steps": until},
    )


def accuracy_of_chance(facts: Facts) -> Note | None:
    ends, steps = facts.ends(REWARD_ACCURACY), facts.done
    if not (facts.preference and ends) or steps < max(50, facts.total // 4) or not 0.4 <= ends[1] <= 0.55:
        return None
    if ends[1] + facts.noise(REWARD_ACCURACY)[1] > SURELY_BETTER:
        return None
    return Note(
        "accuracy_of_chance",
        "warn",
        _(
            "Reward accuracy is still about 50 %% after %(steps)s steps, which is chance. A higher learning rate, "
            "more epochs, or labels that agree more would help."
        )
        % {"steps": steps},
    )


def exploded_margin(facts: Facts) -> Note | None:
    ends = facts.ends(REWARD_MARGIN)
    if not ends or ends[1] - facts.noise(REWARD_MARGIN)[1] < EXPLODED_MARGIN:
        return None
    return Note(
        "exploded_margin",
        "warn",
        _(
            "The margin has grown to %(margin)s: the model has moved far from its starting point (over-optimisation). "
            "Raise beta, or train for fewer epochs."
        )
        % {"margin": number(ends[1])},
    )


def hardly_moved(facts: Facts) -> Note | None:
    margin, loss = facts.ends(REWARD_MARGIN), facts.ends(LOSS)
    if not (facts.preference and margin and loss) or facts.done < facts.total // 2:
        return None
    if abs(margin[1]) + facts.noise(REWARD_MARGIN)[1] > 2 * HARDLY_MOVED:
        return None
    if abs(margin[1]) > HARDLY_MOVED or abs(loss[1] - loss[0]) > HARDLY_MOVED * abs(loss[0]):
        return None
    return Note(
        "hardly_moved",
        "warn",
        _("After %(steps)s steps the model has hardly changed: the learning rate (%(rate)s) may be too low.")
        % {"steps": facts.done, "rate": number(float(facts.config.get("learning_rate") or 0))},
    )
