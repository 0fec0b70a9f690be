"""A test before a batch in a real browser: made by Mio, taken by Hana with the keyboard alone; the pages of both within
everybody's reach at desk and phone."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from annotation.answers.submission import submit
from annotation.models import Kind, Qualification, QualificationAttempt, Role
from annotation.qualification.attempts import items_in_order, shown_item
from annotation.qualification.tests import NewItem, create_qualification
from annotation.queue.claims import claim_next
from tests.annotation.helpers import batch_of, hotel
from tests.factories import join
from tests.stories.browser.page_helpers import give_session

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
SIZES = ({"width": 1366, "height": 768}, {"width": 390, "height": 844})
WHY = "Only this one keeps the guest's polite question a question."


@pytest.fixture
def mio():
    return join(hotel(prompts=3, slug="hotel", name="Hotel replies"), Role.MANAGER, name="Mio Tanaka")


@pytest.fixture
def project(mio):
    return mio.projects.get()


@pytest.fixture
def hana(project):
    return join(project, Role.ANNOTATOR, name="Hana Mori")


@pytest.fixture
def exam(project, mio):
    """Three choices, the first text of each the right one."""
    gold, items = batch_of(project), []
    while (assignment := claim_next(batch=gold, annotator=mio)) is not None:
        shown = assignment.task.candidate_ids
        payload = {"choice": "one", "chosen": shown[0], "shown": shown, "strength": 2, "reasons": ["Register"]}
        items.append(NewItem(annotation=submit(assignment=assignment, payload=payload).annotation, explanation=WHY))
    return create_qualification(project=project, name="Politeness", kind=Kind.CHOOSING, items=items, actor=mio)


@pytest.fixture
def enter(page, live_server, client):
    """Sign somebody in and open a path; the browser may complain of nothing but a refused form."""
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)

    def go(user, path):
        give_session(page.context, live_server, client, user)
        page.goto(f"{live_server.url}{path}")
        return page

    yield go
    assert [error for error in errors if "422" not in error] == []


def press_to(page, name, role="button"):
    """Reach a control with the Tab key and press it."""
    wanted = page.get_by_role(role, name=name, exact=True)
    expect(wanted).to_be_visible()
    for _ in range(40):
        page.keyboard.press("Tab")
        if wanted.evaluate("one => one === document.activeElement"):
            page.keyboard.press("Enter")
            return
    raise AssertionError(f"the keyboard does not reach {name}")


def answer(page, exam, hana, right=True):
    """One item by its keys."""
    attempt = QualificationAttempt.objects.filter(user=hana, finished_at=None).get()
    item = next(one for one in items_in_order(attempt) if str(one.pk) not in attempt.answers)
    shown = shown_item(attempt, item)
    place = [side.candidate for side in shown.sides].index(item.expected["chosen"]) + 1
    page.keyboard.press(str(place) if right else "4")
    page.keyboard.press("Enter")


def test_from_the_batch_through_the_test_by_keyboard_alone(enter, exam, project, hana):
    batch = batch_of(project, qualification=exam)
    page = enter(hana, f"/batches/{batch.pk}/work/")
    expect(page.get_by_role("heading", level=1)).to_have_text("A test is waiting: “Politeness”")
    press_to(page, "Start the test")
    expect(page.locator("#heading")).to_be_focused()
    expect(page.get_by_text("Test: 1 of 3")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Nothing is chosen yet")
    page.keyboard.press("Escape")
    for key in ("x", "z"):
        page.keyboard.press(key)
    answer(page, exam, hana, right=False)
    expect(page.get_by_text("Test: 2 of 3")).to_be_visible()
    expect(page.locator("#heading")).to_be_focused()
    page.reload()
    expect(page.get_by_text("Test: 2 of 3")).to_be_visible()
    assert WHY not in page.content()
    answer(page, exam, hana)
    expect(page.get_by_text("Test: 3 of 3")).to_be_visible()
    answer(page, exam, hana)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Test not passed")
    expect(page.get_by_text(WHY)).to_have_count(0)
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.goto(page.url.split("/qualifications/")[0] + f"/qualifications/{exam.pk}/")
    press_to(page, "Try again")
    for number in (1, 2, 3):
        expect(page.get_by_text(f"Test: {number} of 3")).to_be_visible()
        expect(page.locator("#heading")).to_be_focused()
        answer(page, exam, hana)
    expect(page.get_by_role("heading", level=1)).to_contain_text("You have passed the test")
    press_to(page, f"Work on {batch.name}", role="link")
    expect(page.get_by_role("heading", name="Which translation is better?")).to_be_focused()
    assert QualificationAttempt.objects.get(number=2).passed


def assert_good(page, name):
    """It fits both sizes, and axe finds no fault; in the dark only colours can differ, so only they are looked at."""
    for size, scheme in zip(SIZES, ("dark", "light"), strict=True):
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme)
        found = Axe().run(page, options={"runOnly": ["color-contrast"]} if scheme == "dark" else {})
        assert found.violations_count == 0, f"{name}, {scheme}: {found.generate_report()}"
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} is wider than the screen"


def test_the_pages_of_who_takes_it_fit_and_are_accessible(enter, exam, hana):
    page = enter(hana, f"/qualifications/{exam.pk}/")
    assert_good(page, "intro")
    page.get_by_role("button", name="Start the test").click()
    expect(page.get_by_text("Test: 1 of 3")).to_be_visible()
    assert_good(page, "item")
    page.set_viewport_size(SIZES[0])
    for number in (1, 2, 3):
        expect(page.get_by_text(f"Test: {number} of 3")).to_be_visible()
        expect(page.locator("#heading")).to_be_focused()
        answer(page, exam, hana, right=number > 1)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Test not passed")
    assert_good(page, "result")


def test_the_manager_makes_a_test_and_gives_a_task(enter, exam, project, mio, hana):
    page = enter(mio, "/projects/hotel/settings/tests/")
    assert_good(page, "tests")
    page.set_viewport_size(SIZES[0])
    page.get_by_role("link", name="Create a test").click()
    page.get_by_role("link", name="choosing batch").click()
    page.get_by_label("Name").fill("Register")
    page.get_by_label("Why this is right").first.fill(WHY)
    assert_good(page, "new")
    page.set_viewport_size(SIZES[0])
    page.get_by_role("button", name="Create test").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Register: no attempts yet")
    made = Qualification.objects.get(name="Register")
    assert sorted(made.items.values_list("explanation", flat=True)) == ["", "", WHY]
    assert_good(page, "results")
    batch = batch_of(project)
    claim_next(batch=batch, annotator=hana)
    enter(mio, f"/batches/{batch.pk}/")
    assert_good(page, "batch")
    page.set_viewport_size(SIZES[0])
    page.get_by_role("link", name="Assign").first.click()
    assert_good(page, "task")
    page.set_viewport_size(SIZES[0])
    page.get_by_label("Assign to").select_option(label="Mio Tanaka")
    page.get_by_role("button", name="Assign", exact=True).click()
    expect(page.get_by_role("status").first).to_contain_text("is the next that Mio Tanaka gets")
    page.get_by_text("Edit batch", exact=True).click()
    page.locator("#change").get_by_label("Test").select_option(label="Register")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Required test: Register")).to_be_visible()
    for name, path in (("settings", "settings/"), ("open-batch", "batches/new/")):
        enter(mio, f"/projects/hotel/{path}")
        assert_good(page, name)
