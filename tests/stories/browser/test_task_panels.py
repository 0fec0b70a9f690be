"""The task panels, in a real browser: guideline, note and flag by keyboard; the pages within everybody's
reach at desk and phone."""

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from annotation.answers.remarks import add_remark, answer_remark
from annotation.answers.reopening import reopen_submission
from annotation.answers.submission import submit
from annotation.models import Annotation, GuidelineReading, Kind, Remark, Role, TimeSpent
from annotation.projects.guidelines import publish_guideline
from annotation.queue.claims import claim_next
from tests.annotation.helpers import batch_of, hotel
from tests.factories import join
from tests.stories.browser.page_helpers import axe, give_session

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
SIZES = ({"width": 1366, "height": 768}, {"width": 390, "height": 844})


@pytest.fixture
def hana():
    return join(hotel(prompts=4, slug="hotel", name="Hotel replies"), Role.ANNOTATOR, name="Hana Mori")


@pytest.fixture
def sign_in_browser(page, live_server, client):
    def sign(user):
        give_session(page.context, live_server, client, user)
        return page

    return sign


def test_guideline_note_and_flag_by_keyboard_alone(sign_in_browser, live_server, hana, project, errors):
    page, batch = sign_in_browser(hana), batch_of(project)
    page.goto(f"{live_server.url}/batches/{batch.pk}/work/")
    expect(page.locator("#heading")).to_be_focused()
    badge = page.locator("#guideline-news")
    expect(badge).to_be_visible()

    # G: the guideline, read, and back to where the focus was.
    page.locator("#submit").focus()
    page.keyboard.press("g")
    panel = page.locator("#guideline-panel")
    expect(panel.get_by_role("heading", name="You have not read this guideline yet")).to_be_visible()
    axe(page)
    panel.get_by_role("button", name="Mark as read").press("Enter")
    expect(panel.get_by_text("Marked as read.")).to_be_visible()
    expect(badge).to_be_hidden()
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(page.locator("#submit")).to_be_focused()
    assert GuidelineReading.objects.get().guideline.version == 1

    # N: a question; keys typed into it do nothing else.
    page.keyboard.press("n")
    note = page.locator("#remark-panel")
    expect(note.get_by_label("Message", exact=True)).to_be_focused()
    page.keyboard.type("Is this a guest? 1 2 z x")
    axe(page)
    note.get_by_role("button", name="Send").press("Enter")
    expect(note.get_by_text("Your question is with the reviewers.")).to_be_visible()
    expect(note.get_by_text("No answer yet.")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#submit")).to_be_focused()

    # L: a flag; while the server is away, what was written stays in the panel.
    page.keyboard.press("l")
    expect(note.get_by_role("radio", name="Flag")).to_be_checked()
    expect(note.get_by_label("Message", exact=True)).to_be_focused()
    page.keyboard.type("Cut off in the middle.")
    page.context.set_offline(True)
    note.get_by_role("button", name="Send").press("Enter")
    expect(note.get_by_role("alert")).to_contain_text("Not sent")
    page.context.set_offline(False)
    note.get_by_role("button", name="Send").press("Enter")
    expect(note.get_by_text("The task is flagged for the reviewers.")).to_be_visible()
    page.keyboard.press("Escape")
    said = list(Remark.objects.values_list("kind", "text"))
    assert said == [("question", "Is this a guest? 1 2 z x"), ("flag", "Cut off in the middle.")]

    # A version published while she works comes with the next task, its changes marked.
    publish_guideline(project=project, text="Judge *register* first.", based_on=1, actor=None)
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    expect(page.locator("#done-by-me")).to_have_text("1")
    expect(badge).to_be_visible()
    page.keyboard.press("g")
    expect(panel.get_by_role("heading", name="Changed since you read version 1")).to_be_visible()
    expect(panel.locator("ins").first).to_be_visible()
    axe(page)
    assert Annotation.objects.count() == 1
    # The browser notes that it was offline once.
    offline = ("INTERNET_DISCONNECTED", "htmx:sendError", "htmx:afterRequest")
    assert [error for error in errors if not any(part in error for part in offline)] == []


def test_the_pages_are_accessible_at_desk_and_phone(sign_in_browser, live_server, hana, project, errors):
    batch, mio = batch_of(project, Kind.WRITING), join(project, Role.MANAGER, name="Mio Ito")
    texts = ("静かなお部屋をお願いいたします。", "静かな部屋がいい。", "お部屋をお願いします。")
    for text in texts:
        assignment = claim_next(batch=batch, annotator=hana)
        answer = submit(assignment=assignment, payload={"text": text}, annotator=hana).annotation
        now = timezone.now()
        TimeSpent.objects.create(
            annotator=hana,
            batch=batch,
            assignment=assignment,
            visit=f"visit-{assignment.pk:04}",
            active_seconds=340,
            idle_seconds=20,
            began_at=now - timedelta(minutes=6),
            seen_at=now,
        )
    again = reopen_submission(annotation=answer, actor=hana)
    submit(assignment=again, payload={"text": "お部屋をお願いいたします。"}, annotator=hana)
    question = add_remark(task=answer.task, author=hana, kind="question", text="Is this a guest?")
    add_remark(task=answer.task, author=hana, kind="flag", text="Cut off in the middle.")
    answer_remark(remark=question, text="Yes: keep the polite form.", actor=mio)
    pages = {
        hana: [
            "/",
            "/my-work/",
            "/my-work/?q=nowhere",
            f"/my-work/{answer.pk}/",
            "/my-time/",
            f"/assignments/{again.pk}/remarks/",
            "/projects/hotel/guideline/",
        ],
        mio: ["/projects/hotel/", "/projects/hotel/remarks/?only=all", "/projects/hotel/time/"],
    }
    for person, paths in pages.items():
        page = sign_in_browser(person)
        for at, path in enumerate(paths):
            for size, scheme in zip(SIZES, ("light", "dark") if at % 2 else ("dark", "light"), strict=True):
                page.set_viewport_size(size)
                page.emulate_media(color_scheme=scheme)
                page.goto(live_server.url + path)
                page.evaluate("for (const closed of document.querySelectorAll('main details')) closed.open = true")
                # In the dark only colours can differ.
                axe(page, {"runOnly": ["color-contrast"]} if scheme == "dark" else None)
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (path, size)
    assert errors == []
