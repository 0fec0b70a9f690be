"""What all tests in a browser share."""

import time

import pytest
from django.db import connection

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
