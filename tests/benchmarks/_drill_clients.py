"""The people of the drill: annotators, importers, freezers and one who trains. Each notes what was acknowledged."""

import contextlib
import json
import random
import re
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from tests.benchmarks.annotate import FORM, TOKEN
from tests.faults.patient import Patient
from tests.site import Person, Site

THINKING_SECONDS = 0.3
DRAFT_EVERY = 3
PATIENCE_SECONDS = 240.0  # a full disk and a kill on top are waited out
CLEAR = {503: b"starting again", 507: b"disk is full"}  # how a page says that it cannot save at the moment
FINISHED = (b"This batch is finished", b"finished your tasks here")


@dataclass
class Acknowledged:
    """One write that the site said it has; times are monotonic."""

    begin: float
    end: float
    what: str
    facts: dict[str, Any]


@dataclass
class Ledger:
    """What everybody was told, in the order of the answers."""

    entries: list[Acknowledged] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)
    refused: Counter[int] = field(default_factory=Counter)  # by status
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, begin: float, what: str, **facts: Any) -> None:
        with self.lock:
            self.entries.append(Acknowledged(begin, time.monotonic(), what, facts))

    def note_refusals(self, who: str, refusals: list[tuple[int, bytes]]) -> None:
        """Answers of the 500s that do not say what is the matter and what to do."""
        for status, text in refusals:
            with self.lock:
                self.refused[status] += 1
            if CLEAR.get(status, b"\0") not in text:
                with self.lock:
                    self.unclear.append(f"{who}: {status} {text[:200]!r}")


@dataclass
class Phases:
    """What is going on: people think while faults happen, and drain the queue afterwards until `end`."""

    drained: threading.Event = field(default_factory=threading.Event)
    end: float = float("inf")

    def pause(self, seconds: float) -> None:
        """Less if the faults are over."""
        self.drained.wait(seconds)


class Annotator(Patient):
    """Drafts and submits. `leaves_at`: goes for good at that time, holding a task with a draft."""

    batch: int
    ledger: Ledger
    phases: Phases
    leaves_at: float | None = None

    def run(self) -> None:
        try:
            self.work_through()
        except BaseException as error:
            with self.ledger.lock:
                self.ledger.failures.append(f"annotator {self.number}: {error!r}")
        self.ledger.note_refusals(f"annotator {self.number}", self.refusals)

    def work_through(self) -> None:
        chance = random.Random(self.number)
        while time.monotonic() < self.phases.end:
            status, page = self.patiently("GET", f"/batches/{self.batch}/work/")
            while (form := FORM.search(page)) and time.monotonic() < self.phases.end:
                path, assignment = form[1].decode(), int(form[2])
                # Drafts and answers of one task are the same, so that a repeated message changes nothing.
                choice = random.Random(assignment).choice(["a", "b", "tie"])
                token = TOKEN.search(page)
                assert token is not None, page[:300]
                fields = {"csrfmiddlewaretoken": token[1].decode(), "choice": choice, "visit": f"drill-{assignment}"}
                leaves = self.leaves_at is not None and time.monotonic() > self.leaves_at
                if leaves or chance.randrange(DRAFT_EVERY) == 0:
                    self.write("draft", path.replace("/submit/", "/draft/"), fields, assignment, choice)
                if leaves:
                    return
                self.phases.pause(THINKING_SECONDS * chance.uniform(0.5, 1.5))
                status, page = self.write("submit", path, fields, assignment, choice)
                if status == 409:  # the lease ran out (the clock jumped), or the answer arrived before the kill
                    _, page = self.patiently("GET", f"/batches/{self.batch}/work/")
            if FORM.search(page) is None and any(words in page for words in FINISHED) and self.phases.drained.is_set():
                return
            time.sleep(0.5)

    def write(self, what: str, path: str, fields: dict[str, str], assignment: int, choice: str) -> tuple[int, bytes]:
        begin = time.monotonic()
        status, page = self.patiently("POST", path, fields)
        if status in (200, 204):
            self.acknowledged.append(assignment)
            self.ledger.note(begin, what, assignment=assignment, person=self.number, is_tie=choice == "tie")
        elif status != 409:
            raise AssertionError(f"{what}: {status} {page[:300]!r}")
        return status, page

    def patiently(self, method: str, path: str, fields: dict[str, str] | None = None) -> tuple[int, bytes]:
        return self.again(method, path, fields, until=time.monotonic() + PATIENCE_SECONDS)


