"""`manage.py serve` as its operator sees it: starts, repairs itself, says what is in its way, leaves nothing behind."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import psycopg
import pytest
import requests

ROOT = Path(__file__).resolve().parent.parent.parent
GUARD = str(ROOT / "deploy" / "guard.py")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_serve(var: Path, port: int, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "manage.py", "serve", "--port", str(port), "--workers", "1", "--jobs", "1"],
        cwd=ROOT,
        env={**os.environ, "KONOMI_VAR": str(var), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def answers(port: int, seconds: float = 180) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if requests.get(f"http://127.0.0.1:{port}/healthz", timeout=10).text == "ok\n":
                return True
        except requests.RequestException:
            time.sleep(0.1)
    return False


def child(serve: subprocess.Popen[str], word: str, *, other_than: int = 0, seconds: float = 120) -> psutil.Process:
    """The child of `serve` whose command line has this word."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for process in psutil.Process(serve.pid).children():
            try:
                if process.pid != other_than and word in process.cmdline():
                    return process
            except psutil.Error:
                continue
        time.sleep(0.1)
    raise AssertionError(f"serve has no {word} child")


def left_over(var: Path) -> list[str]:
    """Command lines of living processes that belong to the site in `var`."""
    found = []
    for process in psutil.process_iter():
        try:
            mine = process.environ().get("KONOMI_VAR") == str(var) or str(var) in " ".join(process.cmdline())
            if mine and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def wait_until_gone(var: Path, *, but: str = "postgres", seconds: float = 60) -> list[str]:
    deadline = time.monotonic() + seconds
    while (found := [line for line in left_over(var) if but not in line]) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


@pytest.fixture
def var(tmp_path):
    folder = tmp_path / "site"
    folder.mkdir()
    yield folder
    for process in psutil.process_iter():
        try:
            if process.environ().get("KONOMI_VAR") == str(folder):
                process.kill()
        except psutil.Error:
            continue


def test_the_site_starts_mends_itself_and_leaves_nothing_behind(var):
    port = free_port()
    serve = start_serve(var, port)
    assert answers(port), serve.communicate(timeout=5)

    second = start_serve(var, free_port())
    _, said = second.communicate(timeout=180)
    assert second.returncode == 1
    assert "already runs on the data in" in said
    assert f"http://127.0.0.1:{port}" in said

    web, worker = child(serve, "gunicorn"), child(serve, "celery")
    web.kill()
    assert answers(port)
    assert child(serve, "gunicorn", other_than=web.pid)
    worker.kill()
    assert child(serve, "celery", other_than=worker.pid)

    # Killed itself, it takes web and worker along: nothing keeps the port, and the next start finds its data.
    serve.kill()
    serve.wait()
    assert wait_until_gone(var) == []
    serve = start_serve(var, port)
    assert answers(port), serve.communicate(timeout=5)

    begun = time.monotonic()
    serve.send_signal(signal.SIGINT)
    said, complaints = serve.communicate(timeout=120)
    assert serve.returncode == 0, complaints
    assert time.monotonic() - begun < 60  # not until somebody gives up waiting
    assert said.rstrip().endswith("Stopped.")
    assert left_over(var) == []


def begin_stuck_job(var, database):
    """Have the worker run a job that waits for a lock which `database` holds and keeps."""
    database.execute("LOCK TABLE annotation_assignment IN ACCESS EXCLUSIVE MODE")
    code = "from annotation.jobs import expire_leases; expire_leases.delay()"
    environment = {**os.environ, "KONOMI_VAR": str(var)}
    subprocess.run([sys.executable, "manage.py", "shell", "-c", code], cwd=ROOT, env=environment, check=True)
    assert await_true(lambda: waiting(database)), "no job waits"


def only_its_own(serve, var):
    """Whether what runs for the site is what this serve started, and its database."""
    of_site = {psutil.Process(serve.pid), *psutil.Process(serve.pid).children(recursive=True)}
    lines = [" ".join(process.cmdline()) for process in of_site]
    running = left_over(var)
    return sorted(running) == sorted([*lines, *(line for line in running if "postgres" in line)])


def ignores_sigterm(process):
    ignored = re.search(r"SigIgn:\s*(\w+)", Path(f"/proc/{process.pid}/status").read_text())[1]
    return bool(int(ignored, 16) & 1 << (signal.SIGTERM - 1))


def waiting(database):
    """Processes of the server that wait for a lock."""
    database.execute("SELECT pg_stat_clear_snapshot()")  # in a transaction, the first look would be kept
    query = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = 'konomi'"
    return {pid for (pid,) in database.execute(query).fetchall()}


def await_true(ask, seconds=120):
    deadline = time.monotonic() + seconds
    while not (answer := ask()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return answer


@pytest.mark.timeout(600)
def test_a_killed_serve_leaves_nothing_however_busy_its_worker_is(var):
    port = free_port()
    serve = start_serve(var, port)
    assert answers(port), serve.communicate(timeout=5)
    assert await_true(lambda: len(child(serve, "celery").children()) >= 2), "scheduler and pool"
    with psycopg.connect(host=str(var / "postgres"), user="postgres", dbname="konomi") as database:
        # Celery waits for its jobs, and this one never ends.
        begin_stuck_job(var, database)
        stuck = waiting(database)
        serve.kill()
        # The next one begins when all is gone, with the lock still held by somebody else.
        serve.wait()
        serve = start_serve(var, port)
        assert answers(port), serve.communicate(timeout=5)
        assert await_true(lambda: only_its_own(serve, var)), left_over(var)
        assert await_true(lambda: not (stuck & waiting(database))), "the server has noticed it"

    # A killed guard is replaced, and only serve decides when it ends.
    guard = child(serve, GUARD)
    guard.kill()
    guard = child(serve, GUARD, other_than=guard.pid)
    assert await_true(lambda: ignores_sigterm(guard)), "it has begun"
    guard.terminate()

    # Worker and parent at once, as by the kernel's memory killer: processes of the worker's pool have no parent then.
    assert await_true(lambda: len(child(serve, "celery").children()) >= 2)
    assert guard.is_running()
    child(serve, "celery").kill()
    serve.kill()
    serve.wait()
    assert wait_until_gone(var) == []


def test_a_taken_port_is_one_clear_line(var):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        serve = start_serve(var, port, DATABASE_URL="postgresql:///never_asked")
        _, said = serve.communicate(timeout=180)
    assert serve.returncode == 1
    assert said.strip().count("\n") == 0
    assert f"Port {port} on 127.0.0.1 is taken" in said
    assert f"PORT={port + 1}" in said


@pytest.mark.django_db
def test_health_needs_no_sign_in(client):
    response = client.get("/healthz")
    assert response.status_code == 200
    assert response.content == b"ok\n"
    assert client.post("/healthz").status_code == 405
