"""Limits of sign-in attempts: they lock the account and the address that fail, and nobody else."""

import time
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.core.cache.backends import db as db_cache
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from annotation.members.memberships import invite
from annotation.models import Role, User
from deploy import settings as site
from tests.annotation.helpers import hotel
from tests.factories import PASSWORD, UserFactory, join

LOGIN = "/accounts/login/"
FAILURES = 5


@pytest.fixture(autouse=True)
def counters(settings, db):
    """The cache as sites have it: in the database."""
    settings.CACHES = {**site.CACHES, "memory": settings.CACHES["memory"]}
    cache.clear()


def attempt(email, password, address="10.0.0.1"):
    """Whether this signs in; "locked" where the attempt was not even looked at."""
    page = Client(REMOTE_ADDR=address).post(LOGIN, {"login": email, "password": password})
    if page.status_code == 302:
        return "in"
    return "locked" if "Too many" in page.content.decode() or page.status_code == 429 else "wrong"


def address_of(number):
    return f"10.{number // 250}.0.{number % 250}"


def test_an_account_is_locked_after_failures_from_anywhere_and_stays_so():
    kei = UserFactory(email="kei@example.org")
    assert [attempt(kei.email, "wrong", address_of(n)) for n in range(FAILURES)] == ["wrong"] * FAILURES
    assert attempt(kei.email, PASSWORD, "10.9.9.9") == "locked"
    # Hundreds of attempts on other accounts do not push the counter out.
    for number in range(400):
        cache.set(f"other-{number}", [1.0], 300)
    for number in range(12):
        attempt(f"nobody-{number}@example.org", "wrong", address_of(number + 100))
    assert attempt(kei.email, PASSWORD, "10.9.9.9") == "locked"
    assert attempt(kei.email.upper(), PASSWORD, "10.9.9.8") == "locked", "however the address is written"
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM annotation_counter")
        assert cursor.fetchone()[0] > 400


def test_an_office_signs_in_at_nine():
    people = [UserFactory() for _ in range(40)]
    assert [attempt(person.email, PASSWORD) for person in people] == ["in"] * 40


def test_somebody_who_mistypes_four_times_gets_in():
    kei = UserFactory()
    assert [attempt(kei.email, "wrong") for _ in range(FAILURES - 1)] == ["wrong"] * (FAILURES - 1)
    assert attempt(kei.email, PASSWORD) == "in"


def test_an_address_that_tries_many_accounts_is_locked_and_others_are_not():
    kei = UserFactory()
    results = [attempt(f"somebody-{number}@example.org", "wrong") for number in range(32)]
    assert results[:30] == ["wrong"] * 30
    assert results[30:] == ["locked"] * 2
    assert attempt(kei.email, PASSWORD, "10.0.0.2") == "in"


def test_an_open_invitation_cannot_be_asked_about_thousands_of_addresses():
    project = hotel(prompts=1)
    mio = join(project, Role.MANAGER)
    door = f"/join/{invite(project=project, role=Role.ANNOTATOR, actor=mio).token}/"
    UserFactory(email="kei@example.org")
    form = {"name": "Kei", "password": "s", "password_again": "s", "email": "kei@example.org"}
    answers = [Client(REMOTE_ADDR=address_of(number)).post(door, form).status_code for number in range(22)]
    assert answers == [422] * 20 + [429] * 2
    assert User.objects.filter(email="kei@example.org").count() == 1


def test_a_lock_does_not_outlive_a_clock_that_was_set_back(monkeypatch):
    kei, ken = UserFactory(email="kei@example.org"), UserFactory(email="ken@example.org")
    now, ahead = time.time(), 24 * 3600
    monkeypatch.setattr(time, "time", lambda: now + ahead)
    monkeypatch.setattr(db_cache, "tz_now", lambda: timezone.now() + timedelta(seconds=ahead))
    assert [attempt(kei.email, "wrong", address_of(n)) for n in range(FAILURES)] == ["wrong"] * FAILURES
    monkeypatch.undo()
    assert attempt(kei.email, PASSWORD, "10.9.9.9") == "locked"
    assert [attempt(ken.email, "wrong", address_of(n)) for n in range(FAILURES)] == ["wrong"] * FAILURES
    call_command("expire_leases")
    assert attempt(kei.email, PASSWORD, "10.9.9.9") == "in"
    assert attempt(ken.email, PASSWORD, "10.9.9.9") == "locked", "counted at the right time"
