"""Sweep over architectures: a tiny model of every text decoder of transformers through our DPO trainer.

`python -m tests.sweep_architectures [--only FAMILY …] [--write]`

For each family: whether packed rows or plain TRL compute it, and why; packed rows against sequences alone; LoRA on all
linear modules; the difference that merging makes; the first loss. Each family runs in a process of its own with a time
limit. `--keep FOLDER` goes on from what an interrupted sweep left there, `--write` puts the table into
docs/architectures.md. Exit code 1 where a family has a problem.
"""

import argparse
import dataclasses
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

from training.engine.verify import prepare_environment

PAGE = Path(__file__).resolve().parents[2] / "docs" / "architectures.md"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sweep_architectures", description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", default=[], metavar="FAMILY", help="may be repeated, or a,b")
    parser.add_argument("--limit", type=float, default=180.0, metavar="SECONDS", help="for each family; default 180")
    parser.add_argument("--write", action="store_true", help=f"write the table into {PAGE.parent.name}/{PAGE.name}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows as JSON")
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="FOLDER",
        help="keep models, run directories, logs and rows there; a run that was interrupted goes on from them",
    )
    options = parser.parse_args()
    prepare_environment()
    from tests.sweep_architectures import configurations, report
    from training.engine.verification.report import write_markdown

    families, left_out = configurations.families()
    only = [name for given in options.only for name in given.split(",")]
    unknown = sorted(set(only) - set(families))
    if unknown or (only and options.write):
        sys.stderr.write(f"no such family: {', '.join(unknown)}\n" if unknown else "--write needs all families\n")
        return 2
    with tempfile.TemporaryDirectory(prefix="sweep-") as temporary:
        rows, crashed = sweep(only or families, (options.keep or Path(temporary)).resolve(), options.limit)
    if options.json:
        content = {"rows": [dataclasses.asdict(row) for row in rows], "crashed": crashed}
        options.json.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    text = report.markdown(rows, crashed, left_out)
    if options.write:
        write_markdown(text, PAGE, begin=report.BEGIN)
    else:
        sys.stdout.write(text)
    return int(bool(crashed) or any(report.problems(row) for row in rows))


def sweep(families, folder, limit):
    """The families' rows, and the words of those whose process crashed or ran out of time."""
    from tests.sweep_architectures import family, report
    from training.engine.verification import apart

    rows, crashed = [], {}
    for number, name in enumerate(families, 1):
        began = time.monotonic()
        sys.stderr.write(f"{number}/{len(families)} {name} … ")
        sys.stderr.flush()
        place = folder / name
        kept = place / "row.json"
        try:
            if kept.exists():
                row = family.Row(**json.loads(kept.read_text(encoding="utf-8")))
            else:
                shutil.rmtree(place, ignore_errors=True)
                row = apart.call(family.examine, name, place, log=place / "log.txt", limit=limit)
                row.seconds = round(time.monotonic() - began, 1)
                kept.write_text(json.dumps(dataclasses.asdict(row)), encoding="utf-8")
        except apart.Crashed as crash:
            crashed[name] = f"crashed: {crash}"
            words = str(crash)
        else:
            rows.append(row)
            problems = "; ".join(report.problems(row))
            words = problems or (f"not built: {row.not_built}" if row.not_built else row.how)
        sys.stderr.write(f"{words} ({time.monotonic() - began:.1f} s)\n")
    return rows, crashed


if __name__ == "__main__":
    raise SystemExit(main())
