"""Trackers: they receive the lines of metrics.jsonl, and their failures are reported early or do no harm."""

import json
import os
from pathlib import Path

import pytest

from tests.engine.conftest import dpo_rows, make_run, run_here, sft_rows, training
from training.engine.runtime import tracking

pytestmark = pytest.mark.engine


def metrics(directory):
    return {line["step"]: line for line in directory.read_metrics()[0] if "loss" in line}


def events(directory):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(directory.path / "tensorboard"))
    read.Reload()
    return read


def followed(read, name):
    return {event.step: event.value for event in read.Scalars(name)}


@pytest.fixture
def no_operator_settings(monkeypatch):
    for name in list(os.environ):
        if name.startswith(("MLFLOW_", "WANDB_")):
            monkeypatch.delenv(name)


def test_tensorboard_shows_what_the_run_page_shows(tiny, tmp_path):
    config = training(
        "train_sft",
        tiny,
        max_steps=3,
        save_steps=2,
        report_to=("tensorboard",),
        dataset_sha256="ab" * 32,
        run_id="run 7",
        token_cache=str(tmp_path / "tokens"),
    )
    directory = make_run(tmp_path / "7", config, sft_rows(12))
    (directory.dataset / "manifest.json").write_text(json.dumps({"sha256": "ab" * 32}))
    assert run_here("train_sft", directory) == 0, directory.read_result()
    read, logged = events(directory), metrics(directory)
    assert list(logged) == [1, 2, 3]
    for name in ("loss", "learning_rate", "grad_norm", "tokens"):
        expected = {step: pytest.approx(line[name], rel=1e-6) for step, line in logged.items()}
        assert followed(read, name) == expected
    assert "at" not in read.Tags()["scalars"]
    texts = {tag: read.Tensors(tag)[0].tensor_proto.string_val[0].decode() for tag in read.Tags()["tensors"]}
    assert texts["run_id/text_summary"] == "run 7"
    assert texts["lineage/text_summary"] == Path(tiny.base).name
    assert texts["dataset_sha256/text_summary"] == "ab" * 32
    assert '"learning_rate": 0.01' in texts["configuration/text_summary"]
    assert texts["status/text_summary"] == "succeeded"
    files = b"".join(file.read_bytes() for file in (directory.path / "tensorboard").iterdir())
    assert tiny.base.encode() not in files
    assert str(directory.path).encode() not in files


def test_a_run_that_is_resumed_is_followed_once(tiny, tmp_path):
    directory = make_run(
        tmp_path / "8", training("train_dpo", tiny, max_steps=2, save_steps=2, report_to=("tensorboard",)), dpo_rows(8)
    )
    assert run_here("train_dpo", directory) == 0, directory.read_result()
    directory.create(training("train_dpo", tiny, max_steps=4, save_steps=2, report_to=("tensorboard",)))
    directory.clear_for_resume()
    assert run_here("train_dpo", directory) == 0, directory.read_result()
    margins = followed(events(directory), "reward_margin")
    assert margins == {
        step: pytest.approx(line["reward_margin"], abs=1e-6) for step, line in metrics(directory).items()
    }
    assert list(margins) == [1, 2, 3, 4]


def test_a_tracker_that_is_not_installed_ends_the_run_before_it_begins(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(tracking, "find_spec", lambda name: None if name == "wandb" else object())
    config = training("train_sft", tiny, max_steps=1, report_to=("tensorboard", "wandb"))
    directory = make_run(tmp_path / "9", config, sft_rows(4))
    assert run_here("train_sft", directory) == 1
    assert directory.read_result()["error"].startswith("wandb is not installed: pip install 'konomi[tracking]'")
    assert not directory.metrics_path.exists()


def test_a_tracker_that_fails_on_the_way_does_no_harm(tiny, tmp_path, monkeypatch, caplog):
    closed = []

    class Broken:
        def __init__(self, run):
            pass

        def log(self, step, figures):
            raise ConnectionError("the network is down")

        def close(self, status):
            closed.append(status)

    monkeypatch.setitem(tracking.TRACKERS, "tensorboard", Broken)
    directory = make_run(
        tmp_path / "10", training("train_sft", tiny, max_steps=2, report_to=("tensorboard",)), sft_rows(8)
    )
    assert run_here("train_sft", directory) == 0
    assert list(metrics(directory)) == [1, 2]
    assert caplog.text.count("tensorboard failed and is dropped from step 1 on") == 1
    assert closed == []  # left out is left alone


def test_mlflow_keeps_its_files_in_the_run_directory(tiny, tmp_path, no_operator_settings):
    mlflow = pytest.importorskip("mlflow", reason="pip install 'konomi[tracking]' to test MLflow")
    config = training("train_sft", tiny, max_steps=2, report_to=("mlflow",), dataset_sha256="cd" * 32)
    directory = make_run(tmp_path / "11", config, sft_rows(8))
    (directory.dataset / "manifest.json").write_text(json.dumps({"sha256": "cd" * 32}))
    assert run_here("train_sft", directory) == 0, directory.read_result()
    client = mlflow.MlflowClient(tracking_uri=(directory.path / "mlruns").as_uri())
    run = client.get_run((directory.path / tracking.MLFLOW_RUN).read_text().strip())
    assert (run.info.status, run.info.run_name) == ("FINISHED", "t")
    assert run.data.params["dataset_sha256"] == "cd" * 32
    assert run.data.params["lora.r"] == "16"
    assert run.data.params["lineage"] == run.data.params["model.base"] == Path(tiny.base).name
    assert str(tmp_path) not in str({**run.data.params, **run.data.tags, "name": run.info.run_name})
    losses = {item.step: item.value for item in client.get_metric_history(run.info.run_id, "loss")}
    assert losses == {step: pytest.approx(line["loss"]) for step, line in metrics(directory).items()}


def test_wandb_stays_offline_unless_configured_otherwise(tiny, tmp_path, no_operator_settings):
    pytest.importorskip("wandb", reason="pip install 'konomi[tracking]' to test Weights & Biases")
    directory = make_run(tmp_path / "12", training("train_sft", tiny, max_steps=2, report_to=("wandb",)), sft_rows(8))
    assert run_here("train_sft", directory) == 0, directory.read_result()
    (folder,) = (directory.path / "wandb").glob("offline-run-*")
    (file,) = folder.glob("*.wandb")
    content = file.read_bytes()
    assert b"dataset_sha256" in content
    assert b"token_accuracy" in content or b"grad_norm" in content
    assert json.dumps(Path(tiny.base).name).encode() in content
    sent = [content, *(file.read_bytes() for file in (folder / "files").rglob("*") if file.is_file())]
    assert not [part for part in sent if str(tmp_path).encode() in part or tiny.base.encode() in part]
