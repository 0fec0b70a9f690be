"""PostgreSQL is killed under load: the site comes back by itself, and all that was acknowledged is there."""

import os
import random
import re
import signal
import tempfile
import threading
import time
from pathlib import Path

import pytest

from deploy.embedded.processes import postmaster
from tests.benchmarks.annotate import FORM, TOKEN, ask_inside
from tests.faults.kills import database_connections, kill
from tests.faults.patient import Patient
from tests.site import running_site

PEOPLE, TASKS = 6, 400
LONGEST_OUTAGE_SECONDS = 10.0
STANDING = """
import json
from annotation.models import Annotation, Assignment, Draft
batch = {batch}
print(json.dumps({{
    "answers": list(Annotation.objects.filter(assignment__batch=batch, is_current=True)
        .values_list("assignment_id", flat=True)),
    "drafts": {{slot.pk: draft.payload for draft in Draft.objects.filter(task__batch=batch)
        for slot in Assignment.objects.filter(task=draft.task_id, annotator=draft.annotator_id)}},
}}))
"""
BEGINS = "Further failures are counted until it is over"
ENDS = r"The database answers again after \d+ s; [1-9]\d* more failures were not logged"


def log_of_long_outage(site, data):
    """What the worker logs of an outage that lasts for several of its periodic jobs."""
    log = site.var / "log" / "worker.log"
    before = log.stat().st_size
    os.kill(site.process.pid, signal.SIGSTOP)  # who would start the database again
    try:
        kill(postmaster(data))
        time.sleep(16)
    finally:
        os.kill(site.process.pid, signal.SIGCONT)
    until = time.monotonic() + 90
    while not re.search(ENDS, log.read_text()[before:]) and time.monotonic() < until:
        time.sleep(0.5)
    return log.read_text()[before:]


class Witness(Patient):
    """Notes what was acknowledged."""

    def label(self, batch, until):
        self.drafted = {}
        chance = random.Random(self.number)
        _, page = self.again("GET", f"/batches/{batch}/work/")
        while time.monotonic() < until and (form := FORM.search(page)):
            path, assignment = form[1].decode(), int(form[2])
            choice = chance.choice(["a", "b"])
            fields = {"csrfmiddlewaretoken": TOKEN.search(page)[1].decode(), "choice": choice}
            status, _ = self.again("POST", path.replace("/submit/", "/draft/"), fields)
            assert status in (200, 204, 409), status
            if status == 204:
                self.drafted = {assignment: choice}
            status, answer = self.again("POST", path, fields)
            assert status in (200, 409), answer[:500]
            if status == 200:
                self.acknowledged.append(assignment)
                page = answer
            else:  # submitted before the kill, and the answer did not arrive
                _, page = self.again("GET", f"/batches/{batch}/work/")
        # Leave a draft behind.
        if form := FORM.search(page):
            fields = {"csrfmiddlewaretoken": TOKEN.search(page)[1].decode(), "choice": "a"}
            status, _ = self.again("POST", form[1].decode().replace("/submit/", "/draft/"), fields)
            assert status == 204
            self.drafted = {int(form[2]): "a"}

    def work_on(self, batch, until):
        try:
            self.label(batch, until)
        except BaseException as error:
            self.failures.append(repr(error))


@pytest.mark.timeout(400)
def test_postgresql_is_killed_under_load():
    with tempfile.TemporaryDirectory(prefix="konomi-outage-") as folder, running_site(Path(folder) / "var") as site:
        data = (site.var / "postgres").resolve()
        made = ask_inside(site, what="fill", tasks=TASKS, overlap=1, people=PEOPLE)
        people = [Witness(site.port, session, number) for number, session in enumerate(made["sessions"])]
        until = time.monotonic() + 12
        threads = [threading.Thread(target=person.work_on, args=(made["batch"], until)) for person in people]
        for thread in threads:
            thread.start()
        socket = (data / "postmaster.pid").read_text().splitlines()[4]
        # As where nobody reaps the killed server: the lock of its socket names a living process.
        lock = Path(socket) / ".s.PGSQL.5432.lock"
        lock.write_text(lock.read_text().replace(lock.read_text().split()[0], str(os.getpid()), 1))
        time.sleep(1.5)
        first = postmaster(data)
        kill(first)
        time.sleep(5)
        second = postmaster(data)
        assert second is not None
        assert second.pid != first.pid
        assert (data / "postmaster.pid").read_text().splitlines()[4] == socket
        # A single backend: PostgreSQL itself ends the others and recovers.
        kill(database_connections(site)[0])
        for thread in threads:
            thread.join(90)
        # What clears temporary folders deletes the socket: the server lives, and nobody finds it.
        third = postmaster(data)
        (Path(socket) / ".s.PGSQL.5432").unlink()
        until = time.monotonic() + 30
        while not (Path(socket) / ".s.PGSQL.5432").is_socket() and time.monotonic() < until:
            time.sleep(0.2)
        assert postmaster(data).pid != third.pid
        standing = site.ask(STANDING.format(batch=made["batch"]))
        said = (site.var / "serve.log").read_text()
        log = (site.var / "log" / "web.log").read_text()
        worker_log = log_of_long_outage(site, data)
    assert [failure for person in people for failure in person.failures] == []
    answers = standing["answers"]
    assert len(answers) == len(set(answers))
    acknowledged = {assignment for person in people for assignment in person.acknowledged}
    assert len(acknowledged) > PEOPLE
    assert acknowledged <= set(answers)
    for person in people:
        for assignment, choice in person.drafted.items():
            if assignment not in answers:
                # A draft keeps the candidate that was chosen, not the letter of its side.
                assert (standing["drafts"][str(assignment)]["choice"] == "one") == (choice in ("a", "b"))
    assert max(person.longest for person in people) < LONGEST_OUTAGE_SECONDS
    told = [answer for person in people for answer in person.refusals]
    assert {status for status, _ in told} <= {503}
    assert all(b"starting again" in content for _, content in told)
    assert "PostgreSQL has ended" in said
    assert "The socket of PostgreSQL was deleted" in said
    assert said.count("PostgreSQL is back after") >= 2
    assert log.count("Traceback") == 0, log[-3000:]
    assert 1 <= log.count(BEGINS) <= 2, log[-3000:]
    assert worker_log.count("Traceback") == 0, worker_log[-3000:]
    assert len(re.findall(ENDS, worker_log)) == 1, worker_log[-3000:]
