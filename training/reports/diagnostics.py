"""Plain-language notes on a run: what its figures say where users of these trainers always stumble.

One function a rule, tried in order of weight. A rule speaks only where the figures say so, and says what to do.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import Any, Literal

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from training.contract.metrics import GRAD_NORM, LOSS, REWARD_ACCURACY, REWARD_CHOSEN, REWARD_MARGIN
from training.reports.curves import points_of, steps_of
from training.reports.progress import number

Tone = Literal["bad", "warn", "info"]

LN_2 = math.log(2)
# Where a note begins to speak. From experience with β = 0.1: wide enough that a good run is left in peace.
FIRST_LOSS_TOLERANCE, NO_MARGIN = 0.02, 0.005
EARLY_STEPS = 10
ENOUGH_STEPS = 30
EASY_ACCURACY = 0.98
EXPLODED_MARGIN = 8.0
SMALL_BATCH = 8
FEW_ROWS, MANY_EPOCHS = 500, 3
HARDLY_MOVED = 0.02


@dataclass(frozen=True)
class Note:
    """`key` is stable, `tone` is bad, warn or info, `sentence` is for people."""

    key: str
    tone: Tone
    sentence: str


@dataclass(frozen=True)
class Facts:
    """What the rules look at."""

    steps: Sequence[Mapping[str, Any]]
    config: Mapping[str, Any] = field(default_factory=dict)
    result: Mapping[str, Any] = field(default_factory=dict)
    preflight: Mapping[str, Any] = field(default_factory=dict)
    rows: int = 0

    @property
    def preference(self) -> bool:
        return self.config.get("program") in ("train_dpo", "train_kto")

    @property
    def sft_term(self) -> bool:
        return "sft" in (self.config.get("losses") or ())

    @property
    def total(self) -> int:
        return int(self.steps[-1].get("total_steps") or len(self.steps)) if self.steps else 0

    @property
    def batch(self) -> int:
        """Rows of one optimizer step."""
        factors = (self.config.get(name) or 1 for name in ("batch_size", "gradient_accumulation", "processes"))
        return math.prod(factors)

    def values(self, key: str) -> list[float]:
        return [value for value in points_of(self.steps, key)[1] if math.isfinite(value)]

    def ends(self, key: str) -> tuple[float, float] | None:
        """The means of the first and the last fifth; None of fewer than ENOUGH_STEPS."""
        values = self.values(key)
        fifth = len(values) // 5
        return (fmean(values[:fifth]), fmean(values[-fifth:])) if len(values) >= ENOUGH_STEPS else None


def notes_of(
    lines: Sequence[Mapping[str, Any]],
    *,
    config: Mapping[str, Any] | None = None,
    result: Mapping[str, Any] | None = None,
    preflight: Mapping[str, Any] | None = None,
    rows: int = 0,
) -> list[Note]:
    """Notes on a run, the weightiest first: from its lines of metrics.jsonl, run.json, result.json, preflight.json
    and the number of its training rows. Pure; says nothing where there is nothing to say."""
    facts = Facts(steps_of(lines), config or {}, result or {}, preflight or {}, rows)
    found = [note for rule in RULES if (note := rule(facts)) is not None]
    keys = {note.key for note in found}
    found = [note for note in found if not (keys & OVERRULED.get(note.key, set()))]
    return sorted(found, key=lambda note: ("bad", "warn", "info").index(note.tone))


# ---- the beginning ----


def first_loss(facts: Facts) -> Note | None:
    """Plain DPO starts at ln 2, because policy and reference are the same model then: every margin is 0. A first loss
    beside it at margin 0 comes from the weights of the first rows, which average 1 over all."""
    if facts.config.get("program") != "train_dpo" or not facts.steps or facts.steps[0].get("step") != 1:
        return None
    values, losses = facts.values(LOSS), tuple(facts.config.get("losses") or ("sigmoid",))
    if not values or losses[0] != "sigmoid" or facts.config.get("strength_offset"):
        return None
    said = {"loss": number(values[0])}
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
                % said,
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
            _("The loss starts at %(loss)s and not at 0.693 (ln 2), because the SFT term is added to it.") % said,
        )
    return None


# ---- the preference ----


def chosen_falls(facts: Facts) -> Note | None:
    """The reward of the chosen texts is their log-probability against the reference's: below zero, it fell."""
    chosen, margin = facts.ends(REWARD_CHOSEN), facts.ends(REWARD_MARGIN)
    if not (facts.preference and chosen and margin) or chosen[1] > -HARDLY_MOVED:
        return None
    if margin[1] <= margin[0] or margin[1] < HARDLY_MOVED:
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
            "The chosen log-probability falls as well: normal while the margin grows; add the SFT term if output "
            "degrades."
        ),
    )


