"""“Can we trust it?” and “Who needs something?” in words: the stored analyses for the dashboard. Computes nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef
from django.db.models.functions import JSONObject
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from annotation.answers.submission import SKIP_REASONS
from annotation.dashboards.collection import Collection, Member, Person
from annotation.dashboards.figures import Figure, Stored, compares, ratio, rows_url, share
from annotation.dashboards.wording import number
from annotation.models import Analysis, Aspect, Kind, Project, User

SHOWN = 2  # of the aspects and origins that people disagree about
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


@dataclass(frozen=True)
class PersonRow:
    user: User
    membership: Member | None
    attention: list[tuple[str, str]]  # what asks for it, and the rows behind it
    pace: Figure
    drift: Figure
    fast: Figure
    first: Figure
    skips: Figure
    reason: str


@dataclass(frozen=True)
class Trust:
    """`behind`: answers given since; `pending`: those that are left out until they are reviewed. `figures` of the
    project. `people`: those that ask for attention first, then all by name; `ranking` says whether their intervals of
    pace tell them apart."""

    age: str
    behind: int
    figures: list[Figure]
    people: list[PersonRow] = field(default_factory=list)
    ranking: str = ""
    pending: int = 0

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
    aspects = Aspect.objects.filter(project=OuterRef("project")).order_by()
    pairs = ArraySubquery(aspects.values(pair=JSONObject(key="key", name="name")))
    newest = Analysis.objects.filter(project=found.project).annotate(aspects=pairs).order_by()
    stored = {row.name: row for row in newest}
    if not {Analysis.Name.TRUST, Analysis.Name.PEOPLE} <= set(stored):
        return None
    analysis, people = stored[Analysis.Name.TRUST], stored[Analysis.Name.PEOPLE].result["people"]
    known = {person.user.pk: person for person in found.people}
    rows = [person_row(found.project, known[row["person"]], row) for row in people if row["person"] in known]
    named = {aspect["key"]: aspect["name"] for aspect in analysis.aspects}
    answered = sum(day.answers for day in found.history.values())
    return Trust(
        age=age_sentence(analysis.computed_at),
        behind=max(answered - analysis.covers.get("answered", 0), 0),
        figures=figures_of(found.project, analysis.result, named, manages=manages),
        people=sorted(rows, key=lambda row: (not row.attention, row.user.name.casefold(), row.user.pk)),
        ranking=ranking_sentence([row["pace"] for row in people if row["pace"]]),
        pending=analysis.result.get("pending", 0),
    )


def age_sentence(at: datetime) -> str:
    if timezone.now() - at < timedelta(minutes=1):
        return _("Computed just now.")
    return _("Computed %(ago)s ago.") % {"ago": timesince(at)}


def figures_of(project: Project, result: Stored, named: Mapping[str, str], *, manages: bool) -> list[Figure]:
    """What can be said of all answers, in a fixed order; `named` are the aspects by key."""
    rows = [
        share(project, "first", _("Left text preferred"), result["first"], result["first_n"], expected=0.5),
        share(project, "longer", _("Longer text preferred"), result["longer"], result["longer_n"], expected=0.5),
    ]
    if manages:
        rows += [
            share(
                project,
                f"origin:{item['origin']}",
                _("Preferred: %(origin)s") % {"origin": item["origin"]},
                item["share"],
                0,
                expected=0.5,
            )
            for item in shown_origins(result["origins"])
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


def shown_origins(origins: list[Stored]) -> list[Stored]:
    """Those that win or lose most; of two, the other's share is the rest."""
    known = [item for item in origins if item["share"]]
    if len(known) == 2:
        return known[:1]
    return sorted(known, key=lambda item: -abs(item["share"]["value"] - 0.5))[:SHOWN]


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
    return replace(figure, note=_("mostly %(one)s ↔ %(other)s") % {"one": low, "other": high})


def person_row(project: Project, person: Person, row: Stored) -> PersonRow:
    who = row["person"]
    reason, _count = row["reasons"][0] if row["reasons"] else ("", 0)
    return PersonRow(
        user=person.user,
        membership=person.membership,
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
