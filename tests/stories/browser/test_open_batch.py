"""A manager creates a project, opens a batch and looks at its tasks in a real browser: pages follow what is typed."""

import re

import pytest
from playwright.sync_api import expect

from annotation.answers.submission import skip
from annotation.models import Batch, Project, Role
from annotation.queue.claims import claim_next
from tests.annotation.helpers import batch_of
from tests.factories import UserFactory, join
from tests.stories.browser.page_helpers import axe, give_session

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
SIZES = ({"width": 1366, "height": 768}, {"width": 390, "height": 844})


@pytest.fixture
def manager(page, live_server, client, project):
    give_session(page.context, live_server, client, join(project, Role.MANAGER, name="Mio Tanaka"))
    return page


def test_the_error_categories_follow_the_goal_until_they_are_edited(page, live_server, client, errors):
    give_session(page.context, live_server, client, UserFactory(is_staff=True))
    page.goto(f"{live_server.url}/projects/new/")
    categories = page.get_by_label("Error categories")
    expect(categories).to_have_value(re.compile("^Mistranslation\nOmission"))
    page.get_by_label("Goal").select_option("persona")
    expect(categories).to_have_value(re.compile("^Wrong fact\nMade-up content"))
    page.get_by_label("Goal").select_option("translation")
    expect(categories).to_have_value(re.compile("^Mistranslation"))
    categories.fill("Keigo")
    with page.expect_response(lambda response: response.request.method == "POST"):
        page.get_by_label("Goal").select_option("persona")
    page.wait_for_timeout(200)
    expect(categories).to_have_value("Keigo")
    page.get_by_label("Name", exact=True).fill("Concierge")
    page.get_by_label("Persona", exact=False).first.fill("A polite concierge.")
    for language in ("Language of the prompts", "Language of the answers"):
        page.get_by_label(language).fill("en")
    page.get_by_role("button", name="Create project").click()
    expect(page.get_by_text("Concierge was created.")).to_be_visible()
    assert Project.objects.get(slug="concierge").error_categories == ["Keigo"]
    assert errors == []


@pytest.mark.parametrize("size", SIZES)
def test_the_preview_follows_the_form_and_its_warning_is_confirmed(manager, live_server, project, errors, size):
    page = manager
    page.set_viewport_size(size)
    page.goto(f"{live_server.url}/projects/{project.slug}/batches/new/")
    preview = page.locator("#batch-preview")
    expect(preview).to_contain_text("3 tasks × 1 annotator = 3 answers.")
    expect(preview).to_contain_text("for each of the 2 people who may work on it")
    axe(page)
    page.get_by_label("Name", exact=False).first.fill("First look")
    page.get_by_label("Annotators per task").fill("4")
    page.get_by_label("Priority").fill("7")
    page.get_by_label("Priority").blur()
    expect(preview).to_contain_text("only 2 people may work on this batch: 6 of 12 answers cannot be given")
    axe(page)
    tick = page.get_by_label("Open it anyway")
    page.get_by_role("button", name="Open the batch").click()
    expect(page.get_by_text("Not opened yet")).to_be_visible()
    expect(page.get_by_label("Annotators per task")).to_have_value("4")
    expect(page.get_by_label("Priority")).to_have_value("7")
    assert not Batch.objects.exists()
    # The tick stays while the form around it changes, and goes when the warning is another one.
    expect(preview).to_contain_text("6 of 12")
    tick.check()
    page.get_by_label("Priority").fill("8")
    page.get_by_label("Priority").blur()
    page.wait_for_load_state("networkidle")
    expect(tick).to_be_checked()
    page.get_by_label("Annotators per task").fill("5")
    page.get_by_label("Annotators per task").blur()
    expect(preview).to_contain_text("9 of 15")
    expect(tick).not_to_be_checked()
    tick.check()
    page.wait_for_load_state("networkidle")
    expect(tick).to_be_checked()
    page.get_by_role("button", name="Open the batch").click()
    expect(page.get_by_text("First look is open with 3 tasks.")).to_be_visible()
    batch = Batch.objects.get()
    assert (batch.overlap, batch.priority, batch.selection["shortage"]["missing"]) == (5, 8, 9)
    # A newer preview aborts the one before it, which htmx reports; 422 is the refused form.
    assert [error for error in errors if "422" not in error and not error.startswith("htmx:")] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]


def test_the_table_of_a_batch_follows_its_filters(manager, live_server, project, errors):
    page = manager
    batch = batch_of(project, overlap=2)
    hana = join(project, Role.ANNOTATOR, name="Hana")
    skip(assignment=claim_next(batch=batch, annotator=hana), reason="unclear")
    page.goto(f"{live_server.url}/batches/{batch.pk}/")
    rows = page.locator(".task-table tbody tr")
    expect(rows).to_have_count(3)
    page.get_by_label("State").select_option("skipped")
    expect(rows).to_have_count(1)
    expect(page).to_have_url(re.compile(r"only=skipped"))
    axe(page)
    page.get_by_label("Text or #number").fill("nothing like it")
    page.keyboard.press("Enter")
    expect(page.get_by_text("No tasks match this filter.")).to_be_visible()
    page.go_back()
    expect(rows).to_have_count(1)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    rows.get_by_role("link", name="Preview").click()
    expect(page.get_by_text("nothing is claimed or saved")).to_be_visible()
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    expect(page.get_by_text("nothing is claimed or saved")).to_be_visible()
    page.set_viewport_size(SIZES[1])
    axe(page)
    assert not batch.assignments.filter(state="held").exists()
    page.goto(f"{live_server.url}/batches/{batch.pk}/")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    axe(page)
    assert errors == []
