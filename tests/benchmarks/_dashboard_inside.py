"""What the benchmark `dashboard` does in a process of its own, in a database of its own.

python -m tests.benchmarks._dashboard_inside '{"folder": "/tmp/x", "answers": 3000, "rows": 1000, "many": 0, \
"requests": 5, "only": null}'
"""

import json
import sys
import time
from pathlib import Path

from tests.benchmarks._exports_inside import copying as copied_out
from tests.benchmarks._exports_inside import export, filled_project
from tests.benchmarks._imports_inside import copying as copied_in
from tests.benchmarks._imports_inside import freezes, grown, timed, write_files

PEOPLE, DAYS = 20, 60
SPREAD = """
UPDATE annotation_assignment SET annotator_id = w.id, finished_at = now() - (task_id %% %(days)s) * interval '1 day'
FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM annotation_user WHERE email LIKE 'worker%%') AS w
WHERE w.n = 1 + (task_id + slot) %% %(people)s;
UPDATE annotation_annotation n SET annotator_id = a.annotator_id, created_at = a.finished_at
FROM annotation_assignment a WHERE a.id = n.assignment_id;
INSERT INTO annotation_timespent (assignment_id, annotator_id, batch_id, visit, active_seconds, idle_seconds, began_at,
    seen_at)
SELECT id, annotator_id, batch_id, 'visit-' || id, 12.5, 1.5, finished_at, finished_at FROM annotation_assignment
"""


def main(question: dict) -> None:
    import django

    django.setup()
    from django.core.management import call_command

    from tests.database import allow_test_statements

    allow_test_statements()
    call_command("migrate", interactive=False, verbosity=0)
    figures: dict[str, float] = {}
    if question["only"] != "pages":
        figures |= transfers(question)
    if question["only"] != "transfer":
        figures |= pages(question)
    print(json.dumps(figures))


# ---- pages ----


def pages(question: dict) -> dict[str, float]:
    from django.conf import settings
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from annotation.analyses.run import analyse
    from annotation.core.counts import rebuild_counts
    from annotation.models import Batch, Membership, Role, User

    settings.ALLOWED_HOSTS = ["*"]
    project = filled_project(question["answers"])
    workers = User.objects.bulk_create(
        User(email=f"worker{number}@example.org", name=f"Worker {number}") for number in range(1, PEOPLE + 1)
    )
    Membership.objects.bulk_create(Membership(project=project, user=worker, role=Role.ANNOTATOR) for worker in workers)
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        for statement in SPREAD.split(";\n"):
            cursor.execute(statement, {"project": project.pk, "people": PEOPLE, "days": DAYS})
        cursor.execute("SET session_replication_role = DEFAULT")
        cursor.execute("VACUUM ANALYZE")
    rebuild_counts()
    manager = User.objects.create_user("manager@example.org", None, name="Manager")
    Membership.objects.create(project=project, user=manager, role=Role.MANAGER)
    client, worker = Client(), Client()
    backend = "annotation.members.auth_backend.PeopleBackend"
    client.force_login(manager, backend=backend)
    worker.force_login(User.objects.get(email="worker1@example.org"), backend=backend)
    batch = Batch.objects.filter(project=project).order_by("pk")[0]
    count = question["requests"]
    slug = f"/projects/{project.slug}"
    figures: dict[str, float] = {}
    figures["analysis_s"], _ = timed(lambda: analyse(project), "", "analysis")
    figures["analysis_rss_mb"] = grown.mib
    with CaptureQueriesContext(connection) as captured:
        client.get(f"{slug}/dashboard/")
    figures["page_queries"] = len(captured)
    for name, who, address in (
        ("page", client, f"{slug}/dashboard/"),
        ("people", client, f"{slug}/dashboard/throughput/?first={days_ago(DAYS)}"),
        ("projects", client, "/projects/"),
        ("prompts", client, f"{slug}/prompts/"),
        ("batch", client, f"/batches/{batch.pk}/"),
        ("my_work", worker, "/my-work/"),
        ("time_sheets", client, f"{slug}/time/"),
    ):
        first = request_ms(who, address)
        if name == "prompts":
            figures["prompts_first_ms"] = first
        waits = sorted(request_ms(who, address) for _ in range(count))
        figures[f"{name}_p95_ms"] = waits[int(0.95 * (len(waits) - 1))]
    seconds = export(project, "jsonl", Path(question["folder"]) / "all.jsonl", "")
    return figures | {"export_1m_s": seconds, "export_1m_rss_mb": grown.mib}


def days_ago(days: int) -> str:
    from datetime import timedelta

    from django.utils import timezone

    return (timezone.localdate() - timedelta(days=days)).isoformat()


def request_ms(client, address: str) -> float:
    start = time.perf_counter()
    response = client.get(address)
    body = response.content
    assert response.status_code == 200, (address, response.status_code)
    assert body
    return 1000 * (time.perf_counter() - start)


# ---- imports, freezing, exports ----


def transfers(question: dict) -> dict[str, float]:
    from django.db import connection

    from annotation.models import Kind, Project
    from annotation.queue.batches import open_batch

    folder, rows = Path(question["folder"]), question["rows"]
    write_files(folder, rows)
    figures = {"import_s": imported("first", folder / "plain.csv", rows), "import_rss_mb": grown.mib}
    figures["copy_import_s"] = copied_in(folder / "plain.csv")
    project = Project.objects.order_by("pk")[0]
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    options = {"kind": Kind.CHOOSING, "name": "Opened", "actor": None, "overlap": 1, "seed": 7}
    seconds, _batch = timed(lambda: open_batch(project=project, **options), "", "open")
    figures["open_batch_s"] = seconds
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        for table in ("assignment", "task", "batch", "slotcount"):
            cursor.execute(f"DELETE FROM annotation_{table}")
        cursor.execute("SET session_replication_role = DEFAULT")
    figures["freeze_s"] = freezes(rows, "")["freeze_s"]
    answers = filled_project(rows)
    figures["export_s"] = export(answers, "jsonl", folder / "answers.jsonl", "")
    figures["export_rss_mb"] = grown.mib
    figures["copy_export_s"] = copied_out(answers, folder / "copy.txt")
    if question["many"]:
        write_files(folder, question["many"])
        figures["import_1m_s"] = imported("many", folder / "plain.csv", question["many"])
        figures["import_1m_rss_mb"] = grown.mib
    return figures


def imported(name: str, path: Path, rows: int) -> float:
    from annotation.importing.run import import_file
    from annotation.projects.settings import create_project

    project = create_project(name=name, goal="translation", source_language="en", target_language="ja", actor=None)
    seconds, record = timed(
        lambda: import_file(project=project, path=path, filename=path.name, actor=None), "", f"import-{name}"
    )
    assert record.prompts_added == rows, record.prompts_added
    return seconds


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
