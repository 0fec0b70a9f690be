"""How fast one can learn from pairs: TRL as it comes, TRL with reference log-probabilities computed beforehand, ours.

LoRA (r 16 on all linear layers) in fp32, the same rows in the same batches for all three, each in a process of its
own, one after the other in turns, so that the machine's noise hits all alike. A ratio is taken within a turn; reported
is the median over the turns. "As it comes" is DPOConfig's defaults (gradient checkpointing on, the reference computed
again at each step) but for bf16=False, because fp32 is several times faster on most processors; max_length=512 where
that is the model's context; and the learning rate. "Unchecked" is TRL without gradient checkpointing, for comparison.
Ours is the program that the site starts, as it is configured by default; it computes references in the steps that come
to a text first. "Ours, cached" is the same again, as another run on the same rows: it reads them, as any later
epoch does.

    a         30 layers of 576, 49,152 words (135 million random weights), lognormal lengths: prompts about 160 tokens,
              answers about 90
    hh        prompts and answers of people and machines with stories260K
    postedit  machine translations and their post-edits with stories260K, three epochs
    worst     the shape of (a), prompts about 24 tokens, answers about 220 of nearly equal length: little to share, to
              leave out or to pad
    ranking   the shape of (a), four answers to each prompt, ranked: six pairs of four texts. A step is one prompt's
              pairs for all contenders, since ours keeps them together

`first` is how long a training of four steps takes to its first one, with 1,000 rows and with 75,000 (`--only first` for
this alone): loading, tokenising, checks. `--gpu` measures other things (see `tests.benchmarks.dpo_gpu`).

The limit beside it is tokens that must be computed (each prompt and common start once), times seconds a token of one
dense forward and backward, without padding, mask, reference or optimizer, on the same cores.

    python -m tests.benchmarks.dpo [--only a,hh] [--turns 3] [--threads 2] [--quick] [--keep DIR]
    python -m tests.benchmarks.dpo --gpu …
"""

import argparse
import itertools
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.benchmarks.report import DATA, ROOT, report

CONTENDERS = ("trl", "trl_cached", "ours")
AGAIN = "ours_cached"  # after each run of ours
SHAPE = {
    "vocab_size": 49_152,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "max_position_embeddings": 2048,
}
QUICK_SHAPE = SHAPE | {"vocab_size": 2048, "hidden_size": 144, "intermediate_size": 256, "num_hidden_layers": 2}
QUIET = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "CUDA_VISIBLE_DEVICES": "", "TQDM_DISABLE": "1"}
SPREAD = 0.6  # standard deviation of the logarithm of lengths; the longest of sixteen is about three times the median

Answers = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Case:
    """Rows and a model to learn them with, `rows // batch_size` steps an epoch."""

    key: str
    title: str
    rows: int
    prompt: int = 0
    answer: int = 0
    spread: float = SPREAD
    epochs: int = 1
    batch_size: int = 8
    max_length: int = 1024
    learning_rate: float = 5e-5
    answers: int = 2

    @property
    def steps(self) -> int:
        return self.rows // self.batch_size

    @property
    def suffix(self) -> str:
        return "" if self.key == "a" else f"_{self.key}"


CASES = (
    Case("a", "135 M, prompts ≈ 160, answers ≈ 90", rows=8, batch_size=4, prompt=160, answer=90),
    Case("hh", "stories260K, dialogues", rows=48, max_length=512),
    Case("postedit", "stories260K, post-edits, 3 epochs", rows=64, epochs=3, max_length=512),
    Case("worst", "135 M, prompts ≈ 24, answers ≈ 220", rows=4, batch_size=4, prompt=24, answer=220, spread=0.1),
    Case("ranking", "135 M, rankings of four", rows=12, batch_size=6, prompt=160, answer=90, answers=4),
)
KEYS = tuple(case.key for case in CASES)
FIRST = "first"
FIRST_ROWS = {"1k": 1_000, "75k": 75_000}


