"""Peak memory of trainings: `python -m tests.engine.runtime.measure_memory WARM_UP RUN_DIR…`, a line of JSON each.

A first, tiny training brings in all that is imported and set up only once. Of each that follows: this process's
resident memory when it begins (`before`) and the most that it came to (`peak`), in bytes.
"""

import ctypes
import gc
import importlib
import json
import sys
from pathlib import Path

from training.contract.run_directory import RunDirectory
from training.engine.runtime.program import main


def resident(name: str) -> int:
    """VmRSS, or VmHWM (the peak), of this process in bytes."""
    text = Path("/proc/self/status").read_text(encoding="ascii")
    return int(text.split(f"{name}:")[1].split()[0]) << 10


def run(folder: str) -> int:
    program = RunDirectory(Path(folder)).read_config().program
    return main(program, importlib.import_module(f"training.engine.{program}").train, [folder])


def measure(folder: str) -> None:
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forget the peak of what went before
    before = resident("VmRSS")
    code = run(folder)
    sys.stdout.write(json.dumps({"code": code, "before": before, "peak": resident("VmHWM")}) + "\n")


if __name__ == "__main__":
    warm_up, *folders = sys.argv[1:]
    if run(warm_up):
        raise SystemExit(f"the warm-up in {warm_up} failed")
    for folder in folders:
        measure(folder)
