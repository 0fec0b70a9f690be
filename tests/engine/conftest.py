"""Fixtures: a tiny model, run directories, and the programs as processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from training.contract.config import Architecture, ModelSource, TrainingConfig
from training.contract.run_directory import RunDirectory

ROOT = Path(__file__).resolve().parents[2]
TINY = Architecture(vocab_size=400, hidden_size=32, layers=2, heads=4, intermediate_size=64, context=128)
NAMES = ("Anna", "Boris", "Clara", "Daniel", "Elena", "Farid")
PLACES = ("pool", "bar", "lift", "garden", "sauna")


def chat(number: int) -> tuple[str, str, str]:
    """A review with a formal and a casual reply."""
    name, place = NAMES[number % len(NAMES)], PLACES[number % len(PLACES)]
    review = f"The {place} was fine. {name}"
    return review, f"Dear {name}, thank you for your words.", f"Hey {name}, cool, thanks!"


def user(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def assistant(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def sft_rows(count: int = 30) -> list[dict]:
    rows = []
    for number in range(count):
        review, formal, _ = chat(number)
        rows.append({"prompt": user(review), "completion": assistant(formal), "prompt_id": number})
    return rows


def dpo_rows(count: int = 30) -> list[dict]:
    rows = []
    for number in range(count):
        review, formal, casual = chat(number)
        side = {"prompt_id": number, "probability": 0.9, "strength": 1.0, "weight": 1.0, "tie": False}
        rows.append({"prompt": user(review), "chosen": assistant(formal), "rejected": assistant(casual), **side})
    return rows


def write_rows(directory: RunDirectory, rows: list[dict], split: str = "train") -> None:
    directory.dataset.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), directory.dataset / f"{split}.parquet")


def make_run(path: Path, config, rows: list[dict] | None = None) -> RunDirectory:
    directory = RunDirectory(path)
    directory.create(config)
    if rows is not None:
        write_rows(directory, rows)
    return directory


def training(program: str, model: ModelSource, **changes) -> TrainingConfig:
    values = {"run_id": "t", "batch_size": 4, "max_length": 128, "learning_rate": 1e-2, "threads": 1, "save_steps": 4}
    values["losses"] = ("sigmoid",)  # plain DPO, whose first loss is ln 2
    return TrainingConfig(program=program, model=model, **{**values, **changes})


def start(program: str, directory: RunDirectory, **options) -> subprocess.Popen:
    """The program as the site launches it: a process of its own."""
    with directory.log_path.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", f"training.engine.{program}", str(directory.path)],
            cwd=ROOT,
            stdout=output,
            stderr=output,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
            **options,
        )


def run_here(program: str, directory: RunDirectory) -> int:
    """The same in this process, which has paid for the imports already; the exit code."""
    import importlib

    from training.engine.runtime.program import main

    module = importlib.import_module(f"training.engine.{program}")
    work = getattr(module, "train" if program.startswith("train") else program)
    return main(program, work, [str(directory.path)])


def run_for_the_site(program: str, directory: RunDirectory) -> int:
    """The same with the lock handed over: a request to cancel that was made before the engine began is obeyed."""
    with directory.acquire_lock() as lock:
        os.environ["KONOMI_RUN_LOCK_FD"] = str(lock.fileno())
        return run_here(program, directory)


def texts(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(autouse=True)
def quiet_environment():
    """A program called in this process sets variables and signal handlers: put them back."""
    import signal

    before = dict(os.environ)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    os.environ.clear()
    os.environ.update(before)
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> ModelSource:
    """A Llama of some twenty thousand random weights with its own tokenizer and chat template."""
    import torch

    from training.engine import pretrain

    folder = tmp_path_factory.mktemp("tiny")
    documents = [[*user(review), *assistant(formal + casual)] for review, formal, casual in map(chat, range(30))]
    tokenizer = pretrain.make_tokenizer(documents, TINY)
    torch.manual_seed(3)
    pretrain.make_model(tokenizer, TINY).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return ModelSource(base=str(folder))


@pytest.fixture(scope="session")
def sft_adapter(tiny, tmp_path_factory) -> Path:
    """model/ of a short SFT of the tiny model."""
    directory = make_run(tmp_path_factory.mktemp("sft"), training("train_sft", tiny, max_steps=4), sft_rows())
    assert run_here("train_sft", directory) == 0, directory.read_result()
    return directory.model
