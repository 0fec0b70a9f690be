"""Every environment variable of docs/operators.md takes effect, and every one that the code reads is on that page."""

import os
import re
import runpy
import secrets
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from deploy.management.commands.serve import Command

ROOT = Path(__file__).resolve().parent.parent.parent
# Named at the page's table, read from the first column.
NAME = re.compile(r"`([A-Z][A-Z0-9_]+)`")
OWN = re.compile(r"\b(?:KONOMI_[A-Z_]+|DATABASE_URL|CELERY_BROKER_URL)\b")
# What one process of ours says to another; nobody sets these.
INTERNAL = {"KONOMI_RUN_LOCK_FD", "KONOMI_LED", "KONOMI_ENGINE_MODEL_ROOTS"}
KEY = secrets.token_urlsafe(50)
URL = "postgresql://ana:p%40ss@db.example.org:5433/labels?sslmode=require&prepare_threshold=off"


def setting(*path):
    """The value of a setting; further names are keys or attributes of it."""

    def read(settings):
        value = settings
        for name in path:
            value = value[name]
        return value

    return read


DATABASE = setting("DATABASES", "default")
# Variable → (what is set, what is read from the settings, what is expected): at least one that is not the default.
SETTINGS = {
    "DATABASE_URL": [
        (
            URL,
            lambda s: {key: DATABASE(s)[key] for key in ("NAME", "USER", "PASSWORD", "HOST", "PORT")},
            {"NAME": "labels", "USER": "ana", "PASSWORD": "p@ss", "HOST": "db.example.org", "PORT": "5433"},
        ),
        (
            URL,
            lambda s: (DATABASE(s)["OPTIONS"]["sslmode"], DATABASE(s)["OPTIONS"]["prepare_threshold"]),
            ("require", None),
        ),
        ("postgres:///labels?host=/run/postgresql", lambda s: DATABASE(s)["HOST"], "/run/postgresql"),
    ],
    "KONOMI_CONN_MAX_AGE": [
        ("5", lambda s: DATABASE(s)["CONN_MAX_AGE"], 5),
        ("0", lambda s: DATABASE(s)["CONN_MAX_AGE"], 0),
    ],
    "CELERY_BROKER_URL": [
        ("redis://broker/3", setting("CELERY_BROKER_URL"), "redis://broker/3"),
        ("amqp://broker//", lambda s: "CELERY_BROKER_TRANSPORT_OPTIONS" in s, False),
        ("", setting("CELERY_BROKER_URL"), "filesystem://localhost//"),
    ],
    "KONOMI_SECRET_KEY": [(KEY, setting("SECRET_KEY"), KEY)],
    "KONOMI_HOSTS": [("a.example.org,b.example.org", setting("ALLOWED_HOSTS"), ["a.example.org", "b.example.org"])],
    "KONOMI_ORIGINS": [("https://a.example.org", setting("CSRF_TRUSTED_ORIGINS"), ["https://a.example.org"])],
    "KONOMI_HTTPS": [
        (
            value,
            lambda s: (
                s["SESSION_COOKIE_SECURE"],
                s["CSRF_COOKIE_SECURE"],
                s["SECURE_SSL_REDIRECT"],
                s["SECURE_HSTS_SECONDS"] > 0,
            ),
            (expected,) * 4,
        )
        for value, expected in (("1", True), ("yes", True), ("on", True), ("0", False), ("no", False))
    ],
    "KONOMI_BEHIND_PROXY": [
        (
            "1",
            lambda s: (s["SECURE_PROXY_SSL_HEADER"], s["ALLAUTH_TRUSTED_PROXY_COUNT"]),
            (("HTTP_X_FORWARDED_PROTO", "https"), 1),
        ),
    ],
    "KONOMI_MANIFEST_STATIC": [
        (
            "1",
            lambda s: (s["WHITENOISE_USE_FINDERS"], "Manifest" in s["STORAGES"]["staticfiles"]["BACKEND"]),
            (False, True),
        ),
    ],
    "KONOMI_DEBUG": [("true", setting("DEBUG"), True)],
    "KONOMI_LOG_LEVEL": [("DEBUG", lambda s: s["LOGGING"]["root"]["level"], "DEBUG")],
    "KONOMI_TIME_ZONE": [("Asia/Tokyo", setting("TIME_ZONE"), "Asia/Tokyo")],
    "KONOMI_UPLOAD_LIMIT_MB": [("7", setting("UPLOAD_LIMIT_BYTES"), 7 << 20)],
    "KONOMI_MODEL_ROOTS": [("/srv/a:/srv/b", lambda s: s["MODEL_ROOTS"][2:], [Path("/srv/a"), Path("/srv/b")])],
    "KONOMI_ALLOW_HUB": [("1", setting("ALLOW_HUB"), True)],
    "KONOMI_ENGINES": [("3", setting("ENGINES"), 3)],
    "KONOMI_ENGINE_PROGRAM": [("other.{program}", setting("ENGINE_PROGRAM"), "other.{program}")],
    "KONOMI_CANCEL_GRACE_SECONDS": [("2.5", setting("CANCEL_GRACE_SECONDS"), 2.5)],
    "KONOMI_EMAIL_HOST": [
        (
            "mail.example.org",
            lambda s: (s["EMAIL_HOST"], s["EMAIL_BACKEND"].split(".")[-2]),
            ("mail.example.org", "smtp"),
        ),
        ("", lambda s: s["EMAIL_BACKEND"].split(".")[-2], "filebased"),
    ],
    "KONOMI_EMAIL_PORT": [("25", setting("EMAIL_PORT"), 25)],
    "KONOMI_EMAIL_USER": [("post", setting("EMAIL_HOST_USER"), "post")],
    "KONOMI_EMAIL_PASSWORD": [("x y", setting("EMAIL_HOST_PASSWORD"), "x y")],
    "KONOMI_EMAIL_TLS": [("0", setting("EMAIL_USE_TLS"), False)],
    "KONOMI_EMAIL_FROM": [("konomi@example.org", setting("DEFAULT_FROM_EMAIL"), "konomi@example.org")],
}
# Where a setting changes a part beyond its value, the test that runs that part; and what is proved only there.
MODELS, LAUNCH = "tests/training/engine_jobs/test_model_folders.py", "tests/training/supervision/test_launch.py"
TESTS = {
    "DATABASE_URL": "tests/stories/test_other_servers.py::test_once_round_the_loop_on_servers_of_the_operators",
    "CELERY_BROKER_URL": "tests/stories/test_other_servers.py::test_once_round_the_loop_on_servers_of_the_operators",
    "KONOMI_VAR": "tests/deploy/test_variables.py::test_everything_is_written_below_konomi_var",
    "KONOMI_HOST": "tests/deploy/test_variables.py::test_serve_listens_where_the_variables_say",
    "KONOMI_PORT": "tests/deploy/test_variables.py::test_serve_listens_where_the_variables_say",
    "KONOMI_PRODUCTION": "tests/deploy/test_variables.py::test_production_needs_a_key_and_turns_https_on",
    "KONOMI_SECRET_KEY": "tests/deploy/test_outage.py::test_a_key_that_can_be_guessed_is_refused",
    "KONOMI_PASSWORD": "tests/deploy/test_variables.py::test_a_password_from_the_environment",
    "KONOMI_MODEL_ROOTS": f"{MODELS}::",
    "KONOMI_ALLOW_HUB": f"{MODELS}::test_a_hub_name_only_where_the_operator_allows_it",
    "KONOMI_ENGINES": f"{LAUNCH}::test_engines_wait_for_each_other",
    "KONOMI_ENGINE_PROGRAM": "tests/training/conftest.py::",
    "KONOMI_CANCEL_GRACE_SECONDS": f"{LAUNCH}::test_a_deaf_engine_is_ended_after_the_grace",
    "KONOMI_EMAIL_HOST": "tests/annotation/members/test_accounts.py::test_password_reset_by_mail",
}


