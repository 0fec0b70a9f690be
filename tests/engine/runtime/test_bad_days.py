"""What a machine does to a training on its bad days: each ends in a clear status that says what to do."""

import os
import subprocess
import sys

import psutil
import pytest

from tests.engine.conftest import ROOT, dpo_rows, make_run, run_here, sft_rows, training
from tests.engine.trainers.test_training import logged, wait_for

pytestmark = pytest.mark.engine


@pytest.mark.skipif(sys.platform != "linux", reason="needs prlimit")
def test_memory_that_runs_out_in_the_middle_fails_with_advice(tiny, tmp_path):
    config = training("train_dpo", tiny, max_steps=100_000, batch_size=30, save_steps=1_000_000)
    directory = make_run(tmp_path, config, dpo_rows(30))
    with directory.log_path.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "training.engine.train_dpo", str(directory.path)],
            cwd=ROOT,
            stdout=output,
            stderr=output,
            # Large blocks come from the system each time, so that a limit is felt at once.
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "MALLOC_MMAP_THRESHOLD_": "65536"},
        )
    wait_for(lambda: len(logged(directory)) >= 3 or process.poll() is not None)
    engine = psutil.Process(process.pid)
    engine.rlimit(psutil.RLIMIT_AS, (engine.memory_info().vms, engine.memory_info().vms))
    assert process.wait(120) == 1, directory.log_tail()
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
