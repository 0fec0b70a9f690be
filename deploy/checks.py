"""What `manage.py check --deploy` checks besides Django's own checks: see docs/operators.md, Hardening."""

import os
import shutil
import stat
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DatabaseError, connection

from deploy.broker import broker_problem
from deploy.private import OTHERS, open_paths
from deploy.secret_key import weakness

LEAST_FREE = 5 << 30  # bytes
LOCAL = ("", "localhost", "127.0.0.1", "::1")

# A check returns what is wrong and what to do, or two empty texts.
Finding = tuple[str, str]
FINE: Finding = ("", "")


def production() -> Finding:
    if settings.PRODUCTION:
        return FINE
    return "The site does not run in production mode.", "Set KONOMI_PRODUCTION=1 and KONOMI_SECRET_KEY."


def own_key() -> Finding:
    if not (reason := weakness(settings.SECRET_KEY)):
        return FINE
    return (
        f"The secret key can be guessed ({reason}).",
        "Make one with: python -c 'import secrets; print(secrets.token_urlsafe(50))'",
    )


def https() -> Finding:
    if settings.HTTPS:
        return FINE
    return "Sign-in and sessions are not protected by HTTPS.", "Put a proxy with TLS in front, and set KONOMI_HTTPS=1."


def hosts() -> Finding:
    if "*" in settings.ALLOWED_HOSTS:
        return "The site answers to any host name.", "Name the site's own in KONOMI_HOSTS."
    if settings.PRODUCTION and set(settings.ALLOWED_HOSTS) <= {"localhost", "127.0.0.1", "[::1]"}:
        return "The site answers to localhost only.", "Name the site's host names in KONOMI_HOSTS."
    return FINE


def proxy() -> Finding:
    host = os.environ.get("KONOMI_HOST", "127.0.0.1")
    if settings.SECURE_PROXY_SSL_HEADER or host in LOCAL:
        return FINE
    return (
        f"The site listens on {host} without a proxy in front that it knows of.",
        "Put one in front that buffers requests and answers, and set KONOMI_BEHIND_PROXY=1 and KONOMI_HOST=127.0.0.1.",
    )


def private_var() -> Finding:
    var = Path(settings.VAR)
    mode = stat.S_IMODE(var.stat().st_mode)
    if mode & (OTHERS & ~stat.S_IXGRP):
        return f"{var} can be read by other users of this machine.", f"chmod -R go= {var}"
    found = list(islice(open_paths(var), 1000))
    if not found:
        return FINE
    count = f"{len(found):,}{' or more' if len(found) == 1000 else ''}"
    return (
        f"{count} files and folders in {var} are open to other users of this machine, {found[0].name} among them.",
        "Start the site with `manage.py serve`, which closes them.",
    )


def system_user() -> Finding:
    if os.geteuid():
        return FINE
    return (
        "The site runs as root.",
        "Make a system user for it, give it the data folder, and start the site as that user.",
    )


def model_roots() -> Finding:
    for root in settings.MODEL_ROOTS:
        if root.is_dir() and root.stat().st_mode & 0o022:
            return f"Other users can put models into {root}, which the site would load.", f"chmod go-w {root}"
    return FINE


def hub() -> Finding:
    if not settings.ALLOW_HUB:
        return FINE
    return "Managers can have models fetched from a hub.", "Unset KONOMI_ALLOW_HUB, and put models into var/models."


def database_role() -> Finding:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT rolname, rolsuper FROM pg_roles WHERE rolname = current_user")
            name, is_superuser = cursor.fetchone()
    except DatabaseError as error:
        return f"The database does not answer: {str(error).strip().splitlines()[0]}", "Check DATABASE_URL."
    if not is_superuser:
        return FINE
    return (
        f"The site connects to the database as {name}, a superuser, who can run programs on the database's machine.",
        "Connect as a role of its own that owns its database: CREATE ROLE konomi LOGIN; CREATE DATABASE konomi OWNER "
        "konomi;",
    )


def database_encryption() -> Finding:
    database = settings.DATABASES["default"]
    host, mode = str(database["HOST"]), database["OPTIONS"].get("sslmode", "prefer")
    if host in LOCAL or host.startswith("/") or mode in ("require", "verify-ca", "verify-full"):
        return FINE
    return f"The connection to the database on {host} may be unencrypted.", "Add ?sslmode=verify-full to DATABASE_URL."


def broker() -> Finding:
    parts = urlsplit(settings.CELERY_BROKER_URL)
    if problem := broker_problem(settings.CELERY_BROKER_URL):
        return problem, "Until then no worker starts."
    if parts.scheme == "filesystem" or (parts.hostname or "") in LOCAL:
        return FINE
    if parts.scheme not in ("rediss", "amqps"):
        return f"Messages to the broker on {parts.hostname} are not encrypted.", "Use rediss:// or amqps://."
    if not parts.password or (parts.username, parts.password) == ("guest", "guest"):
        return f"The broker on {parts.hostname} has no password, or the one it came with.", "Set one."
    return FINE


def mail() -> Finding:
    if settings.EMAIL_HOST:
        return FINE if settings.EMAIL_USE_TLS else ("Mail is sent unencrypted.", "Unset KONOMI_EMAIL_TLS.")
    return (
        "There is no mail server: links to reset passwords are written to files in var/mail only.",
        "Set KONOMI_EMAIL_HOST.",
    )


def disk() -> Finding:
    if (free := shutil.disk_usage(settings.VAR).free) >= LEAST_FREE:
        return FINE
    return f"Only {free / (1 << 30):.1f} GiB are free below {settings.VAR}.", "Free some, or use another disk."


# Ids are public (SILENCED_SYSTEM_CHECKS): a check that goes leaves its number behind.
CHECKS: dict[str, Callable[[], Finding]] = {
    "konomi.W001": production,
    "konomi.W002": own_key,
    "konomi.W003": https,
    "konomi.W004": hosts,
    "konomi.W005": proxy,
    "konomi.W006": private_var,
    "konomi.W007": system_user,
    "konomi.W008": model_roots,
    "konomi.W009": hub,
    "konomi.W010": database_role,
    "konomi.W011": database_encryption,
    "konomi.E012": broker,
    "konomi.W013": mail,
    "konomi.W014": disk,
}


@register(Tags.security, deploy=True)
def deployment_checks(app_configs: Any, **_: Any) -> Iterable[CheckMessage]:
    for name, check in CHECKS.items():
        problem, remedy = check()
        if problem:
            kind = Error if ".E" in name else Warning
            yield kind(problem, hint=remedy, id=name)
