"""Results as JSON. Pure.

A *figure* is {"value", "low", "high", "n", "tasks", "undefined"}: the value with its 95 % interval, of `n` units (for
two people: that both answered) of so many prompts. Where there is no value all three are null and `undefined` says why:
"too few" (below 10 units), "no variation" (all answers are equal: agreement beyond chance has no meaning), or "sides
not drawn at random". A value of one prompt alone has no interval: its ends are null. An *estimate* is {"value", "low",
"high", "n", "hits"}, or null below 10.

A row is about a measure: `kind`, `measure` and `aspect` ("" where there is none). By measure its figures are

    choice      percent, alpha (nominal: first, tie, second, all bad), kappa (Fleiss), ordinal (alpha of clearly or
                slightly better, tie …, without "all bad")
    score       percent, alpha (interval), ordinal
    order       mean: Kendall's tau-b of each two people's rankings of more than two texts
    marks       mean: F1 of the marked characters
    chrf        mean: chrF of each two people's texts, 0 to 1
    edit_rate   mean: edits for each word of each two people's texts; 0 is the same

The whole (`results_of`):

    answers     how many answers are looked at
    left_out    how many are not, by reason: "excluded", "waiting", "sent_back", "trial", "checks"
    compared    [units with several people's texts, how many of them were compared]; edited: the same of post-edits
    agreement   rows, of what people answered
    labels_agreement  rows, of what counts after correction and adjudication (choice and score only)
    batches     rows with `batch` (an id), the newest 50; weeks: rows with `week` (its Monday), the newest 26
    arms        rows of `annotation.quality.arms`: tasks by how they were selected; [] where all were random
    pairs       rows with `one`, `other` (ids of people), `n`, and percent with coefficient (Cohen's kappa of choices,
                interval alpha of scores), or mean; of the 40 people with the most answers
    oneself     rows with `person`, `n`, percent and coefficient: the same person's first and second answer
    people      one row a person, by id: `person`, `answers`;
                accuracy: {"value", "low", "high", "n", "effective"} or null, estimated from what others answered;
                confusion: 3 × 3 or null, of what is answered (left, tie, right) where left, a tie, right is true;
                left: {"raw", "value", "low", "high", "n", "claimed"} or null, of the left text preferred, pooled;
                right, flips: estimates on gold; scales: [{"aspect", "mean", "deviation", "n", "own"}]
    position    {"overall": as `left`, or null, "spread", "undefined"}
    labels      {"pairs", "shared" (answered by two or more), "decided", "doubt" (labels expected to be wrong),
                "confidence" (pairs by the probability of their best class in ten bins from 0 to 1), "is_calibrated",
                "prior", "iterations", "converged", "source": "calibrated", "posterior" or "votes"}
    calibration {"gold" (pairs), "fewest", "fit": `Calibration.as_dict()` or null below `fewest`}
    adaptive    of each batch with adaptive overlap, where `run` adds it: see `overlap.extend`
    rankings    [{"origin", "strength", "strength_low", "strength_high", "win_rate", "win_low", "win_high", "n",
                "group"}], strongest first; groups were never compared with each other
    marks       [{"origin", "mean": figure}]: penalty points of a text's errors (MQM); [] where nothing is marked
    edits       [{"origin", "mean": figure}]: HTER; edits_by_person: [{"person", "mean": figure}]
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from annotation.analyses.intervals import Estimate
from annotation.quality import agreements, columns
from annotation.quality.aggregation import accuracies
from annotation.quality.arms import Selected, of_arms
from annotation.quality.calibration import FEWEST_GOLD
from annotation.quality.flips import flip_rates, right_rates
from annotation.quality.labels import Labels, choice_rows, labels_of, usable
from annotation.quality.material import Material
from annotation.quality.position import Effect, Position, position_effects
from annotation.quality.rankings import bradley_terry
from annotation.quality.score_scale import scale_scores

VERSION = 2
BINS = 10
Result = dict[str, Any]


def results_of(
    material: Material, labels: Labels | None = None, selected: Mapping[int, Selected] | None = None
) -> Result:
    """`labels`: of the material, where the caller has them. `selected`: of the tasks that were not all drawn at random,
    how they were selected."""
    labels = labels or labels_of(material)
    position = position_of(material)
    origins = {at: {"origin": name} for at, name in enumerate(material.origins)}
    editors = {key: {"person": key} for key in np.unique(material.edits.person).tolist()}
    return {
        "answers": material.answers.total(),
        "left_out": dict(material.left_out),
        "compared": list(material.compared),
        "edited": list(material.edited),
        "agreement": agreements.of_project(material),
        "labels_agreement": agreements.of_labels(material),
        "batches": agreements.of_batches(material),
        "weeks": agreements.of_weeks(material),
        "arms": of_arms(material, selected or {}),
        "pairs": agreements.of_pairs(material),
        "oneself": agreements.of_oneself(material),
        "people": people(material, labels, position),
        "position": {
            "overall": effect(position.overall),
            "spread": position.spread,
            "undefined": position.undefined,
        },
        "labels": summary(labels),
        "calibration": {
            "gold": labels.gold,
            "fewest": FEWEST_GOLD,
            "fit": labels.calibration.as_dict() if labels.calibration else None,
        },
        "rankings": rankings(material),
        "marks": agreements.means(material.penalties, lambda rows: rows.origin, origins),
        "edits": agreements.means(material.edits, lambda rows: rows.origin, origins),
        "edits_by_person": agreements.means(material.edits, lambda rows: rows.person, editors),
    }


def position_of(material: Material) -> Position:
    """Of tasks with two texts: a ranking's pairs depend on each other."""
    rows = choice_rows(material)
    rows = rows.where(usable(rows.given) & (rows.given != 0))
    first_won = rows.given < 0
    return position_effects(rows.person, first_won != rows.mirrored, rows.two)