def documented():
    section = (
        (ROOT / "docs" / "operators.md").read_text().partition("## Environment variables")[2].partition("\n## ")[0]
    )
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return [name for cell in rows for name in NAME.findall(cell)]


@pytest.fixture
def settings_with(monkeypatch, tmp_path):
    """What deploy/settings.py says with these variables and no others of ours."""

    def read(**variables):
        for name in list(os.environ):
            if OWN.fullmatch(name):
                monkeypatch.delenv(name)
        # Never connected to; without it the embedded server would be started.
        given = {"KONOMI_VAR": str(tmp_path / "site"), "DATABASE_URL": "postgresql:///none", **variables}
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        return runpy.run_path(str(ROOT / "deploy" / "settings.py"))

    return read


def test_every_variable_on_the_page_has_a_proof():
    names = documented()
    assert len(names) == len(set(names))
    assert set(names) == set(SETTINGS) | set(TESTS)


def test_every_variable_in_the_code_is_on_the_page():
    read = set()
    for zone in ("annotation", "training", "deploy", "demo"):
        for path in (ROOT / zone).rglob("*.py"):
            read |= set(OWN.findall(path.read_text()))
    assert read - INTERNAL == set(documented())


@pytest.mark.parametrize("name", TESTS)
def test_the_proof_exists(name):
    path, _, function = TESTS[name].partition("::")
    assert re.search(rf"def {function}\b" if function else r"def ", (ROOT / path).read_text())


