"""One contender of `tests.benchmarks.dpo`, in a process of its own: `python -m tests.benchmarks._contender TASK.json`.

Reads {"contender", "model", "rows", "work", "answer", "threads", "batch_size", "epochs", "max_length", …} and writes
what it took to the file `answer`. All contenders import the same, load the same folder, read the same Parquet file of
text rows, draw the same batches in the same order, and are timed by the same callback.
"""

import importlib
import itertools
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

SEED = 17
# The same for all, and before any clock runs.
IMPORTS = ("datasets", "peft", "pyarrow.parquet", "transformers", "trl")
BETA = 0.1
LORA = {"r": 16, "lora_alpha": 32, "lora_dropout": 0.0, "target_modules": "all-linear", "task_type": "CAUSAL_LM"}


class Meter:
    """What TRL and we have in common: `Trainer`'s callbacks, and the table of embeddings that each token looks up."""

    def __init__(self) -> None:
        import torch
        import transformers.trainer

        self.tokens = self.before = 0
        self.ends: list[tuple[float, float]] = []  # by the clock on the wall, and in seconds of the processors
        self.losses: list[float] = []
        meter, plain = self, torch.nn.Embedding.forward

        def counted(module: Any, ids: Any) -> Any:
            meter.tokens += ids.numel()
            return plain(module, ids)

        class Stopwatch(transformers.TrainerCallback):  # type: ignore[misc]
            def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
                meter.before = meter.tokens
                meter.look()

            def on_step_end(self, *args: Any, **kwargs: Any) -> None:
                meter.look()

            def on_log(self, *args: Any, logs: dict[str, Any], **kwargs: Any) -> None:
                if "loss" in logs:
                    meter.losses.append(float(logs["loss"]))

        torch.nn.Embedding.forward = counted
        transformers.trainer.DEFAULT_CALLBACKS.append(Stopwatch)

    def look(self) -> None:
        self.ends.append((time.perf_counter(), time.process_time()))

    def figures(self) -> dict[str, Any]:
        wall, cpu = (
            [end - begin for begin, end in itertools.pairwise(clock)] for clock in zip(*self.ends, strict=True)
        )
        return {
            "steps": wall,
            "cpu_steps": cpu,
            "losses": self.losses,
            "tokens_before": self.before,
            "tokens": self.tokens - self.before,
        }


def make_model(task: dict[str, Any]) -> dict[str, Any]:
    """Random weights of a Llama's shape, and a tokenizer whose tokens are the words w3, w4, … between blanks."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    size = task["shape"]["vocab_size"]
    words = {"<unk>": 0, "<pad>": 1, "</s>": 2} | {f"w{number}": number for number in range(3, size)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = {"unk_token": "<unk>", "pad_token": "<pad>", "eos_token": "</s>"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(task["model"])
    torch.manual_seed(SEED)
    config = LlamaConfig(**task["shape"], tie_word_embeddings=True, bos_token_id=None, eos_token_id=2, pad_token_id=1)
    LlamaForCausalLM(config).save_pretrained(task["model"])
    return {}


def with_trl(task: dict[str, Any]) -> dict[str, Any]:
    """TRL's DPOTrainer from the text rows, with its defaults but for what `task` and the lines below say."""
    from datasets import load_dataset
    from peft import LoraConfig
    from transformers import AutoTokenizer
    from trl import DPOConfig, DPOTrainer

    changed: dict[str, Any] = {} if task["contender"] != "trl_unchecked" else {"gradient_checkpointing": False}
    if task["sequential"]:
        changed["train_sampling_strategy"] = "sequential"
    arguments = DPOConfig(
        output_dir=task["work"],
        bf16=False,
        use_cpu=True,
        per_device_train_batch_size=task["batch_size"],
        num_train_epochs=task["epochs"],
        max_length=task["max_length"],
        learning_rate=task["learning_rate"],
        seed=SEED,
        data_seed=SEED,
        logging_steps=1,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
        precompute_ref_log_probs=task["contender"] == "trl_cached",
        **changed,
    )
    rows = load_dataset("parquet", data_files=task["rows"], split="train", cache_dir=task["work"])
    if task["sequential"]:
        rows = rows.select(order_of_ours(rows["prompt"], task["batch_size"]))
    tokenizer = AutoTokenizer.from_pretrained(task["model"])
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.unk_token
    trainer = DPOTrainer(
        model=task["model"],
        args=arguments,
        train_dataset=rows,
        processing_class=tokenizer,
        peft_config=LoraConfig(**LORA),
    )
    trainer.train()
    trainer.save_model(str(Path(task["work"]) / "model"))
    return {}


def order_of_ours(prompts: list[str], batch_size: int) -> list[int]:
    """The rows in the order in which ours draws them where prompts have several: its steps must be full ones."""
    from training.engine.packed.sampling import StepSampler, groups_of

    steps = list(StepSampler(groups_of(prompts), most=batch_size, seed=SEED))
    if any(len(step) != batch_size for step in steps):
        raise SystemExit(f"steps of {sorted(map(len, steps))} rows cannot be TRL's of {batch_size}")
    return list(itertools.chain(*steps))


