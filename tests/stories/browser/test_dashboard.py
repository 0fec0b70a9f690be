"""The dashboard in a browser: it fits, and refreshes itself without disturbing whoever reads or types."""

import pytest

from annotation.analyses.run import analyse
from annotation.answers.submission import submit
from annotation.models import Candidate, Kind, Role
from annotation.queue.claims import claim_next
from tests.annotation.helpers import ONE, TWO, batch_of, hotel
from tests.factories import join
from tests.stories.browser.page_helpers import axe, give_session

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
SIZES = {"laptop": (1366, 768), "phone": (390, 844)}
LONG_ORIGINS = {ONE: "import:provider-one-large-instruct-2026-11", TWO: "import:provider-two-translation-engine"}
FITS = "document.documentElement.scrollWidth <= window.innerWidth"
NARROWEST = """Math.min(...[...document.querySelectorAll(".figures-table tbody th")].map((cell) => cell.clientWidth))"""


def choose(batch, person, side):
    slot = claim_next(batch=batch, annotator=person)
    ids = list(slot.task.candidate_ids)
    payload = {"choice": "one", "chosen": ids[side], "shown": ids, "strength": None, "reasons": []}
    submit(assignment=slot, payload=payload, annotator=person)


@pytest.fixture
def project():
    project = hotel(prompts=30, slug="hotel", name="Hotel replies")
    for origin, name in LONG_ORIGINS.items():
        Candidate.objects.filter(origin=origin).update(origin=name)
    return project


@pytest.fixture
def batch(project):
    return batch_of(project, Kind.CHOOSING, overlap=3)


@pytest.fixture
def kei(project):
    return join(project, Role.ANNOTATOR, name="Kei")


@pytest.fixture
def dashboard(page, live_server, client, project, batch, kei, errors):
    """Mio's page of a project in which two people disagree about twelve tasks."""
    ken = join(project, Role.ANNOTATOR, name="Ken")
    for n in range(12):
        choose(batch, kei, 0)
        choose(batch, ken, n % 2)
    analyse(project)
    give_session(page.context, live_server, client, join(project, Role.MANAGER, name="Mio"))
    page.goto(f"{live_server.url}/projects/hotel/dashboard/")
    return page


def refresh(page):
    page.evaluate("htmx.trigger('#live', 'refresh')")
    page.wait_for_load_state("networkidle")


def test_it_fits_and_refreshes_itself(dashboard, batch, kei, errors):
    assert "provider-one" in dashboard.text_content(".figures-table")
    for name, (width, height) in SIZES.items():
        dashboard.set_viewport_size({"width": width, "height": height})
        assert dashboard.evaluate(FITS), name
        assert dashboard.evaluate(NARROWEST) > 100, name
        axe(dashboard)

    # What is unfolded stays so, and news arrive.
    dashboard.locator("details:not(.confirm)", has_text="As a table").first.locator("summary").click()
    choose(batch, kei, 0)
    refresh(dashboard)
    dashboard.wait_for_selector("h1:has-text('25 of')")
    assert dashboard.locator("details", has_text="As a table").first.evaluate("details => details.open")

    # Not while somebody types a reason.
    dashboard.locator("details.confirm summary").first.click()
    reason = dashboard.locator("details.confirm[open] [name=reason]")
    reason.fill("Let us talk")
    choose(batch, kei, 0)
    refresh(dashboard)
    assert reason.input_value() == "Let us talk"
    dashboard.locator("details.confirm[open] button").click()
    dashboard.wait_for_selector("text=is paused and gets no further tasks")
    assert "26 of" in dashboard.text_content("h1")
    assert not errors
