"""Agreement by kind, aspect, batch, week, pair of people, and of each person with themselves, as JSON. Pure."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from annotation.quality import agreement, columns, figures
from annotation.quality.agreement import Metric, Ratings
from annotation.quality.columns import BAD, Measure, Rated
from annotation.quality.figures import Figure, by_cluster, figure_of, mean_of, ratio
from annotation.quality.material import Material
from annotation.quality.matrix import matrix

FEWEST = 10  # units; below it there is no figure
MOST_PEOPLE, MOST_BATCHES, MOST_WEEKS = 40, 50, 26
PATHS = 300  # of intervals of parts of a project
COEFFICIENT: dict[str, Metric] = {columns.CHOICE: "nominal", columns.SCORE: "interval"}
Row = dict[str, Any]


def of_project(material: Material) -> list[Row]:
    return [row for at in range(len(material.measures)) if (row := described(material, at, "given"))]


def of_labels(material: Material) -> list[Row]:
    """The same of what counts: where a task was adjudicated, all its answers are the decision, so that it agrees."""
    return [row for at in range(len(material.measures)) if (row := described(material, at, "counted"))]


def of_batches(material: Material) -> list[Row]:
    """The newest batches first."""
    rated, alike = material.rated, material.alike
    known = np.union1d(rated.batch, alike.batch)
    found = []
    for batch in known[known > 0][::-1][:MOST_BATCHES].tolist():
        part = Part(rated.where(rated.batch == batch), alike.where(alike.batch == batch))
        found += [row | {"batch": batch} for row in of_part(material, part)]
    return found


def of_weeks(material: Material) -> list[Row]:
    """By the week in which the last answer to a unit came, which begins on Monday (UTC); the oldest first."""
    rated, alike = material.rated, material.alike
    keys = unit_keys(rated)
    last = np.full(int(keys.max()) + 1 if len(keys) else 0, -np.inf)
    np.maximum.at(last, keys, rated.at)
    week, alike_week = week_of(last[keys]) if len(keys) else week_of(rated.at), week_of(alike.at)
    found = []
    for number in np.union1d(week, alike_week)[-MOST_WEEKS:].tolist():
        part = Part(rated.where(week == number), alike.where(alike_week == number))
        day = (datetime(1970, 1, 5, tzinfo=UTC) + timedelta(weeks=number)).date()
        found += [row | {"week": day.isoformat()} for row in of_part(material, part)]
    return found


class Part:
    """Some of the answers."""

    def __init__(self, rated: Rated, alike: columns.Alike) -> None:
        self.rated, self.alike = rated, alike


def of_part(material: Material, part: Part) -> Iterator[Row]:
    for at in range(len(material.measures)):
        if row := described(material, at, "given", part=part, paths=PATHS):
            yield row


def described(
    material: Material, at: int, value: str, *, part: Part | None = None, paths: int = figures.PATHS
) -> Row | None:
    """The figures of one measure, or None where nobody answered it in that part."""
    measure = material.measures[at]
    part = part or Part(material.rated, material.alike)
    rated = part.rated.where(part.rated.measure == at)
    alike = part.alike.where(part.alike.measure == at)
    if not len(rated.unit) and not len(alike.one):
        return None
    if measure.name in (columns.CHOICE, columns.SCORE):
        found = of_ratings(measure, rated.first_answers(), value, paths)
    elif value == "counted":
        return None
    else:
        sums = np.stack([alike.above, alike.below], axis=1)
        mean = figure_of(by_cluster(alike.prompt, sums), ratio, n=len(sums), fewest=FEWEST, paths=paths)
        found = {"mean": mean}
    return named(measure) | {name: figure.as_dict() for name, figure in found.items()}


def of_ratings(measure: Measure, rated: Rated, value: str, paths: int) -> dict[str, Figure]:
    values = getattr(rated, value)
    options: dict[str, Any] = {"fewest": FEWEST, "paths": paths}
    if measure.name == columns.SCORE:
        ratings = rated.ratings(values)
        return {
            "percent": agreement.percent(ratings, **options),
            "alpha": agreement.krippendorff(ratings, metric="interval", **options),
            "ordinal": agreement.krippendorff(ratings, metric="ordinal", **options),
        }
    verdicts = rated.ratings(verdict(values))
    ordered = rated.ratings(np.where(values == BAD, np.nan, values))
    return {
        "percent": agreement.percent(verdicts, **options),
        "alpha": agreement.krippendorff(verdicts, **options),
        "kappa": agreement.fleiss(verdicts, **options),
        "ordinal": agreement.krippendorff(ordered, metric="ordinal", **options),
    }


def verdict(values: np.ndarray) -> np.ndarray:
    """Choices without how much better: -1, 0, 1, or `BAD`."""
    return np.where(values == BAD, BAD, np.sign(values))


def named(measure: Measure) -> Row:
    return {"kind": measure.kind, "measure": measure.name, "aspect": measure.aspect}


# ---- pairs of people ----


def of_pairs(material: Material) -> list[Row]:
    """The matrix of each measure, between the people with the most answers."""
    rated, alike = material.rated, material.alike
    use = most_active(rated.person, alike.one, alike.other)
    found: list[Row] = []
    for at, measure in enumerate(material.measures):
        if measure.name in COEFFICIENT:
            rows = rated.where((rated.measure == at) & np.isin(rated.person, use)).first_answers()
            values = verdict(rows.given) if measure.name == columns.CHOICE else rows.given
            for cell in matrix(rows.ratings(values), metric=COEFFICIENT[measure.name], fewest=FEWEST):
                both = {"percent": cell.percent.as_dict(), "coefficient": cell.coefficient.as_dict()}
                found.append(named(measure) | {"one": cell.one, "other": cell.other, "n": cell.percent.n} | both)
        else:
            own = alike.where((alike.measure == at) & np.isin(alike.one, use) & np.isin(alike.other, use))
            found += [named(measure) | row for row in cells(own)]
    return found


def cells(alike: columns.Alike) -> Iterator[Row]:
    for one, other in np.unique(np.stack([alike.one, alike.other]), axis=1).T.tolist():
        own = alike.where((alike.one == one) & (alike.other == other))
        sums = by_cluster(own.prompt, np.stack([own.above, own.below], axis=1))
        mean = figure_of(sums, ratio, n=len(own.one), fewest=FEWEST, paths=PATHS)
        yield {"one": one, "other": other, "n": len(own.one), "mean": mean.as_dict()}


def most_active(*people: np.ndarray) -> np.ndarray:
    """The ids of those with the most entries."""
    ids, counts = np.unique(np.concatenate(people), return_counts=True)
    return ids[np.lexsort((ids, -counts))][:MOST_PEOPLE]


# ---- oneself ----


def of_oneself(material: Material) -> list[Row]:
    """Of each person the first and the second answer to the same unit, in different tasks."""
    rated = material.rated
    occasion = rated.occasion()
    found: list[Row] = []
    for at, measure in enumerate(material.measures):
        if measure.name not in COEFFICIENT:
            continue
        rows = rated.where((rated.measure == at) & (occasion < 2))
        values = verdict(rows.given) if measure.name == columns.CHOICE else rows.given
        number = occasion[(rated.measure == at) & (occasion < 2)]
        for person in np.unique(rows.person[number == 1]).tolist():
            own = rows.person == person
            ratings = Ratings(rows.unit[own], number[own], values[own], rows.prompt[own])
            found.append(named(measure) | {"person": person} | oneself(ratings, COEFFICIENT[measure.name]))
    return found


def oneself(ratings: Ratings, metric: Metric) -> Row:
    both = ratings.where(~np.isnan(ratings.value)).pairable()
    percent = agreement.percent(both, fewest=FEWEST, paths=PATHS)
    coefficient = agreement.krippendorff(both, metric=metric, fewest=FEWEST, paths=PATHS)
    return {"n": percent.n, "percent": percent.as_dict(), "coefficient": coefficient.as_dict()}


# ---- texts of origins and people ----


def means(of: columns.OfTexts, key: Callable[[columns.OfTexts], np.ndarray], names: dict[int, Row]) -> list[Row]:
    """The mean value of a text, of each value of the key. A text that several people judged counts once."""
    keys = key(of)
    return [names[one] | {"mean": mean_of_texts(of.where(keys == one))} for one in np.unique(keys).tolist()]


def mean_of_texts(of: columns.OfTexts) -> Row:
    _, first, which = np.unique(of.unit, return_index=True, return_inverse=True)
    values = np.bincount(which, weights=of.value) / np.bincount(which)
    return mean_of(values, of.prompt[first], fewest=FEWEST, paths=PATHS).as_dict()


def unit_keys(rated: Rated) -> np.ndarray:
    """A number of each measure's unit (n,): units of different measures may have the same number."""
    size = int(rated.unit.max()) + 1 if len(rated.unit) else 1
    return np.unique(rated.measure * size + rated.unit, return_inverse=True)[1]


def week_of(at: np.ndarray) -> np.ndarray:
    """Weeks since Monday, 5 January 1970."""
    return np.floor((at - 4 * 86_400) / (7 * 86_400)).astype(np.int64)
