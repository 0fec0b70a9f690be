"""The demonstration in a browser: from the sign-in page to a pair of answers judged, by keyboard."""

import re

import pytest
from playwright.sync_api import Page, expect

from annotation.models import Annotation
from demo.seed import seed

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_an_annotator_judges_a_pair_by_keyboard(live_server, page: Page):
    annotator = seed(lambda text: None)[0]
    page.set_viewport_size({"width": 1366, "height": 768})
    page.goto(f"{live_server.url}/")
    page.get_by_label("Email").fill(annotator.email)
    page.get_by_label("Password", exact=True).fill(annotator.password)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=re.compile("batches have work for you"))).to_be_visible()

    page.get_by_role("link", name="Start").first.click()
    expect(page.get_by_role("heading", name="Which answer is better?")).to_be_visible()
    page.wait_for_load_state()  # the keys need the scripts
    review = page.locator(".source").inner_text()
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    expect(page.locator(".source")).not_to_have_text(review)
    expect(page.locator("#done-by-me")).to_have_text("1")
    (annotation,) = Annotation.objects.all()
    assert annotation.payload["choice"] == "one"
    assert annotation.annotator.email == annotator.email

    # Nothing on the page tells the grammar's answers apart.
    assert "grammar-" not in page.content()
    assert "import:" not in page.content()
