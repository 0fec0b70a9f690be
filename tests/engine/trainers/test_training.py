"""SFT and DPO as the site runs them: cancel, kill, resume, lineage."""

import json
import os
import shutil
import signal
import threading
import time

import pytest

from tests.engine.conftest import dpo_rows, make_run, run_here, sft_rows, start, training
from training.contract.config import LoraSettings, ModelSource
from training.contract.run_directory import RunDirectory

pytestmark = pytest.mark.engine

LN_2 = 0.6931471805599453


def weights(folder):
    from safetensors.torch import load_file

    found = {}
    for file in sorted(folder.glob("*.safetensors")):
        found.update(load_file(file))
    return found


def equal(one, other):
    import torch

    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def logged(directory: RunDirectory) -> dict[int, dict]:
    return {line["step"]: line for line in directory.read_metrics()[0] if "loss" in line}


def events(directory: RunDirectory) -> list[str]:
    return [line["event"] for line in directory.read_metrics()[0] if "event" in line]


def wait_for(condition, seconds=300):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.005)


def test_sft_leaves_an_adapter_with_its_lineage_and_reports_its_metrics(tiny, tmp_path):
    directory = make_run(tmp_path, training("train_sft", tiny, epochs=2, max_steps=6), sft_rows())
    process = start("train_sft", directory)
    assert process.wait(300) == 0, directory.log_tail()
    result = directory.read_result()
    assert result["status"] == "succeeded"
    assert result["error"] == ""
    assert result["rows"]["used"] == 30
    assert result["tokens"] > 0
    assert result["wall_s"] > 0
    assert result["peak_memory_mb"] > 100
    assert result["versions"]["trl"]
    assert result["metrics"]["loss"] < result["metrics"]["first_loss"]
    lines = logged(directory)
    assert list(lines) == [1, 2, 3, 4, 5, 6]
    expected = {"step", "total_steps", "epoch", "loss", "learning_rate", "tokens", "tokens_per_s", "time_left_s"}
    assert expected | {"grad_norm", "at"} <= set(lines[1])
    assert "reward_margin" not in lines[1]
    assert lines[6]["total_steps"] == 6
    assert events(directory) == ["preflight", "started", "saved", "saved"]
    assert {file.name for file in directory.model.iterdir()} >= {
        "adapter_model.safetensors",
        "adapter_config.json",
        "lineage.json",
        "README.md",
        "tokenizer.json",
    }
    assert not list(directory.model.glob("*.bin"))
    assert "succeeded" in directory.log_tail(2)
    from training.engine.models.loading import chain_of

    assert chain_of(directory.model) == ModelSource(base=tiny.base, adapters=(str(directory.model),))


