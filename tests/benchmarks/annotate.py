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

from tests.benchmarks._annotate_inside import ANNOTATORS
from tests.benchmarks.report import ROOT, report
from tests.site import Site, running_site

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
    "session_saved_us": "reading the session by a prepared statement (deploy/sessions.py) against Django's way",
    "person_saved_us": "reading who is signed in likewise (annotation/members/auth_backend.py)",
    "policy_saved_us": "writing the security policy's header once (deploy/csp.py) against django-csp's way",
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
    arguments = parser.parse_args()
    figures: dict[str, float | int | str] = {}
    with (
        tempfile.TemporaryDirectory(prefix="konomi-annotate-") as folder,
        running_site((arguments.keep or Path(folder)) / "var", KONOMI_MANIFEST_STATIC="1") as site,
    ):
        for size in map(int, arguments.sizes.split(",")):
            figures |= {f"{key}_{NAMES.get(size, size)}": value for key, value in at(site, size, arguments).items()}
        session = ask_inside(site, what="fill", tasks=1, people=1)["sessions"][0]
        figures |= ask_inside(site, what="shortcuts", session=session)
    report("annotate", figures, {key: NOTES.get(key) or NOTES[key.rpartition("_")[0]] for key in figures})


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


def ask_inside(site: Site, program: str = "_annotate_inside", **question: object) -> dict:
    """The answer of _annotate_inside.py (or another), a program of its own in the site's environment."""
    command = [sys.executable, "-m", f"tests.benchmarks.{program}", json.dumps({"file": None, **question})]
    if "acknowledged" in question:  # too long for a command line
        path = site.var / "acknowledged.json"
        path.write_text(json.dumps(question.pop("acknowledged")))
        command[-1] = json.dumps({"file": str(path), **question})
    environment = {**site.env(), "DJANGO_SETTINGS_MODULE": "deploy.settings"}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