def rankings(material: Material) -> list[Result]:
    rows = choice_rows(material)
    rows = rows.where(usable(rows.counted))
    ranked = bradley_terry(rows.one, rows.other, (1 - np.sign(rows.counted)) / 2, rows.prompt)
    found = []
    for row in ranked:
        values = asdict(row)
        found.append({"origin": material.origins[values.pop("item")], **values})
    return found


def summary(labels: Labels) -> Result:
    best = labels.best
    confidence = best.max(axis=1) if len(best) else np.zeros(0)
    bins = np.bincount(np.minimum((confidence * BINS).astype(int), BINS - 1), minlength=BINS)
    model = labels.model
    names = {"calibrated": labels.calibrated, "posterior": labels.posterior, "votes": labels.votes}
    return {
        "pairs": len(labels.unit),
        "shared": labels.shared,
        "decided": int(labels.decided.sum()),
        "doubt": float((1 - confidence).sum()),
        "confidence": bins.tolist(),
        "is_calibrated": labels.calibrated is not None,
        "source": next(name for name, values in names.items() if values is not None),
        "prior": model.prior.tolist() if model else None,
        "iterations": model.iterations if model else 0,
        "converged": model.converged if model else False,
    }


def people(material: Material, labels: Labels, position: Position) -> list[Result]:
    gold, choices = material.gold_choices, material.gold
    of_all = np.array([person for person, _kind, _right in choices], dtype=np.int64)
    right = np.array([right for _person, _kind, right in choices], dtype=np.int64)
    rights = right_rates(of_all, right, np.ones(len(right), dtype=np.int64))
    flips = flip_rates(gold.person, gold.answer, gold.truth)
    scales = scales_of(material)
    accuracy: dict[int, Result] = {}
    confusion: dict[int, list[list[float]]] = {}
    if labels.given is not None and labels.model is not None:
        for at, row in enumerate(accuracies(labels.given, labels.best)):
            if row is not None:
                accuracy[int(labels.people[at])] = asdict(row)
                confusion[int(labels.people[at])] = labels.model.confusion[at].tolist()
    return [
        {
            "person": person,
            "answers": material.answers[person],
            "accuracy": accuracy.get(person),
            "confusion": confusion.get(person),
            "left": effect(position.people.get(person)),
            "right": estimate(rights.get(person)),
            "flips": estimate(flips.get(person)),
            "scales": scales.get(person, []),
        }
        for person in sorted({*material.answers, *rights})
    ]


def scales_of(material: Material) -> dict[int, list[Result]]:
    found: dict[int, list[Result]] = {}
    for at, measure in enumerate(material.measures):
        if measure.name != columns.SCORE:
            continue
        rows = material.rated.where(material.rated.measure == at)
        rows = rows.where(~np.isnan(rows.given))
        for person, scale in scale_scores(rows.person, rows.given).people.items():
            found.setdefault(person, []).append({"aspect": measure.aspect, **asdict(scale)})
    return found


def effect(found: Effect | None) -> Result | None:
    return None if found is None else {**asdict(found), "claimed": found.is_claimed}


def estimate(found: Estimate | None) -> Result | None:
    return found.as_dict() if found else None
