"""The proof that the site stands: `python -m tests.stories.smoke`, part of .ci/run.

It starts `make demo` in a fresh folder and behaves like its users: signs in as each of the four, opens every page,
submits one annotation of each kind, and types the commands of docs/demo.md, whose last round DPO's checkpoint must win.
It behaves badly, too: kills the engine, the worker and the web server with -9, and looks whether what was acknowledged
is still there and everything goes on. Then it stops the site and looks whether anything is left running.
"""

import argparse
import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urldefrag, urljoin, urlsplit

import psutil
import psycopg
import requests
from lxml import html

from tests.signals import restore_interrupt
from tests.site import ROOT, free_port

KINDS = ("writing", "postediting", "scoring", "choosing")
GUIDE = ROOT / "docs" / "demo.md"
SAME_SHAPE = 3  # pages that differ in their numbers only: so many of each are opened
ACCOUNT = re.compile(r"^\s+(annotator|reviewer|manager|administrator)\s+(\S+@\S+)\s+(\S+)$")

# Every view and the patterns that lead to it, asked of Django itself.
VIEWS = """
import json
from django.urls import get_resolver
def walk(patterns, prefix=""):
    for p in patterns:
        route = prefix + str(p.pattern)
        if hasattr(p, "url_patterns"):
            if p.app_name != "admin":
                yield from walk(p.url_patterns, route)
        else:
            yield p.name or "", route
print(json.dumps(sorted(walk(get_resolver().url_patterns))))
"""
REACHED = """
import json, sys
from django.urls import resolve, Resolver404
names = set()
for path in json.load(sys.stdin):
    try:
        names.add(resolve(path).url_name or "")
    except Resolver404:
        pass
print(json.dumps(sorted(names)))
"""


class Broken(AssertionError):
    """The site does not do what it promises."""