def main() -> None:
    parser = argparse.ArgumentParser(description="Seconds a step: TRL, TRL with cached references, ours")
    parser.add_argument("--only", help="cases, separated by commas: " + ",".join([*KEYS, FIRST]))
    parser.add_argument("--turns", type=int, default=3, help="how often each contender runs (default 3)")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of each process (default: all cores)")
    parser.add_argument("--quick", action="store_true", help="one turn on small shapes: does it run, not how fast")
    parser.add_argument("--unchecked", action="store_true", help="TRL without gradient checkpointing, too")
    parser.add_argument("--keep", type=Path, help="work in this folder and keep it")
    parser.add_argument(
        "--gpu", action="store_true", help="shapes of 1B and 8B parameters on a GPU instead (see there)"
    )
    if "--gpu" in sys.argv:
        from tests.benchmarks import dpo_gpu

        dpo_gpu.main([argument for argument in sys.argv[1:] if argument != "--gpu"])
        return
    arguments = parser.parse_args()
    if not DATA.is_dir():
        raise SystemExit(f"no data at {DATA}: set PREFERENCE_DATA to its folder")
    wanted = arguments.only.split(",") if arguments.only else [*KEYS, FIRST]
    if unknown := sorted(set(wanted) - {*KEYS, FIRST}):
        parser.error(f"unknown cases: {', '.join(unknown)}")
    cases = [case for case in CASES if case.key in wanted]
    contenders = (*CONTENDERS, "trl_unchecked") if arguments.unchecked else CONTENDERS
    turns = arguments.turns
    if arguments.quick:
        cases, turns = [replace(case, rows=2 * case.batch_size) for case in cases], 1
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="konomi-dpo-") as folder:
        if arguments.keep:
            arguments.keep.mkdir(parents=True, exist_ok=True)
        bench = Bench(arguments.keep or Path(folder), arguments.threads, QUICK_SHAPE if arguments.quick else SHAPE)
        measured = {case.key: bench.run(case, contenders, turns) for case in cases}
        first = bench.first_steps(quick=arguments.quick) if FIRST in wanted else {}
    figures = all_figures(cases, measured) | first | {"threads": arguments.threads, "load_before": load}
    name = "dpo_quick" if arguments.quick or arguments.only else "dpo"
    report(name, figures, NOTES, table_of(cases, measured, contenders))


