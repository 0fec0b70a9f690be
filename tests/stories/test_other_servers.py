"""The loop on servers that an operator brings: PostgreSQL with Redis, and with RabbitMQ, as Debian has them.

Web and worker are started one by one, as on two machines that share the data folder: no `serve`, no embedded database,
and a working directory each. The engine is a stand-in; real ones are in test_loop.py.
"""

import contextlib
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import requests

from tests.site import PASSWORD, ROOT, Person, Site, free_port
from tests.stories.test_loop import latest, reviews, said, wait_until, work_through

SECONDS = 60
POSTGRESQL = max(Path("/usr/lib/postgresql").glob("*/bin/initdb"), default=None)
# Waits inside, as each question is a process of its own that imports the whole site.
STATUS = """
import json, time
from training.models import Run
until = time.monotonic() + {seconds}
while (status := Run.objects.get(pk={run}).status) != "succeeded" and time.monotonic() < until:
    time.sleep(0.5)
print(json.dumps(status))
"""
RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


@contextlib.contextmanager
def running(command: list[str], log: Path, **options) -> Iterator[subprocess.Popen]:
    with log.open("ab") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, process_group=0, **options)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def other_user() -> dict[str, object]:
    """PostgreSQL does not run as root: then as the user that Debian made for it."""
    if os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam("postgres")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


@contextlib.contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """A server of its own on a free port, with a password; yields DATABASE_URL."""
    if POSTGRESQL is None:
        pytest.skip("no PostgreSQL server on this machine: install the package postgresql (.ci/run does)")
    data, user = folder / "postgresql", other_user()
    data.mkdir(mode=0o700)
    (folder / "password").write_text("a password: with@signs/")
    if user:
        folder.chmod(0o711)
        for path in (data, folder / "password"):
            os.chown(path, user["user"], user["group"])  # type: ignore[arg-type]
    initialise = [POSTGRESQL, "-D", data, "-U", "site", "--auth=scram-sha-256", f"--pwfile={folder / 'password'}", "-N"]
    subprocess.run([*map(str, initialise), "--encoding=UTF8"], check=True, capture_output=True, cwd="/", **user)  # type: ignore[call-overload]
    port = free_port()
    options = ["-D", str(data), "-p", str(port), "-h", "127.0.0.1", "-k", str(data), "-c", "fsync=off"]
    with running([str(POSTGRESQL.with_name("postgres")), *options], folder / "postgresql.log", cwd="/", **user):
        wait_until_open(port)
        yield f"postgresql://site:{quote('a password: with@signs/', safe='')}@127.0.0.1:{port}/postgres"


@contextlib.contextmanager
def redis(folder: Path) -> Iterator[str]:
    if shutil.which("redis-server") is None:
        pytest.skip("no Redis server on this machine: install the package redis-server (.ci/run does)")
    if importlib.util.find_spec("redis") is None:
        pytest.skip("no Redis client: pip install -c deploy/constraints.txt -e '.[redis]'")
    port = free_port()
    command = ["redis-server", "--port", str(port), "--dir", str(folder), "--save", "", "--bind", "127.0.0.1"]
    with running(command, folder / "redis.log"):
        wait_until_open(port)
        yield f"redis://127.0.0.1:{port}/3"


@contextlib.contextmanager
def rabbitmq(folder: Path) -> Iterator[str]:
    if not RABBITMQ.exists():
        pytest.skip("no RabbitMQ server on this machine: install the package rabbitmq-server (.ci/run does)")
    port, names = free_port(), free_port()
    environment = {
        **{key: value for key, value in os.environ.items() if key in ("PATH", "LANG")},
        "HOME": str(folder),
        "RABBITMQ_NODENAME": f"konomi{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "rabbitmq-logs"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_PID_FILE": str(folder / "rabbitmq.pid"),
        "ERL_EPMD_PORT": str(names),
    }
    try:
        with running([str(RABBITMQ)], folder / "rabbitmq.log", env=environment, cwd=folder):
            wait_until_open(port)
            yield f"amqp://guest:guest@127.0.0.1:{port}//"
    finally:
        subprocess.run(["epmd", "-port", str(names), "-kill"], capture_output=True, check=False)


def wait_until_open(port: int) -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise AssertionError(f"nothing listens on {port}")