class Demo:
    """`make demo` in a folder of its own, started as from a terminal: its own process group gets the Ctrl-C."""

    def __init__(self, var: Path, command: list[str]) -> None:
        self.var, self.command, self.port = var, command, free_port()
        self.lines: list[str] = []
        self.process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environment(self) -> dict[str, str]:
        return {**os.environ, "KONOMI_VAR": str(self.var), "PORT": str(self.port), "KONOMI_PORT": str(self.port)}

    def start(self) -> float:
        """Seconds until the accounts stand on the console."""
        begun, self.lines = time.monotonic(), []
        self.process = subprocess.Popen(
            self.command,
            cwd=ROOT,
            env=self.environment(),
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._read, args=(self.process,), daemon=True).start()
        while len(self.accounts()) < 4:
            if self.process.poll() is not None or time.monotonic() - begun > 300:
                raise Broken("the demonstration did not start:\n" + "\n".join(self.lines[-40:]))
            time.sleep(0.1)
        return time.monotonic() - begun

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.lines.append(line.rstrip("\n"))
            print(f"    | {line}", end="", flush=True)

    def accounts(self) -> dict[str, tuple[str, str]]:
        found = [match for line in list(self.lines) if (match := ACCOUNT.match(line))]
        return {match[1]: (match[2], match[3]) for match in found}

    def child(self, word: str) -> psutil.Process:
        """The process that serve started with this word on its command line."""
        assert self.process is not None
        for process in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                parent = process.parent()
                ours = parent is not None and "manage.py" in " ".join(parent.cmdline())
                if ours and word in " ".join(process.cmdline()):
                    return process
        raise Broken(f"no {word} process is running")

    def manage(self, *words: str, stdin: str = "", expected: int = 0) -> str:
        """A management command beside the site; what it printed."""
        done = subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env=self.environment(),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != expected:
            raise Broken(f"manage.py {' '.join(words)} ended with {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout

    def ask(self, code: str, stdin: str = "") -> object:
        """What a few lines in the site's own shell print, as JSON."""
        said = self.manage("shell", "--verbosity", "0", "-c", code, stdin=stdin)
        return json.loads(said.strip().splitlines()[-1])

    def rows(self, query: str) -> list[tuple]:
        """Straight from the database, beside the site."""
        folder = (self.var / "postgres" / "postmaster.pid").read_text().splitlines()[4]
        with psycopg.connect(host=folder, user="postgres", dbname="konomi") as connection:
            return connection.execute(query).fetchall()

    def annotations(self) -> list[int]:
        return [row[0] for row in self.rows("SELECT id FROM annotation_annotation ORDER BY id")]

    def base_run(self) -> tuple[str, int | None, str]:
        """Status, process and error of the base model's run."""
        return self.rows("SELECT status, pid, error FROM training_run ORDER BY id LIMIT 1")[0]

    def base_run_is_live(self) -> bool:
        status, pid, _ = self.base_run()
        return status == "running" and pid is not None

    def stop(self) -> float:
        """Ctrl-C, as a terminal sends it: to make and to all it runs in the foreground."""
        assert self.process is not None
        begun = time.monotonic()
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait(timeout=40)
        return time.monotonic() - begun

    def left_running(self) -> list[str]:
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                line = " ".join(process.cmdline())
                mine = process.environ().get("KONOMI_VAR") == str(self.var) or str(self.var) in line
                if mine and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(f"{process.pid} {line[:150]}")
        return found


class Visitor:
    """One of the four with a browser that has no JavaScript."""

    def __init__(self, demo: Demo, role: str) -> None:
        self.demo, self.role = demo, role
        self.session = requests.Session()
        email, password = demo.accounts()[role]
        page = self.open("/accounts/login/")
        answer = self.post("/accounts/login/", {"login": email, "password": password})
        if page.status_code != 200 or "/accounts/login" in answer.url:
            raise Broken(f"{email} cannot sign in")

    def open(self, path: str) -> requests.Response:
        return self.session.get(urljoin(self.demo.url, path), timeout=60)

    def post(self, path: str, fields: dict) -> requests.Response:
        fields = {**fields, "csrfmiddlewaretoken": self.session.cookies.get("csrftoken", "")}
        headers = {"Referer": self.demo.url}
        return self.session.post(urljoin(self.demo.url, path), data=fields, headers=headers, timeout=60)

    def crawl(self) -> dict[str, int]:
        """Open every page that links lead to; path → status. Raises Broken at a page that is not there or fails."""
        waiting, opened, shapes = [("/", "the start")], {}, defaultdict(int)
        while waiting:
            path, source = waiting.pop(0)
            shape = re.sub(r"\d+", "N", re.sub(r"=[^&]*", "", path))
            if path in opened or shapes[shape] >= SAME_SHAPE:
                continue
            shapes[shape] += 1
            answer = self.open(path)
            opened[path] = answer.status_code
            if answer.status_code >= 400:
                raise Broken(f"{self.role}: {path} (linked from {source}) answers {answer.status_code}")
            if "text/html" in answer.headers.get("Content-Type", ""):
                waiting += [(found, path) for found in self.links(answer) if found not in opened]
        return opened

    def links(self, answer: requests.Response) -> Iterator[str]:
        for link in html.fromstring(answer.text or "<html/>").iter("a"):
            url = urldefrag(urljoin(answer.url, link.get("href", "")))[0]
            if url.startswith(self.demo.url + "/") and "/administration/" not in url:
                parts = urlsplit(url)
                yield parts.path + (f"?{parts.query}" if parts.query else "")

    def annotate(self, path: str) -> str:
        """Answer the task on this page as a person might; the address it was submitted to."""
        answer = self.open(path)
        form = task_form(answer.text)
        if form is None:
            raise Broken(f"{path} offers no task")
        answered = self.post(form.action, filled(form))
        if answered.status_code != 200:
            raise Broken(f"{form.action} answers {answered.status_code}: {answered.text[:300]}")
        return form.action


def task_form(text: str) -> html.FormElement | None:
    forms = html.fromstring(text).forms
    return next((form for form in forms if re.search(r"/assignments/\d+/submit/$", form.action or "")), None)


def filled(form: html.FormElement) -> dict[str, str]:
    """The form's fields as a person leaves them: each text written, each radio group answered."""
    fields: dict[str, str] = {}
    for element in form.inputs:
        if isinstance(element, html.RadioGroup):
            fields[element.name] = element.value or element.value_options[0]
    for element in form.iter("input", "textarea"):
        name, kind = element.get("name"), element.get("type", "text")
        if element.tag == "textarea":
            fields[name] = (element.value or "").strip() or "We thank you sincerely for your review."
        elif name and kind in ("radio",):
            group = [option.get("value") for option in form.iter("input") if option.get("name") == name]
            fields.setdefault(name, group[0])
        elif name and kind in ("hidden", "text"):
            fields[name] = element.get("value", "")
    return fields


def guide_commands() -> list[list[str]]:
    """The management commands of the walk through the demonstration, in order."""
    found = re.findall(r"^\.venv/bin/python manage\.py (.+)$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    return [shlex.split(line) for line in found]


def check_winner(demo: Demo) -> str:
    """The walk ends with a round that DPO's checkpoint clearly wins; its result in a sentence."""
    result = json.loads(demo.manage("round_result", "concierge", "--json"))
    (trainer,) = demo.rows(
        "SELECT r.trainer FROM training_checkpoint c JOIN training_run r ON r.id = c.run_id "
        f"WHERE c.id = {result['checkpoint']}"
    )[0]
    sentence = demo.manage("round_result", "concierge").splitlines()[0]
    if trainer != "dpo" or result["win_rate_low"] <= 0.5:
        raise Broken(f"DPO's checkpoint is not the clear winner: {sentence}")
    return sentence


def step(text: str) -> None:
    print(f"\n== {text}", flush=True)


def until(what: str, check: Callable[[], bool], seconds: float) -> float:
    begun = time.monotonic()
    while not check():
        if time.monotonic() - begun > seconds:
            raise Broken(f"{what} did not happen within {seconds:.0f} s")
        time.sleep(0.25)
    return time.monotonic() - begun


def healthy(demo: Demo) -> bool:
    try:
        return requests.get(f"{demo.url}/healthz", timeout=10).text == "ok\n"
    except requests.RequestException:
        return False


def batches_of(annotator: Visitor) -> dict[str, str]:
    """The address of a batch's work page for each kind, found through the pages' links."""
    found: dict[str, str] = {}
    pages = ["/", *(path for path in annotator.links(annotator.open("/")) if path.startswith("/projects/"))]
    works = {path for page in pages for path in annotator.links(annotator.open(page)) if path.endswith("/work/")}
    for path in sorted(works, key=lambda path: int(re.sub(r"\D", "", path))):
        form = task_form(annotator.open(path).text)
        if form is not None:
            found.setdefault(form.get("data-kind", ""), path)
    return found


def open_every_page(demo: Demo, visitors: dict[str, Visitor]) -> None:
    opened: dict[str, int] = {}
    for role, visitor in visitors.items():
        pages = visitor.crawl()
        print(f"{role}: {len(pages)} pages, all there")
        opened |= pages
    reached = set(demo.ask(REACHED, json.dumps([urlsplit(path).path for path in opened])))  # type: ignore[call-overload]
    by_hand, posts = [], []
    for name, route in demo.ask(VIEWS):  # type: ignore[attr-defined]
        if name in reached or "reset" in name or "static" in route:
            continue
        path = "/" + re.sub(r"<(?:\w+:)?(\w+)>", lambda match: "concierge" if match[1] == "slug" else "1", route)
        answer = visitors["administrator"].open(path.replace("\\Z", "").rstrip("$^"))
        if answer.status_code >= 500:
            raise Broken(f"{path} answers {answer.status_code}")
        (posts if answer.status_code == 405 else by_hand).append(f"{name} {answer.status_code}")
    print(f"{len(reached)} views reached by links; {len(posts)} take forms only; opened by address: {by_hand}")


def kill_engine(demo: Demo, manager: Visitor) -> None:
    """The base model's training is killed: the run says so within 30 s, and goes on when it is resumed."""
    until("the base model's training", demo.base_run_is_live, 60)
    psutil.Process(demo.base_run()[1]).kill()
    seconds = until("the failed run", lambda: demo.base_run()[0] == "failed", 30)
    print(f"engine killed: the run is marked failed after {seconds:.0f} s: {demo.base_run()[2].splitlines()[0]}")
    runs = [path for path in manager.links(manager.open("/projects/concierge/runs/")) if path.startswith("/runs/")]
    answer = manager.post(f"{runs[0]}resume/", {})
    if answer.status_code != 200:
        raise Broken(f"resuming the run answers {answer.status_code}")
    until("the resumed run", demo.base_run_is_live, 60)
    print("resumed from its page; it is running again")


def kill_worker(demo: Demo) -> None:
    engine = psutil.Process(demo.base_run()[1])
    worker = demo.child("celery")
    worker.kill()
    until("a new worker", lambda: exists(demo, "celery", other_than=worker.pid), 30)
    if not engine.is_running() or engine.status() == psutil.STATUS_ZOMBIE:
        raise Broken("the engine died with the worker")
    print("worker killed: a new one is there, and the engine never noticed")


def exists(demo: Demo, word: str, other_than: int) -> bool:
    try:
        return demo.child(word).pid != other_than
    except Broken:
        return False


def kill_web(demo: Demo, annotator: Visitor, path: str) -> None:
    """What was acknowledged is there, and the claimed task is still held by the same person."""
    acknowledged = demo.annotations()
    in_hand = task_form(annotator.open(path).text)
    assert in_hand is not None
    web = demo.child("gunicorn")
    web.kill()
    until("a new web server", lambda: exists(demo, "gunicorn", other_than=web.pid), 30)
    until("the site's answer", lambda: healthy(demo), 30)
    if demo.annotations() != acknowledged:
        raise Broken("the kill changed which annotations are there")
    again = task_form(annotator.open(path).text)
    if again is None or again.action != in_hand.action:
        raise Broken("the task in hand was lost")
    annotator.annotate(path)
    if len(demo.annotations()) != len(acknowledged) + 1:
        raise Broken("the answer after the kill was not kept")
    print(f"web killed: the site answers again, all {len(acknowledged)} annotations are there, and work goes on")


def run(demo: Demo) -> None:
    step("make demo")
    print(f"ready after {demo.start():.1f} s")

    step("sign in as each of the four")
    visitors = {role: Visitor(demo, role) for role in demo.accounts()}
    print(", ".join(visitors))

    step("kill the engine and the worker with -9 while the base model is in training")
    kill_engine(demo, visitors["manager"])
    kill_worker(demo)

    step("one annotation of each kind")
    annotator = visitors["annotator"]
    batches = batches_of(annotator)
    for kind in KINDS:
        if kind not in batches:
            raise Broken(f"no batch of the kind {kind} is offered")
        print(f"{kind}: {annotator.annotate(batches[kind])}")
    if len(demo.annotations()) != len(KINDS):
        raise Broken("not every annotation was kept")

    step("docs/demo.md up to the first training, and a refused file")
    commands = guide_commands()
    training = next(place for place, words in enumerate(commands) if words[0].startswith("train_"))
    for words in commands[:training]:
        print(demo.manage(*words).strip().splitlines()[-1])
    bad = demo.var / "bad.csv"
    bad.write_text("text,reference\nfine,\n,no text at all\n", encoding="utf-8")
    demo.manage("import_prompts", "concierge", str(bad), expected=1)
    open_every_page(demo, visitors)

    step("kill the web server with -9")
    kill_web(demo, annotator, batches_of(annotator)["choosing"])

    step("the base model comes to its end all the same")
    seconds = until("the base model", lambda: demo.base_run()[0] == "succeeded", 240)
    print(f"done {seconds:.0f} s later")

    step("the rest of docs/demo.md: training, promotion, and a round with a winner")
    for words in commands[training:]:
        print(demo.manage(*words).strip().splitlines()[-1])
    print(check_winner(demo))
    open_every_page(demo, visitors)

    step("Ctrl-C")
    kept = demo.annotations()
    print(f"stopped within {demo.stop():.1f} s")
    if left := demo.left_running():
        raise Broken("left running:\n" + "\n".join(left))

    step("make demo again")
    seconds = demo.start()
    print(f"ready after {seconds:.1f} s")
    if seconds > 15:
        raise Broken("the second start took longer than 15 s")
    if demo.annotations() != kept:
        raise Broken("the second start does not have the first one's data")
    demo.stop()
    if left := demo.left_running():
        raise Broken("left running:\n" + "\n".join(left))


def main() -> int:
    parser = argparse.ArgumentParser(description="Prove that the demonstration stands.")
    parser.add_argument("--without-make", action="store_true", help="use this environment as it is; install nothing")
    arguments = parser.parse_args()
    restore_interrupt()
    command = [sys.executable, "manage.py", "demo"] if arguments.without_make else ["make", "demo"]
    with tempfile.TemporaryDirectory(prefix="konomi-smoke-") as folder:
        demo = Demo(Path(folder) / "var", command)
        demo.var.mkdir()
        try:
            run(demo)
        except (Broken, requests.RequestException) as error:
            print(f"\nsmoke: FAILED: {error}", file=sys.stderr)
            for log in sorted((demo.var / "log").glob("*.log")):
                print(f"\n{log.name} ends with:\n{log.read_text(errors='replace')[-4000:]}", file=sys.stderr)
            return 1
        finally:
            if demo.process is not None and demo.process.poll() is None:
                demo.stop()
    print("\nsmoke: the demonstration stands")
    return 0


if __name__ == "__main__":
    sys.exit(main())
