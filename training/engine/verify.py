"""Verify a DPO trainer: run checks with known answers against it, with tiny random models. Nothing is downloaded.

`python -m training.engine.verify --trainer ours --trainer trl`

A table goes to stdout, progress to stderr. Exit code 0: no check failed; 1: one failed; 2: wrong arguments.
docs/verify.md tells how to write an adapter for another trainer.
"""

import argparse
import json
import os
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training.engine.verification.check import Check, Result
    from training.engine.verification.jobs import Trainer
    from training.engine.verification.report import Report

WIDTH = 160  # of the table where stdout is no terminal


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.engine.verify", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--trainer",
        action="append",
        metavar="ours|trl|module:attribute",
        help="what is verified; may be repeated; default: ours",
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="a check or a group; may be repeated, or a,b"
    )
    parser.add_argument("--list", action="store_true", help="show the checks and run none")
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write the results as JSON (- for stdout)")
    parser.add_argument(
        "--markdown", metavar="FILE", type=Path, help="also write the table into this page, between its marks"
    )
    parser.add_argument("--keep", metavar="FOLDER", type=Path, help="keep models, run directories and logs there")
    options = parser.parse_args(arguments)
    prepare_environment()
    from rich.console import Console

    from training.engine.verification import report, suite

    try:
        checks = suite.select([name for given in options.only for name in given.split(",")])
        trainers = [suite.load_trainer(name) for name in options.trainer or ["ours"]]
        if options.keep and options.keep.exists() and any(options.keep.iterdir()):
            raise ValueError(f"--keep {options.keep}: the folder is not empty; name a new one")
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    if options.list:
        for check in checks:
            console.print(f"{check.name:26}{check.group:16}{check.asserts}", markup=False, highlight=False)
        return 0
    reports = [verify(trainer, checks, options.keep) for trainer in trainers]
    if str(options.json) == "-":
        sys.stdout.write(json.dumps(report.as_dict(reports), indent=2, ensure_ascii=False) + "\n")
    else:
        for done in reports:
            report.print_table(done, console)
        if options.json:
            options.json.write_text(json.dumps(report.as_dict(reports), indent=2, ensure_ascii=False) + "\n", "utf-8")
    if options.markdown:
        report.write_markdown(report.markdown(reports), options.markdown)
    return int(any(done.failed for done in reports))


def verify(trainer: "Trainer", checks: "Sequence[Check]", keep: Path | None) -> "Report":
    """The trainer's report; its files stay in `keep`, or are removed."""
    from training.engine.verification import report, suite

    number = 0

    def progress(check: "Check", result: "Result | None") -> None:
        nonlocal number
        if result is None:
            number += 1
            sys.stderr.write(f"{trainer.name} {number}/{len(checks)} {check.name} … ")
        else:
            sys.stderr.write(f"{result.status} ({result.seconds:.1f} s)\n")
        sys.stderr.flush()

    with tempfile.TemporaryDirectory(prefix="verify-") as temporary:
        folder = (keep or Path(temporary)) / trainer.name
        folder.mkdir(parents=True)
        results = suite.run(trainer, folder.resolve(), checks, progress)
    return report.Report(trainer.name, trainer.versions(), results)


def prepare_environment() -> None:
    """Before torch and the hub client are imported, which read these variables once; child processes inherit them."""
    os.environ["HF_HUB_OFFLINE"] = os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # float32 on a CPU: figures that can be compared to the last digits
    for name in (
        "HF_HUB_DISABLE_PROGRESS_BARS",
        "HF_DATASETS_DISABLE_PROGRESS_BARS",
        "TQDM_DISABLE",
        "OMP_NUM_THREADS",
    ):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    warnings.simplefilter("ignore")  # libraries about each other, between the lines of the progress


if __name__ == "__main__":
    raise SystemExit(main())
