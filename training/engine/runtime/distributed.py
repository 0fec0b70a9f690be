"""One engine as several processes: who is the first, how they wait for one another, how they are started.

`accelerate launch -m training.engine.train_dpo RUN_DIR` works, and so does `processes` in run.json: then the engine
starts `accelerate launch` itself, and holds the run directory's lock for all of them.
"""

import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path

from training.contract.config import TrainingConfig

# Set by an engine for the processes that it starts: it holds the lock and tells how they ended.
LED = "KONOMI_LED"
PR_SET_PDEATHSIG = 1


def count() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    return int(os.environ.get("RANK", "0"))


def is_main_process() -> bool:
    """Whether this process writes what a run writes once: metrics, checkpoints, the result."""
    return rank() == 0


def is_child() -> bool:
    return os.environ.get(LED) == "1"


def barrier() -> None:
    """Until all processes have come here."""
    if count() > 1:
        import torch.distributed

        torch.distributed.barrier()


def broadcast_flags(*flags: bool) -> list[bool]:
    """The flags as the first process has them."""
    if count() == 1:
        return list(flags)
    import torch.distributed

    said = [list(flags)]
    torch.distributed.broadcast_object_list(said, src=0)
    return said[0]


def init() -> None:
    """Connect to the other processes, where there are any."""
    if count() > 1:
        from accelerate import PartialState

        PartialState(cpu=not _gpu())


def _gpu() -> bool:
    import torch

    return bool(torch.cuda.is_available())


def die_with_parent() -> None:
    """The kernel ends this process with the one that started it (Linux): a killed leader leaves nobody behind."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def run_children(program: str, config: TrainingConfig, folder: Path) -> subprocess.Popen[bytes]:
    """`config.processes` processes of this program on the run directory, led by this one."""
    command = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", str(config.processes)]
    environment = {**os.environ, LED: "1"}
    if not _gpu():
        environment["ACCELERATE_USE_CPU"] = "true"
    if config.accelerate_config:
        command += ["--config_file", config.accelerate_config]
    else:
        command += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
        # For CPUs too: with --cpu accelerate starts a single process. `ACCELERATE_USE_CPU` keeps them off GPUs.
        command += ["--multi_gpu"]
        if config.threads or not _gpu():
            threads = config.threads or max(1, (os.cpu_count() or 1) // config.processes)
            command += ["--num_cpu_threads_per_process", str(threads)]
    command += ["-m", f"training.engine.{program}", str(folder)]
    return subprocess.Popen(command, env=environment, preexec_fn=die_with_parent)
