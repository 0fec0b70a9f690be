"""Fixtures for all tests. They run against the embedded PostgreSQL, in a test database of their own."""

import contextlib
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from django.utils import translation
from hypothesis import settings as hypothesis_settings

from tests.database import allow_test_statements
from tests.signals import restore_interrupt

restore_interrupt()

# A busy machine is no failure: examples have no time limit, the whole suite has.
hypothesis_settings.register_profile("konomi", deadline=None)
hypothesis_settings.load_profile("konomi")

# Playwright's sync API runs an event loop in the main thread; the tests' own queries are plain.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")

DATA = Path(os.environ.get("PREFERENCE_DATA", Path(__file__).resolve().parent.parent.parent / "shared" / "data"))


# The longest files, started first: the workers then end at about the same time (with xdist's
# `--no-loadscope-reorder`). They mostly wait for processes that they started, so three of them keep two cores busy.
LONGEST = (
    "tests/stories/test_loop.py",
    "tests/engine/",
    "tests/walks/test_malformed.py",
    "tests/stories/browser/test_nothing_lost.py",
    "tests/walks/test_pages.py",
    "tests/stories/browser/test_one_screen.py",
    "tests/stories/test_serve.py",
    "tests/stories/test_other_servers.py",
    "tests/annotation/queue/test_race.py",
    "tests/stories/test_database_outage.py",
    "tests/stories/browser/test_story.py",
    "tests/stories/test_full_disk.py",
)
# Real sites, processes that wait for each other, every page in every language: not part of `make test-fast`.
SLOW = (
    "tests/stories/",
    "tests/walks/",
    "tests/annotation/datasets/test_recomputed.py",
    "tests/annotation/importing/test_bombs.py",
    "tests/annotation/importing/test_judgement_layouts.py",
    "tests/annotation/importing/test_judgements.py",
    "tests/annotation/importing/test_malformed.py",
    "tests/annotation/members/test_sign_in_limits.py",
    "tests/annotation/queue/test_race.py",
    "tests/annotation/web/test_whole_numbers.py",
    "tests/demo/test_demo.py",
    "tests/deploy/test_services.py",
    "tests/deploy/test_slow_connections.py",
    "tests/training/cli/test_commands.py",
    "tests/training/rounds/",
    "tests/training/runs/test_learning_curves.py",
    "tests/training/supervision/",
)
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
# Seconds, and so many that only a page that never gets there fails: a busy machine is no failure.
BROWSER_SECONDS = 60


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is slow or needs torch, and start with the longest."""
    order = []
    for item in items:
        path = item.nodeid.split("::")[0]
        in_torch = path.startswith("tests/engine/")
        if in_torch or item.get_closest_marker("engine"):
            item.add_marker(pytest.mark.torch)
        if path.startswith(SLOW):
            item.add_marker(pytest.mark.story)
        order.append(next((place for place, name in enumerate(LONGEST) if path.startswith(name)), len(LONGEST)))
    items[:] = [item for _, item in sorted(zip(order, items, strict=True), key=lambda pair: pair[0])]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each file to one worker, so that its module fixtures are set up once, and all of torch to one.

    Importing torch and its libraries takes seconds and half a gigabyte: one worker pays for it. xdist's own
    `loadgroup` cannot be used: xdist 3.8 writes the group into `_nodeid`, which pytest 9.2 no longer reads, and every
    test is then scheduled by itself, without a warning.
    """
    from xdist.scheduler import LoadScopeScheduling

    class OneFileOneWorker(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "torch" if nodeid.startswith("tests/engine/") else nodeid.split("::")[0]

    return OneFileOneWorker(config, log)


DURABILITY = ("fsync", "synchronous_commit", "full_page_writes")


def embedded_test_server() -> str | None:
    """The socket folder of the embedded server if it serves tests only: the site in its folder was never set up."""
    import psycopg
    from django.conf import settings

    host = str(settings.DATABASES["default"]["HOST"])
    if os.environ.get("DATABASE_URL") or not host.startswith("/"):
        return None
    with psycopg.connect(host=host, user="postgres", dbname="konomi") as connection:
        in_use = connection.execute("SELECT to_regclass('django_migrations')").fetchone()
    return None if in_use and in_use[0] else host


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """Run the test databases without waiting for the disk: a crash may lose them.

    Sites that tests start have servers of their own, as durable as in production.
    """
    import psycopg

    allow_test_statements()
    host = embedded_test_server()
    if host:
        with psycopg.connect(host=host, user="postgres", dbname="konomi", autocommit=True) as connection:
            for name in DURABILITY:
                with contextlib.suppress(psycopg.errors.InternalError):  # another worker writes the same just now
                    connection.execute(f"ALTER SYSTEM SET {name} = off")
            connection.execute("SELECT pg_reload_conf()")


@pytest.fixture(autouse=True)
def own_var(settings, tmp_path):
    """What the site writes goes to a folder of the test's own."""
    var = tmp_path / "var"
    var.mkdir()
    settings.VAR = var
    settings.DATASETS_DIR = var / "datasets"
    settings.UPLOADS_DIR = var / "uploads"
    settings.MODEL_ROOTS = [var / "runs", var / "models"]
    settings.EMAIL_FILE_PATH = var / "mail"
    settings.CHECK_FRAGMENT_CACHE = True
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    memory = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": str(var)}
    settings.CACHES = {"default": memory, "memory": memory}
    return var


@pytest.fixture(autouse=True)
def default_language():
    """A request activates its reader's language for the whole thread; the next test starts in the default one."""
    translation.deactivate()
    yield
    translation.deactivate()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of public data; tests that need it skip where it is absent."""
    if not DATA.is_dir():
        pytest.skip(f"no real data at {DATA}: set PREFERENCE_DATA to its folder")
    return DATA


@pytest.fixture
def sign_in(client):
    """Sign a user in with the test client: `sign_in(user)`; returns the client."""

    def sign(user):
        client.force_login(user, backend="annotation.members.auth_backend.PeopleBackend")
        return client

    return sign


@pytest.fixture
def context(context):
    """A browser context that is patient: with a loaded machine, not with a broken page."""
    context.set_default_timeout(BROWSER_SECONDS * 1000)
    return context


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args):
    """The system's Chromium, quiet about the outside world.

    The headless shell first: the same engine without the windows of a desktop browser, of which the other opens one
    for every context: a quarter of its CPU time, a third of its wait.
    """
    chromium = next(filter(None, map(shutil.which, BROWSERS)), None)
    if chromium is None:
        pytest.skip("no Chromium on this machine: install the package chromium (.ci/run does)")
    from playwright.sync_api import expect

    expect.set_options(timeout=BROWSER_SECONDS * 1000)
    quiet = [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ]
    return {**browser_type_launch_args, "executable_path": chromium, "args": quiet}
