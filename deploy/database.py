"""The PostgreSQL connection: DATABASE_URL, or the embedded server in var/postgres."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

DATABASE_NAME = "konomi"
# Only the statements of `annotation.core.prepared` are prepared. Each looks up rows by key with the same plan every
# time, so it is planned once per connection; planning it with every task costs more than running it.
SESSION = "-c plan_cache_mode=force_generic_plan -c jit=off"


def database_settings(*, url: str, var: Path) -> dict[str, Any]:
    """Django's DATABASES["default"] for a postgresql:// URL; without one the embedded server is started or joined."""
    if not url:
        from deploy.embedded import CannotStart, embedded_server_url

        try:
            url = embedded_server_url(var)
        except CannotStart as error:
            raise ImproperlyConfigured(str(error)) from error
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
