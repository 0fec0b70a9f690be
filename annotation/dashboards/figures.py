"""A figure of the dashboard in words: its value, interval, basis, and where its rows are. Computes nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import log2
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import gettext as _

from annotation.analyses.intervals import FEWEST
from annotation.dashboards.wording import number
from annotation.kinds import KINDS
from annotation.models import Kind, Project
from annotation.text.formatting import percentage

Stored = Mapping[str, Any]  # an estimate as it is stored: value, low, high, n, hits


FULL = 4.0  # a ratio at the right end of its scale; its inverse is at the left end


@dataclass(frozen=True)
class Whisker:
    """Places from 0 to 100 of an estimate, its interval, and what would be expected (None: nothing)."""

    at: float
    low: float
    high: float
    expected: float | None = None

    @property
    def length(self) -> float:
        return max(self.high - self.low, 1.0)


@dataclass(frozen=True)
class Figure:
    """A figure with its interval in words; without an estimate `text` says what is missing. `note` is a remark that
    needs a line of its own."""

    label: str = ""
    text: str = ""
    interval: str = ""
    basis: str = ""
    whisker: Whisker | None = None
    url: str = ""
    note: str = ""

    @property
    def is_known(self) -> bool:
        return self.whisker is not None


def rows_url(project: Project, of: str) -> str:
    return f"{reverse('dashboard_answers', args=[project.slug])}?{urlencode({'of': of})}"


def is_for_managers(key: str) -> bool:
    """Whether a number, or its rows, name origins."""
    return key.startswith("origin:") or any(key.startswith(f"confused:{kind}:") for kind in KINDS if compares(kind))


def compares(kind: str) -> bool:
    return KINDS[kind].compares


def share(
    project: Project, key: str, label: str, stored: Stored | None, n: int, *, expected: float | None = None
) -> Figure:
    """A share from 0 to 1; `n` is what there is where it is too little."""
    if not stored:
        return Figure(label, too_few(n))
    return Figure(
        label=label,
        text=percentage(stored["value"], 0),
        interval=percent_range(stored),
        basis=_("of %(count)s") % {"count": number(stored["n"])},
        whisker=Whisker(
            100 * stored["value"],
            100 * stored["low"],
            100 * stored["high"],
            None if expected is None else 100 * expected,
        ),
        url=rows_url(project, key) if stored["hits"] else "",
    )


def too_few(n: int) -> str:
    return _("too few answers (%(count)s of %(fewest)s)") % {"count": number(n), "fewest": number(FEWEST)}


def percent_range(stored: Stored) -> str:
    return f"{round(100 * stored['low'])}–{percentage(stored['high'], 0)}"


def ratio(project: Project, key: str, stored: Stored | None, n: int) -> Figure:
    """A factor, on a logarithmic scale from a quarter to four times."""
    if not stored:
        return Figure(text=too_few(n))

    def place(value: float) -> float:
        return min(max(50 + 50 * log2(value) / log2(FULL), 0.0), 100.0)

    return Figure(
        text=f"×\u00a0{factor(stored['value'])}",
        interval=f"{factor(stored['low'])}–{factor(stored['high'])}",
        basis=_("of %(count)s") % {"count": number(stored["n"])},
        whisker=Whisker(place(stored["value"]), place(stored["low"]), place(stored["high"]), 50.0),
        url=rows_url(project, key),
    )


def factor(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"


def rows_title(key: str, *, name: str, aspects: Mapping[str, str]) -> str | None:
    """What the rows of a key are, in words; None for a key that cannot be. `name` is that of the key's person."""
    titles = {
        "first": _("The left text was preferred"),
        "longer": _("The longer text was preferred"),
        "fast": _("Very fast answers"),
        "run": _("The same answer many times in a row"),
        "pace": _("Answers with a recorded time"),
        "skips": _("Skipped tasks"),
    }
    if key in titles:
        return titles[key]
    first, _colon, rest = key.partition(":")
    if first == "origin":
        return _("A text of %(origin)s was preferred") % {"origin": rest}
    if first == "confused":
        kind, _colon, group = rest.partition(":")
        what = aspects.get(group, group) or str(dict(Kind.choices).get(kind, kind))
        return _("Disagreement: %(what)s") % {"what": what}
    if first.isascii() and first.isdecimal() and rest in titles:
        return f"{name}: {titles[rest]}"
    return None
