"""“Can we trust it?” and “Who needs something?” in words: the stored analyses for the dashboard. Computes nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import log2
from typing import Any
from urllib.parse import urlencode

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef
from django.db.models.functions import JSONObject
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from annotation.analyses.intervals import FEWEST
from annotation.answers.submission import SKIP_REASONS
from annotation.dashboards.collection import Collection
from annotation.dashboards.wording import number
from annotation.kinds import KINDS
from annotation.models import Analysis, Aspect, Kind, Project, User
from annotation.text.formatting import percentage

Stored = Mapping[str, Any]  # an estimate as it is stored: value, low, high, n, hits
SHOWN = 3  # of the aspects and origins that people disagree about
SHOWN_PEOPLE = 20
LABELS: Mapping[str, str | Promise] = {
    "tie": gettext_lazy("Equally good"),
    "bad": gettext_lazy("Both bad"),
    "unchanged": gettext_lazy("Unchanged"),
    "edited": gettext_lazy("Edited"),
}
ATTENTION: Mapping[str, str | Promise] = {
    "fast": gettext_lazy("many very fast answers"),
    "run": gettext_lazy("the same answer many times in a row"),
    "first": gettext_lazy("follows the side"),
    "slow": gettext_lazy("needs more time than others"),
    "quick": gettext_lazy("needs much less time than others"),
    "drift": gettext_lazy("pace has changed"),
    "skips": gettext_lazy("skips more than others"),
}
# Which rows show what asks for attention.
ROWS_OF = {"fast": "fast", "run": "run", "first": "first", "slow": "pace", "quick": "pace", "drift": "pace"} | {
    "skips": "skips"
}
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
    """A figure with its interval in words; without an estimate `text` says what is missing."""

    label: str = ""
    text: str = ""
    interval: str = ""
    basis: str = ""
    whisker: Whisker | None = None
    url: str = ""

    @property
    def is_known(self) -> bool:
        return self.whisker is not None


@dataclass(frozen=True)
class PersonRow:
    user: User
    attention: list[tuple[str, str]]  # what asks for it, and the rows behind it
    pace: Figure
    drift: Figure
    fast: Figure
    first: Figure
    skips: Figure
    reason: str


@dataclass(frozen=True)
class Trust:
    """`behind`: answers given since. `figures` of the project. `people`: those that ask for attention first, then all
    by name; `ranking` says whether their intervals of pace tell them apart."""

    computed_at: datetime
    behind: int
    figures: list[Figure]
    people: list[PersonRow] = field(default_factory=list)
    ranking: str = ""

    @property
    def needing(self) -> list[PersonRow]:
        return [row for row in self.people if row.attention]

    @property
    def shown(self) -> list[PersonRow]:
        return self.people[: max(SHOWN_PEOPLE, len(self.needing))]

    @property
    def others(self) -> list[PersonRow]:
        return self.people[len(self.shown) :]


def trust_of(found: Collection, *, manages: bool) -> Trust | None:
    """None before the first analysis. One query. Only managers see origins."""
    aspects = (
        Aspect.objects.filter(project=OuterRef("project")).order_by().values(pair=JSONObject(key="key", name="name"))
    )
    newest = Analysis.objects.filter(project=found.project).annotate(aspects=pairs).order_by()
    stored = {row.name: row for row in newest}
    if set(stored) < {Analysis.Name.TRUST, Analysis.Name.PEOPLE}:
        return None
    analysis, people = stored[Analysis.Name.TRUST], stored[Analysis.Name.PEOPLE].result["people"]
    users = {person.user.pk: person.user for person in found.people}
    rows = [person_row(found.project, users[row["person"]], row) for row in people if row["person"] in users]
    named = {aspect["key"]: aspect["name"] for aspect in analysis.aspects}  # type: ignore[attr-defined]
    answered = sum(day.answers for day in found.history.values())
    return Trust(
        computed_at=analysis.computed_at,
        behind=max(answered - analysis.covers.get("answered", 0), 0),
        figures=figures_of(found.project, analysis.result, named, manages=manages),
        people=sorted(rows, key=lambda row: (not row.attention, row.user.name.casefold(), row.user.pk)),
        ranking=ranking_sentence([row["pace"] for row in people if row["pace"]]),
    )


def rows_url(project: Project, of: str) -> str:
    return f"{reverse('dashboard_answers', args=[project.slug])}?{urlencode({'of': of})}"


def is_for_managers(key: str) -> bool:
    """Whether a number, or its rows, name origins."""
    return key.startswith("origin:") or any(key.startswith(f"confused:{kind}:") for kind in KINDS if compares(kind))


def compares(kind: str) -> bool:
    return KINDS[kind].compares


def figures_of(project: Project, result: Stored, named: Mapping[str, str], *, manages: bool) -> list[Figure]:
    """What can be said of all answers, in a fixed order; `named` are the aspects by key."""
    rows = [
        share(project, "first", _("Left text preferred"), result["first"], result["first_n"], expected=0.5),
        share(project, "longer", _("Longer text preferred"), result["longer"], result["longer_n"], expected=0.5),
    ]
    if manages:
        rows += [
            share(project, f"origin:{item['origin']}", item["origin"], item["share"], 0, expected=0.5)
            for item in result["origins"]
            if item["share"]
        ]
    confused = [item for item in result["confused"] if item["share"] and item["share"]["hits"]]
    shown = [item for item in confused if manages or not compares(item["kind"])][:SHOWN]
    rows += [disagreement(project, item, named) for item in shown]
    rows.append(share(project, "fast", _("Very fast answers"), result["fast"], result["fast_n"]))
    lines = result["runs"]
    if lines:
        longest = lines[0]
        text = ngettext("%(count)s person", "%(count)s people", len(lines)) % {"count": number(len(lines))}
        basis = _("up to %(length)s answers alike") % {"length": number(longest["length"])}
        rows.append(Figure(_("Same answer in a row"), text, basis=basis, url=rows_url(project, "run")))
    else:
        rows.append(Figure(_("Same answer in a row"), _("none longer than chance would give")))
    tasks, waiting = result["flags"]
    if tasks:
        text = ngettext("%(count)s task", "%(count)s tasks", tasks) % {"count": number(tasks)}
        basis = _("%(count)s without an answer") % {"count": number(waiting)}
        rows.append(Figure(_("Flagged by annotators"), text, basis=basis, url=reverse("remarks", args=[project.slug])))
    return rows


def disagreement(project: Project, item: Stored, named: Mapping[str, str]) -> Figure:
    """Of an aspect, of two origins, or of all answers of a kind."""
    group = named.get(item["group"], item["group"]) or str(Kind(item["kind"]).label)
    figure = share(
        project,
        f"confused:{item['kind']}:{item['group']}",
        _("Disagreement: %(what)s") % {"what": group},
        item["share"],
        0,
    )
    low, high = (str(LABELS.get(label, label)) for label in item["labels"])
    basis = _("mostly %(one)s ↔ %(other)s") % {"one": low, "other": high}
    return Figure(figure.label, figure.text, figure.interval, basis, figure.whisker, figure.url)


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
        text=f"× {factor(stored['value'])}",
        interval=f"{factor(stored['low'])}–{factor(stored['high'])}",
        basis=_("of %(count)s") % {"count": number(stored["n"])},
        whisker=Whisker(place(stored["value"]), place(stored["low"]), place(stored["high"]), 50.0),
        url=rows_url(project, key),
    )


def factor(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"


def person_row(project: Project, user: User, row: Stored) -> PersonRow:
    who = row["person"]
    reason, _count = row["reasons"][0] if row["reasons"] else ("", 0)
    return PersonRow(
        user=user,
        attention=[
            (str(text), rows_url(project, f"{who}:{ROWS_OF[key]}"))
            for key, text in ATTENTION.items()
            if key in row["attention"]
        ],
        pace=ratio(project, f"{who}:pace", row["pace"], row["timed"]),
        drift=ratio(project, f"{who}:pace", row["drift"], row["timed"]),
        fast=share(project, f"{who}:fast", "", row["fast"], row["timed"]),
        first=share(project, f"{who}:first", "", row["first"], row["answers"], expected=0.5),
        skips=share(project, f"{who}:skips", "", row["skips"], row["answers"] + row["skipped"]),
        reason=str(SKIP_REASONS.get(reason, reason)),
    )


def ranking_sentence(paces: list[Stored]) -> str:
    """What the intervals of pace say about an order of people."""
    if len(paces) < 2:
        return ""
    if max(stored["low"] for stored in paces) <= min(stored["high"] for stored in paces):
        return _("The intervals of pace overlap: no ranking is justified.")
    return _("Not all intervals of pace overlap. That says nothing about the quality of answers: nobody is ranked.")


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
