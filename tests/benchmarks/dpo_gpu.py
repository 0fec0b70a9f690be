"""Seconds a step on a GPU, by shape and mix of lengths: TRL as it comes, TRL at its best, ours, ours without sharing.

    python -m tests.benchmarks.dpo --gpu [--cases 1B-hh,8B-ultra] [--contenders ours_first,ours,trl,…] [--steps 5]
        [--minutes 8] [--micro-batch-tokens N] [--log FILE] [--from FILE,FILE] [--quick]

Random weights in the shapes of Llama 3 (1B, 8B), made on the device, bf16; rows of random words whose lengths are
distributed as in HH (prompts about 170 tokens, answers about 75) or UltraFeedback (prompts about 190, answers about
330; `ranked`: four answers, six pairs). A step learns from 32 pairs. LoRA (r 16 on all linear layers), or all weights
(`-full`).

"As it comes" is DPOConfig's defaults: batches of 8 pairs, gradient checkpointing, the reference at each step. "At its
best" has references computed beforehand, no gradient checkpointing, the largest batches that fit without it, and
FlashAttention where that is installed; its fused head is on anyway. Ours is measured twice: `ours_first` computes the
references in its steps, `ours` reads them from the cache. "Without sharing" is ours with each text on its own. The
first step of each, which compiles, is left out.

Neither Django nor a data folder is needed, and nothing is downloaded. Beside torch, transformers, peft, accelerate,
pyarrow, numpy, rich and psutil it needs trl, datasets, dill, multiprocess, xxhash and pandas. Each step is a line of
the log (var/bench/dpo_gpu.jsonl, or `--log`) as soon as it is done: after `--minutes` what was measured until then is
reported, and `--from` reports logs of several calls together. `--quick` runs everything on tiny shapes, on a CPU too:
does it run, not how fast.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.benchmarks.report import RESULTS, ROOT, report

CONTENDERS = ("ours_first", "ours", "trl", "trl_best", "ours_unshared")
LLAMA_3 = {"vocab_size": 128_256, "num_attention_heads": 32, "num_key_value_heads": 8, "max_position_embeddings": 4096}
SHAPES: dict[str, dict[str, Any]] = {
    "1B": {
        **LLAMA_3,
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 16,
        "tie_word_embeddings": True,
    },
    "8B": {
        **LLAMA_3,
        "hidden_size": 4096,
        "intermediate_size": 14_336,
        "num_hidden_layers": 32,
        "tie_word_embeddings": False,
    },
}
QUICK_SHAPE = {
    "vocab_size": 512,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
    "tie_word_embeddings": True,
}
MIXES: dict[str, dict[str, Any]] = {
    "hh": {"prompt": 170, "answer": 75, "answers": 2, "spread": 0.6},
    "ultra": {"prompt": 190, "answer": 330, "answers": 2, "spread": 0.6},
    "ranked": {"prompt": 190, "answer": 330, "answers": 4, "spread": 0.6},
}
BATCH = {"hh": 32, "ultra": 32, "ranked": 48}  # whole rankings
# The most telling first: time may run out.
CASES = ("1B-hh", "8B-ultra", "1B-hh-full", "8B-hh", "1B-ultra", "8B-ranked")
DEFAULT_CASES = CASES[:4]
# Dense bf16 operations a second, by the card's name.
PEAK = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40": 181e12, "4090": 165e12}
QUIET = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "TQDM_DISABLE": "1", "TOKENIZERS_PARALLELISM": "false"}
QUIET |= {"PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}


@dataclass
class Measured:
    """What the log says of one contender in one case."""

    steps: list[dict[str, Any]] = field(default_factory=list)
    peak: int = 0
    error: str = ""
    method: dict[str, Any] = field(default_factory=dict)
    before_s: float = 0.0

    @property
    def seconds(self) -> float | None:
        """Of a step, the first left out; None before the second one."""
        return statistics.fmean(step["s"] for step in self.steps[1:]) if len(self.steps) > 1 else None

    def against(self, other: "Measured") -> float | None:
        """Seconds of the steps that both took, divided by the other's."""
        both = min(len(self.steps), len(other.steps))
        if both < 2:
            return None
        return sum(step["s"] for step in self.steps[1:both]) / sum(step["s"] for step in other.steps[1:both])


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="dpo --gpu", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--cases", default="", help=f"of {','.join(CASES)}")
    parser.add_argument("--contenders", default=",".join(CONTENDERS))
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=60.0, help="then stop, and report what is there")
    parser.add_argument("--micro-batch-tokens", type=int, default=0, help="of ours (0: what the memory allows)")
    parser.add_argument("--log", type=Path, default=RESULTS / "dpo_gpu.jsonl")
    parser.add_argument("--from", dest="logs", default="", help="measure nothing: report these logs together")
    parser.add_argument("--quick", action="store_true", help="tiny shapes, on a CPU too: does it run, not how fast")
    given = parser.parse_args(arguments)
    name = "dpo_gpu_quick" if given.quick else "dpo_gpu"
    if given.logs:
        summarize(name, [Path(log) for log in given.logs.split(",")])
        return
    cases = given.cases.split(",") if given.cases else CASES if given.quick else DEFAULT_CASES
    contenders = given.contenders.split(",")
    if "ours_first" not in contenders and {"ours", "ours_unshared"} & set(contenders):
        contenders = ["ours_first", *contenders]  # it computes the references that those read
    for wanted, known in ((cases, CASES), (contenders, CONTENDERS)):
        if unknown := sorted(set(wanted) - set(known)):
            parser.error(f"unknown: {', '.join(unknown)} (there are {', '.join(known)})")
    given.log.parent.mkdir(parents=True, exist_ok=True)
    given.log.unlink(missing_ok=True)
    end = time.monotonic() + 60 * given.minutes
    with tempfile.TemporaryDirectory(prefix="konomi-dpo-gpu-") as folder:
        for case in cases:
            run(case, contenders, Path(folder), given, end)
    summarize(name, [given.log])


