"""The pages of people and projects in a real browser: phone and desk, light and dark, and within everybody's reach."""

import io
import re

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from django.test import Client
from django.urls import reverse
from PIL import Image

from annotation.members.accounts import BACKEND
from annotation.members.memberships import invite
from annotation.models import Batch, Role
from annotation.projects.aspects import save_aspects
from annotation.projects.guidelines import publish_guideline
from annotation.projects.reasons import save_reason_tags
from tests.factories import PASSWORD, ProjectFactory, join
from tests.stories.browser.page_helpers import give_session
from tests.walks import every_page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1366, "height": 768}
ZOOMED = {"width": 683, "height": 384}  # 1366 at 200 %


@pytest.fixture
def hana():
    project = ProjectFactory(slug="hotel", name="Hotel replies in formal Japanese, autumn collection")
    hana = join(project, Role.MANAGER, name="Hana Kobayashi", email="hana@example.org", is_staff=True)
    join(project, Role.ANNOTATOR, name="Kei")
    save_aspects(project=project, aspects=[{"name": "Meaning", "anchors": ["None", "Some", "All"]}], actor=hana)
    publish_guideline(project=project, text="# Tone\n\nBe *polite*.", based_on=0, actor=hana)
    publish_guideline(project=project, text="# Tone\n\nBe *very* polite.", based_on=1, actor=hana)
    save_reason_tags(project=project, names=["Register", "Meaning"], actor=hana)
    invite(project=project, role=Role.REVIEWER, actor=hana)
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


def test_every_page_is_accessible_and_fits(watched, context, live_server, settings):
    """axe on every page that a GET opens, in both schemes; none is wider than a phone, nor at a zoom of 200 %."""
    settings.ALLOWED_HOSTS = ["*"]
    world, page, site = every_page.everything(), watched, live_server.url
    axe = Axe()
    page.add_init_script(axe.axe_script)
    seen, met, faults = set(), set(), []
    for person in (None, world.people[Role.ANNOTATOR], world.people[Role.MANAGER]):
        client = Client()
        context.clear_cookies()
        if person:
            client.force_login(person, backend=BACKEND)
            cookie = client.cookies["sessionid"].value
            context.add_cookies([{"name": "sessionid", "value": cookie, "url": site}])
        for name, address in [*world.pages(), ("404", "/nowhere/")]:
            response = client.get(address)
            if response.status_code == 405:
                met.add(name)
            if not response.headers["Content-Type"].startswith("text/html") or b"<html" not in response.content:
                met |= {name} if response.status_code == 200 else set()  # a part, shown inside a page
                continue
            if response.status_code not in (200, 404) or (response.status_code == 404 and name != "404"):
                continue
            if name in seen and (person is None or name not in DIFFERS):
                continue
            seen.add(name)
            page.goto(site + address, wait_until="domcontentloaded")
            faults += [f"{name} as {person or 'a visitor'}: {fault}" for fault in faults_of(page, axe)]
    assert not faults, "\n".join(faults)
    unseen = {name for name, _ in world.pages()} - seen - met - ELSEWHERE
    assert not unseen, f"no walk opens {unseen}: put what they need into tests/walks/every_page.py, or name them here"


# Pages on which an annotator and a manager see different things.
DIFFERS = {"home", "project", "guideline", "404"}
# Addresses that only lead on to another page in this world.
ELSEWHERE = {"import_columns", "settings_aspect", "settings_weights", "settings_glossary_import", "guideline_panel"}


SEEN_THOUGH_HIDDEN = (
    "[...document.querySelectorAll('[hidden]')].filter(e => getComputedStyle(e).display !== 'none')"
    ".map(e => e.outerHTML.slice(0, 120))"
)


# Tables outside a frame that scrolls, though wider than their place; frames with more to the side that no shade shows,
# or that no keyboard reaches.
SCROLLS_UNSEEN = """
[...document.querySelectorAll('main table')].flatMap(table => {
  const frame = table.closest('.scroll');
  const name = table.outerHTML.slice(0, 60).replaceAll('\\n', ' ');
  if (!frame) return table.scrollWidth > table.parentElement.clientWidth + 1 ? [`no frame: ${name}`] : [];
  if (!frame.clientWidth || frame.scrollWidth <= frame.clientWidth + 1) return [];
  const style = getComputedStyle(frame);
  const shades = style.backgroundImage.split('linear-gradient').length - 1;
  return [
    ...(shades === 4 && style.backgroundAttachment.startsWith('local, local, scroll, scroll') ? [] : ['no shade']),
    ...(frame.tabIndex === 0 || frame.querySelector('a, button, input, select') ? [] : ['no key reaches it']),
  ].map(fault => `${fault}: ${name}`);
})
"""


