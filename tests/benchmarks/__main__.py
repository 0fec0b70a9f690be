"""`python -m tests.benchmarks`: run every benchmark, one after the other, and write docs/benchmarks.md.

A benchmark is a module in this folder that can be run by itself; it prints a table and leaves its figures in
var/bench/<name>.json as {"machine": …, "commit": …, "figures": {key: value}, "details": [[column, …], [cell, …], …]}.
"""

import json
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.report import RESULTS, ROOT

PAGE = ROOT / "docs" / "benchmarks.md"


def benchmarks() -> list[str]:
    return sorted(
        path.stem
        for path in Path(__file__).parent.glob("*.py")
        if not path.stem.startswith("_") and '__name__ == "__main__"' in path.read_text(encoding="utf-8")
    )


def page(results: list[tuple[str, dict]]) -> str:
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`. Ratios are measured side by side in one run, the raw limit beside them.",
        "",
        "| benchmark | figure | value |",
        "|---|---|---|",
    ]
    for name, result in results:
        for key, value in result["figures"].items():
            shown = f"{value:.4g}" if isinstance(value, float) else value
            lines.append(f"| `{name}` | {key} | {shown} |")
    for name, result in results:
        if details := result.get("details"):
            lines += ["", f"## {name}", "", "| " + " | ".join(details[0]) + " |", "|" + "---|" * len(details[0])]
            lines += ["| " + " | ".join(line) + " |" for line in details[1:]]
    machines = sorted(
        {f"{result.get('machine', 'unknown')}, commit {result.get('commit', 'unknown')}" for _, result in results}
    )
    return "\n".join([*lines, "", *[f"Measured on: {machine}." for machine in machines], ""])


def main() -> int:
    failed, results = [], []
    for name in benchmarks():
        print(f"== {name} ==", flush=True)
        if subprocess.run([sys.executable, "-m", f"tests.benchmarks.{name}"], cwd=ROOT).returncode:
            failed.append(name)
        elif (RESULTS / f"{name}.json").exists():
            results.append((name, json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))))
    if results:
        PAGE.write_text(page(results), encoding="utf-8")
        print(f"{PAGE.relative_to(ROOT)}: {len(results)} benchmarks")
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
