"""One engine as several processes: ranks, barrier, broadcast, and how child processes are started.

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

# Set by an engine for the processes that it starts: it holds the lock and reports how they ended.
CHILD = "KONOMI_LED"
PR_SET_PDEATHSIG = 1


def count() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    return int(os.environ.get("RANK", "0"))


def is_main_process() -> bool:
    """Whether this process writes what a run writes once: metrics, checkpoints, the result."""
    return rank() == 0


def is_child() -> bool:
    """Whether another engine started this process, and holds the lock for it."""
    return os.environ.get(CHILD) == "1"


def barrier() -> None:
    """Wait until all processes have come here."""
    if count() > 1:
        import torch.distributed

        torch.distributed.barrier()


def broadcast_flags(*flags: bool) -> list[bool]:
    """The main process's flags, in every process."""
    if count() == 1:
        return list(flags)
    import torch.distributed

    values = [list(flags)]
    torch.distributed.broadcast_object_list(values, src=0)
    return values[0]


def sum_counts(counts: dict[str, int]) -> dict[str, int]:
    """The counts of all processes, added up by name."""
    if count() == 1:
        return dict(counts)
    import torch.distributed

    every: list[dict[str, int]] = [{} for _ in range(count())]
    torch.distributed.all_gather_object(every, counts)
    return {name: sum(each[name] for each in every) for name in counts}


def init() -> None:
    """Connect to the other processes, if there are any."""
    if count() > 1:
        from accelerate import PartialState

        PartialState(cpu=not _gpu())


def _gpu() -> bool:
    import torch

    return bool(torch.cuda.is_available())


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies (Linux), so that a killed engine leaves no children."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def prepare_child() -> None:
    """For `preexec_fn`: die with the parent, and react to Ctrl-C even where the engine inherited an ignored SIGINT.

    A shell's background jobs and some CI runners ignore SIGINT, and child processes inherit that.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    die_with_parent()


def start_children(program: str, config: TrainingConfig, folder: Path) -> subprocess.Popen[bytes]:
    """Start `config.processes` processes of this program on the run directory, as children of this one."""
    command = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", str(config.processes)]
    environment = {**os.environ, CHILD: "1"}
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
    return subprocess.Popen(command, env=environment, preexec_fn=prepare_child)
