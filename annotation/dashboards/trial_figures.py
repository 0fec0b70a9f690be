"""The guideline debugger's figures in words: groups of decided tasks, and what a trial found. Computes nothing."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from django.utils.translation import gettext as _

from annotation.analyses.intervals import Estimate
from annotation.dashboards.figures import Figure
from annotation.dashboards.quality import measure_name
from annotation.dashboards.quality_figures import coefficient, plain, share_figure
from annotation.models import Adjudication, Aspect, Project, TrialArm
from annotation.trials.grouping import AGAINST, UNKNOWN, WITH, Grouping

Stored = Mapping[str, Any]


class GroupRow(NamedTuple):
    cause: str
    label: str
    tasks: int
    share: Figure
    against: Figure
    parts: list[tuple[str, str, int]]  # (value for the address, label, how many tasks)


class ResultRow(NamedTuple):
    name: str
    present: Figure
    proposed: Figure
    difference: Figure
    sentence: str


def grouping_rows(grouping: Grouping) -> list[GroupRow]:
    labels = {
        AGAINST: _("best people against the crowd"),
        WITH: _("best people with the crowd"),
        UNKNOWN: _("cannot be compared"),
    }
    return [
        GroupRow(
            group.cause,
            str(Adjudication.Cause(group.cause).label),
            len(group.decisions),
            estimate_figure(grouping.share(group)),
            estimate_figure(group.against, _("nothing to compare")),
            [(value, label, n) for value, label in labels.items() if (n := len(group.of(value)))],
        )
        for group in grouping.groups
    ]


def estimate_figure(found: Estimate | None, missing: str = "") -> Figure:
    return Figure(text=missing) if found is None else share_figure(found.as_dict())


def result_rows(project: Project, result: Stored) -> list[ResultRow]:
    """Of `annotation.trials.results`."""
    aspects = dict(Aspect.objects.filter(project=project).values_list("key", "name"))
    return [
        ResultRow(
            measure_name(row, aspects),
            coefficient(row[TrialArm.PRESENT.value]),
            coefficient(row[TrialArm.PROPOSED.value]),
            plain(row["difference"]),
            verdict(row["difference"]),
        )
        for row in result.get("measures", [])
    ]


def verdict(difference: Stored) -> str:
    """What the interval allows to say."""
    if difference["value"] is None or difference["low"] is None:
        return _("No difference can be measured yet.")
    if difference["low"] > 0:
        return _("People agree more with the clause.")
    if difference["high"] < 0:
        return _("People agree less with the clause.")
    return _("The interval contains 0: the trial does not tell whether the clause helps.")
