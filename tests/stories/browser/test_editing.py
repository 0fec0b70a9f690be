"""Writing and post-editing in a real browser: terms and similar texts, checks, and a difference like the server's."""

import pytest
from playwright.sync_api import expect

from annotation.models import Annotation, Candidate, Kind, Role
from annotation.reference import glossary
from annotation.text.edit_distance import edits_between
from tests.annotation.helpers import batch_of
from tests.factories import CandidateFactory, GuidelineFactory, ProjectFactory, PromptFactory
from tests.stories.browser import page_helpers
from tests.stories.browser.page_helpers import axe, next_task

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def open_work(page, live_server, batch):
    """The panel beside the editor is loaded after the task."""
    page_helpers.open_work(page, live_server, batch)
    expect(page.locator("#reference .hits")).to_be_attached()


def test_terms_and_similar_texts_are_put_in_by_keyboard(signed_in, live_server, project):
    page, batch = signed_in, batch_of(project, Kind.WRITING)
    glossary.add_term(
        project=project, source="quieter room", target="より静かなお部屋", note="<b>polite</b>", actor=None
    )
    open_work(page, live_server, batch)
    expect(page.locator("#reference")).to_contain_text("<b>polite</b>")
    page.keyboard.press("e")
    page.keyboard.type("もう少し")
    page.keyboard.press("Escape")
    page.keyboard.press("h")
    expect(page.get_by_role("button", name="Insert より静かなお部屋")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#text")).to_be_focused()
    expect(page.locator("#text")).to_have_value("もう少しより静かなお部屋")
    page.keyboard.press("Control+z")  # the browser's own undo takes it back
    expect(page.locator("#text")).to_have_value("もう少し")
    page.keyboard.press("Control+a")
    number = page.locator(".source .text").inner_text()[-2]
    page.keyboard.type(f"より静かなお部屋{number}をお願いできますか。")
    expect(page.locator("#saved")).to_have_text("Saved")
    page.keyboard.press("Control+Enter")
    next_task(page, 1)
    expect(page.locator(".similar")).to_contain_text("97 % match")
    now = page.locator(".source .text").inner_text()[-2]
    expect(page.locator(".similar del")).to_have_text(number)
    expect(page.locator(".similar ins")).to_have_text(now)
    axe(page)
    page.keyboard.press("h")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#text")).to_have_value(f"より静かなお部屋{number}をお願いできますか。")
    expect(page.locator("#checks")).to_contain_text(f"The number {now} is missing")
    axe(page)
    page.keyboard.press("Control+Enter")  # a warning, not a wall
    next_task(page, 2)
    expect(page.locator("#checks li")).to_have_count(0)
    assert Annotation.objects.count() == 2


def test_what_a_key_reaches_a_finger_reaches_and_the_page_stays_within_its_width(signed_in, live_server, project):
    page, batch = signed_in, batch_of(project, Kind.POSTEDITING)
    glossary.add_term(project=project, source="room", target="お部屋" * 20, actor=None)
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme="dark")
    open_work(page, live_server, batch)
    page.locator(".term button").click()
    expect(page.locator("#text")).to_have_value(Candidate.objects.get(text=text_there(page)).text + "お部屋" * 20)
    expect(page.locator("#edits")).to_contain_text("60 edits · HTER")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    axe(page)
    page.locator("#reset").click()
    expect(page.locator("#edits")).to_have_text("Unchanged")


def text_there(page):
    return page.locator("#original").text_content()


def test_a_post_edit_is_counted_as_the_server_counts_it(signed_in, live_server, project):
    page, batch = signed_in, batch_of(project, Kind.POSTEDITING)
    open_work(page, live_server, batch)
    expect(page.locator("#edits")).to_have_text("Unchanged")
    page.keyboard.press("e")
    page.keyboard.press("Control+Home")
    page.keyboard.type("本当に")
    expect(page.locator("#diff ins")).to_have_text("本当に")
    shown = page.locator("#edits").inner_text()
    page.keyboard.press("Escape")
    page.keyboard.press("r")
    expect(page.locator("#edits")).to_have_text("Unchanged")
    expect(page.locator("#text")).to_be_focused()
    page.keyboard.press("Control+z")
    expect(page.locator("#edits")).to_have_text(shown)
    # An input method's unfinished word is no edit yet.
    devtools = page.context.new_cdp_session(page)
    page.keyboard.press("Control+End")
    devtools.send("Input.imeSetComposition", {"text": "ね", "selectionStart": 1, "selectionEnd": 1})
    expect(page.locator("#edits")).to_have_text(shown)
    devtools.send("Input.insertText", {"text": "ね"})
    expect(page.locator("#edits")).to_contain_text("4 edits")
    page.keyboard.press("Backspace")
    expect(page.locator("#edits")).to_have_text(shown)
    page.keyboard.press("Control+Enter")
    next_task(page, 1)
    annotation = Annotation.objects.get()
    original = Candidate.objects.get(pk=annotation.payload["candidate"]).text
    edits = edits_between(original, annotation.payload["text"], "ja")
    assert shown == f"{edits.count} edits · HTER {edits.rate:.0%}, counted by characters".replace("%", " %")
    page.keyboard.press("a")
    next_task(page, 2)
    assert Annotation.objects.order_by("-id")[0].payload["unchanged"] is True


def test_a_warning_waits_until_the_text_is_written(signed_in, live_server, project):
    page, batch = signed_in, batch_of(project, Kind.WRITING)
    open_work(page, live_server, batch)
    page.keyboard.press("e")
    page.keyboard.type("静か")
    page.wait_for_timeout(1_100)
    expect(page.locator("#checks li")).to_have_count(0)
    page.keyboard.type("な部屋をお願いします。")
    expect(page.locator("#checks")).to_contain_text("is missing or different here")
    assert page.evaluate("document.activeElement.id") == "text"


def test_right_to_left_texts_are_marked_as_such(signed_in, live_server, hana):
    project = ProjectFactory(source_language="en", target_language="ar")
    GuidelineFactory(project=project)
    project.memberships.create(user=hana, role=Role.ANNOTATOR)
    CandidateFactory(prompt=PromptFactory(project=project, text="Where is the station?"), text="أين المحطة؟")
    page = signed_in
    open_work(page, live_server, batch_of(project, Kind.POSTEDITING))
    for place in ("#text", "#diff"):
        assert page.locator(place).get_attribute("lang") == "ar"
        assert page.locator(place).evaluate("element => getComputedStyle(element).direction") == "rtl"
    expect(page.locator("#checks li")).to_have_count(0)
    axe(page)
