"""Preflight: what is checked and reported before the first step, by the engine program on a run directory."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest

from tests.engine.conftest import assistant, chat, dpo_rows, make_run, run_here, sft_rows, training, user, write_rows
from training.contract.config import LoraSettings, ModelSource
from training.contract.run_directory import RunDirectory

pytestmark = pytest.mark.engine


def held_out_rows(purpose: str = "sft") -> list[dict]:
    rows = sft_rows(2) if purpose == "sft" else dpo_rows(2)
    for number, row in enumerate(rows):
        row |= {"prompt": user(f"Is the library open? {number}"), "prompt_id": 900 + number}
    return rows


def preflight_of(directory: RunDirectory) -> dict:
    return json.loads((directory.path / "preflight.json").read_text(encoding="utf-8"))


def warnings_of(found: dict) -> dict[str, str]:
    return {check["name"]: check["words"] for check in found["checks"] if check["status"] == "warning"}


def long_pairs() -> list[dict]:
    """A prompt without room for an answer (row 1), an answer that is cut (2), sides that differ too late (3)."""
    rows = dpo_rows(3)
    rows[0]["prompt"] = user("pool " * 200)
    rows[1]["chosen"] = assistant("garden " * 200)
    rows[2] |= {"chosen": assistant("lift " * 200 + "a"), "rejected": assistant("lift " * 200 + "b")}
    return rows


@pytest.fixture(scope="module")
def pairs(tiny, tmp_path_factory):
    """A DPO run on good and on bad rows, with held-out ones, and what its preflight found."""
    folder = tmp_path_factory.mktemp("preflight")
    equal = {**dpo_rows(1)[0], "rejected": assistant(chat(0)[1])}
    rows = [*long_pairs(), *dpo_rows(12), equal]
    directory = make_run(folder, training("train_dpo", tiny, max_steps=2, seed=5), rows)
    write_rows(directory, held_out_rows("dpo"), "held_out")
    assert run_here("train_dpo", directory) == 0, directory.read_result()
    return directory


def test_each_row_that_is_cut_or_left_out_is_counted_and_named(pairs):
    found = preflight_of(pairs)
    assert found["dropped"] == {
        "too_long": {"count": 1, "rows": [1]},
        "equal": {"count": 1, "rows": [16]},
        "equal_when_cut": {"count": 1, "rows": [3]},
    }
    assert found["truncated"] == {"count": 2, "rows": [2, 3]}
    warnings = warnings_of(found)
    assert set(warnings) == {"dropped_too_long", "dropped_equal", "dropped_equal_when_cut", "stop_token"}
    assert warnings["dropped_too_long"] == "1 row left out whose prompt alone reaches max_length (row 1)."
    assert warnings["stop_token"].startswith("1 of 13 rows is cut to max_length=128 and loses its stop token")
    assert "None of the 2 held-out rows occurs among the training rows" in str(found["checks"])


def test_lengths_memory_and_time_are_reported(pairs):
    found = preflight_of(pairs)
    lengths = found["lengths"]
    assert sum(lengths["counts"]) == 13
    assert len(lengths["bins"]) == len(lengths["counts"]) + 1
    assert lengths["bins"][-1] >= lengths["longest"] == 128
    assert lengths["median"] <= lengths["p95"] <= lengths["longest"]
    parts = found["memory"]["estimate_bytes"]
    assert sum(parts.values()) == 2 * parts["total"]
    assert min(parts.values()) > 0
    assert found["memory"]["available_bytes"] > found["memory"]["measured_peak_bytes"] > 50_000_000
    time = found["time"]
    assert time["steps"] == 2
    assert time["estimate_s"] == pytest.approx(2 * time["seconds_per_step"], abs=0.1)
    assert time["seconds_per_step"] > 0
    events = [line for line in pairs.read_metrics()[0] if line.get("event") in ("preflight", "started")]
    assert [line["event"] for line in events] == ["preflight", "started"]
    assert events[0]["warnings"] == 4


def test_the_dry_run_changes_nothing(pairs, tiny, tmp_path, monkeypatch):
    """`pairs` are too short a training for one."""
    from training.engine.trainers import resources

    monkeypatch.setattr(resources, "STEPS_WORTH_A_TRIAL", 0)
    directory = make_run(tmp_path, pairs.read_config())
    shutil.copytree(pairs.dataset, directory.dataset)
    assert run_here("train_dpo", directory) == 0, directory.read_result()
    name = "adapter_model.safetensors"
    assert (directory.model / name).read_bytes() == (pairs.model / name).read_bytes()


def test_the_dry_run_checkpoints_activations_where_the_training_will(tiny, tmp_path, monkeypatch):
    from training.engine.trainers import resources
    from training.engine.trainers.packed_trainer import PackedTrainer

    monkeypatch.setattr(resources, "STEPS_WORTH_A_TRIAL", 0)
    seen = []
    real = PackedTrainer.training_step

    def step(self, model, *args, **kwargs):
        seen.append(any(getattr(module, "gradient_checkpointing", False) for module in model.modules()))
        return real(self, model, *args, **kwargs)

    monkeypatch.setattr(PackedTrainer, "training_step", step)
    config = training("train_sft", tiny, max_steps=1, gradient_checkpointing=True)
    directory = make_run(tmp_path, config, sft_rows(4))
    assert run_here("train_sft", directory) == 0, directory.read_result()
    assert seen == [True, True]


@pytest.mark.parametrize(
    ("shared", "message"),
    [
        ({"prompt": user(" The   pool was fine. Anna\n"), "prompt_id": 901}, r"1 row .* shares the prompt .*\(row 1\)"),
        ({"prompt": user("something else"), "prompt_id": 3}, r"shares the prompt_id .*\(row 4\)"),
        ({"source_document": "guide.pdf"}, r"shares the source document .*\(row 3\)"),
    ],
)
def test_held_out_prompts_among_the_training_rows_are_refused(tiny, tmp_path, shared, message):
    rows = [{**row, "source_document": ""} for row in sft_rows(6)]
    rows[2]["source_document"] = "guide.pdf"
    held_out = [{"source_document": "", **row} for row in held_out_rows()]
    held_out[1] |= shared
    directory = make_run(tmp_path, training("train_sft", tiny), rows)
    write_rows(directory, held_out, "held_out")
    assert run_here("train_sft", directory) == 1
    assert re.search(message, directory.read_result()["error"]), directory.read_result()["error"]
    assert not (directory.path / "preflight.json").exists()
    assert not directory.model.exists()


@pytest.fixture
def bare(tiny, tmp_path) -> ModelSource:
    """The tiny model without a chat template, with the end of text for padding and no other token to take."""
    folder = tmp_path / "bare"
    shutil.copytree(tiny.base, folder)
    (folder / "chat_template.jinja").unlink()
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text())
    path.write_text(json.dumps({**settings, "pad_token": settings["eos_token"], "unk_token": None}))
    path = folder / "tokenizer.json"
    path.write_text(path.read_text().replace("<pad>", "<nothing>").replace("<|pad|>", "<nothing>"))
    return ModelSource(base=str(folder))


def test_a_missing_chat_template_shared_padding_and_few_rows_are_warned_of(bare, tmp_path):
    directory = make_run(tmp_path / "run", training("train_sft", bare, max_steps=1, batch_size=8), sft_rows(3))
    assert run_here("train_sft", directory) == 0, directory.read_result()
    warnings = warnings_of(preflight_of(directory))
    assert set(warnings) == {"chat_template", "padding", "rows", "held_out"}
    assert "no chat template" in warnings["chat_template"]
    assert "masks are made from lengths" in warnings["padding"]
    assert warnings["rows"].startswith("3 rows do not fill one step of 8")


def test_a_longest_batch_that_does_not_fit_ends_the_run_before_its_first_step(tiny, tmp_path, monkeypatch):
    from training.engine.trainers.packed_trainer import PackedTrainer

    def no_room(self, positions):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:98] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(PackedTrainer, "dry_run", no_room)
    directory = make_run(tmp_path, training("train_sft", tiny, epochs=30), sft_rows(6))
    assert run_here("train_sft", directory) == 1
    error = directory.read_result()["error"]
    assert error.startswith("The longest batch (4 rows, ")
    assert "nothing was trained yet. Lower micro_batch_tokens" in error
    assert not any("step" in line and "loss" in line for line in directory.read_metrics()[0])


def test_too_little_memory_is_warned_of_and_weights_that_cannot_fit_are_refused(tiny, tmp_path, monkeypatch):
    from training.contract import hardware
    from training.engine.trainers import resources

    monkeypatch.setattr(resources, "available_bytes", lambda model: 1 << 20)
    directory = make_run(tmp_path / "a", training("train_sft", tiny, max_steps=1), sft_rows(6))
    assert run_here("train_sft", directory) == 0, directory.read_result()
    message = warnings_of(preflight_of(directory))["memory"]
    assert "GiB of RAM are needed, 1.0 MiB are available. Lower micro_batch_tokens" in message

    monkeypatch.setattr(hardware, "available_ram", lambda: 10_000)
    directory = make_run(tmp_path / "b", training("train_sft", tiny), sft_rows(6))
    assert run_here("train_sft", directory) == 1
    assert re.search(r"has [\d,]+ parameters, .* in float32.* of RAM are free", directory.read_result()["error"])


def test_lora_targets_that_the_model_does_not_have_are_named(tiny, tmp_path):
    config = training("train_sft", tiny, lora=LoraSettings(targets=("q_proj", "query_key_value")))
    directory = make_run(tmp_path, config, sft_rows(4))
    assert run_here("train_sft", directory) == 1
    error = directory.read_result()["error"]
    assert "no module named query_key_value. It has q_proj, k_proj" in error


def test_plain_trl_has_its_preflight_too(tiny, tmp_path):
    directory = make_run(tmp_path, training("train_sft", tiny, max_steps=1, packing=False), sft_rows(6))
    assert run_here("train_sft", directory) == 0, directory.read_result()
    found = preflight_of(directory)
    assert found["time"] == {"seconds_per_step": None, "steps": 1, "estimate_s": None}
    assert found["memory"]["measured_peak_bytes"] is None
    umask = os.umask(0o077)
    os.umask(umask)
    assert Path(directory.path / "preflight.json").stat().st_mode & 0o777 == 0o666 & ~umask
