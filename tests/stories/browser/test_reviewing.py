"""Reviewing in a real browser, by the keyboard alone."""

import pytest
from playwright.sync_api import expect

from annotation.answers.submission import submit
from annotation.models import Kind, Review, Role, TimeSpent
from annotation.queue.claims import claim_next
from tests.annotation.helpers import batch_of, hotel
from tests.factories import join
from tests.stories.browser.page_helpers import axe

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def hana():
    return join(hotel(prompts=4), Role.REVIEWER, name="Hana Mori")


def next_answer(page, text):
    expect(page.locator(".is-reviewed")).to_contain_text(text)
    expect(page.locator("#heading")).to_be_focused()


def test_a_reviewer_works_through_the_queue_by_keys(signed_in, live_server, project):
    page = signed_in
    batch, kei = batch_of(project, Kind.WRITING, requires_review=True), join(project, Role.ANNOTATOR, name="Kei")
    for n in range(4):
        submit(assignment=claim_next(batch=batch, annotator=kei), payload={"text": f"answer {n}"}, annotator=kei)
    page.goto(f"{live_server.url}/projects/{project.slug}/review/")
    next_answer(page, "answer 0")
    axe(page)
    page.keyboard.press("?")
    expect(page.locator(".keys-list")).to_contain_text("Accept")
    page.keyboard.press("?")
    page.keyboard.press("Enter")
    next_answer(page, "answer 1")
    page.keyboard.press("x")
    expect(page.locator("#review-reason")).to_be_focused()
    page.keyboard.type("a spam answer")
    page.keyboard.press("Control+Enter")
    next_answer(page, "answer 2")
    page.keyboard.press("r")
    expect(page.locator("#review-note")).to_be_focused()
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("alert")).to_contain_text("Say what to do")
    page.locator("#review-note").fill("Politer")
    page.keyboard.press("Control+Enter")
    next_answer(page, "answer 3")
    page.keyboard.press("e")
    expect(page.get_by_role("heading", name="Correct this answer")).to_be_focused()
    axe(page)
    page.keyboard.press("e")
    page.keyboard.press("Control+A")
    page.keyboard.type("a better answer")
    page.locator("#note").fill("Wrong")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("heading", name="Nothing to review")).to_be_visible()
    verdicts = Review.objects.order_by("annotation").values_list("verdict", "note", "payload")
    assert list(verdicts) == [
        ("accepted", "", None),
        ("left_out", "a spam answer", None),
        ("sent_back", "Politer", None),
        ("corrected", "Wrong", {"text": "a better answer"}),
    ]
    assert TimeSpent.objects.filter(annotator__name="Hana Mori", active_seconds__gt=0).exists()
