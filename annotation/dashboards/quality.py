"""The Quality page: the stored figures (`annotation.quality.results`) in words, with intervals. Computes nothing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from annotation.dashboards.adaptive import AdaptiveRow, adaptive_rows
from annotation.dashboards.arm_figures import ArmRow, arm_rows
from annotation.dashboards.charts import Chart, Line, days_since_1970, line_chart
from annotation.dashboards.figures import Figure
from annotation.dashboards.quality_figures import (
    calibration_figures,
    coefficient,
    decimal,
    effect_figure,
    interval,
    left_out_sentence,
    plain,
    reliability_chart,
    share_figure,
)
from annotation.dashboards.trust import age_sentence
from annotation.dashboards.wording import number
from annotation.models import Analysis, Aspect, Batch, Kind, Project, User

Stored = Mapping[str, Any]
FEWEST = 10  # units or answers below which nothing is said
MEASURES: Mapping[str, str | Promise] = {
    "order": gettext_lazy("rankings, Kendall's tau"),
    "marks": gettext_lazy("marked characters, F1"),
    "chrf": gettext_lazy("texts, chrF"),
    "edit_rate": gettext_lazy("texts, edits a word"),
}
SOURCES: Mapping[str, str | Promise] = {
    "calibrated": gettext_lazy("probabilities calibrated on gold"),
    "posterior": gettext_lazy("a model of who errs how, not calibrated: surer than it is right"),
    "votes": gettext_lazy("shares of votes: too few pairs have two answers for a model"),
}


@dataclass(frozen=True)
class MeasureRow:
    """Agreement of one measure, or of one measure in a batch."""

    name: str
    main: Figure
    percent: Figure | None
    ordinal: Figure | None
    part: str = ""
    url: str = ""


@dataclass(frozen=True)
class PersonRow:
    user: User
    answers: int
    accuracy: Figure
    gold: Figure
    flips: Figure
    left: Figure
    follows_side: bool
    oneself: Figure


@dataclass(frozen=True)
class Matrix:
    """Agreement of each two people: `rows` are (person, cells), a cell is (figure, n) or None."""

    name: str
    people: list[User]
    rows: list[tuple[User, list[tuple[Figure, int] | None]]]


@dataclass(frozen=True)
class Quality:
    """What the page shows. `left_out`: answers that are not in it, with reasons."""

    age: str
    answers: int
    left_out: str
    measures: list[MeasureRow]
    batches: list[MeasureRow]
    weeks: Chart | None
    arms: list[ArmRow]
    labels: Stored
    source: str
    doubt: str
    calibration: list[Figure]
    calibration_note: str
    reliability: Chart | None
    gold: int
    fewest_gold: int
    position: Figure
    people: list[PersonRow] = field(default_factory=list)
    matrices: list[Matrix] = field(default_factory=list)
    models: list[tuple[str, Figure, str]] = field(default_factory=list)
    penalties: list[tuple[str, Figure]] = field(default_factory=list)
    edits: list[tuple[str, Figure]] = field(default_factory=list)
    adaptive: list[AdaptiveRow] = field(default_factory=list)


def quality_of(project: Project, analysis: Analysis, *, manages: bool, names_people: bool) -> Quality:
    """Only managers see origins; people are named unless reviewing is anonymous for this reader."""
    result: Stored = analysis.result
    aspects = dict(Aspect.objects.filter(project=project).values_list("key", "name"))
    fit = result["calibration"]["fit"]
    users = users_of(result) if names_people else {}
    measures = [measure_row(row, aspects) for row in result["agreement"]]
    return Quality(
        age=age_sentence(analysis.computed_at),
        answers=result["answers"],
        left_out=left_out_sentence(result["left_out"]),
        measures=measures,
        batches=batch_rows(result["batches"], aspects, project),
        weeks=weeks_chart(result["weeks"], aspects),
        arms=arm_rows(result["arms"], aspects),
        labels=result["labels"],
        source=str(SOURCES[result["labels"]["source"]]),
        doubt=doubt_sentence(result["labels"]),
        calibration=calibration_figures(fit) if fit else [],
        calibration_note=calibration_note(result["calibration"]),
        reliability=reliability_chart(fit) if fit else None,
        gold=result["calibration"]["gold"],
        fewest_gold=result["calibration"]["fewest"],
        position=effect_figure(result["position"]["overall"], result["position"]["undefined"]),
        people=person_rows(result, users),
        matrices=matrices(result["pairs"], aspects, users),
        models=[model_row(row) for row in result["rankings"]] if manages else [],
        penalties=[(row["origin"], plain(row["mean"])) for row in result["marks"]] if manages else [],
        edits=[(row["origin"], plain(row["mean"], percent=True)) for row in result["edits"]] if manages else [],
        adaptive=adaptive_rows(result, project),
    )


# ---- agreement ----


def measure_name(row: Stored, aspects: Mapping[str, str]) -> str:
    parts = [str(Kind(row["kind"]).label)]
    if row["aspect"]:
        parts.append(aspects.get(row["aspect"], row["aspect"]))
    if row["measure"] in MEASURES:
        parts.append(str(MEASURES[row["measure"]]))
    return ": ".join(parts[:2]) if len(parts) == 2 else ", ".join(parts)


def measure_row(row: Stored, aspects: Mapping[str, str], *, part: str = "", url: str = "") -> MeasureRow:
    name = measure_name(row, aspects)
    if "mean" in row:
        return MeasureRow(name, plain(row["mean"]), None, None, part, url)
    main, percent, ordinal = coefficient(row["alpha"]), share_figure(row["percent"]), coefficient(row["ordinal"])
    return MeasureRow(name, main, percent, ordinal, part, url)


def batch_rows(rows: Iterable[Stored], aspects: Mapping[str, str], project: Project) -> list[MeasureRow]:
    rows = list(rows)
    batches = Batch.objects.filter(project=project).in_bulk([row["batch"] for row in rows])
    return [
        measure_row(row, aspects, part=batches[row["batch"]].name, url=str(row["batch"]))
        for row in rows
        if row["batch"] in batches
    ]


def weeks_chart(rows: Iterable[Stored], aspects: Mapping[str, str]) -> Chart | None:
    """Alpha week by week, of each measure that has two weeks or more."""
    lines: dict[str, list[tuple[date, Stored]]] = {}
    for row in rows:
        if "alpha" in row and row["alpha"]["value"] is not None:
            lines.setdefault(measure_name(row, aspects), []).append((date.fromisoformat(row["week"]), row["alpha"]))
    drawn = [
        Line(
            name,
            [days_since_1970(day) for day, _figure in points],
            [figure["value"] for _day, figure in points],
            low=[figure["value"] if figure["low"] is None else figure["low"] for _day, figure in points],
            high=[figure["value"] if figure["high"] is None else figure["high"] for _day, figure in points],
        )
        for name, points in list(lines.items())[:6]
        if len(points) > 1
    ]
    if not drawn:
        return None
    return line_chart(
        drawn,
        key="alpha-by-week",
        title=_("Agreement by week"),
        sentence=_("Krippendorff's alpha of the tasks that got their last answer in a week, with its interval."),
        y_label=_("alpha"),
        x_label=_("week"),
        markers=True,
        days=True,
    )


# ---- doubt ----


def doubt_sentence(labels: Stored) -> str:
    if not labels["pairs"]:
        return _("Nobody has chosen between two texts yet.")
    values = {"doubt": number(labels["doubt"]), "pairs": number(labels["pairs"]), "shared": number(labels["shared"])}
    return (
        _(
            "About %(doubt)s of %(pairs)s pairs are expected to have the wrong label; %(shared)s have two answers or "
            "more."
        )
        % values
    )


def calibration_note(stored: Stored) -> str:
    if stored["fit"]:
        return ""
    missing_items = max(stored["fewest"] - stored["gold"], 0)
    return ngettext(
        "%(count)s more gold pair with answers is needed before probabilities can be calibrated.",
        "%(count)s more gold pairs with answers are needed before probabilities can be calibrated.",
        missing_items,
    ) % {"count": number(missing_items)}


# ---- people ----


def users_of(result: Stored) -> dict[int, User]:
    ids = {row["person"] for row in result["people"]} | {
        row[side] for row in result["pairs"] for side in ("one", "other")
    }
    return {user.pk: user for user in User.objects.filter(pk__in=ids)}


def by_name(user: User) -> tuple[str, int]:
    return user.name.casefold(), user.pk


def person_rows(result: Stored, users: Mapping[int, User]) -> list[PersonRow]:
    """By name: nobody is ranked."""
    oneself: dict[int, Stored] = {}
    for row in result["oneself"]:  # of several measures the one with the most repeats
        if row["person"] not in oneself or oneself[row["person"]]["n"] < row["n"]:
            oneself[row["person"]] = row
    rows = []
    for row in result["people"]:
        user = users.get(row["person"])
        if user is None:
            continue
        own = oneself.get(row["person"])
        rows.append(
            PersonRow(
                user=user,
                answers=row["answers"],
                accuracy=share_figure(row["accuracy"] if row["accuracy"] and row["accuracy"]["n"] >= FEWEST else None),
                gold=share_figure(row["right"]),
                flips=share_figure(row["flips"]),
                left=effect_figure(row["left"]),
                follows_side=bool(row["left"] and row["left"]["claimed"]),
                oneself=share_figure(own["percent"]) if own else Figure(text=_("no repeated tasks")),
            )
        )
    return sorted(rows, key=lambda row: by_name(row.user))


def matrices(rows: Iterable[Stored], aspects: Mapping[str, str], users: Mapping[int, User]) -> list[Matrix]:
    by_measure: dict[str, dict[tuple[int, int], Stored]] = {}
    for row in rows:
        by_measure.setdefault(measure_name(row, aspects), {})[row["one"], row["other"]] = row
    found = []
    for name, cells in by_measure.items():
        people = sorted((users[key] for key in {key for pair in cells for key in pair} if key in users), key=by_name)
        if len(people) < 2:
            continue
        lines: list[tuple[User, list[tuple[Figure, int] | None]]] = []
        for one in people:
            own: list[tuple[Figure, int] | None] = []
            for other in people:
                cell = cells.get((one.pk, other.pk)) or cells.get((other.pk, one.pk))
                figure = (plain(cell["mean"]) if "mean" in cell else coefficient(cell["coefficient"])) if cell else None
                own.append((figure, cell["n"]) if cell and figure and one != other else None)
            lines.append((one, own))
        found.append(Matrix(name, people, lines))
    return found


def model_row(row: Stored) -> tuple[str, Figure, str]:
    """(origin, how often its text wins, strength on the scale of log odds with its interval)."""
    win = {"value": row["win_rate"], "low": row["win_low"], "high": row["win_high"], "n": row["n"]}
    strength = {"low": row["strength_low"], "high": row["strength_high"]}
    return row["origin"], share_figure(win, 0.5), f"{decimal(row['strength'])} ({interval(strength, decimal)})"
