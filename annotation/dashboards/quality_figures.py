"""Stored figures of quality (`annotation.quality.results`) as figures of a page: words, interval, whisker."""

from collections.abc import Callable, Mapping
from typing import Any

from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotation.dashboards.charts import Chart, Line, line_chart
from annotation.dashboards.figures import Figure, Whisker, percent_range
from annotation.dashboards.wording import number
from annotation.text.formatting import percentage

Stored = Mapping[str, Any]
UNDEFINED: Mapping[str, str | Promise] = {
    "too few": gettext_lazy("too few"),
    "no variation": gettext_lazy("undefined: no variation"),
    "sides not drawn at random": gettext_lazy("undefined: sides not drawn at random"),
}
LEFT_OUT: Mapping[str, str | Promise] = {
    "excluded": gettext_lazy("excluded: %(n)s"),
    "waiting": gettext_lazy("waiting for review: %(n)s"),
    "sent_back": gettext_lazy("sent back: %(n)s"),
    "trial": gettext_lazy("in a trial of the guideline: %(n)s"),
    "checks": gettext_lazy("checks in the stream: %(n)s"),
}


def decimal(value: float) -> str:
    return str(number_format(round(value, 2) + 0.0, 2))


def three_decimals(value: float) -> str:
    return str(number_format(value, 3))


def missing(stored: Stored) -> Figure:
    text = str(UNDEFINED.get(stored["undefined"], stored["undefined"]))
    return Figure(text=text, basis=_("of %(count)s") % {"count": number(stored["n"])})


def coefficient(stored: Stored) -> Figure:
    """From 0 (chance) to 1; what is below chance is drawn at 0."""
    if stored["value"] is None:
        return missing(stored)
    return Figure(
        text=decimal(stored["value"]),
        interval=interval(stored, decimal),
        basis=_("of %(count)s") % {"count": number(stored["n"])},
        whisker=whisker(stored),
    )


def whole_percent(value: float) -> str:
    return percentage(value, 0)


def share_figure(stored: Stored | None, expected: float | None = None) -> Figure:
    if stored is None:
        return Figure(text=_("too few"))
    if stored["value"] is None:
        return missing(stored)
    return Figure(
        text=percentage(stored["value"], 0),
        interval=percent_range(stored) if stored["low"] is not None else "",
        basis=_("of %(count)s") % {"count": number(stored["n"])},
        whisker=whisker(stored, expected),
    )


def plain(stored: Stored, *, percent: bool = False) -> Figure:
    """A mean on no fixed scale."""
    if stored["value"] is None:
        return missing(stored)
    write = whole_percent if percent else decimal
    return Figure(
        text=write(stored["value"]),
        interval=interval(stored, write),
        basis=_("of %(count)s") % {"count": number(stored["n"])},
    )


def effect_figure(stored: Stored | None, undefined: str = "") -> Figure:
    """The share of the left text among decided choices, drawn towards everybody's."""
    if stored is None:
        return Figure(text=str(UNDEFINED.get(undefined, undefined)) if undefined else _("too few"))
    return share_figure(stored, 0.5)


def interval(stored: Stored, write: Callable[[float], str]) -> str:
    return "" if stored["low"] is None else f"{write(stored['low'])}\u2009–\u2009{write(stored['high'])}"


def whisker(stored: Stored, expected: float | None = None) -> Whisker:
    low = stored["value"] if stored["low"] is None else stored["low"]
    high = stored["value"] if stored["high"] is None else stored["high"]
    at, start, end = (100 * min(max(value, 0.0), 1.0) for value in (stored["value"], low, high))
    return Whisker(at, start, end, None if expected is None else 100 * expected)


def calibration_figures(fit: Stored) -> list[Figure]:
    rows = []
    for label, name in ((_("Calibration error before"), "before"), (_("Calibration error after"), "after")):
        stored = fit[name]
        rows.append(
            Figure(
                label=label,
                text=three_decimals(stored["value"]),
                interval=interval(stored, three_decimals),
                basis=_("of %(count)s") % {"count": number(fit["gold"])},
                whisker=whisker(stored),
            )
        )
    return rows


def reliability_chart(fit: Stored) -> Chart:
    """How often gold is answered right, over how sure the label is; a calibrated one lies on the diagonal."""
    lines = [Line(_("exactly right"), [0.0, 1.0], [0.0, 1.0])]
    for name, key in ((_("before calibration"), "bins_before"), (_("calibrated"), "bins_after")):
        bins = fit[key]
        lines.append(Line(name, [one["confidence"] for one in bins], [one["accuracy"] for one in bins]))
    return line_chart(
        lines,
        key="reliability",
        title=_("Reliability"),
        sentence=_("How often the label of a gold pair is right, by how sure it was. On the diagonal both are equal."),
        x_label=_("probability of the label"),
        y_label=_("labels that are right"),
        markers=True,
    )


def left_out_sentence(counts: Stored) -> str:
    parts = [str(text) % {"n": number(counts[key])} for key, text in LEFT_OUT.items() if counts.get(key)]
    return _("Not in it: %(what)s.") % {"what": ", ".join(parts)} if parts else ""