def test_dpo_on_top_of_sft_starts_at_ln_2_and_its_chain_loads_as_it_was_trained(tiny, sft_adapter, tmp_path):
    import torch
    from peft import PeftModel

    from training.engine.models import loading

    chain = ModelSource(base=tiny.base, adapters=(str(sft_adapter),))
    directory = make_run(tmp_path, training("train_dpo", chain, max_steps=8, save_steps=100), dpo_rows())
    assert run_here("train_dpo", directory) == 0, directory.read_result()
    lines = logged(directory)
    assert lines[1]["loss"] == pytest.approx(LN_2, abs=1e-6)
    assert lines[1]["reward_margin"] == pytest.approx(0, abs=1e-5)
    assert lines[8]["reward_accuracy"] == 1.0
    assert lines[8]["loss"] < 0.6
    assert {"logps_chosen", "logps_rejected"} <= set(lines[1])

    assert json.loads((directory.model / "lineage.json").read_text())["adapters"] == ["t"]  # the run's name
    merged = loading.load_model(loading.chain_of(directory.model))
    live = loading.load_model(chain)
    base_logits = live(torch.arange(20)[None]).logits
    live = PeftModel.from_pretrained(live, directory.model).eval()
    logits = live(torch.arange(20)[None]).logits
    torch.testing.assert_close(merged(torch.arange(20)[None]).logits, logits, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(base_logits, logits, atol=1e-3)


def test_full_fine_tuning_starts_at_ln_2_too_and_leaves_a_base_of_its_own(tiny, sft_adapter, tmp_path):
    from training.engine.models import loading

    chain = ModelSource(base=tiny.base, adapters=(str(sft_adapter),))
    config = training("train_dpo", chain, max_steps=3, lora=None, learning_rate=1e-3)
    directory = make_run(tmp_path, config, dpo_rows())
    assert run_here("train_dpo", directory) == 0, directory.read_result()
    assert logged(directory)[1]["loss"] == pytest.approx(LN_2, abs=1e-6)
    assert logged(directory)[3]["loss"] < 0.69
    assert (directory.model / "model.safetensors").exists()
    assert loading.chain_of(directory.model) == ModelSource(base=str(directory.model))
    loading.load_model(loading.chain_of(directory.model))


def test_losses_can_be_combined_with_weights(tiny, tmp_path):
    config = training("train_dpo", tiny, max_steps=1, losses=("sigmoid", "sft"), loss_weights=(1.0, 0.5))
    directory = make_run(tmp_path, config, dpo_rows(8))
    assert run_here("train_dpo", directory) == 0, directory.read_result()
    line = logged(directory)[1]
    assert line["loss"] > LN_2 + 1  # half the negative log-likelihood of an untrained model on top


@pytest.fixture(scope="module")
def killed(tiny, tmp_path_factory):
    """A DPO run killed with SIGKILL after its second checkpoint, and the same run left alone."""
    config = training("train_dpo", tiny, max_steps=24, save_steps=4, lora=LoraSettings(r=4, dropout=0.1))
    alone = make_run(tmp_path_factory.mktemp("alone"), config, dpo_rows(30))
    directory = make_run(tmp_path_factory.mktemp("killed"), config, dpo_rows(30))
    process = start("train_dpo", directory)
    wait_for(lambda: events(directory).count("saved") >= 2 or process.poll() is not None)
    process.kill()
    assert process.wait(10) == -signal.SIGKILL, directory.log_tail()
    assert not directory.is_alive()
    assert directory.read_result() is None
    assert directory.last_checkpoint() is not None
    assert run_here("train_dpo", alone) == 0
    return directory, alone


def copy_of(directory: RunDirectory, path) -> RunDirectory:
    shutil.copytree(directory.path, path)
    return RunDirectory(path)


def test_a_killed_run_resumes_to_the_same_weights(killed, tmp_path):
    directory, alone = killed
    resumed = copy_of(directory, tmp_path / "resumed")
    from_step = int(resumed.last_checkpoint().name.removeprefix("checkpoint-"))
    assert run_here("train_dpo", resumed) == 0, resumed.read_result()
    assert resumed.read_result()["resumed_from"] == f"checkpoint-{from_step}"
    assert "resumed" in events(resumed)
    assert equal(weights(resumed.model), weights(alone.model))
    mine, theirs = logged(resumed), logged(alone)
    assert set(mine) == set(range(1, 25))
    for step in mine:
        assert mine[step]["loss"] == theirs[step]["loss"]
        assert mine[step]["tokens"] == theirs[step]["tokens"]
    assert len(list(resumed.path.glob("checkpoint-*"))) == 2


def test_a_broken_checkpoint_is_passed_over_for_the_one_before(killed, tmp_path):
    directory, alone = killed
    resumed = copy_of(directory, tmp_path / "resumed")
    newest = resumed.last_checkpoint()
    state = newest / "optimizer.pt"
    state.write_bytes(state.read_bytes()[:-50])
    assert run_here("train_dpo", resumed) == 0
    assert "checkpoint_skipped" in events(resumed)
    assert resumed.read_result()["resumed_from"] != newest.name
    assert equal(weights(resumed.model), weights(alone.model))


def test_a_run_with_broken_checkpoints_only_says_so(killed, tmp_path):
    resumed = copy_of(killed[0], tmp_path / "resumed")
    for folder in resumed.path.glob("checkpoint-*"):
        (folder / "adapter_model.safetensors").write_bytes(b"")
    assert run_here("train_dpo", resumed) == 1
    error = resumed.read_result()["error"]
    assert "None of the checkpoints can be resumed from" in error
    assert "adapter_model.safetensors changed" in error


def test_a_finished_run_that_is_resumed_comes_to_the_same_end(killed, tmp_path):
    _, alone = killed
    again = copy_of(alone, tmp_path / "again")
    shutil.rmtree(again.model)
    again.clear_for_resume()
    assert run_here("train_dpo", again) == 0, again.read_result()
    assert equal(weights(again.model), weights(alone.model))
    assert again.read_result()["metrics"]["loss"] == alone.read_result()["metrics"]["loss"]


@pytest.mark.parametrize("way", ["the site's file", "SIGTERM"])
def test_a_cancelled_run_saves_and_can_go_on(tiny, tmp_path, way):
    config = training("train_sft", tiny, max_steps=40, save_steps=1000, learning_rate=1e-3)
    directory = make_run(tmp_path, config, sft_rows())

    def interrupt():
        wait_for(lambda: len(logged(directory)) >= 3)
        if way == "SIGTERM":
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            directory.request_cancel()

    threading.Thread(target=interrupt, daemon=True).start()
    assert run_here("train_sft", directory) == 3
    assert directory.read_result()["status"] == "cancelled"
    assert events(directory)[-2:] == ["saved", "cancelled"]
    assert not directory.model.exists()
    stopped = directory.last_checkpoint()
    assert 3 <= int(stopped.name.removeprefix("checkpoint-")) < 40
    directory.clear_for_resume()
    assert run_here("train_sft", directory) == 0
    assert directory.read_result()["resumed_from"] == stopped.name
    assert directory.model.exists()


def test_a_time_limit_ends_a_training_with_its_model(tiny, tmp_path):
    config = training("train_sft", tiny, max_steps=100_000, max_seconds=0.5, save_steps=100_000)
    directory = make_run(tmp_path, config, sft_rows())
    assert run_here("train_sft", directory) == 0
    assert "time_limit" in events(directory)
    assert directory.model.exists()


def test_a_loss_that_is_not_a_number_fails_with_advice_and_is_never_saved(tiny, tmp_path):
    config = training("train_sft", tiny, max_steps=30, lora=None, learning_rate=1e30, max_grad_norm=1e30, save_steps=1)
    directory = make_run(tmp_path, config, sft_rows())
    assert run_here("train_sft", directory) == 1
    assert "Lower learning_rate" in directory.read_result()["error"]
    import torch

    for folder in directory.path.glob("checkpoint-*"):
        assert all(torch.isfinite(tensor).all() for tensor in weights(folder).values())


def test_out_of_memory_and_a_full_disk_are_explained(tmp_path):
    import torch

    from training.engine.runtime.failures import explain

    assert "Lower batch_size" in explain(torch.OutOfMemoryError("CUDA out of memory. Tried"), tmp_path)
    assert "Lower batch_size" in explain(
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), tmp_path
    )
    assert "disk is full" in explain(OSError(28, "No space left on device"), tmp_path)
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 50)
    assert "Lower batch_size" in explain(caught.value, tmp_path)
