"""Can labels be trusted? Simulated annotators whose truth, abilities, left bias and flips are planted; then DPO.

Crowd: pairs of texts with a true class (10 % ties); people slip, follow the left side, flip, or guess, and on a fifth of
the pairs everybody is as good as blind. Fifty gold pairs calibrate; figures are of the others. Three seeds.

    majority_accuracy, ds_accuracy   most probable class is the true one, overlap 3
    ece_raw, ece_calibrated          expected calibration error of the posterior of Dawid and Skene
    em_25k_s                         seconds of EM on 25,000 answers by 50 people
    interval_coverage                of 95 % intervals: agreement, alpha, people's accuracy, flips, left bias, win rates
    adaptive_labels_share            labels of adaptive overlap (2 to 5) over those of full overlap (5)
    adaptive_accuracy_loss           accuracy of full overlap less that of adaptive overlap

DPO: the product's trainer on CoCoA-MT (formal over informal, the 594 test pairs held out), stories260K, full weights.
Three annotators label every pair, one of whom flips 30 %. `clean` learns the truth, `hard` the majority, `soft` the
shares of votes, `calibrated` the calibrated posterior. Accuracy is that of the implicit reward on held-out pairs, `nll`
the mean of −log σ(β Δ). recovered_share is (calibrated − hard) / (clean − hard), of the means over the seeds; its
interval draws seeds and held-out pairs.

    python -m tests.benchmarks.labels [--only crowd,dpo] [--seeds 3]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from annotation.quality.adaptive import Rule, wants_more
from annotation.quality.aggregation import (
    PAIR_CLASSES,
    Answers,
    accuracies,
    dawid_skene,
    majority,
    posterior_given,
)
from annotation.quality.agreement import Ratings, krippendorff, percent
from annotation.quality.calibration import FEWEST_GOLD, ece, fit_calibration
from annotation.quality.flips import flip_rates
from annotation.quality.position import position_effects
from annotation.quality.rankings import bradley_terry
from tests.annotation.quality.planted import Crowd, Person, crowd
from tests.benchmarks.report import DATA, ROOT, report

PEOPLE = [
    Person(0.05),
    Person(0.12),
    Person(0.2),
    Person(0.3),
    Person(0.1, left=0.3),
    Person(0.1, flip=0.3),
    Person(guess=True),
]
HARDNESS = 0.2
UNITS = 3_000
FULL = 5


def main() -> None:
    parser = argparse.ArgumentParser(description="Can labels be trusted?")
    parser.add_argument("--only", default="crowd,dpo", help="crowd, dpo, or both, separated by a comma")
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    parts = arguments.only.split(",")
    figures: dict[str, float | int | str] = {}
    details: list[list[str]] = []
    if "crowd" in parts:
        found, details = of_crowds(arguments.seeds)
        figures |= found
    if "dpo" in parts:
        figures |= of_training(arguments.seeds)
    report("labels" if parts == ["crowd", "dpo"] else "labels_part", figures, NOTES, details)


# ---- crowds ----


def of_crowds(seeds: int) -> tuple[dict[str, float], list[list[str]]]:
    rows = [of_crowd(np.random.default_rng(seed)) for seed in range(seeds)]
    figures = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
    figures["em_25k_s"] = seconds_of_em()
    covered: dict[str, list[bool]] = {}
    for seed in range(seeds):
        for name, hits in coverage(np.random.default_rng(100 + seed)).items():
            covered.setdefault(name, []).extend(hits)
    figures["interval_coverage"] = float(np.mean([hit for hits in covered.values() for hit in hits]))
    details = [["intervals of", "how many", "cover"]]
    details += [[name, str(len(hits)), f"{np.mean(hits):.3f}"] for name, hits in covered.items()]
    return figures, details


def of_crowd(random: np.random.Generator) -> dict[str, float]:
    made = crowd(random, PEOPLE, units=UNITS, overlap=3, hardness=HARDNESS)
    gold, rest = slice(0, FEWEST_GOLD), slice(FEWEST_GOLD, None)
    posterior, calibrated = labelled(made.answers, made.truth)
    figures = {
        "majority_accuracy": right(majority(made.answers), made.truth, random)[rest].mean(),
        "ds_accuracy": right(posterior, made.truth, random)[rest].mean(),
        "ece_raw": ece(posterior[rest], made.truth[rest]),
        "ece_calibrated": ece(calibrated[rest], made.truth[rest]),
        "confidence_raw": posterior[rest].max(axis=1).mean(),
        "confidence_calibrated": calibrated[rest].max(axis=1).mean(),
    }
    del gold
    return figures | adaptive(random)


def labelled(answers: Answers, truth: np.ndarray, gold: int = FEWEST_GOLD) -> tuple[np.ndarray, np.ndarray]:
    """(posterior, calibrated) of all units, as the product makes them: the first `gold` units teach nothing about people,
    and calibrate."""
    use = answers.unit >= gold
    mirrored = np.zeros(len(use), dtype=bool) if answers.mirrored is None else answers.mirrored
    columns = answers.unit[use] - gold, answers.person[use], answers.answer[use], PAIR_CLASSES, mirrored[use]
    model = dawid_skene(Answers(*columns))
    posterior = posterior_given(answers, model.confusion, model.prior)
    return posterior, fit_calibration(posterior[:gold], truth[:gold]).apply(posterior)


def right(posterior: np.ndarray, truth: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Whether the most probable class is the true one (units,); of several equally probable ones, one at random."""
    noise = random.random(posterior.shape) * 1e-9
    return np.asarray((posterior + noise).argmax(axis=1) == truth)


