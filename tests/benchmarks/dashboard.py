"""How soon a manager's pages answer at 1,000,000 answers, and how long the work around them takes.

In a database of its own, filled by SQL: twenty people's answers on sixty days, three to a task, a quarter of each kind.
Pages are requested by Django's client as a signed-in manager, so the figures are the server's part. Then 100,000 and
1,000,000 prompts with two candidates each are imported, 100,000 tasks opened, 100,000 choices frozen, and all answers
exported; beside each the raw limit by COPY.

    python -m tests.benchmarks.dashboard [--answers 1000000] [--rows 100000] [--many 1000000] [--only pages]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile

from tests.benchmarks.report import ROOT, report

NOTES = {
    "page_p95_ms": "the dashboard; target ≤ 300",
    "page_queries": "of the dashboard; target ≤ 12",
    "analysis_s": "the job behind the dashboard's bias, pace and disagreement, all answers",
    "analysis_rss_mb": "memory that it took at its peak, MiB beyond the process",
    "people_p95_ms": "throughput of sixty days, by person, day and hour; target ≤ 300",
    "projects_p95_ms": "all projects",
    "prompts_p95_ms": "the page of prompts; target ≤ 300",
    "prompts_first_ms": "its first request",
    "batch_p95_ms": "the page of a batch with a quarter of the answers",
    "my_work_p95_ms": "of a person with a twentieth of the answers; target ≤ 300",
    "time_sheets_p95_ms": "the month's time sheets; target ≤ 300",
    "import_s": "100,000 prompts with two candidates each, CSV; target ≤ 5",
    "import_rss_mb": "memory that the import took at its peak, MiB beyond the process",
    "import_1m_s": "1,000,000 of them; target ≤ 60",
    "import_1m_rss_mb": "flat in the number of rows",
    "open_batch_s": "100,000 tasks; target ≤ 5",
    "freeze_s": "100,000 choices as a DPO dataset, JSONL and Parquet; target ≤ 4",
    "export_s": "100,000 answers as JSONL; target ≤ 4",
    "export_rss_mb": "memory that the export took at its peak, MiB beyond the process",
    "export_1m_s": "all answers as JSONL",
    "export_1m_rss_mb": "flat in the number of answers",
    "copy_import_s": "raw limit of the import of 100,000: read by Python, copied into bare tables",
    "copy_export_s": "raw limit of the export of 100,000, by COPY into a file",
}


def main() -> None:
    parser = argparse.ArgumentParser(description="How soon a manager's pages answer.")
    parser.add_argument("--answers", type=int, default=1_000_000, help="of the large project (default: %(default)s)")
    parser.add_argument("--rows", type=int, default=100_000, help="of an import (default: %(default)s)")
    parser.add_argument("--many", type=int, default=1_000_000, help="of the large import; 0: none")
    parser.add_argument("--requests", type=int, default=40, help="of each page (default: %(default)s)")
    parser.add_argument("--only", choices=["pages", "transfer"], help="one half of it")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="konomi-dashboard-") as folder:
        question = vars(arguments) | {"folder": folder}
        environment = {
            **os.environ,
            "KONOMI_VAR": f"{folder}/var",
            "DJANGO_SETTINGS_MODULE": "deploy.settings",
            "DATABASE_URL": "",
        }
        command = [sys.executable, "-m", "tests.benchmarks._dashboard_inside", json.dumps(question)]
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    figures = json.loads(done.stdout.strip().splitlines()[-1])
    report("dashboard", {key: figures[key] for key in NOTES if key in figures}, NOTES)


if __name__ == "__main__":
    main()
