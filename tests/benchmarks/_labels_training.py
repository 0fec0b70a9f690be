"""What `tests.benchmarks.labels` learns from simulated labels: rows for four trainings a seed, and what became of them.

One process trains them all by the product's program (`tests.benchmarks._labels_dpo`): the imports are paid for once.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from annotation.quality.aggregation import PAIR_CLASSES, Answers, dawid_skene, majority, posterior_given
from annotation.quality.calibration import FEWEST_GOLD, fit_calibration
from tests.annotation.quality.planted import Person, crowd
from tests.benchmarks.report import DATA, ROOT

CLEAN, HARD, SOFT, CALIBRATED = "clean", "hard", "soft", "calibrated"
CONDITIONS = (CLEAN, HARD, SOFT, CALIBRATED)
THREE = [Person(0.1), Person(0.1), Person(0.1, flip=0.3)]
BETA = 0.3
# So few pairs, seen so often, that what is wrong in them is learnt as well: chosen by what `hard` loses to `clean`.
PAIRS = 300
SETTINGS = {"epochs": 6, "learning_rate": 2e-3, "batch_size": 8, "max_length": 512, "beta": BETA}
QUIET = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "CUDA_VISIBLE_DEVICES": "", "TQDM_DISABLE": "1"}
DRAWS = 2_000

Row = dict[str, Any]
Margins = dict[str, np.ndarray]  # by condition (seeds, held-out pairs)


def labelled(answers: Answers, truth: np.ndarray, gold: int = FEWEST_GOLD) -> tuple[np.ndarray, np.ndarray]:
    """(posterior, calibrated) of all units, as the product makes them: the first `gold` units teach nothing about
    people, and calibrate."""
    use = answers.unit >= gold
    mirrored = np.zeros(len(use), dtype=bool) if answers.mirrored is None else answers.mirrored
    columns = answers.unit[use] - gold, answers.person[use], answers.answer[use], PAIR_CLASSES, mirrored[use]
    model = dawid_skene(Answers(*columns))
    posterior = posterior_given(answers, model.confusion, model.prior)
    return posterior, fit_calibration(posterior[:gold], truth[:gold]).apply(posterior)


def trained(seeds: int, folder: Path, *, hardness: float, first_seed: int = 0) -> Margins:
    """The margins of the implicit reward on held-out pairs, of each condition and seed. `hardness`: see
    `planted.crowd`."""
    train, held_out = pairs("train"), pairs("test")
    pq.write_table(pa.Table.from_pylist(held_out), folder / "held_out.parquet")
    runs = []
    for seed in range(first_seed, first_seed + seeds):
        lots = np.random.default_rng(1_000 + seed).permutation(len(train))[:PAIRS]
        for condition, rows in rows_of([train[at] for at in lots], seed, hardness).items():
            file = folder / f"{condition}-{seed}.parquet"
            pq.write_table(pa.Table.from_pylist(rows), file)
            runs.append({"name": f"{condition}-{seed}", "rows": str(file), "seed": seed})
    task = {
        "model": str(folder / "model"),
        "texts": [row[side] for row in train for side in ("prompt", "chosen", "rejected")],
        "held_out": str(folder / "held_out.parquet"),
        "runs": runs,
        "work": str(folder),
        "answer": str(folder / "answer.json"),
        "references": str(folder / "references"),
        **SETTINGS,
    }
    (folder / "task.json").write_text(json.dumps(task), encoding="utf-8")
    with (folder / "log").open("w", encoding="utf-8") as out:
        done = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks._labels_dpo", str(folder / "task.json")],
            cwd=ROOT,
            env=os.environ | QUIET | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    if done.returncode:
        raise SystemExit(f"training failed:\n{(folder / 'log').read_text(encoding='utf-8')[-3000:]}")
    found = json.loads((folder / "answer.json").read_text(encoding="utf-8"))
    every = range(first_seed, first_seed + seeds)
    return {name: np.array([found[f"{name}-{seed}"] for seed in every]) for name in CONDITIONS}


def pairs(split: str) -> list[Row]:
    """Formal over informal."""
    lines = (DATA / "cocoa_mt_enja.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row["split"] == split and not row["identical"]]
    return [{"prompt": f"{row['source']}\n", "chosen": row["formal"], "rejected": row["informal"]} for row in rows]


def rows_of(pairs: list[Row], seed: int, hardness: float) -> dict[str, list[Row]]:
    """The training rows by condition, each in the same order. An even split has no majority and is left out of `hard`
    and `soft`, as datasets leave it out."""
    size = FEWEST_GOLD + len(pairs)
    made = crowd(np.random.default_rng(seed), THREE, units=size, overlap=3, ties=0, hardness=hardness)
    _, calibrated = labelled(made.answers, made.truth)
    votes = majority(made.answers)
    formal_first = made.truth == 0
    rows: dict[str, list[Row]] = {condition: [] for condition in CONDITIONS}
    for unit, pair in enumerate(pairs, FEWEST_GOLD):
        sure = [1.0, 0.0, 0.0]
        of_votes, of_calibrated = (
            (table[unit] if formal_first[unit] else table[unit][::-1]).tolist() for table in (votes, calibrated)
        )
        rows[CLEAN].append(row_of(pair, sure))
        rows[CALIBRATED].append(row_of(pair, of_calibrated))
        soft = row_of(pair, of_votes)
        if soft["probability"] != 0.5:
            rows[SOFT].append(soft)
            rows[HARD].append(soft | {"probability": 1.0, "tie": 0.0})
    return rows


def row_of(pair: Row, shares: list[float]) -> Row:
    """A row of a frozen dataset; `shares`: formal better, tie, informal better."""
    share = shares[0] + shares[1] / 2
    one, other = ("chosen", "rejected") if share >= 0.5 else ("rejected", "chosen")
    values = {"probability": round(max(share, 1 - share), 6), "tie": round(shares[1], 6)}
    return {"prompt": pair["prompt"], "chosen": pair[one], "rejected": pair[other], **values}


def figures_of(margins: Margins) -> dict[str, float]:
    accuracy = {name: (values > 0).mean(axis=1) for name, values in margins.items()}
    nll = {name: np.logaddexp(0, -values).mean() for name, values in margins.items()}
    low, high = interval(margins)
    return {
        "dpo_clean": float(accuracy[CLEAN].mean()),
        "dpo_hard_noisy": float(accuracy[HARD].mean()),
        "dpo_soft_noisy": float(accuracy[SOFT].mean()),
        "dpo_calibrated_noisy": float(accuracy[CALIBRATED].mean()),
        "recovered_share": recovered({name: float(values.mean()) for name, values in accuracy.items()}),
        "recovered_low": low,
        "recovered_high": high,
        "nll_clean": float(nll[CLEAN]),
        "nll_hard": float(nll[HARD]),
        "nll_soft": float(nll[SOFT]),
        "nll_calibrated": float(nll[CALIBRATED]),
    }


def recovered(accuracy: dict[str, float]) -> float:
    lost = accuracy[CLEAN] - accuracy[HARD]
    return (accuracy[CALIBRATED] - accuracy[HARD]) / lost if lost else float("nan")


def interval(margins: Margins) -> tuple[float, float]:
    """95 %, seeds and held-out pairs drawn again."""
    lots = np.random.default_rng(1)
    seeds, size = margins[CLEAN].shape
    right = {name: values > 0 for name, values in margins.items()}
    drawn = []
    for _ in range(DRAWS):
        at = np.ix_(lots.integers(0, seeds, seeds), lots.integers(0, size, size))
        drawn.append(recovered({name: float(values[at].mean()) for name, values in right.items()}))
    low, high = np.nanquantile(drawn, (0.025, 0.975))
    return float(low), float(high)