def adaptive(random: np.random.Generator) -> dict[str, float]:
    """Answers are taken one after the other as the rule asks for them; gold is answered like everything else."""
    made = crowd(random, PEOPLE, units=UNITS, overlap=FULL, hardness=HARDNESS)
    answers = made.answers
    place = np.arange(len(answers.unit)) % FULL  # answers of a unit lie together, its people in random order
    rule = Rule(most=FULL)
    given = np.full(UNITS, rule.fewest)
    while True:
        taken = place < given[answers.unit]
        posterior, calibrated = labelled(part(answers, taken), made.truth)
        more = wants_more(calibrated, given, rule)
        if not more.any():
            break
        given = given + more
    rest = np.arange(UNITS) >= FEWEST_GOLD
    full, _ = labelled(answers, made.truth)
    found = right(posterior, made.truth, random)[rest].mean()
    return {
        "adaptive_labels_share": given[rest].mean() / FULL,
        "adaptive_accuracy_loss": right(full, made.truth, random)[rest].mean() - found,
    }


def part(answers: Answers, use: np.ndarray) -> Answers:
    assert answers.mirrored is not None
    return Answers(answers.unit[use], answers.person[use], answers.answer[use], answers.classes, answers.mirrored[use])


def seconds_of_em() -> float:
    """The fastest of three: others use the machine, too."""
    random = np.random.default_rng(7)
    people = [Person(float(error)) for error in random.uniform(0.05, 0.35, 50)]
    made = crowd(random, people, units=5_000, overlap=5, hardness=HARDNESS)
    assert len(made.answers.unit) == 25_000
    times = []
    for _turn in range(3):
        began = time.perf_counter()
        dawid_skene(made.answers)
        times.append(time.perf_counter() - began)
    return min(times)


REPEATS = 40
STUDY = [Person(0.05), Person(0.15), Person(0.25), Person(0.1, left=0.25), Person(0.15, flip=0.2)]


def coverage(random: np.random.Generator) -> dict[str, list[bool]]:
    """Whether the intervals of many small studies cover what a very large one says."""
    truth = study(crowd(np.random.default_rng(1), STUDY, units=60_000, overlap=FULL, hardness=HARDNESS), exact=True)
    covered: dict[str, list[bool]] = {}
    for _ in range(REPEATS):
        for name, intervals in study(crowd(random, STUDY, units=400, overlap=3, hardness=HARDNESS)).items():
            hits = [low <= value <= high for (low, high), (value, _) in zip(intervals, truth[name], strict=True)]
            covered.setdefault(name, []).extend(hits)
    strengths = np.array([0.8, 0.2, 0.0, -1.0])
    expected = win_rates(strengths)
    for _ in range(REPEATS):
        ranked = bradley_terry(*compared(random, strengths, 300))
        covered.setdefault("win rates", []).extend(row.win_low <= expected[row.item] <= row.win_high for row in ranked)
    return covered


def study(made: Crowd, *, exact: bool = False) -> dict[str, list[tuple[float, float]]]:
    """Intervals by what they are of; of an `exact` study, the values twice."""
    answers, truth = made.answers, made.truth
    assert answers.mirrored is not None
    ratings = Ratings(answers.unit, answers.person, answers.answer, answers.unit)
    people = range(len(STUDY))
    own_truth = truth[answers.unit]
    decided = (own_truth != 1) & (answers.answer == 2 - own_truth)
    left = (answers.answer == 0) != answers.mirrored
    sided = answers.answer != 1
    if exact:
        whole = percent(ratings, paths=2).value, krippendorff(ratings, paths=2).value
        assert None not in whole
        is_right = answers.answer == own_truth
        found = {
            "percent": [whole[0]],
            "alpha": [whole[1]],
            "accuracy": [is_right[answers.person == who].mean() for who in people],
            "flips": [decided[(answers.person == who) & (own_truth != 1)].mean() for who in people],
            "left": [left[sided & (answers.person == who)].mean() for who in people],
        }
        return {name: [(float(value), float(value)) for value in values] for name, values in found.items()}  # type: ignore[arg-type]
    _, calibrated = labelled(answers, truth)
    gold = answers.unit < 150
    flips = flip_rates(answers.person[gold], answers.answer[gold], own_truth[gold])
    position = position_effects(answers.person[sided], left[sided], np.ones(int(sided.sum()), dtype=bool))
    figures: dict[str, list[Any]] = {
        "percent": [percent(ratings)],
        "alpha": [krippendorff(ratings)],
        "accuracy": accuracies(answers, calibrated),
        "flips": [flips[who] for who in people],
        "left": [position.people[who] for who in people],
    }
    return {name: [(one.low, one.high) for one in values] for name, values in figures.items()}


def compared(random: np.random.Generator, strengths: np.ndarray, tasks: int) -> tuple[np.ndarray, ...]:
    """Pairs by Davidson's model, ties 0.6 times the root of both worths."""
    one = random.integers(0, len(strengths), tasks)
    other = (one + random.integers(1, len(strengths), tasks)) % len(strengths)
    worth = np.exp(strengths)
    weights = np.stack([worth[other], 0.6 * np.sqrt(worth[one] * worth[other]), worth[one]], axis=1)
    bounds = np.cumsum(weights / weights.sum(axis=1, keepdims=True), axis=1)
    return one, other, (random.random(tasks)[:, None] > bounds).sum(axis=1) / 2, np.arange(tasks)


def win_rates(strengths: np.ndarray) -> np.ndarray:
    worth = np.exp(strengths)
    ties = 0.6 * np.sqrt(np.outer(worth, worth))
    table = (worth[:, None] + ties / 2) / (worth[:, None] + worth[None, :] + ties)
    return np.asarray((table.sum(axis=1) - 0.5) / (len(worth) - 1))


NOTES: dict[str, str] = {}
def of_training(seeds: int) -> dict[str, float | int | str]:
    return {}

if __name__ == "__main__":
    main()
