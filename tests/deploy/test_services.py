"""A process that ends again and again is reported with its last message: on the console, and to administrators."""

import json
import signal
import socket
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.utils import timezone

from annotation.core import journal
from annotation.models import Event
from deploy import serve, status
from deploy.broker import broker_problem, silence_of
from deploy.service import Service
from tests.factories import UserFactory

SAYS = "import sys; print('Traceback (most recent call last):\\n  …\\nImportError: no {what}'); sys.exit({code})"


def watched(settings, tmp_path, command, seconds):
    """What `serve` says of a process that runs this command, and the file it leaves for the page."""
    log = tmp_path / "worker.log"
    log.write_text("an older message\n")
    service = Service("worker", command, log, {})
    said, stopping = [], []
    timer = threading.Timer(seconds, lambda: stopping.append(1))
    service.start()
    timer.start()
    serve.watch([service], stopping, said.append)
    rows = status.read_status()
    service.kill()
    return said, rows


@pytest.mark.parametrize(("what", "code"), [("redis", 1), ("数", 70)])
def test_a_process_that_ends_at_once_is_reported_with_its_last_message(
    settings, tmp_path, what, code, client, sign_in, db, monkeypatch
):
    # Processes of the test are started from the main thread: without the call that ties them to it.
    monkeypatch.setattr(serve, "STEADY_SECONDS", 30)
    command = [sys.executable, "-X", "utf8", "-c", SAYS.format(what=what, code=code)]
    said, rows = watched(settings, tmp_path, command, 5)
    text = "\n".join(said)
    assert f"ended with exit code {code}; starting it again in 1 s" in text
    assert text.count(f"ImportError: no {what}") == 1, "once, not with every start"
    assert "3 times in a row" in text
    assert "an older message" not in text
    (row,) = rows
    assert row["failures"] >= 3
    assert row["message"].endswith(f"ImportError: no {what}")
    sign_in(UserFactory(is_superuser=True))
    page = client.get("/services/").content.decode()
    assert f"ended with exit code {code}" in page
    assert "ImportError: no" in page


def test_a_process_that_runs_is_no_failure(settings, tmp_path, client, sign_in, db):
    said, rows = watched(settings, tmp_path, [sys.executable, "-c", "import time; time.sleep(60)"], 1)
    assert said == []
    assert [(row["is_running"], row["failures"]) for row in rows] == [(True, 0)]
    sign_in(UserFactory(is_superuser=True))
    page = client.get("/services/").content.decode()
    assert "Running since" in page


def test_a_single_kill_is_no_failure_either(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(serve, "STEADY_SECONDS", 0.1)
    said, rows = watched(settings, tmp_path, [sys.executable, "-c", "import time; time.sleep(0.5)"], 3)
    assert all("starting it again. " in line for line in said)
    assert rows[0]["failures"] == 0


def test_a_process_that_is_killed_again_and_again_comes_back_soon():
    service = Service("web", [], Path("web.log"), {})
    waits = []
    for _ in range(8):
        serve.note_end(service, -signal.SIGKILL, now=service.started + 1)
        waits.append(service.wait)
    assert waits == [1.0] + [2.0] * 7
    serve.note_end(service, 1, now=service.started + 1)
    serve.note_end(service, 1, now=service.started + 1)
    assert service.wait == 8.0, "one that ends by itself waits longer and longer"


def test_a_message_of_any_length_is_shortened(tmp_path):
    log = tmp_path / "log"
    log.write_bytes(b"old\n" + b"\xff" * 20_000 + b"\n\n\n" + b"line\n" * 50)
    assert status.last_message(log, 4) == "\n".join(["line"] * 6)
    log.write_bytes(b"x" * 20_000)
    assert len(status.last_message(log, 0)) == 1200
    assert status.last_message(log, 10**9) != "", "the log was emptied while the process wrote on"
    assert status.last_message(tmp_path / "none", 0) == ""


@pytest.mark.django_db
@pytest.mark.parametrize(("person", "expected"), [({}, 404), ({"is_staff": True}, 404), ({"is_superuser": True}, 200)])
def test_only_administrators_see_the_page(client, sign_in, person, expected):
    assert client.get("/services/").status_code == 302
    sign_in(UserFactory(**person))
    assert client.get("/services/").status_code == expected


@pytest.mark.parametrize("content", ["", "[]", "{", json.dumps({"services": None})])
def test_a_damaged_file_is_no_error(settings, content):
    status.status_file().write_text(content)
    assert status.read_status() == []


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("filesystem://localhost//", ""),
        ("amqp://guest@localhost//", ""),
        ("amqps://host/vhost", ""),
        ("redis://localhost:6379/0", "pip install -c deploy/constraints.txt -e '.[redis]'"),
        ("rediss://localhost", "'.[redis]'"),
        ("sqs://", "begins with sqs://"),
        ("localhost:6379", "begins with localhost"),
        ("", "begins with nothing"),
    ],
)
def test_a_broker_that_cannot_be_used_is_refused_with_the_remedy(url, words, monkeypatch):
    monkeypatch.setattr("deploy.broker.find_spec", lambda name: None)
    problem = broker_problem(url)
    assert words in problem
    assert bool(problem) == bool(words)
    monkeypatch.setattr("deploy.broker.find_spec", lambda name: object())
    assert bool(broker_problem(url)) == ("begins" in words)


def test_the_worker_ends_with_its_scheduler(monkeypatch):
    from deploy import celery

    class Scheduler:
        lives = 3

        def is_alive(self):
            self.lives -= 1
            return self.lives > 0

    ended = []
    monkeypatch.setattr(celery, "SCHEDULER_SECONDS", 0.01)
    monkeypatch.setattr(celery.os, "kill", lambda pid, number: ended.append(number))
    begun = time.monotonic()
    celery.end_with_scheduler(Scheduler())
    assert ended == [15]
    assert time.monotonic() - begun < 1


def test_a_broker_that_nobody_listens_at_is_said_at_the_start():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert silence_of(f"redis://127.0.0.1:{port}/0") == ""
    for url in (
        f"redis://:secret@127.0.0.1:{port}/0",
        f"amqp://me:secret@127.0.0.1:{port}//",
        f"rediss://127.0.0.1:{port}",
    ):
        told = silence_of(url)
        assert "does not answer" in told
        assert "secret" not in told
    assert silence_of("filesystem://localhost//") == ""


@pytest.mark.django_db
def test_a_start_seals_what_was_recorded_before_it(monkeypatch):
    """Right after an upgrade, or a night without the site, the journal is sound and not "added later"."""
    before = timezone.now() - timedelta(hours=9)
    with monkeypatch.context() as then:
        then.setattr("django.utils.timezone.now", lambda: before)
        Event.objects.create(verb="user.created", object_type="user", object_id=1)
    assert any(chain.faults for chain in journal.verify())
    monkeypatch.setattr(
        serve.subprocess, "Popen", lambda *_, **__: SimpleNamespace(communicate=lambda: (b"", None), returncode=0)
    )
    serve.prepare(lambda text: None)
    assert not any(chain.faults or chain.waiting for chain in journal.verify())
