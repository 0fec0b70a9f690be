"""What the benchmark `imports` does in a process of its own, in a database of its own.

python -m tests.benchmarks._imports_inside '{"folder": "/tmp/x", "rows": 1000, "profile": ""}'
"""

import csv
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

# By layout: the file's name, and its columns.
LAYOUTS = {
    "csv": ("plain.csv", ["text", "candidate_a", "candidate_b"]),
    "jsonl": ("plain.jsonl", ["text", "candidate_a", "candidate_b"]),
    "documents": ("documents.csv", ["id", "text", "document", "candidate_a", "candidate_b"]),
}


def main(question: dict) -> None:
    import django

    django.setup()
    from django.core.management import call_command

    from tests.database import allow_test_statements

    allow_test_statements()
    call_command("migrate", interactive=False, verbosity=0)
    folder, rows = Path(question["folder"]), question["rows"]
    write_files(folder, rows)
    figures: dict[str, float] = {}
    for layout, (name, _) in LAYOUTS.items():
        figures |= loads(layout, folder / name, question.get("profile", ""))
    if question.get("freeze", True):
        figures |= freezes(rows, question.get("profile", ""))
    figures["copy_s"] = copying(folder / LAYOUTS["csv"][0])
    print(json.dumps(figures))


def row(number: int) -> dict[str, str]:
    return {
        "id": f"r{number}",
        "text": f"Sentence number {number}: is breakfast included in the price?",
        "document": f"mail {number // 10}",
        "candidate_a": f"朝食は料金に含まれておりますか。{number}",
        "candidate_b": f"朝ごはん付き？{number}",
    }


def write_files(folder: Path, rows: int) -> None:
    for name, columns in LAYOUTS.values():
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns, extrasaction="ignore")
            if name.endswith(".csv"):
                writer.writeheader()
            for number in range(rows):
                values = row(number)
                if name.endswith(".csv"):
                    writer.writerow(values)
                else:
                    file.write(json.dumps({key: values[key] for key in columns}, ensure_ascii=False) + "\n")


def loads(layout: str, path: Path, profile: str) -> dict[str, float]:
    """The file twice, into a new project: the second load adds nothing."""
    from annotation.importing.run import import_file
    from annotation.projects.settings import create_project

    project = create_project(name=layout, goal="translation", source_language="en", target_language="ja", actor=None)
    figures = {}
    for turn, key in enumerate(("first", "again")):
        seconds, record = timed(
            lambda: import_file(project=project, path=path, filename=path.name, actor=None), profile, f"{layout}-{key}"
        )
        assert record.prompts_added == (0 if turn else record.rows_read), record.prompts_added
        figures[f"{layout}_{key}_s"] = seconds
        if layout == "csv" and not turn:
            figures["import_mib"] = grown.mib
    return figures


def freezes(rows: int, profile: str) -> dict[str, float]:
    """One choice for each prompt of the first project, then a DPO dataset of them."""
    from django.db import connection

    from annotation.core.counts import rebuild_counts
    from annotation.datasets.freeze import freeze_dataset
    from annotation.models import Kind, Project, User
    from annotation.queue.batches import open_batch

    project = Project.objects.order_by("pk")[0]
    user = User.objects.create_user("hana@example.org", None, name="Hana")
    open_batch(project=project, kind=Kind.CHOOSING, name="Which?", actor=None, overlap=1, seed=7)
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("UPDATE annotation_assignment SET state = 'done', annotator_id = %s", [user.pk])
        cursor.execute(
            """INSERT INTO annotation_annotation (assignment_id, task_id, annotator_id, kind, payload, version,
                is_current, active_seconds, idle_seconds, created_at)
            SELECT a.id, a.task_id, %s, 'choosing', jsonb_build_object('choice', 'one', 'chosen', t.candidate_ids[1],
                'shown', t.candidate_ids, 'strength', 1 + t.id %% 2, 'reasons', '[]'::jsonb), 1, true, 0, 0, now()
            FROM annotation_assignment a JOIN annotation_task t ON t.id = a.task_id""",
            [user.pk],
        )
        cursor.execute("SET session_replication_role = DEFAULT")
        rebuild_counts()  # without triggers nothing was counted
        cursor.execute("ANALYZE")
    seconds, version = timed(lambda: freeze_dataset(project=project, purpose="dpo", actor=None), profile, "freeze")
    assert version.train_rows + version.held_out_rows == rows, (version.train_rows, version.held_out_rows)
    return {"freeze_s": seconds, "freeze_mib": grown.mib}


def copying(path: Path) -> float:
    """The raw limit: the rows of the CSV, read by Python's reader, into two tables of the same columns by COPY."""
    from django.db import connection

    start = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE raw_prompt (number int, text text, digest text)")
        cursor.execute("CREATE TABLE raw_candidate (number int, text text, origin text, digest text)")
        for table in ("raw_prompt", "raw_candidate"):
            with path.open(encoding="utf-8", newline="") as file, cursor.copy(f"COPY {table} FROM STDIN") as copy:
                for number, (text, *candidates) in enumerate(csv.reader(file)):
                    if table == "raw_prompt":
                        copy.write_row((number, text, "0" * 64))
                        continue
                    for candidate in candidates:
                        copy.write_row((number, candidate, "import:a", "0" * 64))
    return time.perf_counter() - start


class Growth:
    """How much memory the last timed call took at its peak, beyond what the process had before."""

    mib = 0.0


grown = Growth()


def timed(call: Callable, profile: str, name: str) -> tuple[float, object]:
    """Seconds and result. With `profile`, a folder, the profile of each call is written there as <name>.prof."""
    import cProfile
    import threading

    process = psutil.Process(os.getpid())
    before = peak = process.memory_info().rss
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.05):
            peak = max(peak, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    profiler = cProfile.Profile() if profile else None
    start = time.perf_counter()
    try:
        result = profiler.runcall(call) if profiler else call()
    finally:
        seconds = time.perf_counter() - start
        done.set()
        watcher.join()
    grown.mib = (peak - before) / 2**20
    if profiler:
        profiler.dump_stats(Path(profile) / f"{name}.prof")
    return seconds, result


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
