"""Seconds a step on a GPU, by shape and mix of lengths: TRL as it comes, TRL at its best, ours, ours without sharing.

    python -m tests.benchmarks.dpo --gpu [--turns 1] [--quick] [--keep DIR]

Random weights in the shapes of Llama 3 (1B, 8B), bf16, rows of random words whose lengths are distributed as in HH
(prompts about 170 tokens, answers about 75) or UltraFeedback (prompts about 190, answers about 330, four ranked). "As
it comes" is DPOConfig's defaults. "At its best" holds LoRA's frozen weights in bf16, has references computed
beforehand, FlashAttention where that is installed, and no gradient checkpointing where its memory allows. "Without
sharing" is ours with each text on its own. LoRA for both shapes, full fine-tuning for the smaller. The first steps,
which compile, are left out. `--quick` runs everything on tiny shapes, on a CPU too: does it run, not how fast.
"""

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.benchmarks.dpo import QUICK_SHAPE, QUIET, Case, synthetic
from tests.benchmarks.report import ROOT, report

CONTENDERS = ("trl", "trl_best", "ours", "ours_unshared")
SHAPES = {
    "1B": {
        "vocab_size": 128_256,
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "max_position_embeddings": 4096,
    },
    "8B": {
        "vocab_size": 128_256,
        "hidden_size": 4096,
        "intermediate_size": 14_336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "max_position_embeddings": 4096,
    },
}
MIXES = {
    "hh": Case("hh", "HH", rows=96, batch_size=12, prompt=170, answer=75),
    "ultra": Case("ultra", "UltraFeedback, rankings", rows=96, batch_size=12, prompt=190, answer=330, answers=4),
}
WARM_UP = 3  # steps that compile
# Dense bf16 operations a second, by the card's name.
PEAK = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40": 181e12, "4090": 165e12}


@dataclass(frozen=True)
class GpuCase:
    shape: str
    mix: str
    full: bool = False

    @property
    def title(self) -> str:
        return f"{self.shape}, {MIXES[self.mix].title}, {'full' if self.full else 'LoRA'}"


CASES = (GpuCase("1B", "hh"), GpuCase("1B", "ultra", full=True), GpuCase("8B", "ultra"))


def measure(*, quick: bool, turns: int, keep: Path | None) -> None:
    import torch

    if not quick and not torch.cuda.is_available():
        raise SystemExit("no GPU is visible: --gpu needs one (--quick tries the code on a CPU)")
    with tempfile.TemporaryDirectory(prefix="konomi-dpo-gpu-") as folder:
        measured = {case: run(case, keep or Path(folder), 1 if quick else turns, quick) for case in CASES}
    ratios = {name: [ratio(found, name) for found in measured.values()] for name in CONTENDERS}
    ours = [found["ours"] for found in measured.values()]
    figures: dict[str, float | int | str] = {
        "gpu_ratio_trl": min(ratios["trl"]),
        "gpu_ratio_trl_best": min(ratios["trl_best"]),
        "gpu_ratio_unshared": min(ratios["ours_unshared"]),
        "gpu_memory_ratio": max(
            peak(found["ours"]) / min(peak(found["trl"]), peak(found["trl_best"])) for found in measured.values()
        ),
        "gpu_mfu": max(utilisation(case, found) for case, found in zip(measured, ours, strict=True)),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
    }
    report("dpo_gpu_quick" if quick else "dpo_gpu", figures, NOTES, table_of(measured))


