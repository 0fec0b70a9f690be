"""How every benchmark reports: a readable table, var/bench/<name>.json, and a last line `name: key=value …`."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent.parent
RESULTS = ROOT / "var" / "bench"
DATA = Path(os.environ.get("PREFERENCE_DATA", ROOT.parent / "shared" / "data"))


def machine() -> str:
    """This machine in a line: processor, cores, memory, Python."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{model}, {os.cpu_count()} cores, {gib:.0f} GiB, Python {platform.python_version()}"


def commit() -> str:
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def report(
    name: str,
    figures: Mapping[str, float | int | str],
    notes: Mapping[str, str] | None = None,
    details: Sequence[Sequence[str]] = (),
) -> None:
    """Print the tables, write the JSON, and end with the one line that a script can read.

    `details` is a further table for readers, its first line the names of the columns.
    """
    notes = notes or {}
    if details:
        further = Table(*details[0])
        for line in details[1:]:
            further.add_row(*line)
        Console(width=140).print(further)
    table = Table("figure", "value", "what it is", title=f"{name} · {machine()} · {commit()}")
    for key, value in figures.items():
        table.add_row(key, shown(value), notes.get(key, ""))
    Console(width=140).print(table)
    RESULTS.mkdir(parents=True, exist_ok=True)
    content = {"machine": machine(), "commit": commit(), "figures": dict(figures), "details": details}
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    print(f"{name}: " + " ".join(f"{key}={shown(value)}" for key, value in figures.items()))


def shown(value: float | int | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