def faults_of(page, axe):
    """What is wrong with the page that is open: everything unfolded; at the desk, in the dark, zoomed, on a phone."""
    page.set_viewport_size(DESK)
    page.emulate_media(color_scheme="light")
    page.evaluate("for (const closed of document.querySelectorAll('main details, details.menu')) closed.open = true")
    found = [f"hidden and yet seen: {text}" for text in page.evaluate(SEEN_THOUGH_HIDDEN)]
    for scheme, options in (("light", {}), ("dark", {"runOnly": ["color-contrast"]})):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        results = page.evaluate("options => axe.run(options)", {"resultTypes": ["violations"], **options})
        found += [f"{scheme}: {item['id']}: {item['nodes'][0]['html'][:160]}" for item in results["violations"]]
    for size in (ZOOMED, PHONE):
        page.set_viewport_size(size)
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            widest = page.evaluate(
                "[...document.querySelectorAll('main *, header *')].filter(e => e.getBoundingClientRect().right > "
                "innerWidth + 1 && !e.closest('.scroll')).slice(0, 3).map(e => e.outerHTML.slice(0, 120))"
            )
            found.append(f"wider than {size['width']}: {widest}")
        found += [f"table at {size['width']}: {fault}" for fault in page.evaluate(SCROLLS_UNSEEN)]
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_table_on_a_phone_shows_where_more_of_it_is(watched, live_server, settings, client, scheme):
    settings.ALLOWED_HOSTS = ["*"]
    world, page = every_page.everything(), watched
    give_session(page.context, live_server, client, world.people[Role.MANAGER])
    page.set_viewport_size(PHONE)
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.goto(live_server.url + reverse("judgements_columns", args=[world.judgements]))
    frame = page.locator(".scroll").first
    assert frame.evaluate("frame => frame.scrollWidth - frame.clientWidth") > 100
    assert shades(frame) == (False, True)
    frame.evaluate("frame => { frame.scrollLeft = 60 }")
    assert shades(frame) == (True, True)
    frame.evaluate("frame => { frame.scrollLeft = frame.scrollWidth }")
    assert shades(frame) == (True, False)


def shades(frame):
    """Whether the left and the right edge of the frame differ from what is under its text."""
    image = np.asarray(Image.open(io.BytesIO(frame.screenshot())).convert("L")).astype(int)
    under = np.median(image[:, 40:-40])
    return tuple(bool(abs(np.median(image[:, columns]) - under) > 15) for columns in (slice(1, 3), slice(-3, -1)))


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


def test_the_guideline_is_read_to_its_end_on_a_phone(watched, live_server, hana):
    page = watched
    page.set_viewport_size(PHONE)
    publish_guideline(project=hana.projects.get(), text="# Tone\n\n" + "Be *kind*.\n\n" * 40, based_on=2, actor=hana)
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/projects/hotel/guideline/")
    text, button = (page.locator(place).bounding_box() for place in ("article.prose", "main form button"))
    assert text["height"] > PHONE["height"]
    assert button["y"] >= text["y"] + text["height"], "below the text, not over it"


def test_the_preview_follows_what_is_typed(watched, live_server, hana):
    page = watched
    page.set_viewport_size(DESK)
    sign_in(page, live_server.url)
    page.goto(f"{live_server.url}/projects/hotel/settings/guideline/")
    page.get_by_label("Guideline", exact=True).fill("# Kindness\n\nA <b>new</b> rule.")
    page.locator("#preview h2", has_text="Kindness").wait_for()
    assert "A <b>new</b> rule." in page.locator("#preview").inner_text(), "HTML is text"
    page.get_by_role("button", name="Publish version 3").click()
    page.get_by_text("Version 3 is now current.").wait_for()
    page.get_by_role("link", name="Version 3", exact=True).click()
    assert "Kindness" in page.locator("ins").first.inner_text()


def test_an_invitation_is_copied_and_used(watched, live_server, hana, context, browser):
    page, site = watched, live_server.url
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=site)
    sign_in(page, site)
    page.goto(f"{site}/projects/hotel/settings/people/")
    page.get_by_role("button", name="Copy").click()
    page.get_by_role("button", name="Copied").wait_for()
    page.locator("[data-copied]").evaluate("button => { button.dataset.copied = 'コピーしました' }")
    page.get_by_role("button", name="Copy", exact=True).click()
    page.get_by_role("button", name="コピーしました").wait_for()
    link = page.evaluate("navigator.clipboard.readText()")
    assert re.fullmatch(rf"{site}/join/[\w-]{{43}}/", link)
    other = browser.new_context().new_page()
    other.goto(link)
    other.get_by_label("Email").fill("rin@example.org")
    other.get_by_label("Your name").fill("Rin")
    other.get_by_label("Password", exact=True).fill(PASSWORD)
    other.get_by_label("Confirm password").fill(PASSWORD)
    other.get_by_role("button", name="Create account and join").click()
    other.get_by_text("You are in: Hotel replies").wait_for()
    page.reload()
    page.get_by_role("cell", name="Rin rin@example.org").wait_for()
    assert page.get_by_role("button", name="Copy").count() == 0