def run(case: str, contenders: list[str], folder: Path, given: argparse.Namespace, end: float) -> None:
    """The contenders in a process, and those that it did not come to in another one."""
    shape, mix = case.split("-")[:2]
    task: dict[str, Any] = {
        "case": case,
        "log": str(given.log),
        "work": str(folder / case),
        "shape": QUICK_SHAPE if given.quick else SHAPES[shape],
        "mix": MIXES[mix] | ({"prompt": 20, "answer": 10} if given.quick else {}),
        "quick": given.quick,
        "full": case.endswith("-full"),
        "batch": BATCH[mix],
        "steps": min(given.steps, 2) if given.quick else given.steps,
        "learning_rate": 1e-5 if case.endswith("-full") else 1e-4,
        "micro_batch_tokens": given.micro_batch_tokens,
    }
    left = contenders
    while left and (seconds := end - time.monotonic()) > 0:
        file = folder / f"{case}.json"
        file.write_text(json.dumps(task | {"contenders": left}), encoding="utf-8")
        command = [sys.executable, "-m", "tests.benchmarks._gpu_contender", str(file)]
        try:
            subprocess.run(command, cwd=ROOT, env=QUIET | os.environ, timeout=seconds)
        except subprocess.TimeoutExpired:
            print(f"{case}: the time is up", flush=True)
            return
        begun = {line["who"] for line in read([given.log]) if line["case"] == case and line["event"] == "start"}
        if not begun & set(left):
            raise SystemExit(f"{case}: the contenders could not start, see above")
        left = [name for name in left if name not in begun]


def read(logs: list[Path]) -> list[dict[str, Any]]:
    return [json.loads(line) for log in logs if log.exists() for line in log.read_text(encoding="utf-8").splitlines()]


def measurements(lines: list[dict[str, Any]]) -> dict[str, dict[str, Measured]]:
    """By case and contender; a contender that is in several logs by the last of them."""
    found: dict[str, dict[str, Measured]] = {}
    for line in lines:
        of_case = found.setdefault(line["case"], {})
        if line["event"] in ("start", "short"):
            of_case[line["who"]] = Measured()
        measured = of_case.get(line["who"], Measured())
        if line["event"] == "step":
            measured.steps.append(line)
        elif line["event"] == "end":
            measured.peak = line["peak"]
        elif line["event"] == "failed":
            measured.error = line["error"]
        elif line["event"] == "method":
            measured.method = {k: v for k, v in line.items() if k not in ("case", "who", "event")}
        elif line["event"] == "begin":
            measured.before_s = line["before_s"]
    return found