class Manager(Person):
    """Imports, freezes or trains through the pages, again and again; what breaks off is started over."""

    def __init__(self, site: Site, session: str, number: int, ledger: Ledger, phases: Phases, model: Path) -> None:
        self.site, self.number, self.ledger, self.phases, self.model = site, number, ledger, phases, model
        self.session = requests.Session()
        self.session.cookies.set("sessionid", session)
        self.slug = ""
        self.round = 0

    def every(self, seconds: float, what: str) -> None:
        work = {"import": self.import_file, "freeze": self.freeze, "run": self.train}[what]
        while not self.phases.drained.is_set():
            begin = time.monotonic()
            try:
                facts = work()
            except requests.RequestException:
                self.phases.pause(0.2)
                continue
            except RuntimeError as error:  # how `Person` reports a status of 400 or more
                self.note_refusal(str(error))
                self.phases.pause(0.5)
                continue
            except BaseException as error:
                with self.ledger.lock:
                    self.ledger.failures.append(f"{what} of person {self.number}: {error!r}")
                return
            if facts:
                self.ledger.note(begin, what, **facts)
                if what == "run":
                    print(f"  training: run {facts['run']}", flush=True)
            self.phases.pause(seconds)

    def note_refusal(self, message: str) -> None:
        if match := re.search(r": (\d{3}) ", message):
            status = int(match[1])
            with self.ledger.lock:
                self.ledger.refused[status] += 1
            # `Person` keeps the beginning of a page; only its title is in there.
            if status >= 500 and status not in CLEAR:
                with self.ledger.lock:
                    self.ledger.unclear.append(f"person {self.number}: {message[:300]}")

    def import_file(self) -> dict[str, Any] | None:
        self.round += 1
        name = f"drill-{self.number}-{self.round}"
        rows = [
            {"external_id": f"{name}-{row}", "text": f"Row {row} of {name}: is breakfast included?"}
            | {f"candidate_{side}": f"{side} {name} {row}" for side in ("one", "two")}
            for row in range(200)
        ]
        content = "".join(json.dumps(row) + "\n" for row in rows)
        self.get(f"/projects/{self.slug}/import/")
        self.fill(f"/projects/{self.slug}/import/", files={"file": (f"{name}.jsonl", content)})
        found = re.search(r"/imports/(\d+)/", self.page_url)
        if found is None:
            return None
        self.fill(f"/imports/{found[1]}/columns/")
        if "/columns/" in self.page_url:
            return None
        return {"import": int(found[1]), "prefix": f"{name}-", "rows": len(rows)}

    def freeze(self) -> dict[str, Any] | None:
        self.get(f"/projects/{self.slug}/datasets/")
        self.fill(f"/projects/{self.slug}/datasets/", purpose="dpo")
        found = re.search(r"/datasets/(\d+)/", self.page_url)
        return {"dataset": int(found[1])} if found else None

    def train(self) -> dict[str, Any] | None:
        """Start a run, or resume one that was killed; nothing while one is at work."""
        page = self.get(f"/projects/{self.slug}/runs/")
        numbers = {int(m[1]) for link in page.xpath("//a/@href") if (m := re.fullmatch(r"/runs/(\d+)/", link))}
        if numbers:
            last = max(numbers)
            self.get(f"/runs/{last}/")
            if any((form.get("action") or "").endswith("/cancel/") for form in self.page.forms):
                return None
            if any((form.get("action") or "") == f"/runs/{last}/resume/" for form in self.page.forms):
                self.fill(f"/runs/{last}/resume/")
                return {"run": last}
            self.get(f"/projects/{self.slug}/runs/")
        with contextlib.suppress(RuntimeError):  # no form yet: nothing is frozen
            self.fill(
                f"/projects/{self.slug}/runs/", start=f"model:{self.model.name}", epochs=20, batch_size=4, max_steps=150
            )
        found = re.search(r"/runs/(\d+)/", self.page_url)
        return {"run": int(found[1])} if found else None
