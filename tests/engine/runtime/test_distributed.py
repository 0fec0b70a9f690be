"""One run as two processes: the same training as with one process, and no orphaned process."""

import os
import signal
import subprocess
import sys

import psutil
import pytest

from tests.engine.conftest import ROOT, dpo_rows, make_run, run_here, sft_rows, start, training
from tests.engine.trainers.test_training import events, logged, wait_for, weights
from training.contract.config import LoraSettings

pytestmark = pytest.mark.engine

RUN = {"max_steps": 10, "save_steps": 4, "lora": LoraSettings(r=4), "learning_rate": 5e-3}


@pytest.fixture(scope="module")
def alone(tiny, tmp_path_factory):
    directory = make_run(tmp_path_factory.mktemp("alone"), training("train_dpo", tiny, batch_size=8, **RUN), rows())
    assert run_here("train_dpo", directory) == 0, directory.read_result()
    return directory


def rows():
    """Pairs of unequal lengths, so that the processes' shares of a step differ."""
    found = dpo_rows(33)  # the last step of an epoch has one, and one process none
    for number, row in enumerate(found):
        row["chosen"][0]["content"] += " Thank you." * (number % 5)
        row["prompt"][0]["content"] += f" {number}"
    return found


def workers_of(process) -> list[psutil.Process]:
    return [child for child in psutil.Process(process.pid).children(recursive=True) if "RANK" in child.environ()]


def test_two_processes_with_accumulation_train_as_one_does(tiny, alone, tmp_path):
    import torch

    config = training("train_dpo", tiny, batch_size=2, gradient_accumulation=2, processes=2, **RUN)
    directory = make_run(tmp_path, config, rows())
    process = start("train_dpo", directory)
    assert process.wait(300) == 0, directory.log_tail()
    result = directory.read_result()
    assert result["status"] == "succeeded"
    assert result["method"]["packing"] is True
    assert result["reference_cache"]["computed"] == alone.read_result()["reference_cache"]["computed"]
    assert events(directory) == events(alone)
    mine, single = logged(directory), logged(alone)
    assert list(mine) == list(single) == list(range(1, 11))
    for step in mine:
        for name in ("loss", "reward_margin", "grad_norm", "logps_chosen", "token_accuracy", "tokens"):
            assert mine[step][name] == pytest.approx(single[step][name], rel=1e-4, abs=1e-5), (step, name)
    for name, tensor in weights(alone.model).items():
        torch.testing.assert_close(weights(directory.model)[name], tensor, rtol=1e-3, atol=1e-4)


def test_a_killed_process_fails_the_run_with_a_clear_error(tiny, tmp_path):
    config = training("train_dpo", tiny, batch_size=4, processes=2, **{**RUN, "max_steps": 100_000})
    directory = make_run(tmp_path, config, rows())
    process = start("train_dpo", directory)
    wait_for(lambda: logged(directory) or process.poll() is not None)
    second = next(worker for worker in workers_of(process) if worker.environ()["RANK"] == "1")
    second.kill()
    assert process.wait(90) == 1, directory.log_tail()
    assert "One of the processes died" in directory.read_result()["error"]
    assert not directory.is_alive()


def test_ctrl_c_leaves_no_request_to_cancel_behind(tiny, tmp_path):
    """As a terminal sends it: to the engine and to all of its processes at once."""
    config = training("train_sft", tiny, batch_size=4, processes=2, max_steps=100_000, save_steps=100_000)
    directory = make_run(tmp_path, config, sft_rows())
    process = start("train_sft", directory, start_new_session=True)
    wait_for(lambda: logged(directory) or process.poll() is not None)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(90) == 3, directory.log_tail()
    assert directory.read_result()["status"] == "cancelled"
    assert not directory.cancel_requested()


@pytest.mark.parametrize("program", ["train_sft", "train_dpo"])
def test_a_request_left_by_an_earlier_execution_does_not_end_the_next(tiny, tmp_path, program):
    """Such as that of an engine that was killed before it could remove it."""
    config = training(program, tiny, max_steps=2)
    directory = make_run(tmp_path, config, sft_rows() if program == "train_sft" else rows())
    directory.request_cancel()
    assert run_here(program, directory) == 0, directory.read_result()
    assert not directory.cancel_requested()


def test_a_killed_leader_leaves_nobody_behind(tmp_path):
    """What starts processes and what they do first, without a training: the kernel ends them with their leader."""
    module = "from training.engine.runtime import distributed"
    follower = f"import time; {module}; distributed.die_with_parent(); time.sleep(60)"
    leader = (
        f"import subprocess, sys, time; {module};"
        f"subprocess.Popen([sys.executable, '-c', {follower!r}], preexec_fn=distributed.die_with_parent);"
        "print('started', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", leader], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"started\n"
    followers = psutil.Process(process.pid).children()
    assert len(followers) == 1
    process.kill()
    process.wait(10)
    _, left = psutil.wait_procs(followers, timeout=10)
    assert not left


def test_children_react_to_ctrl_c_where_the_engine_was_started_with_it_ignored():
    """As in a shell's background job; the child reports its disposition of SIGINT."""
    child = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler, flush=True)"
    parent = (
        "import subprocess, sys; from training.engine.runtime import distributed;"
        f"subprocess.run([sys.executable, '-c', {child!r}], preexec_fn=distributed.prepare_child, check=True)"
    )
    done = subprocess.run(
        [sys.executable, "-c", parent],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    assert done.stdout == "True\n"
