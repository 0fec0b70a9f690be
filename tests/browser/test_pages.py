"""The pages of people and projects in a real browser: phone and desk, light and dark, and within everybody's reach."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe

from annotation.models import Batch, Role
from annotation.people import invite
from annotation.projects import publish_guideline, save_aspects, save_reason_tags
from tests.factories import PASSWORD, ProjectFactory, join

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1366, "height": 768}
PAGES = ["/", "/projects/hotel/settings/", "/projects/hotel/settings/guideline/", "/projects/hotel/settings/aspects/",
         "/projects/hotel/settings/reasons/", "/projects/hotel/settings/people/", "/projects/new/",
         "/accounts/password/change/", "/nowhere/"]  # fmt: skip


@pytest.fixture
def hana():
    project = ProjectFactory(slug="hotel", name="Hotel replies in formal Japanese, autumn collection")
    hana = join(project, Role.MANAGER, name="Hana Kobayashi", email="hana@example.org", is_staff=True)
    join(project, Role.ANNOTATOR, name="Kei")
    save_aspects(project=project, aspects=[{"name": "Meaning", "anchors": ["None", "Some", "All"]}], by=hana)
    publish_guideline(project=project, text="# Tone\n\nBe *polite*.", based_on=0, by=hana)
    publish_guideline(project=project, text="# Tone\n\nBe *very* polite.", based_on=1, by=hana)
    save_reason_tags(project=project, names=["Register", "Meaning"], by=hana)
    invite(project=project, role=Role.REVIEWER, by=hana)
    Batch.objects.create(project=project, name="Lobby", kind="writing", overlap=1, seed=1)
    return hana


@pytest.fixture
def watched(page):
    """The page, failing on whatever the browser complains of (a blocked script or style among it)."""
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    yield page
    assert not [text for text in complaints if "404" not in text], complaints


def sign_in(page, site, email="hana@example.org"):
    page.goto(f"{site}/accounts/login/")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{site}/")


def assert_good(page, name, scheme):
    """It fits, and axe finds no fault; in the dark only colours can differ, so only they are looked at again."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} is wider than the screen"
    options = {"runOnly": ["color-contrast"]} if scheme == "dark" else {}
    found = Axe().run(page, options=options).response["violations"]
    said = [f"{item['id']}: {item['nodes'][0]['html'][:200]}" for item in found]
    assert not said, f"{name}: {said}"


@pytest.mark.parametrize(("size", "scheme"), [(PHONE, "light"), (DESK, "dark")], ids=["phone-light", "desk-dark"])
def test_pages_fit_and_are_accessible(watched, live_server, hana, size, scheme):
    page, site = watched, live_server.url
    page.set_viewport_size(size)
    page.emulate_media(color_scheme=scheme)
    link = f"/join/{hana.invitations_made.get().token}/"
    for path in ("/accounts/login/", "/accounts/signup/", "/accounts/password/reset/", link):
        page.goto(site + path)
        assert_good(page, path, scheme)
    sign_in(page, site)
    for path in PAGES:
        page.goto(site + path)
        page.evaluate("for (const closed of document.querySelectorAll('main details')) closed.open = true")
        assert_good(page, path, scheme)


def test_the_phone_reaches_every_section_from_the_bar(watched, live_server, hana):
    page = watched
    page.set_viewport_size(PHONE)
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/projects/hotel/settings/people/")
    bar = page.locator("header.bar")
    assert bar.bounding_box()["height"] <= 64, "one line"
    page.locator(".sections summary").click()
    sections = page.locator(".sections nav a")
    assert sections.count() == 8
    assert all(link.bounding_box()["x"] + link.bounding_box()["width"] <= 390 for link in sections.all())
    page.locator(".menu summary").click()
    assert not sections.first.is_visible(), "one menu is open at a time"
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/accounts/login/")


def test_the_preview_follows_what_is_typed(watched, live_server, hana):
    page = watched
    page.set_viewport_size(DESK)
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/projects/hotel/settings/guideline/")
    page.get_by_label("Guideline", exact=True).fill("# Kindness\n\nA <b>new</b> rule.")
    page.locator("#preview h2", has_text="Kindness").wait_for()
    assert "A <b>new</b> rule." in page.locator("#preview").inner_text(), "HTML is text"
    page.get_by_role("button", name="Publish version 3").click()
    page.get_by_text("Version 3 is in force.").wait_for()
    page.get_by_role("link", name="Version 3", exact=True).click()
    assert "Kindness" in page.locator("ins").first.inner_text()


def test_an_invitation_is_copied_and_used(watched, live_server, hana, context, browser):
    page, site = watched, live_server.url
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=site)
    sign_in(page, site)
    page.goto(f"{site}/projects/hotel/settings/people/")
    page.get_by_role("button", name="Copy").click()
    page.get_by_role("button", name="Copied").wait_for()
    link = page.evaluate("navigator.clipboard.readText()")
    assert re.fullmatch(rf"{site}/join/[\w-]{{43}}/", link)
    other = browser.new_context().new_page()
    other.goto(link)
    other.get_by_label("Email").fill("rin@example.org")
    other.get_by_label("Your name").fill("Rin")
    other.get_by_label("Password", exact=True).fill(PASSWORD)
    other.get_by_label("Password, once more").fill(PASSWORD)
    other.get_by_role("button", name="Make the account and join").click()
    other.get_by_text("You are in: Hotel replies").wait_for()
    page.reload()
    page.get_by_role("cell", name="Rin rin@example.org").wait_for()
    assert page.get_by_role("button", name="Copy").count() == 0
