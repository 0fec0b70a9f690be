"""`manage.py check --deploy`: each check finds what it is for, and is silent about a site that is set up well."""

import os
import re
import secrets
from pathlib import Path

import pytest
from django.core.checks import Error, run_checks

from deploy import checks

ROOT = Path(__file__).resolve().parent.parent.parent
GUARDED = {
    "PRODUCTION": True,
    "HTTPS": True,
    "SECRET_KEY": secrets.token_urlsafe(50),
    "ALLOWED_HOSTS": ["konomi.example.org"],
    "SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https"),
    "ALLOW_HUB": False,
    "CELERY_BROKER_URL": "filesystem://localhost//",
    "EMAIL_HOST": "mail.example.org",
    "EMAIL_USE_TLS": True,
}


@pytest.fixture
def guarded(settings, db, monkeypatch):
    """A site with nothing to say about."""
    for name, value in GUARDED.items():
        setattr(settings, name, value)
    settings.VAR.chmod(0o700)
    monkeypatch.setattr(checks.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(checks, "LEAST_FREE", 1)
    monkeypatch.delenv("KONOMI_HOST", raising=False)
    return settings


def found():
    return {message.id for message in run_checks(include_deployment_checks=True) if message.id.startswith("konomi")}


def test_a_site_that_is_set_up_well_has_no_findings(guarded):
    assert found() == set()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("PRODUCTION", False, "konomi.W001"),
        ("SECRET_KEY", "a" * 60, "konomi.W002"),
        ("SECRET_KEY", "ab" * 30, "konomi.W002"),
        ("HTTPS", False, "konomi.W003"),
        ("ALLOWED_HOSTS", ["*"], "konomi.W004"),
        ("ALLOWED_HOSTS", ["localhost", "127.0.0.1"], "konomi.W004"),
        ("ALLOW_HUB", True, "konomi.W009"),
        ("CELERY_BROKER_URL", "sqs://somewhere", "konomi.E012"),
        ("CELERY_BROKER_URL", "amqp://user:password@broker.example.org//", "konomi.E012"),
        ("CELERY_BROKER_URL", "amqps://guest:guest@broker.example.org//", "konomi.E012"),
        ("EMAIL_HOST", "", "konomi.W013"),
        ("EMAIL_USE_TLS", False, "konomi.W013"),
    ],
)
def test_each_setting_that_is_wrong_is_found(guarded, name, value, expected):
    setattr(guarded, name, value)
    assert found() == {expected}


@pytest.mark.parametrize("url", ["amqps://konomi:longer@broker.example.org//", "amqp://guest:guest@localhost//"])
def test_brokers_that_are_fine(guarded, url):
    guarded.CELERY_BROKER_URL = url
    assert found() == set()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7"])  # noqa: S104
def test_listening_for_everybody_without_a_proxy_is_found(guarded, monkeypatch, host):
    monkeypatch.setenv("KONOMI_HOST", host)
    assert found() == set()
    guarded.SECURE_PROXY_SSL_HEADER = None
    assert found() == {"konomi.W005"}


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o704])
def test_an_open_folder_is_found(guarded, mode):
    guarded.VAR.chmod(mode)
    assert found() == {"konomi.W006"}


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o606])
def test_an_open_file_is_found(guarded, mode):
    (guarded.VAR / "mail").mkdir(mode=0o700)
    (guarded.VAR / "mail" / "reset.log").touch()
    (guarded.VAR / "mail" / "reset.log").chmod(mode)
    assert found() == {"konomi.W006"}


def test_root_is_found(guarded, monkeypatch):
    monkeypatch.setattr(checks.os, "geteuid", lambda: 0)
    assert found() == {"konomi.W007"}


def test_models_that_others_can_write_are_found(guarded, tmp_path):
    folder = tmp_path / "shared-models"
    folder.mkdir()
    folder.chmod(0o777)
    guarded.MODEL_ROOTS = [folder]
    assert found() == {"konomi.W008"}
    folder.chmod(0o755)
    assert found() == set()


@pytest.mark.parametrize(
    ("host", "options", "expected"),
    [
        ("db.example.org", {}, {"konomi.W011"}),
        ("10.0.0.7", {"sslmode": "prefer"}, {"konomi.W011"}),
        ("db.example.org", {"sslmode": "require"}, set()),
        ("/run/postgresql", {}, set()),
        ("localhost", {}, set()),
    ],
)
def test_an_unencrypted_database_is_found(guarded, monkeypatch, host, options, expected):
    monkeypatch.setitem(
        guarded.DATABASES, "default", {**guarded.DATABASES["default"], "HOST": host, "OPTIONS": options}
    )
    monkeypatch.setitem(checks.CHECKS, "konomi.W010", lambda: checks.FINE)
    assert found() == expected


def test_a_superuser_of_the_database_is_found(guarded, monkeypatch):
    class Cursor:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def execute(self, statement):
            pass

        def fetchone(self):
            return ("postgres", True)

    monkeypatch.setattr("deploy.checks.connection.cursor", Cursor)
    assert found() == {"konomi.W010"}


def test_a_disk_that_is_nearly_full_is_found(guarded, monkeypatch):
    monkeypatch.setattr(checks, "LEAST_FREE", 1 << 80)
    assert found() == {"konomi.W014"}


def test_errors_end_the_command(guarded):
    guarded.CELERY_BROKER_URL = "sqs://somewhere"
    own = [message for message in run_checks(include_deployment_checks=True) if message.id.startswith("konomi")]
    assert [type(message) for message in own] == [Error]


def test_the_page_lists_every_check():
    page = (ROOT / "docs" / "operators.md").read_text()
    assert re.findall(r"`konomi\.([EW]\d{3})`", page) == [name.removeprefix("konomi.") for name in checks.CHECKS]


@pytest.mark.skipif(os.environ.get("KONOMI_HOST", "") != "", reason="KONOMI_HOST is set for the tests themselves")
def test_only_deployment_checks_are_extra(guarded):
    guarded.HTTPS = False
    assert not [message for message in run_checks() if message.id.startswith("konomi")]
