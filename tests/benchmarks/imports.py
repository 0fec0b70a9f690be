"""How long it takes to import 100,000 prompts with two candidates each, and to freeze 100,000 annotations.

In a database of its own, one process, no web part: a CSV, a JSONL, and a CSV with ids and documents; each is loaded
into a new project, and a second time, which adds nothing. Then one choice for each prompt of the first becomes a DPO
dataset. Beside them the raw limit: the same rows by COPY alone, without checks, indexes and digests.

    python -m tests.benchmarks.imports [--rows 100000] [--profile DIR]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.report import ROOT, report

NOTES = {
    "csv_first_s": "CSV with texts and candidates; target ≤ 8",
    "csv_again_s": "the same file once more, which adds nothing",
    "jsonl_first_s": "the same as JSONL; target ≤ 8",
    "jsonl_again_s": "once more",
    "documents_first_s": "CSV with ids and documents besides; target ≤ 8",
    "documents_again_s": "once more",
    "import_mib": "memory that the first import took at its peak, beyond the process; flat in the file's size",
    "freeze_s": "100,000 choices as a DPO dataset, JSONL and Parquet; target ≤ 10",
    "freeze_mib": "memory that it took at its peak; flat in the number of rows",
    "copy_s": "raw limit of an import: the rows read by Python and copied into bare tables",
}


def main() -> None:
    parser = argparse.ArgumentParser(description="How long imports and freezing take.")
    parser.add_argument("--rows", type=int, default=100_000, help="prompts in each file (default: %(default)s)")
    parser.add_argument("--profile", type=Path, help="write a profile of each step to this folder")
    arguments = parser.parse_args()
    if arguments.profile:
        arguments.profile.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="konomi-imports-") as folder:
        question = {
            "folder": folder,
            "rows": arguments.rows,
            "profile": str(arguments.profile.resolve()) if arguments.profile else "",
        }
        environment = {
            **os.environ,
            "KONOMI_VAR": f"{folder}/var",
            "DJANGO_SETTINGS_MODULE": "deploy.settings",
            "DATABASE_URL": "",
        }
        command = [sys.executable, "-m", "tests.benchmarks._imports_inside", json.dumps(question)]
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    figures = json.loads(done.stdout.strip().splitlines()[-1])
    report("imports", {key: figures[key] for key in NOTES if key in figures}, NOTES)


if __name__ == "__main__":
    main()
