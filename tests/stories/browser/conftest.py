"""What all tests in a browser share."""

import time

import pytest
from django.db import connection

from annotation.models import Role
from tests.annotation.helpers import hotel
from tests.factories import join
from tests.stories.browser.page_helpers import give_session

BUSY = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'
"""


@pytest.fixture(autouse=True)
def quiet_server(request):
    """A page that closes sends what it has to say, and the live server answers: not while the database is emptied
    behind it, which would be a deadlock. Begun before the page is opened, so ended after it is closed."""
    if "live_server" not in request.fixturenames:
        yield
        return
    request.getfixturevalue("transactional_db")
    yield
    until, quiet = time.monotonic() + 10, 0
    while quiet < 3 and time.monotonic() < until:
        with connection.cursor() as cursor:
            cursor.execute(BUSY)
            quiet = 0 if cursor.fetchone()[0] else quiet + 1
        time.sleep(0.03)


@pytest.fixture
def hana():
    return join(hotel(prompts=3), Role.ANNOTATOR, name="Hana Mori")


@pytest.fixture
def project(hana):
    return hana.projects.get()


@pytest.fixture
def errors(page):
    """What the browser complained of: a script that failed, a style or script that the policy refused."""
    found = []
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on("console", lambda message: found.append(message.text) if message.type == "error" else None)
    return found


@pytest.fixture
def signed_in(page, live_server, hana, client):
    """Hana's page."""
    give_session(page.context, live_server, client, hana)
    yield page
    # A page that closes sends its seconds; not while the database is emptied behind it.
    page.context.set_offline(True)