@contextlib.contextmanager
def site_on(folder: Path, database: str, broker: str) -> Iterator[Site]:
    """Web and worker as docs/operators.md starts them on two machines, each with a working directory of its own; they
    share the database, the broker, the key and the data (KONOMI_VAR)."""
    site = Site(var=folder / "var", port=free_port())
    site.var.mkdir(mode=0o700)
    site.environment = {
        "DATABASE_URL": database,
        "CELERY_BROKER_URL": broker,
        "KONOMI_SECRET_KEY": secrets.token_urlsafe(50),
        "KONOMI_HOSTS": "127.0.0.1",
        "KONOMI_MANIFEST_STATIC": "1",
        "DJANGO_SETTINGS_MODULE": "deploy.settings",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "KONOMI_ENGINE_PROGRAM": "tests.training.fake_engine",
    }
    site.manage("migrate", "-v", "0")
    site.manage("createcachetable")
    site.manage("collectstatic", "--noinput", "-v", "0")
    web, worker = folder / "web", folder / "worker"
    for place in (web, worker):
        place.mkdir()
    gunicorn = f"-m gunicorn deploy.wsgi --bind 127.0.0.1:{site.port} --worker-class deploy.web_worker.BufferingWorker"
    celery = "-m celery --app deploy worker --beat --concurrency 1 --loglevel WARNING --without-gossip --without-mingle"
    logs = [folder / "web.log", folder / "worker.log"]
    root = {**site.env(), "C_FORCE_ROOT": "1"}
    with (
        running(
            [sys.executable, *gunicorn.split(), "--threads", "4", "--no-control-socket"], logs[0], cwd=web, env=root
        ),
        running([sys.executable, *celery.split()], logs[1], cwd=worker, env=root),
    ):
        wait_until_open(site.port)
        assert requests.get(f"{site.url}/healthz", timeout=20).text == "ok\n"
        try:
            yield site
        except BaseException:
            for log in logs:
                print(f"---- {log.name}\n{log.read_text(errors='replace')[-4000:]}")
            raise
        assert not list(web.iterdir()), "the web process wrote into its working directory"
        assert not list(worker.iterdir()), "the worker wrote into its working directory"
        assert (site.var / "celery").is_dir()
        assert not (site.var / "secret_key").exists(), "the key is a variable"
        assert not (site.var / "postgres").exists(), "no embedded database is started beside the operator's"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("broker", [redis, rabbitmq], ids=["redis", "rabbitmq"])
def test_once_round_the_loop_on_servers_of_the_operators(broker):
    with (
        tempfile.TemporaryDirectory(prefix="konomi-servers-") as name,
        postgresql(Path(name)) as database,
        broker(Path(name)) as messages,
        site_on(Path(name), database, messages) as site,
    ):
        for who in ("manager", "annotator"):
            site.manage("create_user", f"{who}@example.org", "--name", who.title(), "--password", PASSWORD)
        people = ("--manager", "manager@example.org", "--annotator", "annotator@example.org")
        site.manage("create_project", "hotel", "--name", "Hotel", "--goal", "persona", "--persona", "Polite.", *people)
        manager, annotator = Person(site, "manager@example.org"), Person(site, "annotator@example.org")

        # A file through the page. The message reaches the worker: the job that looks for lost ones comes after 60 s.
        upload = reviews(site.var)
        manager.get("/projects/hotel/import/")
        with upload.open("rb") as file:
            manager.fill("/projects/hotel/import/", files={"file": file})
        number = re.search(r"/imports/(\d+)/", manager.page_url).group(1)
        begun = time.monotonic()
        manager.fill(f"/imports/{number}/columns/")
        record = manager.page_url.removeprefix(site.url)
        wait_until(lambda: " read:" in manager.get(record).text_content(), SECONDS)
        assert time.monotonic() - begun < 45

        batch = said(site.manage("open_batch", "hotel", "choosing", "--limit", "12", "--overlap", "1"), "batch")
        assert work_through(annotator, batch) == 12
        dataset = said(site.manage("freeze_dataset", "hotel", "--for", "dpo"), "dataset")

        # A run from the page: only the scheduler of the worker watches it to its end.
        model = site.var / "models" / "shell"
        model.mkdir(parents=True)
        (model / "config.json").write_text("{}")
        (model / "model.safetensors").write_bytes(b"weights")
        manager.get("/projects/hotel/runs/")
        manager.fill("/projects/hotel/runs/", dataset=dataset, start=f"model:{model.name}", epochs=1, batch_size=8)
        run = latest(manager, "/projects/hotel/runs/", "runs")
        result = site.var / "runs" / str(run) / "result.json"
        wait_until(result.exists, SECONDS)
        assert site.ask(STATUS.format(run=run, seconds=SECONDS)) == "succeeded"
