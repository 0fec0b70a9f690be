"""Configuration and run directory: everything that the site and the engine exchange survives the round trip."""

import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.contract import config as configs
from training.contract.config import (
    TRACKERS,
    Architecture,
    ConfigError,
    EvaluationConfig,
    GenerationConfig,
    LoraSettings,
    ModelSource,
    TrainingConfig,
)
from training.contract.run_directory import AlreadyRunning, RunDirectory

names = st.text(min_size=1, max_size=20)
positive = st.floats(min_value=1e-9, max_value=1e3)
sources = st.builds(ModelSource, base=names, adapters=st.lists(names, max_size=3).map(tuple))
loras = st.none() | st.builds(
    LoraSettings, r=st.integers(1, 64), alpha=st.integers(1, 64), targets=st.lists(names, min_size=1).map(tuple)
)
trainings = st.builds(
    TrainingConfig,
    program=st.sampled_from(["pretrain", "train_sft", "train_dpo"]),
    run_id=names,
    model=sources,
    lora=loras,
    epochs=positive,
    learning_rate=positive,
    beta=positive,
    batch_size=st.integers(1, 64),
    max_seconds=st.floats(0, 1e6),
    architecture=st.builds(Architecture, vocab_size=st.integers(300, 9000)),
    report_to=st.lists(st.sampled_from(TRACKERS), max_size=2, unique=True).map(tuple),
    versions=st.dictionaries(names, names, max_size=3),
)
generations = st.builds(
    GenerationConfig,
    run_id=names,
    model=sources,
    samples=st.integers(1, 9),
    temperature=st.floats(0.1, 3),
    top_p=st.floats(0.1, 1),
)
evaluations = st.builds(
    EvaluationConfig, run_id=names, model=sources, parent=st.none() | sources, reference=st.none() | sources
)


@given(trainings | generations | evaluations)
@settings(max_examples=60, deadline=None)
def test_a_configuration_comes_back_equal(config):
    assert configs.from_json(configs.to_json(config)) == config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ('{"program": "rm"}', "program must be one of"),
        ('{"program": "train_sft", "run_id": "1", "model": {"base": "x"}, "colour": 1}', "unknown field colour"),
        ('{"program": "train_sft", "run_id": "1"}', "model"),
        ('{"program": "train_sft", "run_id": "1", "model": "x"}', "model must be an object"),
        ('{"program": "train_sft", "run_id": "1", "model": {"base": "x"}, "batch_size": 0}', "batch_size"),
    ],
)
def test_a_bad_configuration_names_its_fault(text, message):
    with pytest.raises(ConfigError, match=message):
        configs.from_json(text)


@given(st.lists(st.dictionaries(names, st.integers() | names | st.none(), max_size=4), max_size=6), st.integers(0, 40))
@settings(max_examples=40, deadline=None)
def test_metrics_are_read_in_whole_lines(tmp_path_factory, rows, cut):
    directory = RunDirectory(tmp_path_factory.mktemp("run"))
    for row in rows:
        directory.append_metric(**row)
    assert directory.read_metrics()[0] == rows
    if rows:
        content = directory.metrics_path.read_bytes()
        directory.metrics_path.write_bytes(content[: max(0, len(content) - cut)])
        some, offset = directory.read_metrics()
        assert some == rows[: len(some)]
        directory.metrics_path.write_bytes(content)
        assert some + directory.read_metrics(offset)[0] == rows


def test_a_run_is_alive_exactly_while_its_process_lives(tmp_path):
    directory = RunDirectory(tmp_path)
    assert not directory.is_alive()
    code = (
        "import sys; from pathlib import Path; from training.contract.run_directory import RunDirectory\n"
        f"with RunDirectory(Path({str(tmp_path)!r})).engine_lock(): print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout.readline().strip() == b"held"
    assert directory.is_alive()
    with pytest.raises(AlreadyRunning):
        directory.acquire_lock()
    holder.kill()
    holder.wait()
    holder.stdin.close()
    holder.stdout.close()
    assert not directory.is_alive()


def test_the_newest_whole_checkpoint_counts(tmp_path):
    directory = RunDirectory(tmp_path)
    assert directory.last_checkpoint() is None
    for name, whole in (
        ("checkpoint-9", True),
        ("checkpoint-10", True),
        ("checkpoint-11", False),
        ("checkpoint-x", True),
    ):
        (tmp_path / name).mkdir()
        if whole:
            (tmp_path / name / "trainer_state.json").write_text("{}")
    assert directory.last_checkpoint().name == "checkpoint-10"


def test_importing_the_contract_does_not_import_torch():
    code = "import sys, training.contract.config, training.contract.run_directory; print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


def test_a_program_refuses_a_directory_that_is_in_use_and_leaves_its_result_alone(tmp_path):
    from tests.engine.conftest import start, training

    directory = RunDirectory(tmp_path)
    directory.create(training("train_sft", ModelSource(base="nowhere")))
    directory.write_result(status="succeeded")
    with directory.acquire_lock():
        assert start("train_sft", directory).wait(60) == 1
    assert "in use by a running engine" in directory.log_tail()
    assert directory.read_result() == {"status": "succeeded"}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{", "not JSON"),
        (json.dumps({"program": "train_dpo", "run_id": "1", "model": {"base": "x"}}), "run.json is for train_dpo"),
        (json.dumps({"program": "generate", "run_id": "1", "model": {"base": "x"}, "samples": 0}), "samples"),
    ],
)
def test_a_program_reports_what_is_wrong_with_its_configuration(tmp_path, config, message):
    from tests.engine.conftest import run_here

    directory = RunDirectory(tmp_path)
    directory.config_path.write_text(config)
    assert run_here("train_sft", directory) == 1
    assert message in directory.read_result()["error"]