class Bench:
    """The folder that the processes work in."""

    def __init__(self, folder: Path, threads: int, shape: Mapping[str, int]) -> None:
        self.folder, self.threads, self.shape = folder, threads, shape

    def run(self, case: Case, contenders: tuple[str, ...], turns: int) -> Answers:
        """The answers of each contender, one a turn, and of the limit."""
        model = self.model(case)
        file = self.folder / f"{case.key}.parquet"
        pq.write_table(pa.Table.from_pylist(rows_of(case, self.shape["vocab_size"])), file)
        task = {
            "model": str(model),
            "rows": str(file),
            "threads": self.threads,
            "batch_size": case.batch_size,
            "epochs": case.epochs,
            "max_length": case.max_length,
            "learning_rate": case.learning_rate,
            "sequential": case.answers > 2,
        }
        answers: Answers = {name: [] for name in (*contenders, AGAIN, "limit")}
        answers["limit"].append(self.start(case, "limit", 0, task))
        for turn in range(turns):
            order = contenders[turn % len(contenders) :] + contenders[: turn % len(contenders)]
            task["references"] = str(self.folder / f"{case.key}-references-{turn}")
            for name in itertools.chain(*((name, AGAIN) if name == "ours" else (name,) for name in order)):
                answer = self.start(case, name, turn, task)
                answers[name].append(answer)
                took = f"{statistics.fmean(answer['steps']):.2f} s a step, {answer['wall_s']:.1f} s in all"
                print(f"{case.key} turn {turn + 1}: {name} {took}", flush=True)
        return answers

    def first_steps(self, *, quick: bool) -> dict[str, float]:
        """Seconds to the end of the first of four steps, by the number of rows; of a shape whose steps are short."""
        case = Case(FIRST, "first step", rows=1_000, batch_size=8, prompt=160, answer=90)
        shape, figures = QUICK_SHAPE, {}
        model = self.folder / "model-first"
        task = {"contender": "model", "model": str(model), "shape": shape, "threads": self.threads}
        self.process(task | {"work": str(self.folder)}, self.folder / "model-first.log")
        base = rows_of(case, shape["vocab_size"])
        for name, count in FIRST_ROWS.items():
            file, work = self.folder / f"first-{name}.parquet", self.folder / f"first-{name}"
            count = count // 100 if quick else count
            rows = (base[number % len(base)] | {"prompt": numbered(base, number)} for number in range(count))
            pq.write_table(pa.Table.from_pylist(list(rows)), file)
            values = {"rows": str(file), "max_steps": 4, "epochs": 1, "batch_size": 8, "max_length": 1024}
            task = {"model": str(model), "threads": self.threads, "learning_rate": 5e-5, "sequential": False, **values}
            task |= {"contender": "ours", "work": str(work), "answer": f"{work}.json"}
            self.process(task, work.with_suffix(".log"))
            answer = json.loads(Path(task["answer"]).read_text(encoding="utf-8"))
            figures[f"first_step_s_{name}"] = float(answer["first_step_s"])
            print(f"first step of {count:,} rows: {answer['first_step_s']:.1f} s", flush=True)
        return figures

    def start(self, case: Case, name: str, turn: int, task: dict[str, Any]) -> dict[str, Any]:
        work = self.folder / f"{case.key}-{name}-{turn}"
        task = task | {"contender": name, "work": str(work), "answer": f"{work}.json"}
        self.process(task, work.with_suffix(".log"))
        answer: dict[str, Any] = json.loads(Path(task["answer"]).read_text(encoding="utf-8"))
        if name != "limit" and len(answer["losses"]) != case.steps * case.epochs:
            raise SystemExit(f"{case.key}: {name} took {len(answer['losses'])} steps, not {case.steps * case.epochs}")
        return answer

    def process(self, task: dict[str, Any], log: Path) -> None:
        """This process stays small: a child's peak memory begins with its parent's."""
        file = log.with_suffix(".task.json")
        file.write_text(json.dumps(task), encoding="utf-8")
        threads = {"OMP_NUM_THREADS": str(self.threads), "MKL_NUM_THREADS": str(self.threads)}
        with log.open("w", encoding="utf-8") as out:
            done = subprocess.run(
                [sys.executable, "-m", "tests.benchmarks._contender", str(file)],
                cwd=ROOT,
                env=os.environ | QUIET | threads,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        if done.returncode:
            raise SystemExit(f"{task['contender']} failed:\n{log.read_text(encoding='utf-8')[-3000:]}")

    def model(self, case: Case) -> Path:
        if not case.prompt:
            return DATA / "models" / "stories260K-hf"
        folder = self.folder / "model"
        if not folder.exists():
            task = {"contender": "model", "model": str(folder), "shape": self.shape, "work": str(self.folder)}
            self.process(task | {"threads": self.threads}, self.folder / "model.log")
        return folder


def rows_of(case: Case, vocabulary: int) -> list[dict[str, str]]:
    """The case's rows as text, the same at each call. `vocabulary` is the made-up model's."""
    lots = random.Random(case.key)
    if case.prompt:
        return synthetic(case, lots, vocabulary)
    if case.key == "hh":
        name, columns = "hh_rlhf_harmless_base_test", ("prompt", "chosen", "rejected")
    else:
        name, columns = "mlqe_pe_ende", ("source", "post_edit_tok", "mt_tok")
    lines = (DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    pairs = [tuple(json.loads(line)[column].strip() for column in columns) for line in lines]
    # stories260K needs about 0.6 tokens a character and has 512 positions: no row is dropped for its prompt's length.
    fitting = [texts for texts in pairs if texts[1] and texts[2] and texts[1] != texts[2] and len(texts[0]) < 700]
    return [
        {"prompt": f"{prompt}\n", "chosen": chosen, "rejected": rejected}
        for prompt, chosen, rejected in lots.sample(fitting, case.rows)
    ]


def synthetic(case: Case, lots: random.Random, vocabulary: int) -> list[dict[str, str]]:
    """Random words, one token each (see `make_model`), with lognormal lengths of the case's means."""

    def words(lengths: list[int]) -> list[str]:
        return [" ".join(f"w{lots.randrange(3, vocabulary)}" for _ in range(length)) for length in lengths]

    count = case.rows // math.comb(case.answers, 2)
    prompts = words(lognormal(case.prompt, case, count, lots))
    answers = words(lognormal(case.answer, case, case.answers * count, lots))
    ranked = [answers[start : start + case.answers] for start in range(0, len(answers), case.answers)]
    return [
        {"prompt": f"{prompt}\n", "chosen": chosen, "rejected": rejected}
        for prompt, texts in zip(prompts, ranked, strict=True)
        for chosen, rejected in itertools.combinations(texts, 2)
    ]


def numbered(base: list[dict[str, str]], number: int) -> str:
    """The prompt of row `number` where rows are repeated: like no other, and two tokens longer."""
    return f"w{3 + number // 1000} w{3 + number % 1000} {base[number % len(base)]['prompt']}"


def lognormal(mean: int, case: Case, count: int, lots: random.Random) -> list[int]:
    """The distribution's quantiles in random order: so few rows would else have another mean at each draw."""
    normal = statistics.NormalDist(math.log(mean) - case.spread**2 / 2, case.spread)
    lengths = [round(math.exp(normal.inv_cdf((number + 0.5) / count))) for number in range(count)]
    lots.shuffle(lengths)
    return lengths


# ---- what it says ----


def all_figures(cases: list[Case], measured: Mapping[str, Answers]) -> dict[str, float | int | str]:
    figures: dict[str, float | int | str] = {}
    for case in cases:
        answers = measured[case.key]
        figures[f"ratio_trl{case.suffix}"] = ratio(answers, "trl", stepping, AGAIN)
        figures[f"ratio_trl_cached{case.suffix}"] = ratio(answers, "trl_cached", stepping, AGAIN)
        figures[f"ratio_trl_first{case.suffix}"] = ratio(answers, "trl", stepping)
        epoch = partial(one_epoch, case)
        figures[f"epoch1_ratio_trl{case.suffix}"] = ratio(answers, "trl", epoch)
        figures[f"epoch1_ratio_trl_cached{case.suffix}"] = ratio(answers, "trl_cached", epoch)
        if case.epochs == 3:
            figures["epochs3_ratio_trl"] = ratio(answers, "trl", all_of_it)
            figures["epochs3_ratio_trl_cached"] = ratio(answers, "trl_cached", all_of_it)
        figures[f"limit_share{case.suffix}"] = limit_of(answers, case) / seconds_a_step(answers[AGAIN])
    if not cases:
        return figures
    figures["loss_difference"] = max(loss_difference(measured[case.key]) for case in cases)
    figures["memory_ratio"] = max(memory_ratio(measured[case.key]) for case in cases)
    first = cases[0]
    figures["padding_share_trl"] = padding(measured[first.key], "trl_cached", first)
    figures["padding_share"] = padding(measured[first.key], AGAIN, first)
    return figures


def ratio(answers: Answers, other: str, cost: Any, mine: str = "ours") -> float:
    """Median over the turns of another's cost divided by ours."""
    return statistics.median(
        cost(theirs) / cost(ours) for theirs, ours in zip(answers[other], answers[mine], strict=True)
    )


def stepping(answer: dict[str, Any]) -> float:
    return math.fsum(answer["steps"])


def all_of_it(answer: dict[str, Any]) -> float:
    """Loading, tokenising, every pre-pass, all steps, saving."""
    return float(answer["wall_s"])


def one_epoch(case: Case, answer: dict[str, Any]) -> float:
    """The same with the first epoch's steps only."""
    return all_of_it(answer) - math.fsum(answer["steps"][case.steps :])


def seconds_a_step(answers: list[dict[str, Any]]) -> float:
    return statistics.median(statistics.fmean(answer["steps"]) for answer in answers)


def limit_of(answers: Answers, case: Case) -> float:
    """Seconds a step at the limit."""
    limit = answers["limit"][0]
    return float(limit["tokens_needed"] * limit["seconds_a_token"] / case.steps)


def loss_difference(answers: Answers) -> float:
    """The largest between TRL as it comes and ours at the same step."""
    return max(abs(a - b) for a, b in zip(answers["trl"][0]["losses"], answers["ours"][0]["losses"], strict=True))


def memory_ratio(answers: Answers) -> float:
    """Ours against the leaner of TRL's two, each by its median."""
    peaks = {name: statistics.median(answer["peak_bytes"] for answer in answers[name]) for name in CONTENDERS}
    return float(peaks["ours"] / min(peaks["trl"], peaks["trl_cached"]))


def padding(answers: Answers, name: str, case: Case) -> float:
    """Share of the tokens computed in the steps that are padding."""
    limit, ours = answers["limit"][0], name.startswith("ours")
    passes = case.epochs * (1 if ours or name == "trl_cached" else 2) + (name == "ours")  # the reference's among them
    useful = limit["tokens_needed" if ours else "tokens_plain"] * passes
    return float(1 - useful / answers[name][0]["tokens"])


def table_of(cases: list[Case], measured: Mapping[str, Answers], contenders: tuple[str, ...]) -> list[list[str]]:
    """A line for each contender in each case, the limit below; the first line names the columns."""
    found = [
        [
            *("case", "who", "s a step", "× ours", "CPU s a step", "tokens a step", "padding", "pre-pass tokens"),
            *("epoch 1, s", "all, s", "peak MB"),
        ]
    ]
    for case in cases:
        answers = measured[case.key]
        for name in (*contenders, AGAIN):
            own = answers[name]
            found.append(
                [
                    case.title,
                    name,
                    f"{seconds_a_step(own):.3g}",
                    f"{ratio(answers, name, stepping, AGAIN):.2f}",
                    f"{statistics.median(statistics.fmean(answer['cpu_steps']) for answer in own):.3g}",
                    f"{own[0]['tokens'] / (case.steps * case.epochs):,.0f}",
                    f"{padding(answers, name, case):.1%}",
                    f"{own[0]['tokens_before']:,}",
                    f"{statistics.median(one_epoch(case, answer) for answer in own):.1f}",
                    f"{statistics.median(all_of_it(answer) for answer in own):.1f}",
                    f"{statistics.median(answer['peak_bytes'] for answer in own) / 1e6:,.0f}",
                ]
            )
        needed = f"{answers['limit'][0]['tokens_needed'] / case.steps:,.0f}"
        found.append([case.title, "limit", f"{limit_of(answers, case):.3g}", "", "", needed, "0.0%", "", "", "", ""])
    return found


NOTES = {
    "ratio_trl": "seconds a step, TRL as it comes / ours with known references; target ≥ 4.5",
    "ratio_trl_cached": "seconds a step, TRL with precomputed references / the same; target ≥ 3.5",
    "ratio_trl_first": "seconds a step, TRL as it comes / ours in a first epoch, which computes references",
    "ratio_trl_worst": "target ≥ 1.3",
    "epoch1_ratio_trl": "one epoch with loading, tokenising, every pre-pass, saving; here an epoch is two steps",
    "epoch1_ratio_trl_worst": "an epoch of one step, with all that is checked beforehand; target ≥ 1",
    "ratio_trl_ranking": "target ≥ 6",
    "first_step_s_1k": "seconds from the start to the end of the first step, 1,000 rows, a small shape",
    "first_step_s_75k": "with 75,000 rows; at most 20 s more",
    "epochs3_ratio_trl": "three epochs of post-edits, likewise",
    "limit_share": "seconds a step at the limit / ours",
    "loss_difference": "largest difference to TRL's loss at the same step",
    "memory_ratio": "peak resident memory, ours / the leaner of TRL's two, the worst case; target ≤ 1",
    "padding_share_trl": "share of the computed tokens that stand for nothing",
}

if __name__ == "__main__":
    main()
