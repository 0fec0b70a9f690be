"""What the browser tests of the annotation pages do again and again."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect


def give_session(context, live_server, client, user):
    """The session of a sign-in, given to the browser."""
    client.force_login(user, backend="annotation.members.auth_backend.PeopleBackend")
    context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}])


def open_work(page, live_server, batch):
    page.goto(f"{live_server.url}/batches/{batch.pk}/work/")
    expect(page.locator("#heading")).to_be_focused()


def next_task(page, number):
    """The count of what was done is what tells that the swap is over; the new heading has the focus."""
    expect(page.locator("#done-by-me")).to_have_text(str(number))
    expect(page.locator("#heading")).to_be_focused()


def axe(page, options=None):
    results = Axe().run(page, options=options)
    assert results.violations_count == 0, results.generate_report()
