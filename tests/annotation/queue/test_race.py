"""Sixty-four people by HTTP at one real site, whose web processes are killed while they work: every slot is filled
once, nobody has a task twice, nothing that was acknowledged is lost, no lease stays behind."""

import random
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.benchmarks.annotate import FORM, TOKEN, ask_inside
from tests.faults.kills import kill, service_children
from tests.faults.patient import Patient
from tests.site import running_site

PEOPLE, TASKS, OVERLAP, KILLS = 64, 100, 3, 6
STANDING = """
import json
from annotation.models import Annotation, Assignment, Event
from django.db.models import F
batch = {batch}
print(json.dumps({{
    "slots": list(Assignment.objects.filter(batch=batch).values_list("id", "task_id", "state", "annotator_id")),
    "answers": list(Annotation.objects.filter(assignment__batch=batch, is_current=True)
        .values_list("assignment_id", "task_id", "annotator_id")),
    "versions": Annotation.objects.filter(assignment__batch=batch).count(),
    "events": list(Event.objects.filter(verb="annotation.submitted").values_list("object_id", flat=True)),
}}))
"""
GONE = """
from datetime import timedelta
from django.utils import timezone
from annotation.models import Assignment
held = Assignment.objects.filter(state="held", annotator__email__in={emails})
print(held.update(leased_until=timezone.now() - timedelta(seconds=1)))
"""


class Stubborn(Patient):
    """A client that asks again when the connection breaks, as a page that waits for its server does."""

    def label(self, batch, until):
        """Until nothing is left; some leave for good holding a task, some send an answer twice."""
        chance = random.Random(self.number)
        while time.monotonic() < until:
            status, page = self.again("GET", f"/batches/{batch}/work/", until=until)
            assert status == 200, page[:500]
            while form := FORM.search(page):
                if chance.random() < 0.02:
                    return
                token = TOKEN.search(page)
                fields = {"csrfmiddlewaretoken": token[1].decode(), "choice": chance.choice(["a", "b", "tie"])}
                for _ in range(2 if chance.random() < 0.1 else 1):
                    status, page = self.again("POST", form[1].decode(), fields, until=until)
                    assert status in (200, 409), page[:500]
                if status == 200:
                    self.acknowledged.append(int(form[2]))
            if b"This batch is finished" in page or b"finished your tasks here" in page:
                return
            time.sleep(0.2)

    def work_on(self, batch, until):
        try:
            self.label(batch, until)
        except BaseException as error:
            self.failures.append(repr(error))


@pytest.mark.timeout(300)
def test_sixty_four_people_and_killed_web_processes():
    # The database server's own user has to reach its folder: not one of pytest's, which are closed to it.
    with tempfile.TemporaryDirectory(prefix="konomi-race-") as folder, running_site(Path(folder) / "var") as site:
        made = ask_inside(site, what="fill", tasks=TASKS, overlap=OVERLAP, people=PEOPLE)
        people = [Stubborn(site.port, session, number) for number, session in enumerate(made["sessions"])]
        until = time.monotonic() + 200
        threads = [threading.Thread(target=person.work_on, args=(made["batch"], until)) for person in people]
        for thread in threads:
            thread.start()
        killed = 0
        while killed < KILLS and any(thread.is_alive() for thread in threads):
            time.sleep(0.7)
            if found := service_children(site, "gunicorn"):
                killed += kill(random.choice(found))
        # Those who left for good keep their tasks until the lease runs out; the others wait for them.
        left = [
            f"person{person.number}@{TASKS}.example"
            for person, thread in zip(people, threads, strict=True)
            if not thread.is_alive()
        ]
        while any(thread.is_alive() for thread in threads) and time.monotonic() < until:
            left = [
                f"person{person.number}@{TASKS}.example"
                for person, thread in zip(people, threads, strict=True)
                if not thread.is_alive()
            ]
            site.ask(GONE.format(emails=left))
        for thread in threads:
            thread.join(1)
        assert [failure for person in people for failure in person.failures] == []
        assert killed == KILLS
        standing = site.ask(STANDING.format(batch=made["batch"]))
    assert Counter(state for _, _, state, _ in standing["slots"]) == {"done": TASKS * OVERLAP}
    assert set(Counter(task for _, task, _, _ in standing["slots"]).values()) == {OVERLAP}
    assert max(Counter((task, person) for _, task, _, person in standing["slots"]).values()) == 1
    answers = standing["answers"]
    assert sorted(slot for slot, _, _ in answers) == sorted(slot for slot, _, _, _ in standing["slots"])
    assert standing["versions"] == len(answers) == len(set(standing["events"])) == len(standing["events"])
    owner = {slot: person for slot, _, _, person in standing["slots"]}
    assert all(owner[slot] == person for slot, _, person in answers)
    acknowledged = [(slot, person.number) for person in people for slot in person.acknowledged]
    assert {slot for slot, _ in acknowledged} <= set(owner)
    assert len(acknowledged) > TASKS
