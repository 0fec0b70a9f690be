"""Would more labels help? The points of a learning curve compared row by row, and the answer in plain language."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation.text.formatting import percentage
from training.contract.metrics import LABEL_ACCURACY, REWARD_ACCURACY
from training.contract.statistics import (
    WORTH_WHILE,
    Gain,
    gain_in_perplexity,
    gain_in_wins,
    perplexity_interval,
    power_law,
)
from training.models import Evaluation, Run
from training.reports.progress import number


@dataclass(frozen=True)
class Point:
    """One run of a curve: `labels` are the rows that it trained on, `value` the figure on the held-out rows."""

    share: float
    run: Run
    evaluation: Evaluation | None
    status: str
    labels: int | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    percent: bool = True

    @property
    def share_text(self) -> str:
        return percentage(self.share)

    @property
    def value_text(self) -> str:
        return "" if self.value is None else value_as_text(self.value, self.percent)

    @property
    def interval_text(self) -> str:
        if self.low is None or self.high is None:
            return ""
        return _("%(low)s to %(high)s") % {
            "low": value_as_text(self.low, self.percent),
            "high": value_as_text(self.high, self.percent),
        }


@dataclass(frozen=True)
class Verdict:
    """`kind`: waiting, rising, flat, falling or unclear. `title` answers in a line, `words` say why, and what to do."""

    kind: str
    title: str
    sentences: Sequence[str] = ()
    gain: Gain | None = None


# ---- the held-out rows, one by one ----


@dataclass(frozen=True)
class Outcome:
    """How the held-out rows came out, by row number: wins (1, ½, 0), or log-probabilities with their `tokens`."""

    values: dict[int, float]
    tokens: dict[int, int] | None = None

    def interval(self) -> tuple[float, float] | None:
        if self.tokens is None:
            return None
        return perplexity_interval(list(self.values.values()), list(self.tokens.values()))

    def gain_over(self, before: "Outcome") -> Gain | None:
        if self.tokens is None:
            return gain_in_wins(before.values, self.values)
        return gain_in_perplexity(before.values, self.values, self.tokens)


def read_outcome(evaluation: Evaluation, key: str) -> Outcome | None:
    """From the evaluation's scores.jsonl; None where that file is missing."""
    path = evaluation.directory.scores_path
    if not path.is_file():
        return None
    values: dict[int, float] = {}
    tokens: dict[int, int] = {}
    with path.open(encoding="utf-8") as file:
        for line in map(json.loads, file):
            row = line["row"]
            if key == REWARD_ACCURACY:
                chosen = line["model_chosen_logp"] - line["reference_chosen_logp"]
                values[row] = win(chosen - (line["model_rejected_logp"] - line["reference_rejected_logp"]))
            elif key == LABEL_ACCURACY:
                reward = line["model_completion_logp"] - line["reference_completion_logp"]
                values[row] = win(reward if line["label"] else -reward)
            else:
                values[row], tokens[row] = line["model_completion_logp"], line["completion_tokens"]
    return Outcome(values, tokens or None)


def win(difference: float) -> float:
    return 0.5 + 0.5 * ((difference > 0) - (difference < 0))


# ---- would more labels help? ----


def judge(points: Sequence[Point], outcomes: Sequence[Outcome | None]) -> Verdict:
    """Compares the largest share with the one nearest to its half: did the last doubling of the labels help?"""
    known = [(point, outcome) for point, outcome in zip(points, outcomes, strict=True) if point.value is not None]
    if len(known) < 2:
        return Verdict(
            "waiting",
            _("At least two points are needed; %(done)s of %(total)s are finished")
            % {"done": len(known), "total": len(points)},
        )
    last, after = known[-1]
    earlier, before = min(known[:-1], key=lambda pair: abs(pair[0].share - last.share / 2))
    if after is None or before is None or (gain := after.gain_over(before)) is None:
        return Verdict(
            "unclear",
            _("The points cannot be compared row by row"),
            [_("The scores of the held-out rows (scores.jsonl) are missing: evaluate the checkpoints again.")],
        )
    sentences = [gain_sentence(earlier, last, gain)]
    if gain.low > 0:
        kind, title = "rising", _("Yes, more labels would probably help: the metric is still improving")
        sentences += [prediction_sentence([point for point, _outcome in known])]
    elif gain.high < 0:
        kind, title = "falling", _("No: the metric became worse with more labels")
        sentences += [
            _("Check the newest labels (agreement, guideline), and try a lower learning rate or fewer epochs.")
        ]
    elif gain.high <= WORTH_WHILE:
        kind, title = "flat", _("Probably not: the curve is flat")
        sentences += [
            _("Better labels, another base model or other settings are more likely to help than more labels.")
        ]
    else:
        kind = "unclear"
        title = ngettext(
            "The held-out set is too small to tell: it has %(rows)s row",
            "The held-out set is too small to tell: it has %(rows)s rows",
            gain.rows,
        ) % {"rows": f"{gain.rows:,}"}
        needed = {"rows": f"{max(gain.rows + 1, gain.rows_needed):,}"}
        sentences += [
            (
                _("About %(rows)s held-out rows would be needed to detect a two-point gain.")
                if last.percent
                else _("About %(rows)s held-out rows would be needed to detect a gain of 2 %%.")
            )
            % needed
        ]
    sentences += [
        _("Each point is a single run: another seed would shift it slightly, which the intervals do not reflect.")
    ]
    return Verdict(kind, title, [sentence for sentence in sentences if sentence], gain)


def gain_sentence(earlier: Point, last: Point, gain: Gain) -> str:
    values = {
        "from": earlier.share_text,
        "to": last.share_text,
        "rows": f"{gain.rows:,}",
        "before": earlier.value_text,
        "after": last.value_text,
        "gain": f"{100 * gain.value:+.1f}",
        "low": f"{100 * gain.low:+.1f}",
        "high": f"{100 * gain.high:+.1f}",
    }
    if last.percent:
        return (
            _(
                "From %(from)s to %(to)s of the prompts the figure went from %(before)s to %(after)s: %(gain)s points, "
                "95 %% interval %(low)s to %(high)s, compared row by row on %(rows)s held-out rows."
            )
            % values
        )
    return (
        _(
            "From %(from)s to %(to)s of the prompts perplexity went from %(before)s to %(after)s: better by "
            "%(gain)s %%, 95 %% interval %(low)s to %(high)s %%, compared row by row on %(rows)s held-out rows."
        )
        % values
    )


def prediction_sentence(points: Sequence[Point]) -> str:
    """What twice the labels would bring by the power law that fits the points; empty where none does."""
    labels = [point.labels or 0 for point in points]
    if points[0].percent:
        errors = [1 - (point.value or 0.0) for point in points]
    else:
        errors = [point.value or 0.0 for point in points]
    law = power_law(labels, errors)
    if law is None:
        return ""
    scale, exponent = law
    error = scale * (2 * labels[-1]) ** -exponent
    value = 1 - error if points[0].percent else error
    better = value > (points[-1].value or 0.0) if points[0].percent else value < (points[-1].value or 0.0)
    if not better:
        return ""
    return _(
        "If the power law through the points holds (an extrapolation), doubling the labels would give about %(value)s."
    ) % {"value": value_as_text(value, points[0].percent)}


def value_as_text(value: float, percent: bool) -> str:
    return percentage(value, 1) if percent else number(value)
