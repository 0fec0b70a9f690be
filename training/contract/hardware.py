"""What memory this machine has, in bytes. Free of torch."""

import resource
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

MEBIBYTE = 1 << 20
# A container's own limit (control groups, version 2), which the system's figures do not tell.
LIMIT, USED = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")


@dataclass(frozen=True)
class Gpu:
    """As nvidia-smi tells: `free` is what no process holds."""

    name: str
    total: int
    free: int


def available_ram() -> int:
    """What a new process may take without swapping: the system's figure, or the container's where that is less."""
    system = int(psutil.virtual_memory().available)
    try:
        limit = int(LIMIT.read_text(encoding="ascii"))
        used = int(USED.read_text(encoding="ascii"))
    except (OSError, ValueError):  # no container, or one without a limit ("max")
        return system
    return max(0, min(system, limit - used))


def total_ram() -> int:
    return int(psutil.virtual_memory().total)


def peak_ram() -> int:
    """The most that this process has held so far (its resident set)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10  # bytes there, kilobytes elsewhere


def gpus() -> list[Gpu]:
    """NVIDIA's GPUs by the driver's own tool; none where that is absent or does not answer."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        said = subprocess.run(
            [program, "--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        ).stdout
        rows = [[part.strip() for part in line.split(",")] for line in said.splitlines() if line.strip()]
        return [Gpu(name, int(total) * MEBIBYTE, int(free) * MEBIBYTE) for name, total, free in rows]
    except (OSError, ValueError, subprocess.SubprocessError):
        return []


def gigabytes(count: float) -> str:
    """In GB of 10⁹ bytes, as in "14.5 GB"; below a tenth in MB."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e8 else f"{count / 1e6:,.1f} MB"
