"""Contenders of `tests.benchmarks.dpo_gpu` on one case, one after the other: `python -m … TASK.json`.

Every step is a line of the task's log at once, so that a process that is stopped loses nothing. A contender that fails
is a line, too, and the next one goes on. Models are made on the device from a seed: the same weights for all, and
nothing is written to or read from a disk.
"""

import gc
import itertools
import json
import math
import random
import shutil
import statistics
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from training.contract import memory_estimate

SEED = 17
BETA = 0.1
MICRO = 8  # TRL's per_device_train_batch_size by default
MAX_LENGTH = 4096
END, FIRST_WORD = 2, 3
LORA = {"r": 16, "lora_alpha": 32, "lora_dropout": 0.0, "target_modules": "all-linear", "task_type": "CAUSAL_LM"}
ERROR_CHARACTERS = 1500
LEAST_BUDGET = 1024  # tokens of a micro-batch of ours

Pair = dict[str, list[int]]


class Log:
    """Lines of JSON about one contender."""

    def __init__(self, path: Path, case: str) -> None:
        self.path, self.case, self.who = path, case, ""

    def add(self, event: str, **values: Any) -> None:
        line = json.dumps({"case": self.case, "who": self.who, "event": event, **values})
        with self.path.open("a", encoding="utf-8") as out:
            out.write(line + "\n")
        print(line if len(line) < 300 else line[:300] + " …", flush=True)


class Steps(transformers.TrainerCallback):  # type: ignore[misc]
    """Logs each step: its seconds, and the tokens that were looked up in the table of embeddings."""

    def __init__(self, log: Log, meter: "Tokens") -> None:
        self.log, self.meter = log, meter
        self.number, self.took, self.tokens = 0, 0.0, 0
        self.created = self.began = now()

    def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
        self.log.add("begin", before_s=round(now() - self.created, 2), tokens=self.meter.count)
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        self.began, self.meter.count = now(), 0

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        end = now()
        self.took, self.tokens, self.began, self.meter.count = end - self.began, self.meter.count, end, 0

    def on_log(self, *args: Any, logs: dict[str, Any], **kwargs: Any) -> None:
        if "loss" in logs:
            self.log.add("step", n=self.number, s=round(self.took, 4), tokens=self.tokens, loss=float(logs["loss"]))
            self.number += 1
            self.began = now()


class Tokens:
    """Counts what passes through the table of embeddings of any model."""

    def __init__(self) -> None:
        self.count = 0
        meter, plain = self, torch.nn.Embedding.forward

        def counted(module: Any, ids: Any) -> Any:
            meter.count += ids.numel()
            return plain(module, ids)

        torch.nn.Embedding.forward = counted


def now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


# ---- what all of them learn from ----


def pairs_of(mix: dict[str, Any], count: int, vocabulary: int) -> list[Pair]:
    """Pairs of random words with lognormal lengths of the mix's means; all pairs of each prompt's answers."""
    lots = random.Random(json.dumps(mix, sort_keys=True))
    prompts = count // math.comb(mix["answers"], 2)

    def texts(mean: int, number: int) -> list[list[int]]:
        normal = statistics.NormalDist(math.log(mean) - mix["spread"] ** 2 / 2, mix["spread"])
        lengths = [max(1, round(math.exp(normal.inv_cdf((n + 0.5) / number)))) for n in range(number)]
        lots.shuffle(lengths)
        return [[lots.randrange(FIRST_WORD, vocabulary) for _ in range(length)] for length in lengths]

    asked, answers = texts(mix["prompt"], prompts), texts(mix["answer"], prompts * mix["answers"])
    return [
        {"prompt_ids": prompt, "chosen_ids": [*chosen, END], "rejected_ids": [*rejected, END]}
        for number, prompt in enumerate(asked)
        for chosen, rejected in itertools.combinations(answers[number * mix["answers"] :][: mix["answers"]], 2)
    ]


def make_model(shape: dict[str, Any]) -> Any:
    config = AutoConfig.for_model("llama", **shape, bos_token_id=None, eos_token_id=END, pad_token_id=1)
    torch.manual_seed(SEED)
    with device():
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    return model.to(device())