def easy_accuracy(facts: Facts) -> Note | None:
    values = facts.values(REWARD_ACCURACY)
    early = values[: max(ENOUGH_STEPS, facts.total // 5)]
    if not facts.preference or len(early) < ENOUGH_STEPS or fmean(early[-10:]) < EASY_ACCURACY:
        return None
    return Note(
        "easy_accuracy",
        "warn",
        _(
            "Reward accuracy was near 100 %% after %(steps)s steps: the pairs are easy to tell apart (by length or a "
            "phrase?), or memorised. Trust the held-out figure, and read some outputs."
        )
        % {"steps": len(early)},
    )


def accuracy_of_chance(facts: Facts) -> Note | None:
    ends, steps = facts.ends(REWARD_ACCURACY), len(facts.steps)
    if not (facts.preference and ends) or steps < max(50, facts.total // 4) or not 0.4 <= ends[1] <= 0.55:
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
    if not ends or ends[1] < EXPLODED_MARGIN:
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


# ---- the learning rate ----


def hardly_moved(facts: Facts) -> Note | None:
    margin, loss = facts.ends(REWARD_MARGIN), facts.ends(LOSS)
    if not (facts.preference and margin and loss) or len(facts.steps) < facts.total // 2:
        return None
    if abs(margin[1]) > HARDLY_MOVED or abs(loss[1] - loss[0]) > HARDLY_MOVED * abs(loss[0]):
        return None
    return Note(
        "hardly_moved",
        "warn",
        _("After %(steps)s steps the model has hardly changed: the learning rate (%(rate)s) may be too low.")
        % {"steps": len(facts.steps), "rate": number(float(facts.config.get("learning_rate") or 0))},
    )


def loss_not_falling(facts: Facts) -> Note | None:
    ends = facts.ends(LOSS)
    if not ends or ends[1] < 0.99 * ends[0]:
        return None
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


# ---- the rows ----


def rows_lost(facts: Facts) -> Note | None:
    dropped = sum(int(reason.get("count", 0)) for reason in (facts.preflight.get("dropped") or {}).values())
    if not dropped:
        return None
    said = ngettext(
        "%(count)s row was left out: it has nothing to learn from. See the checks below for the reason.",
        "%(count)s rows were left out: they have nothing to learn from. See the checks below for the reasons.",
        dropped,
    )
    return Note("rows_dropped", "warn", said % {"count": f"{dropped:,}"})


def rows_cut(facts: Facts) -> Note | None:
    count = int((facts.preflight.get("truncated") or {}).get("count", 0))
    if not count:
        return None
    said = ngettext(
        "%(count)s row is longer than %(length)s tokens and was cut: increase the maximum length if its end matters.",
        "%(count)s rows are longer than %(length)s tokens and were cut: increase the maximum "
        "length if their ends matter.",
        count,
    )
    return Note("rows_cut", "warn", said % {"count": f"{count:,}", "length": facts.config.get("max_length", "")})


def few_rows(facts: Facts) -> Note | None:
    epochs = float(facts.config.get("epochs") or 1)
    rows = round(facts.rows * float(facts.config.get("share") or 1))
    if not 0 < rows < FEW_ROWS or epochs < MANY_EPOCHS:
        return None
    said = ngettext(
        "%(rows)s row, seen %(epochs)s times: the model may memorise it. More labels help more than more epochs.",
        "%(rows)s rows, each seen %(epochs)s times: the model may memorise them. More labels help more than more "
        "epochs.",
        rows,
    )
    return Note("few_rows", "info", said % {"rows": rows, "epochs": f"{epochs:g}"})


def noisy(facts: Facts) -> Note | None:
    if facts.batch >= SMALL_BATCH or len(facts.steps) < ENOUGH_STEPS or not facts.preference:
        return None
    said = ngettext(
        "Each step learns from %(count)s row, so single steps fluctuate: read the smoothed "
        "line, or use a larger batch.",
        "Each step learns from %(count)s rows, so single steps fluctuate: read the smoothed "
        "line, or use a larger batch.",
        facts.batch,
    )
    return Note("noisy", "info", said % {"count": facts.batch})


# ---- the method ----


def plain_trl(facts: Facts) -> Note | None:
    method = facts.result.get("method")
    if not isinstance(method, Mapping) or method.get("packing") is not False or not facts.config.get("packing", True):
        return None
    return Note(
        "plain_trl",
        "info",
        _("The rows were computed by plain TRL, more slowly and with the same result, because: %(why)s")
        % {"why": method.get("why") or "?"},
    )


RULES: tuple[Callable[[Facts], Note | None], ...] = (
    first_loss,
    chosen_falls,
    easy_accuracy,
    accuracy_of_chance,
    exploded_margin,
    hardly_moved,
    loss_not_falling,
    always_clipped,
    rows_lost,
    rows_cut,
    few_rows,
    noisy,
    plain_trl,
)
# A note is left out where one of these says the same, better.
OVERRULED = {
    "loss_not_falling": {"hardly_moved", "accuracy_of_chance"},
    "accuracy_of_chance": {"hardly_moved"},
}
