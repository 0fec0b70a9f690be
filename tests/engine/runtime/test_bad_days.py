"""Failures of the machine during a training: each ends with a clear status and a remedy."""

import os
import subprocess
import sys
import time

import psutil
import pytest

from tests.engine.conftest import ROOT, dpo_rows, make_run, run_here, sft_rows, training, user
from tests.engine.trainers.test_training import logged, wait_for
from training.contract.config import ModelSource
from training.contract.run_directory import RunDirectory

pytestmark = pytest.mark.engine


def _held(process: psutil.Process) -> int:
    """The process's address space in bytes, a moment from now."""
    time.sleep(0.01)
    return process.memory_info().vms


@pytest.mark.skipif(sys.platform != "linux", reason="needs prlimit")
def test_memory_that_runs_out_in_the_middle_fails_with_advice(tiny, tmp_path):
    config = training("train_dpo", tiny, max_steps=100_000, batch_size=30, save_steps=1_000_000)
    # Rows that differ: those that share their texts are computed once, and so little fits into the holes of the heap.
    rows = [row | {"prompt": user(" ".join(str(n * k) for k in range(20)))} for n, row in enumerate(dpo_rows(30))]
    directory = make_run(tmp_path, config, rows)
    with directory.log_path.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "training.engine.train_dpo", str(directory.path)],
            cwd=ROOT,
            stdout=output,
            stderr=output,
            # All but small blocks come from the system each time, so that a limit is felt at once.
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "MALLOC_MMAP_THRESHOLD_": "4096"},
        )
    wait_for(lambda: len(logged(directory)) >= 3 or process.poll() is not None)
    engine = psutil.Process(process.pid)
    # A little below the least that it holds: a step gives back what it took, and the report needs what is set aside.
    limit = min(_held(engine) for _ in range(100)) - (4 << 20)
    engine.rlimit(psutil.RLIMIT_AS, (limit, limit))
    try:
        assert process.wait(120) == 1, directory.log_tail()
    finally:
        process.kill()
    result = directory.read_result()
    assert result["status"] == "failed"
    assert "Out of memory" in result["error"]
    assert "batch_size" in result["error"]
    assert not directory.model.exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_fails_with_advice(tiny, tmp_path):
    directory = make_run(tmp_path, training("train_sft", tiny, max_steps=3), sft_rows(8))
    directory.metrics_path.symlink_to("/dev/full")  # every write to it finds no space left
    assert run_here("train_sft", directory) == 1
    result = directory.read_result()
    assert result["status"] == "failed"
    assert "The disk is full" in result["error"]
    assert not directory.model.exists()


def failing_with(error):
    def work(run):
        raise error

    return work


def test_a_report_that_needs_more_memory_than_there_is_still_leaves_a_result(tmp_path, monkeypatch):
    from training.engine.runtime import program

    def no_memory(*args, **kwargs):
        raise MemoryError

    for number, (place, name) in enumerate(
        [(program, "explain"), (program.log, "exception"), (program, "peak_memory"), (RunDirectory, "write_result")]
    ):
        directory = make_run(tmp_path / str(number), training("train_sft", ModelSource(base="nowhere")))
        with monkeypatch.context() as patch:
            patch.setattr(place, name, no_memory)
            assert program.main("train_sft", failing_with(MemoryError()), [str(directory.path)]) == 1
        result = directory.read_result()
        assert result["status"] == "failed", name
        assert result["error"].startswith("Out of memory. Lower batch_size"), name
        assert result["versions"]["python"], name
        assert {file.name for file in directory.path.iterdir()} <= {"run.json", "lock", "result.json"}, name


EXHAUST = """
import resource, sys
from training.engine.runtime.program import main

kept = []

def work(run):
    size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + (32 << 20), size + (32 << 20)))
    block = 1 << 20
    while True:
        try:
            kept.append(bytearray(block))
        except MemoryError:
            if block < 512:
                raise
            block //= 2

raise SystemExit(main("train_sft", work, [sys.argv[1]]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc and needs RLIMIT_AS")
def test_a_process_that_has_used_up_its_address_space_leaves_a_result(tmp_path):
    """Down to blocks of half a kilobyte: nothing but the reserve is left to report the failure with."""
    directory = make_run(tmp_path, training("train_sft", ModelSource(base="nowhere")))
    done = subprocess.run(
        [sys.executable, "-c", EXHAUST, str(directory.path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr[-3000:]
    result = directory.read_result()
    assert result["status"] == "failed"
    assert result["error"].startswith("Out of memory. Lower batch_size")


def test_the_last_steps_get_the_memory_that_is_kept_for_them(tmp_path):
    """It is there while the training goes on, and free before the model is written."""
    from training.engine.runtime import last_resort, program
    from training.engine.runtime.run import Outcome

    kept, freed = [], []

    def mapped():
        return int(open("/proc/self/statm").read().split()[0]) * os.sysconf("SC_PAGE_SIZE")

    def work(run):
        kept.append(mapped())
        run.before_the_end()
        freed.append(mapped())
        run.before_the_end()  # again is nothing
        return Outcome(metrics={})

    directory = make_run(tmp_path, training("train_sft", ModelSource(base="nowhere")))
    assert program.main("train_sft", work, [str(directory.path)]) == 0
    assert kept[0] - freed[0] == last_resort.END_BYTES


AT_THE_END = """
import resource, sys
from training.engine.runtime import program
from training.engine.runtime.run import Outcome

kept = []

def exhaust():
    size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + (4 << 20), size + (4 << 20)))
    block = 1 << 20
    while True:
        try:
            kept.append(bytearray(block))
        except MemoryError:
            if block < 512:
                raise
            block //= 2

def work(run):
    if sys.argv[2] == "report":
        program.peak_memory = exhaust
        return Outcome(metrics={})
    run.before_the_end()
    try:
        exhaust()
    except MemoryError:
        if sys.argv[2] == "raised":
            raise
        if sys.argv[2] == "library":
            raise RuntimeError("unable to mmap 64 bytes: Cannot allocate memory (12)") from None
        raise ValueError("something else, for lack of memory") from None

raise SystemExit(program.main("train_sft", work, [sys.argv[1]]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc and needs RLIMIT_AS")
@pytest.mark.parametrize("how", ["raised", "library", "other", "report"])
def test_memory_that_runs_out_while_the_end_is_written_leaves_a_result(tmp_path, how):
    directory = make_run(tmp_path, training("train_sft", ModelSource(base="nowhere")))
    done = subprocess.run(
        [sys.executable, "-c", AT_THE_END, str(directory.path), how],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr[-3000:]
    result = directory.read_result()
    assert result["status"] == "failed"
    expected = (
        "Out of memory. Lower batch_size" if how != "other" else "something else|The engine failed, and reporting"
    )
    import re

    assert re.search(expected, result["error"]), result
