"""Can labels be trusted? Simulated annotators whose truth, abilities, left bias and flips are planted; then DPO.

Crowd: pairs of texts with a true class (10 % ties); people slip, follow the left side, flip, or guess, and on a fifth
of the pairs everybody is as good as blind. Fifty gold pairs calibrate; figures are of the others. Three seeds.

    majority_accuracy, ds_accuracy   most probable class is the true one, overlap 3
    ece_raw, ece_calibrated          expected calibration error of the posterior of Dawid and Skene
    em_25k_s                         seconds of EM on 25,000 answers by 50 people
    interval_coverage                of 95 % intervals: agreement, alpha, accuracy, flips, left bias, win rates
    adaptive_labels_share            labels of adaptive overlap (2 to 5) over those of full overlap (5); its threshold
                                     is the lowest that lost at most half a point of accuracy in other crowds
    adaptive_accuracy_loss           accuracy of full overlap less that of adaptive overlap

DPO: the product's trainer on 300 pairs of CoCoA-MT (formal over informal, the 594 test pairs held out) and a small
model with random weights. Three annotators label every pair, who slip on 10 %, and one of whom flips 30 %. With
`--hardness 0.2` they err together on a fifth, which no model of annotators can see. `clean` learns the truth, `hard`
the majority, `soft` the shares of votes, `calibrated` the calibrated posterior. Accuracy is that of the implicit reward
on held-out pairs, `nll` the mean of −log σ(β Δ). recovered_share is (calibrated − hard) / (clean − hard), of the means
over the seeds; its interval draws seeds and held-out pairs.

    python -m tests.benchmarks.labels [--only crowd,dpo] [--seeds 3] [--hardness 0]
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from annotation.quality.adaptive import Rule, wants_more
from annotation.quality.aggregation import Answers, accuracies, dawid_skene, majority
from annotation.quality.agreement import Ratings, krippendorff, percent
from annotation.quality.calibration import FEWEST_GOLD, ece
from annotation.quality.flips import flip_rates
from annotation.quality.position import position_effects
from annotation.quality.rankings import bradley_terry
from tests.annotation.quality.planted import Crowd, Person, crowd
from tests.benchmarks._labels_training import figures_of, labelled, trained
from tests.benchmarks.report import DATA, report

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
GOLD_DRAWS = 8
SURE = (0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
NEAR = 0.005


def main() -> None:
    parser = argparse.ArgumentParser(description="Can labels be trusted?")
    parser.add_argument("--only", default="crowd,dpo", help="crowd, dpo, or both, separated by a comma")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--hardness", type=float, default=0.0, help="share of blind pairs among those that DPO learns")
    arguments = parser.parse_args()
    parts = arguments.only.split(",")
    figures: dict[str, float | int | str] = {}
    details: list[list[str]] = []
    if "crowd" in parts:
        found, details = of_crowds(arguments.seeds)
        figures |= found
    if "dpo" in parts:
        figures |= of_training(arguments.seeds, arguments.hardness)
    report("labels" if parts == ["crowd", "dpo"] else "labels_part", figures, NOTES, details)


# ---- crowds ----


def of_crowds(seeds: int) -> tuple[dict[str, float], list[list[str]]]:
    rows = [of_crowd(np.random.default_rng(seed)) for seed in range(seeds)]
    figures = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
    figures |= of_adaptive(seeds)
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
    rest = np.arange(UNITS) >= FEWEST_GOLD
    posterior, _ = labelled(made.answers, made.truth)
    figures = {
        "majority_accuracy": float(right(majority(made.answers), made.truth, random)[rest].mean()),
        "ds_accuracy": float(right(posterior, made.truth, random)[rest].mean()),
        "ece_raw": ece(posterior[rest], made.truth[rest]),
    }
    # Fifty items are few: which ones they are matters more than the crowd.
    errors = []
    for _turn in range(GOLD_DRAWS):
        order = random.permutation(UNITS)
        answers = replace(made.answers, unit=order[made.answers.unit])
        truth = np.empty_like(made.truth)
        truth[order] = made.truth
        _, calibrated = labelled(answers, truth)
        errors.append(ece(calibrated[rest], truth[rest]))
    return figures | {"ece_calibrated": float(np.mean(errors))}


def right(posterior: np.ndarray, truth: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Whether the most probable class is the true one (units,); of several equally probable ones, one at random."""
    noise = random.random(posterior.shape) * 1e-9
    return np.asarray((posterior + noise).argmax(axis=1) == truth)


def of_adaptive(seeds: int) -> dict[str, float]:
    """The threshold is chosen on crowds of other seeds than those that are reported."""
    sure = SURE[-1]
    for sure in SURE:
        if np.mean([adaptive(np.random.default_rng(500 + seed), sure)[1] for seed in range(seeds)]) <= NEAR:
            break
    shares, losses = zip(*(adaptive(np.random.default_rng(seed), sure) for seed in range(seeds)), strict=True)
    return {
        "adaptive_labels_share": float(np.mean(shares)),
        "adaptive_accuracy_loss": float(np.mean(losses)),
        "adaptive_sure": sure,
    }


def adaptive(random: np.random.Generator, sure: float) -> tuple[float, float]:
    """(labels over those of full overlap, accuracy lost against it). Answers are taken one after the other as the rule
    asks for them; gold is answered like everything else."""
    made = crowd(random, PEOPLE, units=UNITS, overlap=FULL, hardness=HARDNESS)
    answers = made.answers
    place = np.arange(len(answers.unit)) % FULL  # answers of a unit lie together, its people in random order
    rule = Rule(sure=sure, most=FULL)
    given = np.full(UNITS, rule.fewest)
    while True:
        posterior, calibrated = labelled(part(answers, place < given[answers.unit]), made.truth)
        more = wants_more(calibrated, given, rule)
        if not more.any():
            break
        given = given + more
    rest = np.arange(UNITS) >= FEWEST_GOLD
    full, _ = labelled(answers, made.truth)
    reached, best = (right(table, made.truth, random)[rest].mean() for table in (posterior, full))
    return float(given[rest].mean() / FULL), float(best - reached)


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
        return {name: [(float(value), float(value)) for value in values] for name, values in found.items()}
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


# ---- training ----


def of_training(seeds: int, hardness: float) -> dict[str, float]:
    if not DATA.is_dir():
        raise SystemExit(f"no data at {DATA}: set PREFERENCE_DATA to its folder")
    with tempfile.TemporaryDirectory(prefix="konomi-labels-") as folder:
        return figures_of(trained(seeds, Path(folder), hardness=hardness))


NOTES = {
    "majority_accuracy": "most votes, of several at random",
    "ds_accuracy": "Dawid and Skene",
    "ece_raw": "of the posterior",
    "ece_calibrated": f"with {FEWEST_GOLD} gold items; target ≤ 0.06",
    "em_25k_s": "EM on 25,000 answers; target ≤ 1",
    "interval_coverage": "of 95 % intervals; target 0.92 to 0.98",
    "adaptive_labels_share": "labels of full overlap that reach its accuracy within half a point; target ≤ 0.65",
    "adaptive_accuracy_loss": "accuracy of full overlap less that of adaptive overlap",
    "adaptive_sure": "the threshold, chosen on other crowds",
    "dpo_hard_noisy": "held-out accuracy with the labels of the majority",
    "recovered_share": "of what hard majority loses, by calibrated labels; target ≥ 0.8",
    "recovered_low": "its 95 % interval",
}

if __name__ == "__main__":
    main()