def summarize(name: str, logs: list[Path]) -> None:
    lines = read(logs)
    found = measurements(lines)
    facts = {line["case"]: line for line in lines if line["event"] == "case"}
    figures: dict[str, float | int | str] = {}
    for key, who in (
        ("gpu_ratio_trl", "trl"),
        ("gpu_ratio_trl_best", "trl_best"),
        ("gpu_ratio_unshared", "ours_unshared"),
    ):
        of_cases = {case: ratio for case, each in found.items() if (ratio := ratio_of(each, who)) is not None}
        if of_cases:
            figures[key] = min(of_cases.values())
            figures |= {f"{key}_{case}".replace("-", "_"): ratio for case, ratio in of_cases.items()}
    memory = {case: ratio for case, each in found.items() if (ratio := memory_ratio(each)) is not None}
    if memory:
        figures["gpu_memory_ratio"] = max(memory.values())
        figures |= {f"gpu_memory_ratio_{case}".replace("-", "_"): ratio for case, ratio in memory.items()}
    shares = {case: share for case, each in found.items() if (share := utilisation(facts[case], each.get("ours")))}
    if shares:
        figures["gpu_mfu"] = max(shares.values())
        figures |= {f"gpu_mfu_{case}".replace("-", "_"): share for case, share in shares.items()}
    apart = [difference(each) for each in found.values()]
    if any(value is not None for value in apart):
        figures["gpu_loss_difference"] = max(value for value in apart if value is not None)
    figures["gpu"] = ", ".join(sorted({fact["gpu"] for fact in facts.values()})).replace(" ", "_") or "none"
    for case, each in found.items():
        for who, measured in each.items():
            if measured.error:
                print(f"{case}: {who} failed: {measured.error}")
    report(name, figures, NOTES, table_of(found))


def ratio_of(each: dict[str, Measured], who: str) -> float | None:
    return each[who].against(each["ours"]) if who in each and "ours" in each else None


def memory_ratio(each: dict[str, Measured]) -> float | None:
    """Ours, which keeps to a share of what is free, against the leaner of TRL's two."""
    theirs = [each[who].peak for who in ("trl", "trl_best") if who in each and each[who].peak]
    ours = each["ours"].peak if "ours" in each else 0
    return ours / min(theirs) if ours and theirs else None


def difference(each: dict[str, Measured]) -> float | None:
    """The largest between TRL's loss and ours at the same step, in bf16."""
    if "trl" not in each or "ours" not in each:
        return None
    pairs = zip(each["trl"].steps, each["ours"].steps, strict=False)
    return max((abs(one["loss"] - other["loss"]) for one, other in pairs), default=None)


def utilisation(fact: dict[str, Any], ours: Measured | None) -> float:
    """Share of the card's peak that is spent on what training needs, references being known.

    Per token 2 operations a parameter forward, and 4 backward (LoRA: 2, since frozen weights get no gradient); of the
    head for scored tokens only. Attention's own operations are left out, and so is what is padded or recomputed.
    """
    most = next((value for card, value in PEAK.items() if card in fact["gpu"]), 0.0)
    if not most or ours is None or ours.seconds is None:
        return 0.0
    shape = fact["shape"]
    width, inner, layers = shape["hidden_size"], shape["intermediate_size"], shape["num_hidden_layers"]
    heads = shape["num_key_value_heads"] / shape["num_attention_heads"]
    body = layers * (width * width * (2 + 2 * heads) + 3 * width * inner)
    head = width * shape["vocab_size"]
    per_step = (fact["needed"] * body + fact["scored"] * head) / fact["steps"]
    return float(per_step * (6 if fact["full"] else 4) / (ours.seconds * most))


def table_of(found: dict[str, dict[str, Measured]]) -> list[list[str]]:
    lines = [["case", "who", "s a step", "× ours", "tokens a step", "GPU, GB", "steps", "before, s", "how"]]
    for case, each in found.items():
        for who, measured in each.items():
            if not who:
                continue
            ratio = ratio_of(each, who)
            tokens = statistics.fmean(step["tokens"] for step in measured.steps) if measured.steps else 0
            how = "failed" if measured.error else " ".join(f"{k}={v}" for k, v in measured.method.items())
            lines.append(
                [
                    case,
                    who,
                    "" if measured.seconds is None else f"{measured.seconds:.3g}",
                    "" if ratio is None else f"{ratio:.2f}",
                    f"{tokens:,.0f}",
                    f"{measured.peak / 1e9:.1f}",
                    str(len(measured.steps)),
                    f"{measured.before_s:.1f}",
                    how,
                ]
            )
    return lines


NOTES = {
    "gpu_ratio_trl": "seconds a step, TRL as it comes / ours, the worst case; target ≥ 3.5",
    "gpu_ratio_trl_best": "TRL at its best / ours, the worst case; target ≥ 2",
    "gpu_ratio_unshared": "ours with each text on its own / ours, the worst case; target ≥ 1.3",
    "gpu_memory_ratio": "peak GPU memory, ours / the leaner of TRL's two, the worst case",
    "gpu_mfu": "share of the card's peak, the best case",
    "gpu_loss_difference": "largest difference to TRL's loss at the same step, bf16",
}
