"""The training of `tests.benchmarks.labels`, in its own process: `python -m tests.benchmarks._labels_dpo TASK.json`.

Reads {"model", "texts", "held_out", "runs": [{"name", "rows", "seed"}], "work", "answer", …}, trains each run by the
product's program, one after the other, and writes the margins of the implicit reward on the held-out pairs, by name, to
`answer`.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

SHAPE = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
WORDS = 2_000
SPECIAL = {"unk_token": "<unk>", "pad_token": "<pad>", "eos_token": "</s>"}


def make_model(task: dict[str, Any]) -> None:
    """A small Llama with random weights, and a tokenizer learnt from the training texts: a Japanese sentence has a
    tenth of the tokens that the bytes of stories260K make of it."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=WORDS, special_tokens=[*SPECIAL.values()], initial_alphabet=alphabet)
    tokenizer.train_from_iterator(task["texts"], trainer)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **SPECIAL).save_pretrained(task["model"])
    torch.manual_seed(1)
    ids = {"bos_token_id": None, "eos_token_id": 2, "pad_token_id": 1}
    size = tokenizer.get_vocab_size()
    config = LlamaConfig(**SHAPE, vocab_size=size, max_position_embeddings=512, tie_word_embeddings=True, **ids)
    LlamaForCausalLM(config).save_pretrained(task["model"])


def train(task: dict[str, Any], run: dict[str, Any]) -> Path:
    """`python -m training.engine.train_dpo` on a run directory; returns the folder of the weights."""
    from training.contract.config import ModelSource, TrainingConfig
    from training.contract.run_directory import RunDirectory
    from training.engine import train_dpo
    from training.engine.runtime.program import main

    config = TrainingConfig(
        program="train_dpo",
        run_id="benchmark",
        model=ModelSource(base=task["model"]),
        lora=None,
        epochs=task["epochs"],
        learning_rate=task["learning_rate"],
        batch_size=task["batch_size"],
        max_length=task["max_length"],
        beta=task["beta"],
        losses=("sigmoid",),
        precision="fp32",
        seed=run["seed"],
        save_steps=10_000,
        threads=1,
        reference_cache=task["references"],
    )
    directory = RunDirectory(Path(task["work"]) / run["name"])
    directory.create(config)
    directory.dataset.mkdir(exist_ok=True)
    shutil.copyfile(run["rows"], directory.dataset / "train.parquet")
    code = main("train_dpo", train_dpo.train, [str(directory.path)])
    result = directory.read_result()
    if code or not result:
        raise SystemExit(f"train_dpo ended with {code}: {result and result['error']}")
    if not result["method"]["packing"]:
        raise SystemExit(f"plain TRL has no soft labels: {result['method']['why']}")
    return directory.model


def margins(task: dict[str, Any], folders: dict[str, Path]) -> dict[str, list[float]]:
    """β · ((log π − log π_ref) of the chosen text less that of the rejected one), of each held-out pair."""
    import pyarrow.parquet as pq

    from training.contract.config import ModelSource
    from training.engine.data.rows import Counts
    from training.engine.data.tokenization import fit, tokenize
    from training.engine.inference.scoring import Scorer
    from training.engine.models import loading

    tokenizer = loading.load_tokenizer(ModelSource(base=task["model"]))
    rows = pq.read_table(task["held_out"]).to_pylist()
    counts = Counts()
    sequences = tokenize(tokenizer, rows, range(len(rows)), ("chosen", "rejected"), counts)
    sequences = fit(sequences, task["max_length"], counts)
    texts = [(item.prompt_ids, item.completion_ids) for item in sequences]

    def differences(folder: str) -> list[float]:
        model = loading.load_model(ModelSource(base=folder), dtype=loading.compute_dtype())
        scores = Scorer(model, pad_id=tokenizer.pad_token_id).score(texts)
        return [chosen.logp - rejected.logp for chosen, rejected in scores]

    before = differences(task["model"])
    return {
        name: [task["beta"] * (own - start) for own, start in zip(differences(str(folder)), before, strict=True)]
        for name, folder in folders.items()
    }


def main() -> None:
    task = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    make_model(task)
    folders = {run["name"]: train(task, run) for run in task["runs"]}
    Path(task["answer"]).write_text(json.dumps(margins(task, folders)), encoding="utf-8")


if __name__ == "__main__":
    main()
