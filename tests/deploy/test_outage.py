"""What a request gets while the database or the disk cannot serve it, and what health, caches and keys say."""

import errno
import logging
import re
import secrets
import subprocess
import sys

import psycopg
import pytest
from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, ProgrammingError

from deploy import health, outage
from deploy.embedded import access
from deploy.outage_log import Outages
from deploy.secret_key import weakness
from tests.factories import UserFactory


def raised(error, cause=None):
    try:
        raise error from cause
    except type(error) as caught:
        return caught


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (raised(OperationalError("server closed the connection"), psycopg.OperationalError("gone")), 503),
        (raised(OperationalError("starting up"), psycopg.errors.CannotConnectNow("starting up")), 503),
        (raised(OperationalError("shut down"), psycopg.errors.AdminShutdown("shut down")), 503),
        (raised(OperationalError("crash"), psycopg.errors.CrashShutdown("crash")), 503),
        (raised(OperationalError("many"), psycopg.errors.TooManyConnections("many")), 503),
        (raised(InterfaceError("the connection is closed")), 503),
        (raised(psycopg.OperationalError("consuming input failed: server closed the connection unexpectedly")), 503),
        (raised(psycopg.InterfaceError("the connection is closed")), 503),
        (raised(psycopg.errors.AdminShutdown("shut down")), 503),
        (raised(psycopg.errors.DiskFull("full")), 507),
        (raised(psycopg.errors.QueryCanceled("cancelled")), None),
        (raised(psycopg.errors.UniqueViolation("twice")), None),
        (raised(OperationalError("full"), psycopg.errors.DiskFull("full")), 507),
        (raised(OSError(errno.ENOSPC, "No space left on device")), 507),
        (raised(OSError(errno.EDQUOT, "Disk quota exceeded")), 507),
        (raised(RuntimeError("the import failed"), OSError(errno.ENOSPC, "No space left on device")), 507),
        (raised(OperationalError("cancelled"), psycopg.errors.QueryCanceled("cancelled")), None),
        (raised(OperationalError("deadlock"), psycopg.errors.DeadlockDetected("deadlock")), None),
        (raised(ProgrammingError("no such column"), psycopg.errors.UndefinedColumn("x")), None),
        (raised(DatabaseError("other")), None),
        (raised(OSError(errno.EACCES, "Permission denied")), None),
        (raised(ValueError("ours")), None),
        (None, None),
    ],
)
def test_what_counts_as_an_outage(error, status):
    assert outage.outage_status(error) == status


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (OperationalError("server closed the connection unexpectedly\nThis probably means"), 503, "starting again"),
        (OSError(errno.ENOSPC, "No space left on device"), 507, "The disk is full"),
        (ValueError("a fault of ours"), 500, "Something went wrong"),
    ],
)
@pytest.mark.parametrize("path", ["/", "/accounts/login/", "/projects/new/"])
def test_the_page_is_clear_and_has_our_headers(client, monkeypatch, error, status, words, path, caplog):
    """Also where the middleware fails: the session's first query is the first that fails."""

    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr("deploy.language.PersonsLanguageMiddleware.__call__", fail)
    client.raise_request_exception = False
    answer = client.get(path)
    assert answer.status_code == status
    assert words in answer.content.decode()
    assert answer["Content-Security-Policy"]
    assert answer["X-Content-Type-Options"] == "nosniff"
    if status != 500:
        assert answer["Retry-After"] == "5"
        for record in caplog.records:
            outage.OneLine().filter(record)
            assert "\n" not in logging.Formatter().format(record)


PROCESSES = """
import logging, os, signal, sys, threading, time
from http import HTTPStatus
from pathlib import Path
from deploy import outage_log
outage_log.LOOK_SECONDS = 0.1
down = Path(sys.argv[1])
outages = outage_log.Outages(lambda status: not down.exists())
logging.basicConfig(format="%(message)s")
status = HTTPStatus.SERVICE_UNAVAILABLE
for number in range(4):
    if not os.fork():
        firsts = []
        note = lambda: firsts.extend([1 for _ in range(25) if outages.note(status)])
        threads = [threading.Thread(target=note) for _ in range(4)]
        [thread.start() for thread in threads], [thread.join() for thread in threads]
        if firsts:
            print("first", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)  # with it, who looks for the end
        while down.exists():
            time.sleep(0.05)
        time.sleep(2)
        os._exit(0)
os.wait()
if not os.fork():  # somebody else takes over
    print(outages.note(status), outages.note(HTTPStatus.INSUFFICIENT_STORAGE), flush=True)
    time.sleep(0.5)
    down.unlink()
    time.sleep(1)
    os._exit(0)
while True:
    try: os.wait()
    except ChildProcessError: break
print(outages.note(status))
"""


