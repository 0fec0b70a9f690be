"""Thirty-two annotators at once: how many tasks a second, and how long somebody waits for the next one.

A real site (`manage.py serve`: gunicorn, PostgreSQL, whitenoise, gzip) on this machine, and 32 signed-in clients beside
it that do what a browser does: GET the page, read the form and its CSRF token, save a draft for one task in four, post
the answer, read the next task out of the response. Nobody pauses to think: it is the load of many more people. First on
100,000 choosing tasks of two candidates, then on 1,000,000. Then the same two statements by psycopg alone: the limit
that the database sets.

    python -m tests.benchmarks.annotate [--seconds 30] [--sizes 100000,1000000] [--keep DIR]
"""

import argparse
import contextlib
import gzip
import http.client
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import psutil

from tests.benchmarks.report import ROOT, report
from tests.site import Site, running_site

ANNOTATORS = 32
DRAFT_EVERY = 4
# People do not arrive at one instant: they come one after the other, and are measured when all are there.
ARRIVALS_SECONDS = 5.0
WARM_UP_SECONDS = 7.0
FORM = re.compile(rb'action="(/assignments/(\d+)/submit/)"')
TOKEN = re.compile(rb'name="csrfmiddlewaretoken" value="([^"]+)"')
NAMES = {100_000: "100k", 1_000_000: "1m"}
NOTES = {
    "tasks_per_s": "answers acknowledged a second, each with the next task in its response",
    "submit_p50_ms": "submit-and-next as the client sees it, median",
    "submit_p95_ms": "of twenty, one waits longer",
    "submit_p99_ms": "of a hundred, one waits longer",
    "draft_p95_ms": "a draft, saved and acknowledged",
    "duplicates": "slots, tasks or people counted twice",
    "lost": "acknowledged answers that are not in the database",
    "sql_tasks_per_s": "claim and submit by psycopg alone, as many at once",
}


@dataclass
class Clerk:
    """An annotator's browser: one connection kept alive, a session, the forms of the page."""

    port: int
    session: str
    number: int
    submits: list[float] = field(default_factory=list)
    drafts: list[float] = field(default_factory=list)
    acknowledged: list[int] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    cookies: dict[str, str] = field(default_factory=dict)
    connection: http.client.HTTPConnection | None = None

    def ask(self, method: str, path: str, fields: dict[str, str] | None = None) -> tuple[int, bytes]:
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {
            "Cookie": "; ".join(f"{key}={value}" for key, value in {"sessionid": self.session, **self.cookies}.items()),
            "Accept": "text/html",
            "Accept-Encoding": "gzip",
            "Referer": f"http://127.0.0.1:{self.port}{path}",
        }
        body = None
        if fields is not None:
            headers |= {"Content-Type": "application/x-www-form-urlencoded", "HX-Request": "true"}
            body = urlencode(fields)
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        content = answer.read()
        for name, value in answer.getheaders():
            if name.lower() == "set-cookie":
                key, _, rest = value.partition("=")
                self.cookies[key] = rest.partition(";")[0]
        if answer.getheader("Content-Encoding") == "gzip":
            content = gzip.decompress(content)
        return answer.status, content

    def work(self, batch: int, start: float, end: float) -> None:
        chance = random.Random(self.number)
        try:
            time.sleep(ARRIVALS_SECONDS * self.number / ANNOTATORS)
            _, page = self.ask("GET", f"/batches/{batch}/work/")
            token = TOKEN.search(page)
            while (now := time.perf_counter()) < end:
                form = FORM.search(page)
                if form is None or token is None:
                    self.failures.append(f"no task on the page: {page[:300]!r}")
                    return
                path, assignment = form[1].decode(), int(form[2])
                fields = {
                    "csrfmiddlewaretoken": token[1].decode(),
                    "choice": chance.choice(["a", "b", "tie"]),
                    "visit": f"bench-{assignment}",
                    "active_seconds": "1.5",
                    "idle_seconds": "0",
                }
                if chance.randrange(DRAFT_EVERY) == 0:
                    status, _ = self.ask("POST", path.replace("submit", "draft"), fields)
                    if status != 204:
                        self.failures.append(f"draft: {status}")
                    elif now >= start:
                        self.drafts.append(time.perf_counter() - now)
                    now = time.perf_counter()
                status, page = self.ask("POST", path, fields)
                if status != 200:
                    self.failures.append(f"submit: {status} {page[:300]!r}")
                    return
                self.acknowledged.append(assignment)
                if now >= start:
                    self.submits.append(time.perf_counter() - now)
                token = TOKEN.search(page) or token
        except (OSError, http.client.HTTPException) as error:
            self.failures.append(repr(error))