def with_ours(task: dict[str, Any]) -> dict[str, Any]:
    """`python -m training.engine.train_dpo` on a run directory, in this process that has paid for the imports."""
    import shutil

    from training.contract.config import ModelSource, TrainingConfig
    from training.contract.run_directory import RunDirectory
    from training.engine import train_dpo
    from training.engine.runtime.program import main

    config = TrainingConfig(
        program="train_dpo",
        run_id="benchmark",
        model=ModelSource(base=task["model"]),
        epochs=task["epochs"],
        max_steps=task.get("max_steps", -1),
        learning_rate=task["learning_rate"],
        lr_scheduler="linear",
        warmup_ratio=0.0,
        batch_size=task["batch_size"],
        max_length=task["max_length"],
        beta=BETA,
        losses=("sigmoid",),
        precision="fp32",
        seed=SEED,
        save_steps=500,
        threads=task["threads"],
        reference_cache=task.get("references", ""),
    )
    directory = RunDirectory(Path(task["work"]))
    directory.create(config)
    directory.dataset.mkdir(exist_ok=True)
    shutil.copyfile(task["rows"], directory.dataset / "train.parquet")
    code = main("train_dpo", train_dpo.train, [str(directory.path)])
    result = directory.read_result()
    if code or not result:
        raise SystemExit(f"train_dpo ended with {code}: {result and result['error']}")
    if not result["method"]["packing"]:
        raise SystemExit(f"ours fell back to plain TRL, and would be compared with itself: {result['method']['why']}")
    return {"used": result["rows"]["used"]}


def limit(task: dict[str, Any]) -> dict[str, Any]:
    """What must be computed, and how fast these cores are at it: tokens of the rows, seconds a token.

    tokens_needed: each prompt and common start once, each answer once. tokens_plain: of both sides, as TRL lays them
    out, without padding. seconds_a_token: forward and backward of dense lines, without padding or mask, each as long
    as a row of ours on average, the head on as large a share of the tokens as rows score.
    """
    import pyarrow.parquet as pq
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from training.engine.data.rows import Counts
    from training.engine.data.tokenization import fit, tokenize
    from training.engine.packed import grouping

    tokenizer = AutoTokenizer.from_pretrained(task["model"])
    rows = pq.read_table(task["rows"]).to_pylist()
    counts = Counts()
    tokenized = tokenize(tokenizer, rows, range(len(rows)), ("chosen", "rejected"), counts)
    sequences = fit(tokenized, task["max_length"], counts)
    examples = [
        {"prompt_ids": item.prompt_ids, "chosen_ids": item.completion_ids[0], "rejected_ids": item.completion_ids[1]}
        for item in sequences
    ]
    groups = grouping.grouped(examples, ("chosen_ids", "rejected_ids"), grouping.Costs(budget=1 << 40))
    packed = [group.row for group in groups]
    needed = sum(row.computed for row in packed)
    plain = sum(2 * len(item.prompt_ids) + sum(map(len, item.completion_ids)) for item in sequences)
    share = sum(row.scored for row in packed) / needed

    model = AutoModelForCausalLM.from_pretrained(task["model"], dtype=torch.float32)
    model = get_peft_model(model, LoraConfig(**LORA)).train()
    width = max(1, round(needed / len(packed)))
    lines = max(1, 768 // width)  # larger ones are no faster on a CPU, and less lean
    ids = torch.randint(3, model.config.vocab_size, (lines, width), generator=torch.Generator().manual_seed(SEED))
    scored = max(1, round(share * lines * width))
    head = model.get_output_embeddings().weight
    best = float("inf")
    for _ in range(3):
        begin = time.perf_counter()
        hidden = model.get_base_model().model(input_ids=ids, use_cache=False).last_hidden_state
        logits = hidden.reshape(lines * width, -1)[:scored] @ head.T
        torch.nn.functional.cross_entropy(logits, ids.reshape(-1)[:scored]).backward()
        best = min(best, time.perf_counter() - begin)
    return {
        "rows": len(packed),
        "tokens_needed": needed,
        "tokens_plain": plain,
        "seconds_a_token": best / (lines * width),
    }


def main() -> None:
    task = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    for module in IMPORTS:
        importlib.import_module(module)
    import torch

    torch.set_num_threads(task["threads"])
    Path(task["work"]).mkdir(parents=True, exist_ok=True)
    if task["contender"] == "model":
        make_model(task)
        return
    if task["contender"] == "limit":
        answer = limit(task)
    else:
        meter = Meter()
        begin, cpu = time.perf_counter(), time.process_time()
        answer = with_ours(task) if task["contender"].startswith("ours") else with_trl(task)
        answer |= {"wall_s": time.perf_counter() - begin, "cpu_s": time.process_time() - cpu, **meter.figures()}
        answer["first_step_s"] = meter.ends[1][0] - begin
        answer["peak_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    Path(task["answer"]).write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main()
