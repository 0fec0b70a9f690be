"""Fixtures for all tests. They run against the embedded PostgreSQL, in a test database of their own."""

import os
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings

# A busy machine is no failure: examples have no time limit, the whole suite has.
hypothesis_settings.register_profile("house", deadline=None)
hypothesis_settings.load_profile("house")

# Playwright's sync API runs an event loop in the main thread; the tests' own queries are plain.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")

DATA = Path(os.environ.get("PREFERENCE_DATA", Path(__file__).resolve().parent.parent.parent / "shared" / "data"))


# The longest files, begun first: the workers then end at about the same time (with xdist's `--no-loadscope-reorder`).
# They mostly wait for processes that they started, so that three of them keep two cores busy.
LONGEST = (
    "tests/stories/test_loop.py", "tests/walks/test_pages.py", "tests/stories/test_training.py",
    "tests/annotation/queue/test_race.py", "tests/stories/test_serve.py", "tests/stories/browser/test_story.py",
    "tests/engine/runtime/test_distributed.py", "tests/engine/runtime/test_memory_estimate.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.nodeid.split("::")[0], len(order)))


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
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": str(var)}}
    return var


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


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args):
    """The system's Chromium, quiet about the outside world."""
    chromium = next((p for p in ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
                     if Path(p).exists()), None)  # fmt: skip
    if chromium is None:
        pytest.skip("no Chromium on this machine: install the package chromium (.ci/run does)")
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]  # fmt: skip
    return {**browser_type_launch_args, "executable_path": chromium, "args": quiet}