def main() -> None:
    parser = argparse.ArgumentParser(description="How fast 32 annotators get their tasks.")
    parser.add_argument("--seconds", type=float, default=30.0, help="measured at each size (default: %(default)s)")
    parser.add_argument("--sizes", default="100000,1000000", help="numbers of tasks (default: %(default)s)")
    parser.add_argument("--keep", type=Path, help="work in this folder and keep it")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        inside(json.loads(arguments.inside))
        return
    figures: dict[str, float | int | str] = {}
    with (
        tempfile.TemporaryDirectory(prefix="konomi-annotate-") as folder,
        running_site((arguments.keep or Path(folder)) / "var", KONOMI_MANIFEST_STATIC="1") as site,
    ):
        for size in map(int, arguments.sizes.split(",")):
            figures |= {f"{key}_{NAMES.get(size, size)}": value for key, value in at(site, size, arguments).items()}
    report("annotate", figures, {key: NOTES[key.rpartition("_")[0]] for key in figures})


def at(site: Site, size: int, arguments: argparse.Namespace) -> dict[str, float | int]:
    print(f"{size:,} tasks: making them …", flush=True)
    made = ask_inside(site, what="fill", tasks=size)
    print(f"{size:,} tasks: {ANNOTATORS} annotators for {arguments.seconds:.0f} s …", flush=True)
    clerks = [Clerk(site.port, session, number) for number, session in enumerate(made["sessions"])]
    start = time.perf_counter() + WARM_UP_SECONDS
    end = start + arguments.seconds
    threads = [threading.Thread(target=clerk.work, args=(made["batch"], start, end)) for clerk in clerks]
    used = processor_seconds(site)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent = {part: seconds - used.get(part, 0.0) for part, seconds in processor_seconds(site).items()}
    failures = [failure for clerk in clerks for failure in clerk.failures]
    if failures:
        raise SystemExit(f"{len(failures)} requests failed, the first: {failures[0]}")
    acknowledged = [key for clerk in clerks for key in clerk.acknowledged]
    each = ", ".join(f"{part} {1000 * seconds / len(acknowledged):.1f} ms" for part, seconds in spent.items())
    print(f"{size:,} tasks: processor time a task, draft included: {each}", flush=True)
    submits, drafts = sorted(t for c in clerks for t in c.submits), sorted(t for c in clerks for t in c.drafts)
    checked = ask_inside(site, what="check", batch=made["batch"], acknowledged=acknowledged)
    print(f"{size:,} tasks: the same by psycopg alone …", flush=True)
    limit = ask_inside(site, what="limit", batch=made["batch"], seconds=min(arguments.seconds, 15))
    milliseconds = {f"submit_p{p}_ms": percentile(submits, p) for p in (50, 95, 99)}
    return {
        "tasks_per_s": len(submits) / arguments.seconds,
        **milliseconds,
        "draft_p95_ms": percentile(drafts, 95),
        "duplicates": checked["duplicates"],
        "lost": checked["lost"],
        "sql_tasks_per_s": limit["tasks_per_s"],
    }


def processor_seconds(site: Site) -> dict[str, float]:
    """What each part has used so far: web processes, database, and the clients in this process."""
    used = {"web": 0.0, "database": 0.0, "clients": sum(os.times()[:2])}
    assert site.process is not None
    ours = {process.pid for process in psutil.Process(site.process.pid).children(recursive=True)}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            if process.pid in ours and "gunicorn" in " ".join(process.cmdline()):
                used["web"] += times.user + times.system
            elif process.name() == "postgres":
                used["database"] += times.user + times.system
    return used