def run(case: GpuCase, folder: Path, turns: int, quick: bool) -> dict[str, list[dict[str, Any]]]:
    """The answers of each contender, one a turn."""
    shape = dict(QUICK_SHAPE if quick else SHAPES[case.shape])
    mix = MIXES[case.mix]
    model = folder / f"model-{case.shape}"
    task: dict[str, Any] = {"model": str(model), "threads": os.cpu_count() or 1, "gpu": True}
    if not model.exists():
        start(task | {"contender": "model", "shape": shape, "work": str(folder), "dtype": "bfloat16"}, model)
    if quick:
        mix = Case(mix.key, mix.title, 24, prompt=20, answer=10, batch_size=6, answers=mix.answers)
    file = folder / f"{case.shape}-{case.mix}.parquet"
    pq.write_table(pa.Table.from_pylist(synthetic(mix, random.Random(case.mix), shape["vocab_size"])), file)
    task |= {"rows": str(file), "batch_size": mix.batch_size, "epochs": 1, "max_length": 2048, "full": case.full}
    task |= {"learning_rate": 1e-5, "sequential": mix.answers > 2}
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in CONTENDERS}
    for turn in range(turns):
        for name in CONTENDERS:
            work = folder / f"{case.shape}-{case.mix}-{name}-{turn}"
            start(task | {"contender": name, "work": str(work), "answer": f"{work}.json"}, work)
            found[name].append(json.loads(Path(f"{work}.json").read_text(encoding="utf-8")))
            print(f"{case.title}: {name} {seconds(found[name]):.3g} s a step", flush=True)
    return found


def start(task: dict[str, Any], work: Path) -> None:
    file, log = work.with_suffix(".task.json"), work.with_suffix(".log")
    file.write_text(json.dumps(task), encoding="utf-8")
    quiet = {name: value for name, value in QUIET.items() if name != "CUDA_VISIBLE_DEVICES"}
    with log.open("w", encoding="utf-8") as out:
        command = [sys.executable, "-m", "tests.benchmarks._contender", str(file)]
        done = subprocess.run(command, cwd=ROOT, env=os.environ | quiet, stdout=out, stderr=subprocess.STDOUT)
    if done.returncode:
        raise SystemExit(f"{task['contender']} failed:\n{log.read_text(encoding='utf-8')[-3000:]}")


def seconds(answers: list[dict[str, Any]]) -> float:
    """Of a step, once everything is compiled: the median over all turns."""
    return statistics.median(each for answer in answers for each in (answer["steps"][WARM_UP:] or answer["steps"][-1:]))


def ratio(found: dict[str, list[dict[str, Any]]], other: str) -> float:
    return seconds(found[other]) / seconds(found["ours"])


def peak(answers: list[dict[str, Any]]) -> float:
    return statistics.median(answer["gpu_bytes"] or answer["peak_bytes"] for answer in answers)


def utilisation(case: GpuCase, answers: list[dict[str, Any]]) -> float:
    """Share of the card's peak that is spent on what training needs: per token 2 operations a parameter forward and 4
    backward (LoRA: 2, since frozen weights get no gradient), without the reference's forward and without attention."""
    import torch

    name = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    most = next((value for card, value in PEAK.items() if card in name), 0.0)
    if not most:
        return 0.0
    shape = SHAPES[case.shape]
    width, inner, layers = shape["hidden_size"], shape["intermediate_size"], shape["num_hidden_layers"]
    heads = shape["num_key_value_heads"] / shape["num_attention_heads"]
    parameters = layers * (width * width * (2 + 2 * heads) + 3 * width * inner)
    tokens = answers[0]["tokens"] / len(answers[0]["steps"])
    return float(tokens * parameters * (6 if case.full else 4) / (seconds(answers) * most))


def table_of(measured: dict[GpuCase, dict[str, list[dict[str, Any]]]]) -> list[list[str]]:
    lines = [["case", "who", "s a step", "× ours", "tokens a step", "GPU, GB"]]
    for case, found in measured.items():
        for name in CONTENDERS:
            tokens = found[name][0]["tokens"] / len(found[name][0]["steps"])
            gigabytes = peak(found[name]) / 1e9
            cells = [f"{seconds(found[name]):.3g}", f"{ratio(found, name):.2f}", f"{tokens:,.0f}", f"{gigabytes:.1f}"]
            lines.append([case.title, name, *cells])
    return lines


NOTES = {
    "gpu_ratio_trl": "seconds a step, TRL as it comes / ours, the worst case; target ≥ 3.5",
    "gpu_ratio_trl_best": "TRL at its best / ours, the worst case; target ≥ 2",
    "gpu_ratio_unshared": "ours with each text on its own / ours, the worst case; target ≥ 1.3",
    "gpu_memory_ratio": "peak GPU memory, ours / the leaner of TRL's two, the worst case",
    "gpu_mfu": "share of the card's peak, the best case",
}
