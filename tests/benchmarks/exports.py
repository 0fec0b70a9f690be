"""How long it takes to export 100,000 and 300,000 answers, a quarter of each kind, in each format.

In a database of its own, one process, no web part: three answers to a task, texts of some 20 words, every post-edit
with its HTER, a tenth of the answers changed once, so that there are a tenth more rows. Beside it the raw limit: the
same answers with their prompts and texts by COPY into a file, without a column of ours.

    python -m tests.benchmarks.exports [--answers 100000 --answers 300000] [--profile DIR]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.report import ROOT, report

SIZES = (100_000, 300_000)


def notes(answers: int) -> dict[str, str]:
    size = f"{answers // 1000}k"
    limit = f"; target ≤ {answers / 10_000:.0f}"
    found = {}
    for format in ("jsonl", "csv", "parquet"):
        found[f"{format}_{size}_s"] = f"{answers:,} answers as {format}{limit}"
        found[f"{format}_{size}_cpu_s"] = "processor time of the process, without the database's"
        found[f"{format}_{size}_mib"] = "memory at its peak, beyond the process; flat in the number of answers"
        found[f"{format}_{size}_mb"] = "size of the file"
    return found | {f"copy_{size}_s": "raw limit: by COPY into a file"}


def main() -> None:
    parser = argparse.ArgumentParser(description="How long exports of answers take.")
    parser.add_argument("--answers", type=int, action="append", help="answers in a project; repeatable")
    parser.add_argument("--profile", type=Path, help="write a profile of each export to this folder")
    arguments = parser.parse_args()
    sizes = arguments.answers or list(SIZES)
    if arguments.profile:
        arguments.profile.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="konomi-exports-") as folder:
        question = {
            "folder": folder,
            "answers": sizes,
            "profile": str(arguments.profile.resolve()) if arguments.profile else "",
        }
        environment = {
            **os.environ,
            "KONOMI_VAR": f"{folder}/var",
            "DJANGO_SETTINGS_MODULE": "deploy.settings",
            "DATABASE_URL": "",
        }
        command = [sys.executable, "-m", "tests.benchmarks._exports_inside", json.dumps(question)]
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    figures = json.loads(done.stdout.strip().splitlines()[-1])
    explained = {key: note for answers in sizes for key, note in notes(answers).items()}
    report("exports", {key: figures[key] for key in explained}, explained)


if __name__ == "__main__":
    main()