def percentile(seconds: list[float], share: int) -> float:
    return seconds[min(len(seconds) - 1, len(seconds) * share // 100)] * 1000


# ---- inside the site's environment: what is made, checked and measured without its web part ----


def ask_inside(site: Site, **question: object) -> dict:
    command = [sys.executable, "-m", "tests.benchmarks.annotate", "--inside", json.dumps({"file": None, **question})]
    if "acknowledged" in question:  # too long for a command line
        path = site.var / "acknowledged.json"
        path.write_text(json.dumps(question.pop("acknowledged")))
        command[-1] = json.dumps({"file": str(path), **question})
    environment = {**site.env(), "DJANGO_SETTINGS_MODULE": "deploy.settings"}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def inside(question: dict) -> None:
    import django

    django.setup()
    answer = {"fill": fill, "check": check, "limit": limit}[question["what"]](question)
    print(json.dumps(answer))


def fill(question: dict) -> dict:
    """A project of so many prompts with two candidates each, one batch over all of them, and people with sessions."""
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.db import connection

    from annotation.models import Kind, Membership, ReasonTag, Role, User
    from annotation.projects.guidelines import publish_guideline
    from annotation.projects.settings import create_project
    from annotation.queue.batches import open_batch
    from deploy.sessions import SessionStore

    tasks = question["tasks"]
    project = create_project(
        name=f"{tasks} tasks", goal="translation", source_language="en", target_language="ja", actor=None
    )
    publish_guideline(project=project, text="# Polite\n\nPrefer the polite one.", based_on=0, actor=None)
    for position, name in enumerate(("Meaning", "Register", "Fluency")):
        ReasonTag.objects.create(project=project, name=name, position=position)
    with connection.cursor() as cursor:
        # Rows that cannot be wrong are not looked up one by one; everything else is as an import leaves it.
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(
            """INSERT INTO annotation_prompt (project_id, text, source_document, external_id, metadata, digest,
                reference, held_out, created_at)
            SELECT %s, 'Could we have a quieter room for the night of the ' || n || 'th, please? ' || md5(n::text),
                '', '', '{}', md5(%s || n), '', false, now() FROM generate_series(1, %s) AS n""",
            [project.pk, f"{project.pk}-", tasks],
        )
        cursor.execute(
            """INSERT INTO annotation_candidate (prompt_id, text, origin, digest, generation, created_at)
            SELECT p.id, side.text || p.id || 'をお願いできますか。' || md5(p.id || side.origin), side.origin,
                md5(p.id || side.origin), '{}', now()
            FROM annotation_prompt p
                CROSS JOIN (VALUES ('静かなお部屋', 'checkpoint:1'), ('しずかな部屋', 'checkpoint:2'))
                AS side (text, origin)
            WHERE p.project_id = %s""",
            [project.pk],
        )
    batch = open_batch(
        project=project,
        kind=Kind.CHOOSING,
        name="Which is better?",
        actor=None,
        overlap=question.get("overlap", 1),
        seed=7,
    )
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = DEFAULT")
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")
    sessions = []
    for number in range(question.get("people", ANNOTATORS)):
        user = User.objects.create_user(f"person{number}@{tasks}.example", None, name=f"Person {number}")
        Membership.objects.create(project=project, user=user, role=Role.ANNOTATOR)
        session = SessionStore()
        session[SESSION_KEY] = str(user.pk)
        session[BACKEND_SESSION_KEY] = "annotation.members.auth_backend.PeopleBackend"
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session.save()
        sessions.append(session.session_key)
    return {"batch": batch.pk, "sessions": sessions}


def check(question: dict) -> dict:
    """What was acknowledged against what is there."""
    from django.db.models import Count

    from annotation.models import Annotation, Assignment

    acknowledged = json.loads(Path(question["file"]).read_text())
    done = Assignment.objects.filter(batch=question["batch"], state=Assignment.State.DONE)
    answers = Annotation.objects.filter(assignment__batch=question["batch"], is_current=True)
    twice = [
        answers.values(*fields).annotate(n=Count("pk")).filter(n__gt=1).count()
        for fields in (("assignment",), ("task",), ("annotator", "task"))
    ]
    there = set(answers.values_list("assignment_id", flat=True)) & set(done.values_list("pk", flat=True))
    repeated = len(acknowledged) - len(set(acknowledged))
    return {"duplicates": sum(twice) + repeated, "lost": len(set(acknowledged) - there)}


def limit(question: dict) -> dict:
    """The product's own statements on the same tables, through psycopg alone: no HTTP, no Django, no page."""
    from datetime import timedelta

    import psycopg
    from django.db import connection

    from annotation.answers.submission import WRITE_ANSWER
    from annotation.models import Batch, User
    from annotation.queue.claims import AHEAD, CLAIM

    batch = Batch.objects.get(pk=question["batch"])
    people = list(User.objects.filter(memberships__project=batch.project_id).values_list("pk", flat=True))
    settings = {
        key: value
        for key, value in connection.get_connection_params().items()
        if key in ("dbname", "user", "host", "port", "password", "options")
    }
    # A claimed task would be served again.
    counts, failures = [0] * len(people), []
    start = time.perf_counter() + 1
    end = start + question["seconds"]

    def work(place: int) -> None:
        common = {
            "batch": batch.pk,
            "project": batch.project_id,
            "annotator": people[place],
            "written_by": f"human:{people[place]}",
            "lease": timedelta(hours=1),
        }
        payload = json.dumps({"choice": "tie", "chosen": None, "shown": [], "strength": None, "reasons": []})
        try:
            with psycopg.connect(**settings, autocommit=True) as own:
                while (now := time.perf_counter()) < end:
                    claim = CLAIM.format(where=AHEAD, unseen="")
                    row = own.execute(claim, common, prepare=True).fetchone()
                    if row is None:
                        row = own.execute(CLAIM.format(where="", unseen=""), common, prepare=True).fetchone()
                    given = {
                        **common,
                        "assignment": row[0],
                        "kind": "choosing",
                        "payload": payload,
                        "weight_set_id": None,
                        "locked": False,
                        "visit": f"bench-{row[0]}",
                        "active": 1.5,
                        "idle": 0.0,
                    }
                    own.execute(WRITE_ANSWER, given, prepare=True)
                    counts[place] += now >= start
        except Exception as error:
            failures.append(repr(error))

    threads = [threading.Thread(target=work, args=(place,)) for place in range(len(people))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise SystemExit(failures[0])
    return {"tasks_per_s": sum(counts) / question["seconds"]}


if __name__ == "__main__":
    main()