def test_two_machines_need_what_the_story_of_them_sets():
    """Also the commands: the story starts web and worker with the options that the page shows."""
    page = (ROOT / "docs" / "operators.md").read_text()
    section = page.partition("## Web and worker on two machines")[2].partition("\n## ")[0]
    names = set(OWN.findall(section))
    assert {"KONOMI_VAR", "DATABASE_URL", "CELERY_BROKER_URL", "KONOMI_SECRET_KEY"} <= names
    story = (ROOT / "tests" / "stories" / "test_other_servers.py").read_text()
    assert names <= set(OWN.findall(story))
    commands = re.findall(r"python (-m (?:gunicorn|celery) [^`]*?)\n", section.replace("\\\n", " "))
    assert len(commands) == 2
    for option in re.findall(r"--[a-z-]+", " ".join(commands)):
        assert option in story, option


CASES = [(name, value, read, expected) for name, rows in SETTINGS.items() for value, read, expected in rows]


@pytest.mark.parametrize(
    ("name", "value", "read", "expected"), CASES, ids=[f"{n}-{row[0]}" for n, row in enumerate(CASES)]
)
def test_a_variable_takes_effect(settings_with, name, value, read, expected):
    assert read(settings_with(**{name: value})) == expected


def test_everything_is_written_below_konomi_var(settings_with, tmp_path):
    made = settings_with()
    var = tmp_path / "site"
    assert made["VAR"] == var
    folders = ("DATASETS_DIR", "UPLOADS_DIR", "EMAIL_FILE_PATH", "STATIC_ROOT")
    assert all(Path(made[name]).is_relative_to(var) for name in folders)
    assert (var / "secret_key").read_text() == made["SECRET_KEY"] == settings_with()["SECRET_KEY"]
    assert var.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({}, "KONOMI_SECRET_KEY with at least 32"),
        ({"KONOMI_SECRET_KEY": "a" * 64}, "different"),
        ({"KONOMI_SECRET_KEY": "short"}, "it has 5"),
        ({"KONOMI_SECRET_KEY": KEY, "KONOMI_DEBUG": "1"}, "exclude each other"),
    ],
)
def test_production_refuses(settings_with, variables, message):
    with pytest.raises(ImproperlyConfigured, match=message):
        settings_with(KONOMI_PRODUCTION="1", **variables)


def test_production_needs_a_key_and_turns_https_on(settings_with):
    assert settings_with(KONOMI_PRODUCTION="1", KONOMI_SECRET_KEY=KEY)["HTTPS"] is True
    assert settings_with(KONOMI_PRODUCTION="1", KONOMI_SECRET_KEY=KEY, KONOMI_HTTPS="0")["HTTPS"] is False


@pytest.mark.parametrize(("host", "port"), [("0.0.0.0", "8123"), ("::1", "0"), ("127.0.0.1", "65535")])  # noqa: S104
def test_serve_listens_where_the_variables_say(monkeypatch, host, port):
    monkeypatch.setenv("KONOMI_HOST", host)
    monkeypatch.setenv("KONOMI_PORT", port)
    options = Command().create_parser("manage.py", "serve").parse_args([])
    assert (options.host, options.port) == (host, int(port))


@pytest.mark.django_db
def test_a_password_from_the_environment(monkeypatch):
    from django.core.management import call_command

    from annotation.models import User

    monkeypatch.setenv("KONOMI_PASSWORD", "a long and quiet sentence")
    call_command("create_user", "ana@example.org", "--name", "Ana")
    assert User.objects.get(email="ana@example.org").check_password("a long and quiet sentence")
