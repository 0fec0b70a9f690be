"""Line charts: what a page needs to draw one with Bokeh, to say it in words, and to show it without JavaScript.

A view makes a `Chart` with `line_chart`; a template shows it with
`{% include "charts/chart.html" with chart=chart %}`, links css/charts.css in its head, and loads the scripts
once, in its block `scripts`, with `{% include "charts/scripts.html" %}`. static/js/charts.js draws it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.utils.translation import gettext

WIDTH, HEIGHT = 560, 150  # of the drawing shown without JavaScript
POINTS = 400  # of a line on the page
EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Line:
    """One line: `y` over `x`, in order of x. `low` and `high` (both or neither) are each point's interval.

    `key` names the metric from which a live page takes further points; empty where none come.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    key: str = ""
    low: Sequence[float] = ()
    high: Sequence[float] = ()


@dataclass(frozen=True)
class Chart:
    """What `charts/chart.html` shows. `spec` goes to charts.js as JSON, `drawn` is the same as SVG."""

    key: str
    title: str
    sentence: str
    lines: Sequence[Line]
    x_label: str
    x_title: str = ""
    y_label: str = ""
    percent: bool = False
    markers: bool = False
    smooth: bool = False
    styles: Sequence[int] = ()
    days: bool = False

    @property
    def spec(self) -> dict[str, Any]:
        return {
            "x": self.x_label,
            "xTitle": self.x_title,
            "y": self.y_label,
            "percent": self.percent,
            "markers": self.markers,
            "smooth": self.smooth,
            "days": self.days,
            "lines": [
                {
                    "name": line.name,
                    "key": line.key,
                    "style": style,
                    "x": list(line.x),
                    "y": list(line.y),
                    "low": list(line.low),
                    "high": list(line.high),
                }
                for line, style in self._styled
            ],
        }

    @property
    def drawn(self) -> list[tuple[int, str]]:
        """(style, points of an SVG polyline) of each line, all on the same scales."""
        xs = [x for line in self.lines for x in line.x]
        ys = [y for line in self.lines for y in line.y]
        if not xs:
            return []
        left, bottom = min(xs), min(ys)
        across, up = (max(xs) - left) or 1, (max(ys) - bottom) or 1
        return [
            (
                style,
                " ".join(
                    f"{(x - left) / across * WIDTH:.1f},{HEIGHT - (y - bottom) / up * HEIGHT:.1f}"
                    for x, y in zip(line.x, line.y, strict=True)
                ),
            )
            for line, style in self._styled
        ]

    @property
    def legend(self) -> list[tuple[int, str]]:
        """(style, name) of each line, where there are several."""
        return [(style, line.name) for line, style in self._styled] if len(self.lines) > 1 else []

    @property
    def _styled(self) -> list[tuple[Line, int]]:
        styles = self.styles or range(1, len(self.lines) + 1)
        return list(zip(self.lines, styles, strict=True))


def line_chart(
    lines: Sequence[Line],
    *,
    key: str,
    title: str,
    sentence: str,
    x_label: str = "",
    y_label: str = "",
    percent: bool = False,
    markers: bool = False,
    smooth: bool = False,
    styles: Sequence[int] = (),
    days: bool = False,
) -> Chart:
    """A chart of one to six lines; `key` is unique on its page, `sentence` says what the chart shows.

    `percent` says that y is a share from 0 to 1, shown as a percentage. `markers` draws each point (few, measured
    one by one), with its interval where `low` and `high` are given. `smooth` lets the reader smooth the lines;
    the raw ones stay behind, faint. `styles` (1 to 6) keeps a line's colour and dash the same over several charts.
    `x_label` titles the axis; without it, x are steps, and the page says so once where one reads a point.
    `days` says that x are days since 1970-01-01, shown as dates (see `days_since_1970`).
    Long lines are drawn as means of neighbours (see `sampled`). An x without a finite y is left out.
    """
    kept = []
    for line in lines:
        if line.low:
            kept.append(line)
            continue
        x, y = sampled(line.x, line.y)
        kept.append(Line(line.name, x, y, line.key))
    values = (x_label or gettext("step"), x_label, y_label, percent, markers, smooth, tuple(styles), days)
    return Chart(key, title, sentence, kept, *values)


def days_since_1970(day: date) -> int:
    return (day - EPOCH).days


def sampled(x: Sequence[float], y: Sequence[float], limit: int = POINTS) -> tuple[list[float], list[float]]:
    """At most `limit` points: the means of neighbours, each at the last x of its neighbours."""
    pairs = [(a, b) for a, b in zip(x, y, strict=True) if b == b and abs(b) != float("inf")]
    size = max(1, -(-len(pairs) // limit))
    parts = [pairs[start : start + size] for start in range(0, len(pairs), size)]
    return [part[-1][0] for part in parts], [sum(value for _, value in part) / len(part) for part in parts]
