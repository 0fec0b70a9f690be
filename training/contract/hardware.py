"""Memory of this machine, in bytes. Standard library only."""

import os
import resource
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

MEBIBYTE = 1 << 20
GIBIBYTE = 1 << 30
MEMINFO = Path("/proc/meminfo")
# A container's own limit (control groups, version 2), which the system's figures do not include.
LIMIT, USED = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")


@dataclass(frozen=True)
class Gpu:
    """As nvidia-smi reports it: `free` is what no process holds."""

    name: str
    total: int
    free: int


def available_ram() -> int:
    """Memory that a new process can take without swapping: the system's figure, or the container's if less."""
    system = _meminfo("MemAvailable") or _pages("SC_AVPHYS_PAGES") or total_ram()
    try:
        limit = int(LIMIT.read_text(encoding="ascii"))
        used = int(USED.read_text(encoding="ascii"))
    except (OSError, ValueError):  # no container, or one without a limit ("max")
        return system
    return max(0, min(system, limit - used))


def total_ram() -> int:
    return _meminfo("MemTotal") or _pages("SC_PHYS_PAGES")


def _meminfo(field: str) -> int:
    """A line of /proc/meminfo such as `MemTotal:  16308244 kB`; 0 where the kernel has no such file (macOS)."""
    try:
        lines = MEMINFO.read_text(encoding="ascii").splitlines()
        return next((int(line.split()[1]) << 10 for line in lines if line.startswith(f"{field}:")), 0)
    except (OSError, ValueError, IndexError):
        return 0


def _pages(name: str) -> int:
    try:
        return os.sysconf(name) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):  # not known to this system
        return 0


def peak_ram() -> int:
    """The peak resident set of this process."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10  # bytes there, kilobytes elsewhere


def gpus() -> list[Gpu]:
    """NVIDIA's GPUs by the driver's own tool; none where that is absent or does not answer."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        output = subprocess.run(
            [program, "--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        ).stdout
        rows = [[part.strip() for part in line.split(",")] for line in output.splitlines() if line.strip()]
        return [Gpu(name, int(total) * MEBIBYTE, int(free) * MEBIBYTE) for name, total, free in rows]
    except (OSError, ValueError, subprocess.SubprocessError):
        return []


def gibibytes(count: float) -> str:
    """Bytes in the unit of every sentence about memory: "27.0 GiB"; below a tenth "12.3 MiB", then "1.0 KiB"."""
    for unit, size in (("GiB", GIBIBYTE), ("MiB", MEBIBYTE)):
        if count >= size / 10:
            return f"{count / size:,.1f} {unit}"
    return f"{count / 1024:,.1f} KiB"
