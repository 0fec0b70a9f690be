"""The figures of the Quality page as rows of a table, for CSV: one figure a row, numbers unrounded."""

from collections.abc import Iterator, Mapping
from typing import Any

from annotation.models import Analysis
from annotation.preparation.rejected_rows import neutral_cell

HEADING = ["section", "kind", "measure", "aspect", "of", "figure", "value", "low", "high", "n", "undefined"]
BY_PERSON = ("accuracy", "right", "flips", "left")
Stored = Mapping[str, Any]
Row = list[object]


def quality_rows(
    analysis: Analysis, *, manages: bool, people: Mapping[int, str], batches: Mapping[int, str]
) -> Iterator[Row]:
    """The heading, then every figure. Origins only for managers; people who are not in `people` are left out."""
    result = analysis.result
    yield list(HEADING)
    for section in ("agreement", "labels_agreement"):
        for row in result[section]:
            yield from figures(section, row, "")
    for row in result["batches"]:
        yield from figures("batch", row, batches.get(row["batch"], str(row["batch"])))
    for row in result["weeks"]:
        yield from figures("week", row, row["week"])
    for row in result["pairs"]:
        if row["one"] in people and row["other"] in people:
            yield from figures("pair of people", row, f"{people[row['one']]} & {people[row['other']]}")
    for row in result["oneself"]:
        if row["person"] in people:
            yield from figures("self-agreement", row, people[row["person"]])
    for row in result["people"]:
        if row["person"] in people:
            for name in BY_PERSON:
                yield figure("person", {}, people[row["person"]], name, row[name])
    yield figure("position", {}, "", "left", result["position"]["overall"])
    fit = result["calibration"]["fit"]
    for name in ("before", "after") if fit else ():
        yield figure("calibration", {}, name, "ece", {**fit[name], "n": fit["gold"]})
    for row in result.get("adaptive", []):
        for name in ("settled", "answers", "saved"):
            stored = {"value": row[name], "n": row["tasks"]}
            yield figure("adaptive overlap", {}, batches.get(row["batch"], str(row["batch"])), name, stored)
    if not manages:
        return
    for row in result["rankings"]:
        for name, value in (("win_rate", "win"), ("strength", "strength")):
            stored = {"value": row[name], "low": row[f"{value}_low"], "high": row[f"{value}_high"], "n": row["n"]}
            yield figure("origin", {}, row["origin"], name, stored)
    for section in ("marks", "edits"):
        for row in result[section]:
            yield figure(section, {}, row["origin"], "mean", row["mean"])


def figures(section: str, row: Stored, of: str) -> Iterator[Row]:
    for name, value in row.items():
        if isinstance(value, dict):
            yield figure(section, row, of, name, value)


def figure(section: str, row: Stored, of: str, name: str, stored: Stored | None) -> Row:
    about = [row.get(key, "") for key in ("kind", "measure", "aspect")]
    values = stored or {"undefined": "too few"}
    numbers = ["" if values.get(key) is None else values[key] for key in ("value", "low", "high", "n", "undefined")]
    return [section, *about, neutral_cell(of), name, *numbers]