def test_all_processes_together_log_an_outage_once_with_a_count(tmp_path):
    down = tmp_path / "down"
    down.touch()
    command = [sys.executable, "-c", PROCESSES, str(down)]
    done = subprocess.run(command, cwd=settings.BASE_DIR, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["first", "False", "True", "True"]
    database, disk = sorted(done.stderr.splitlines())
    assert re.fullmatch(r"The database answers again after \d+ s; 400 more failures were not logged", database)
    assert re.fullmatch(r"The disk can be written again after \d+ s; there was no further failure", disk)


def test_only_the_first_failure_of_an_outage_is_logged(monkeypatch):
    monkeypatch.setattr(outage.OneLine, "outages", Outages(lambda status: False))
    lines = []
    logger = logging.Logger("one line")
    logger.addHandler(handler := logging.StreamHandler())
    handler.addFilter(outage.OneLine())
    monkeypatch.setattr(handler, "emit", lambda record: lines.append(handler.format(record)))
    for _ in range(3):
        try:
            raise OperationalError("the connection is bad\nIs the server running?")
        except OperationalError:
            logger.exception("Task %s raised", "seal_events")
    logger.error("Service Unavailable: %s", "/healthz", extra={"status_code": 503})
    assert lines == [
        "Task seal_events raised (503: OperationalError: the connection is bad). "
        "Further failures are counted until it is over"
    ]
    try:
        raise ValueError("ours")
    except ValueError:
        logger.exception("Task %s raised", "seal_events")
    logger.error("Not Found: %s", "/x", extra={"status_code": 404})
    assert "Traceback" in lines[1]
    assert lines[2] == "Not Found: /x"


BAD_FORM = "multipart/form-data; boundary=\xff"
REFUSED = {
    "a page of others": lambda client, admin: client.get("/projects/new/"),
    "a form that cannot be read": lambda client, admin: client.post("/accounts/login/", "x", content_type=BAD_FORM),
    "a long address": lambda client, admin: client.get("/" + "x" * 4000),
    "administration": lambda client, admin: admin.get("/admin/autocomplete/?app_label=x"),
}


@pytest.mark.django_db
@pytest.mark.parametrize("send", REFUSED.values(), ids=REFUSED)
def test_a_refused_request_is_one_short_line(client, sign_in, send, monkeypatch):
    """Nobody who is refused fills the log: a page of traceback for each request would."""
    lines = []
    handler = logging.StreamHandler()
    handler.addFilter(outage.Refusals())
    monkeypatch.setattr(handler, "emit", lambda record: lines.append(handler.format(record)))
    logger = logging.getLogger("django")
    logger.addHandler(handler)
    try:
        admin = sign_in(UserFactory(is_superuser=True, is_staff=True))
        response = send(sign_in(UserFactory()), admin)
    finally:
        logger.removeHandler(handler)
    assert 400 <= response.status_code < 500
    assert lines
    assert all("\n" not in line and len(line) < 400 for line in lines), lines


def test_the_site_logs_refusals_so():
    assert "refusals" in settings.LOGGING["handlers"]["stderr"]["filters"]


@pytest.mark.django_db
def test_a_full_disk_is_not_healthy(client, monkeypatch):
    assert client.get("/healthz").content == b"ok\n"

    def full(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    answer = client.get("/healthz")
    assert (answer.status_code, answer.content.decode()) == (503, health.NO_DISK)


@pytest.mark.django_db
def test_health_leaves_no_file(client, own_var):
    before = sorted(own_var.iterdir())
    client.get("/healthz")
    assert sorted(own_var.iterdir()) == before


@pytest.mark.django_db
def test_pages_of_signed_in_people_are_not_kept(client, sign_in):
    assert "no-store" not in client.get("/accounts/password/reset/").get("Cache-Control", "")
    sign_in(UserFactory())
    for path in ("/", "/my-work/", "/preferences/"):
        said = client.get(path)["Cache-Control"]
        assert {"private", "no-store"} <= set(said.split(", ")), path
    assert "no-store" in client.post("/accounts/logout/")["Cache-Control"]


@pytest.mark.django_db
def test_expired_sessions_are_cleared(client, sign_in):
    from datetime import timedelta

    from django.contrib.sessions.models import Session
    from django.utils import timezone

    from annotation.jobs import clear_sessions
    from deploy.settings import CELERY_BEAT_SCHEDULE

    sign_in(UserFactory())
    assert Session.objects.count() == 1
    clear_sessions()
    assert Session.objects.count() == 1
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    clear_sessions()
    assert Session.objects.count() == 0
    assert clear_sessions.name in {job["task"] for job in CELERY_BEAT_SCHEDULE.values()}


@pytest.mark.parametrize(
    "key",
    [
        "",
        "short",
        "a" * 50,
        "ab" * 25,
        "abcdefgh12" * 5,
        "0123456789abcdefghijklmnopqrstuvwxyz",
        "aabbccddee" * 3 + "x" * 9,
        "django-insecure-" + "q8!x7_zk2@vb1" * 3,
        "please-CHANGEME-3k2j4h5g6f7d8s9a0",
        "\n" * 40,
        "zyxwvutsrqponmlkjihgfedcba9876543210",
    ],
)
def test_a_key_that_can_be_guessed_is_refused(key):
    assert weakness(key)


@pytest.mark.parametrize("attempt", range(20))
def test_random_keys_are_accepted(attempt):
    assert weakness(secrets.token_urlsafe(50)) == ""
    assert weakness(secrets.token_hex(32)) == ""


@pytest.mark.parametrize("words", access.RECOVERING)
def test_a_server_that_recovers_is_waited_for(monkeypatch, words):
    refused = psycopg.OperationalError(f"connection failed: FATAL:  the database system is {words}")
    answers = [refused, refused, "connected"]

    def connect(**options):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(psycopg, "connect", connect)
    assert access.superuser("/nowhere") == "connected"


def test_another_refusal_is_not_waited_for(monkeypatch):
    def connect(**options):
        raise psycopg.OperationalError("no such file")

    monkeypatch.setattr(psycopg, "connect", connect)
    with pytest.raises(psycopg.OperationalError, match="no such file"):
        access.superuser("/nowhere")