def make_tokenizer(size: int) -> PreTrainedTokenizerFast:
    """One whose tokens are the words w3, w4, … between blanks."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {"<unk>": 0, "<pad>": 1, "</s>": END} | {f"w{number}": number for number in range(FIRST_WORD, size)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", pad_token="<pad>", eos_token="</s>", model_max_length=MAX_LENGTH
    )


def needs_of(pairs: list[Pair]) -> dict[str, int]:
    """Tokens of all pairs: computed and scored where each beginning is computed once, and without sharing."""
    from training.engine.packed import grouping

    rows = [group.row for group in grouping.grouped(pairs, ("chosen_ids", "rejected_ids"), grouping.Costs(1 << 40))]
    plain = sum(2 * len(one["prompt_ids"]) + len(one["chosen_ids"]) + len(one["rejected_ids"]) for one in pairs)
    return {"needed": sum(row.computed for row in rows), "scored": sum(row.scored for row in rows), "plain": plain}


# ---- the contenders ----


def run_trl(task: dict[str, Any], log: Log, *, best: bool) -> None:
    """DPOTrainer with its defaults; at its best without recomputing activations, in the largest batches that fit."""
    pairs, shape = task["pairs"], task["shape"]
    if not best:
        train_trl(task, log, micro=MICRO)
        return
    text = AutoConfig.for_model("llama", **shape).to_dict()
    each = memory_estimate.activation_bytes_per_token(
        text, lora=not task["full"], bytes_per_value=2, gradient_checkpointing=False
    )
    longest = max(len(one["prompt_ids"]) + max(len(one["chosen_ids"]), len(one["rejected_ids"])) for one in pairs)
    free = torch.cuda.mem_get_info()[0] if torch.cuda.is_available() else 4 << 30
    for micro in (MICRO, MICRO // 2, MICRO // 4, 1):
        if 2 * micro * longest * each > free:
            continue
        try:
            train_trl(task, log, micro=micro, gradient_checkpointing=False, precompute_ref_log_probs=True)
            return
        except torch.OutOfMemoryError:
            log.add("short", micro=micro)
        clean()
    train_trl(task, log, micro=MICRO, precompute_ref_log_probs=True)


def train_trl(task: dict[str, Any], log: Log, *, micro: int, **changed: Any) -> None:
    import copy

    from datasets import Dataset
    from peft import LoraConfig
    from transformers.utils import is_flash_attn_2_available
    from trl import DPOConfig, DPOTrainer

    pairs = task["pairs"]
    if task["sequential"]:
        pairs = [pairs[position] for position in order_of_ours(pairs, task["batch"])]
        changed["train_sampling_strategy"] = "sequential"
    columns = {
        name: [" ".join(f"w{token}" for token in one[f"{name}_ids"] if token != END) for one in pairs]
        for name in ("prompt", "chosen", "rejected")
    }
    columns["prompt"] = [f"{prompt}\n" for prompt in columns["prompt"]]
    gpu = device().type == "cuda"
    arguments = DPOConfig(
        output_dir=str(task["work"]),
        bf16=gpu,
        use_cpu=not gpu,
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=task["batch"] // micro,
        max_steps=task["steps"],
        max_length=MAX_LENGTH,
        learning_rate=task["learning_rate"],
        beta=BETA,
        seed=SEED,
        data_seed=SEED,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        **changed,
    )
    model = make_model(task["shape"])
    best = not arguments.gradient_checkpointing
    if best and gpu and is_flash_attn_2_available():
        model.set_attn_implementation("flash_attention_2")
    copied = copy.deepcopy(model) if task["full"] and not arguments.precompute_ref_log_probs else None
    log.add(
        "method",
        micro=micro,
        attention=model.config._attn_implementation,
        gradient_checkpointing=arguments.gradient_checkpointing,
        precomputed=arguments.precompute_ref_log_probs,
    )
    steps = Steps(log, task["meter"])
    trainer = DPOTrainer(
        model=model,
        ref_model=copied,
        args=arguments,
        train_dataset=Dataset.from_dict(columns),
        processing_class=task["tokenizer"],
        peft_config=None if task["full"] else LoraConfig(**LORA),
        callbacks=[steps],
    )
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.train()


def order_of_ours(pairs: list[Pair], batch: int) -> list[int]:
    """The order in which ours draws them where prompts have several: its steps must be full ones."""
    from training.engine.packed.sampling import StepSampler, groups_of

    steps = list(StepSampler(groups_of(tuple(one["prompt_ids"]) for one in pairs), most=batch, seed=SEED))
    if any(len(step) != batch for step in steps):
        raise ValueError(f"steps of {sorted(map(len, steps))} rows cannot be TRL's of {batch}")
    return list(itertools.chain(*steps))


def run_ours(task: dict[str, Any], log: Log) -> None:
    """The trainer of `train_dpo` on packed rows. A second time it reads the references that the first computed."""
    from training.contract.config import ModelSource, TrainingConfig
    from training.contract.run_directory import RunDirectory
    from training.engine import train_dpo
    from training.engine.runtime.run import Run
    from training.engine.trainers import packed_setup

    base = task["work"] / "base"
    base.mkdir(parents=True, exist_ok=True)
    method = {"lora": None} if task["full"] else {}
    model = make_model(task["shape"])
    (base / "config.json").write_text(json.dumps(model.config.to_dict(), default=str), encoding="utf-8")
    if task["full"]:
        model = model.float()  # as `setup.load` does: weights that are trained are float32
    config = TrainingConfig(
        program="train_dpo",
        run_id="benchmark",
        model=ModelSource(base=str(base)),
        max_steps=task["steps"],
        learning_rate=task["learning_rate"],
        lr_scheduler="linear",
        warmup_ratio=0.0,
        batch_size=MICRO,
        gradient_accumulation=task["batch"] // MICRO,
        max_length=MAX_LENGTH,
        beta=BETA,
        losses=("sigmoid",),
        seed=SEED,
        save_steps=100_000,
        logging_steps=1,
        reference_cache=str(task["work"] / "references"),
        micro_batch_tokens=task["micro_batch_tokens"],
        precision="auto" if device().type == "cuda" else "fp32",
        **method,
    )
    if device().type == "cpu":
        model = model.float()
    run = Run(directory=RunDirectory(task["work"] / f"run-{log.who}"), config=config)
    run.directory.create(config)
    layout = packed_setup.make_layout(config, model, task["tokenizer"])
    task["budget"] = layout.budget
    packed_setup.make_packable(model)
    count = len(task["pairs"])
    columns: dict[str, list[Any]] = {
        name: [one[name] for one in task["pairs"]] for name in ("prompt_ids", "chosen_ids", "rejected_ids")
    }
    columns |= {"row": list(range(count)), "p": [1.0] * count, "weight": [1.0] * count}
    columns |= {"offset": [0.0] * count, "tie": [0.0] * count}
    steps = Steps(log, task["meter"])
    trainer = train_dpo.packed_trainer(run, model, task["tokenizer"], columns, layout)
    trainer.args.save_strategy = "no"
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.add_callback(steps)
    method_now = {"attention": model.config._attn_implementation, "budget": layout.budget, "lines": layout.one_line}
    log.add("method", **method_now, frozen_copy=trainer.frozen is not None)
    trainer.train()
    log.add("references", **trainer.reference.use)


@contextmanager
def nothing_shared() -> Iterator[None]:
    """No two texts have anything in common."""
    from training.engine.packed import trie

    plain = trie.common_start
    trie.common_start = lambda one, other: 0
    try:
        yield
    finally:
        trie.common_start = plain


def unshared(task: dict[str, Any], log: Log) -> None:
    with nothing_shared():
        run_ours(task, log)


CONTENDERS: dict[str, Any] = {
    "ours_first": run_ours,
    "ours": run_ours,
    "trl": lambda task, log: run_trl(task, log, best=False),
    "trl_best": lambda task, log: run_trl(task, log, best=True),
    "ours_unshared": unshared,
}


def clean() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def run(who: str, task: dict[str, Any], log: Log) -> bool:
    """Whether to try again: ours with half the budget, where it ran out of memory."""
    try:
        CONTENDERS[who](task, log)
    except Exception as error:
        budget = task.pop("budget", 0)
        if isinstance(error, torch.OutOfMemoryError) and budget >= 2 * LEAST_BUDGET:
            task["micro_batch_tokens"] = budget // 2
            log.add("short", budget=budget)
            return True
        log.add("failed", error=f"{type(error).__name__}: {error}"[-ERROR_CHARACTERS:])
        traceback.print_exc()
        return False
    log.add("end", peak=torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0)
    return False


def main() -> None:
    task = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    if not (task["quick"] or torch.cuda.is_available()):
        raise SystemExit("no GPU is visible: --gpu needs one (--quick tries the code on a CPU)")
    task["work"] = Path(task["work"])
    log = Log(Path(task["log"]), task["case"])
    task["meter"] = Tokens()
    task["tokenizer"] = make_tokenizer(task["shape"]["vocab_size"])
    task["pairs"] = pairs_of(task["mix"], task["steps"] * task["batch"], task["shape"]["vocab_size"])
    task["sequential"] = task["mix"]["answers"] > 2
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    log.add(
        "case",
        gpu=gpu,
        **versions,
        **needs_of(task["pairs"]),
        shape=task["shape"],
        full=task["full"],
        steps=task["steps"],
    )
    for who in task["contenders"]:
        task.pop("budget", None)
        log.who = who
        log.add("start")
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        while run(who, task, log):
            clean()
        clean()
    shutil.rmtree(task["work"], ignore_errors=True)


if __name__ == "__main__":
    main()
