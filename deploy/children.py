"""The two children of `manage.py serve`: their commands, environment and logs."""

import os
import socket
import sys
from pathlib import Path

from django.conf import settings

from deploy.service import Service

SECONDS_TO_STOP = 8


def web_service(var: Path, listener: socket.socket, *, workers: int, threads: int) -> Service:
    shared_memory = ["--worker-tmp-dir", "/dev/shm"] if Path("/dev/shm").is_dir() else []  # noqa: S108
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "deploy.wsgi",
        "--bind",
        f"fd://{listener.fileno()}",
        "--worker-class",
        "gthread",
        "--workers",
        str(workers),
        "--threads",
        str(threads),
        "--preload",
        "--timeout",
        "60",
        "--keep-alive",
        "65",
        "--graceful-timeout",
        str(SECONDS_TO_STOP - 3),
        "--no-control-socket",
        "--log-level",
        "warning",
        *shared_memory,
    ]
    return Service("web", command, log_file(var, "web"), child_environment(), descriptors=(listener.fileno(),))


def worker_service(var: Path, *, jobs: int) -> Service:
    command = [
        sys.executable,
        "-m",
        "celery",
        "--app",
        "deploy",
        "worker",
        "--beat",
        "--pool",
        "prefork",
        "--concurrency",
        str(jobs),
        "--loglevel",
        "WARNING",
        "--without-gossip",
        "--without-mingle",
        "--without-heartbeat",
    ]
    # Celery warns root users of pickle; only JSON is accepted here (see settings).
    return Service("worker", command, log_file(var, "worker"), {**child_environment(), "C_FORCE_ROOT": "1"})


def child_environment() -> dict[str, str]:
    """The environment of the children: the database that this process keeps running, static files with hashed names."""
    database = settings.DATABASES["default"]
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "deploy.settings", "PYTHONUNBUFFERED": "1"}
    environment.setdefault("KONOMI_MANIFEST_STATIC", "1")
    if not environment.get("DATABASE_URL"):
        # The embedded server runs as long as this process holds a handle; children may be killed and get none.
        folder = database["HOST"] or database["OPTIONS"].get("host", "")
        environment["DATABASE_URL"] = f"postgresql://{database['USER']}@/{database['NAME']}?host={folder}"
    return environment


def log_file(var: Path, name: str) -> Path:
    """Return var/log/<name>.log; `Service.bound_log` keeps it bounded."""
    path = var / "log" / f"{name}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path
