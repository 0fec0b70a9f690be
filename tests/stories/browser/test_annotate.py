"""The annotation pages in a real browser: each kind by keyboard alone, drafts, accessibility, a phone."""

import re

import pytest
from playwright.sync_api import expect

from annotation.models import Annotation, Assignment, Candidate, Draft, Kind, Role
from tests.annotation.helpers import batch_of
from tests.factories import PASSWORD
from tests.stories.browser.page_helpers import axe, next_task, open_work

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_choosing_by_keyboard_alone(signed_in, live_server, project, errors):
    page, batch = signed_in, batch_of(project)
    open_work(page, live_server, batch)
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Nothing is chosen yet")
    expect(page.locator("#choice")).to_be_focused()
    for key in ("1", "d", "q", "e"):
        page.keyboard.press(key)
    expect(page.locator("#saved")).to_have_text("Saved")
    assert Draft.objects.get().payload["reasons"] == ["Register", "Fluency"]
    axe(page)
    page.keyboard.press("Enter")
    next_task(page, 1)
    expect(page.locator("#live")).to_have_text("Submitted. Here is the next task.")
    expect(page.locator("#batch-done")).to_have_text("1 / 3")
    payload = Annotation.objects.get().payload
    assert (payload["choice"], payload["chosen"], payload["strength"]) == ("one", payload["shown"][0], 2)
    assert payload["reasons"] == ["Register", "Fluency"]
    for number, key in ((2, "3"), (3, "4")):
        page.keyboard.press(key)
        page.keyboard.press("Enter")
        expect(page.locator("#done-by-me")).to_have_text(str(number))
    expect(page.get_by_role("heading", name="This batch is finished")).to_be_focused()
    axe(page)
    page.keyboard.press("z")
    expect(page.get_by_text("you are editing a submitted answer")).to_be_visible()
    expect(page.locator("[value=both_bad]")).to_be_checked()
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="This batch is finished")).to_be_visible()
    choices = [a.payload["choice"] for a in Annotation.objects.filter(is_current=True).order_by("assignment__position")]
    assert choices == ["one", "tie", "one"]
    assert Annotation.objects.get(version=2).active_seconds > 0
    # A refused form is answered with 422, which the browser notes.
    assert [error for error in errors if "422" not in error] == []


def test_scoring_by_keyboard_alone(signed_in, live_server, project, errors):
    page, batch = signed_in, batch_of(project, Kind.SCORING)
    open_work(page, live_server, batch)
    page.keyboard.press("?")
    expect(page.locator(".keys-list")).to_contain_text("Score the current aspect")
    page.keyboard.press("?")
    expect(page.locator("#keys-panel")).to_be_hidden()
    page.keyboard.press("4")
    expect(page.locator(".aspect.current")).to_contain_text("Register")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Register has no score yet.")
    expect(page.locator("#score-a-register")).to_be_focused()
    page.keyboard.press("3")
    expect(page.locator("#problems")).to_have_count(0)
    expect(page.locator(".faulty, [aria-describedby~=problems]")).to_have_count(0)
    page.keyboard.press("c")
    page.keyboard.type("Reads well, 5 of 5")
    axe(page)
    page.keyboard.press("Control+Enter")
    next_task(page, 1)
    payload = Annotation.objects.get().payload
    assert list(payload["scores"].values()) == [{"meaning": 4, "register": 3}]
    assert payload["comment"] == "Reads well, 5 of 5"
    assert [error for error in errors if "422" not in error] == []


def test_postediting_by_keyboard_alone(signed_in, live_server, project, errors):
    page, batch = signed_in, batch_of(project, Kind.POSTEDITING)
    open_work(page, live_server, batch)
    page.keyboard.press("e")
    expect(page.locator("#text")).to_be_focused()
    page.keyboard.press("Control+Home")
    page.keyboard.type("とても")
    expect(page.locator("#edits")).to_contain_text("3 edits · HTER")
    expect(page.locator("#diff ins")).to_have_text("とても")
    axe(page)
    page.keyboard.press("Control+Enter")
    next_task(page, 1)
    first = Annotation.objects.get()
    original = Candidate.objects.get(pk=first.payload["candidate"]).text
    assert first.payload["text"] == "とても" + original
    page.keyboard.press("a")
    next_task(page, 2)
    assert Annotation.objects.order_by("-id")[0].payload["unchanged"] is True
    # Start over, from the keyboard: out of the field, then R.
    page.keyboard.press("e")
    page.keyboard.type("x")
    page.keyboard.press("Escape")
    page.keyboard.press("r")
    expect(page.locator("#edits")).to_have_text("Unchanged")
    assert errors == []


def test_writing_by_keyboard_alone_and_keys_never_fire_while_typing(signed_in, live_server, project, errors):
    page, batch = signed_in, batch_of(project, Kind.WRITING)
    open_work(page, live_server, batch)
    page.keyboard.press("e")
    page.keyboard.type("a quieter room, please: x z 1 2")
    page.keyboard.press("Enter")
    page.keyboard.type("next to the garden")
    axe(page)
    assert not Annotation.objects.exists()
    page.keyboard.press("Control+Enter")
    next_task(page, 1)
    assert Annotation.objects.get().payload == {"text": "a quieter room, please: x z 1 2\nnext to the garden"}
    assert errors == []


def test_an_input_method_never_presses_keys_or_submits(signed_in, live_server, project):
    page, batch = signed_in, batch_of(project)
    open_work(page, live_server, batch)
    page.evaluate(
        """() => {
            for (const key of ["1", "3", "q", "Enter"]) {
                document.body.dispatchEvent(new KeyboardEvent("keydown", {key, isComposing: true, bubbles: true}));
                document.body.dispatchEvent(new KeyboardEvent("keydown", {key, keyCode: 229, bubbles: true}));
            }
        }"""
    )
    expect(page.locator("#task input:checked:not(#single-keys)")).to_have_count(0)
    assert not Annotation.objects.exists()


def test_single_letter_keys_can_be_listed_and_switched_off(signed_in, live_server, project):
    page, batch = signed_in, batch_of(project)
    open_work(page, live_server, batch)
    page.keyboard.press("?")
    expect(page.locator(".keys-list")).to_contain_text("Equally good")
    axe(page)
    page.locator("#single-keys").uncheck()
    expect(page.locator("#single-keys-said")).to_contain_text("for every device")
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    expect(page.locator("#task [name=choice]:checked")).to_have_count(0)
    page.reload()
    expect(page.locator("#heading")).to_be_focused()
    page.keyboard.press("1")
    expect(page.locator("#task [name=choice]:checked")).to_have_count(0)
    page.get_by_role("button", name="Keys").click()
    page.locator("#single-keys").check()
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    expect(page.locator("#task [name=choice]:checked")).to_have_count(1)


@pytest.mark.parametrize("kind", list(Kind))
def test_a_problem_goes_when_its_cause_goes(kind, signed_in, live_server, project):
    page, batch = signed_in, batch_of(project, kind)
    open_work(page, live_server, batch)
    if kind in (Kind.WRITING, Kind.POSTEDITING):
        page.locator("#text").fill("")
    page.locator("#submit").click()
    problems = page.locator("#problems")
    expect(problems).to_be_visible()
    if kind == Kind.SCORING:
        expect(problems.locator("li")).to_have_count(2)
        page.keyboard.press("4")
        expect(problems.locator("li")).to_have_count(1)
        expect(problems).to_contain_text("Register has no score yet.")
        page.keyboard.press("3")
    elif kind == Kind.CHOOSING:
        page.keyboard.press("2")
    else:
        page.locator("#text").fill("   ")
        expect(problems).to_be_visible()
        page.locator("#text").fill("お待ちしております。")
    expect(problems).to_have_count(0)
    expect(page.locator(".faulty, [aria-describedby~=problems]")).to_have_count(0)


def test_skip_by_keyboard(signed_in, live_server, project):
    page, batch = signed_in, batch_of(project)
    open_work(page, live_server, batch)
    first = Assignment.objects.get(state="held").task_id
    page.keyboard.press("x")
    page.get_by_label("Broken or empty text").check()
    axe(page)
    optional, needed = page.get_by_text("(optional)"), page.get_by_text("(needed for “Another reason”)")
    expect(optional).to_be_visible()
    expect(needed).to_be_hidden()
    page.get_by_label("Another reason", exact=True).check()
    expect(needed).to_be_visible()
    expect(optional).to_be_hidden()
    page.get_by_label("Broken or empty text").check()
    page.get_by_role("button", name="Skip this task").press("Enter")
    expect(page.locator("#live")).to_contain_text("Skipped")
    assert Assignment.objects.get(state="skipped").task_id == first
    assert Assignment.objects.get(state="held").task_id != first


def test_a_draft_is_saved_by_itself_and_waits_for_a_lost_server(signed_in, live_server, project):
    page, batch = signed_in, batch_of(project, Kind.WRITING)
    open_work(page, live_server, batch)
    page.locator("#text").fill("half a sentence")
    expect(page.locator("#saved")).to_have_text("Saved")
    assert Draft.objects.get().payload == {"text": "half a sentence"}
    page.context.set_offline(True)
    page.locator("#text").fill("a whole sentence")
    expect(page.locator("#saved")).to_have_text("Offline: saved in this browser")
    page.context.set_offline(False)
    expect(page.locator("#saved")).to_have_text("Saved")
    assert Draft.objects.get().payload == {"text": "a whole sentence"}
    page.reload()
    expect(page.locator("#text")).to_have_value("a whole sentence")
    expect(page.locator("#saved")).to_have_text("Draft restored")


def test_signing_in_again_in_another_tab_saves_what_waited(signed_in, live_server, project, hana):
    page, batch = signed_in, batch_of(project, Kind.WRITING)
    open_work(page, live_server, batch)
    page.context.clear_cookies(name="sessionid")
    page.locator("#text").fill("typed while signed out")
    expect(page.locator("#saved")).to_contain_text("Signed out")
    other = page.context.new_page()
    other.goto(f"{live_server.url}/accounts/login/")
    other.locator("[name=login]").fill(hana.email)
    other.locator("[name=password]").fill(PASSWORD)
    other.locator("[name=password]").press("Enter")
    expect(page.locator("#saved")).to_have_text("Saved")
    page.locator("#submit").click()
    next_task(page, 1)
    assert Annotation.objects.get().payload == {"text": "typed while signed out"}


def test_a_double_click_is_one_annotation(signed_in, live_server, project):
    page, batch = signed_in, batch_of(project)
    open_work(page, live_server, batch)
    page.keyboard.press("1")
    page.locator("#submit").dblclick()
    next_task(page, 1)
    expect(page.get_by_role("alert")).to_have_count(0)
    assert Annotation.objects.count() == 1


@pytest.mark.parametrize("kind", Kind.values)
def test_a_phone_in_the_dark_shows_everything_within_its_width(kind, signed_in, live_server, project):
    page, batch = signed_in, batch_of(project, kind)
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme="dark")
    open_work(page, live_server, batch)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    expect(page.locator("#submit")).to_be_in_viewport()
    axe(page)


def test_the_other_pages_are_accessible_in_both_schemes(signed_in, live_server, project, client):
    page = signed_in
    batch = batch_of(project, Kind.POSTEDITING)
    open_work(page, live_server, batch)
    page.keyboard.press("a")
    next_task(page, 1)
    project.memberships.update(role=Role.MANAGER)
    paths = [
        f"/projects/{project.slug}/",
        f"/projects/{project.slug}/guideline/",
        f"/projects/{project.slug}/batches/new/",
        f"/batches/{batch.pk}/",
        "/my-work/",
    ]
    for at, path in enumerate(paths):
        page.emulate_media(color_scheme=("dark", "light")[at % 2])
        page.goto(live_server.url + path)
        axe(page)
        for width in (390, 1366):
            page.set_viewport_size({"width": width, "height": 768})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_without_javascript_a_task_is_done_and_a_draft_kept(browser, live_server, hana, project, client):
    batch = batch_of(project, Kind.WRITING)
    client.force_login(hana, backend="annotation.members.auth_backend.PeopleBackend")
    context = browser.new_context(java_script_enabled=False)
    context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}])
    page = context.new_page()
    page.goto(f"{live_server.url}/batches/{batch.pk}/work/")
    page.locator("#text").fill("half")
    page.get_by_role("button", name="Save draft").click()
    expect(page.get_by_text("Saved as a draft")).to_be_visible()
    expect(page.locator("#text")).to_have_value("half")
    page.locator("#text").fill("whole")
    page.get_by_role("button", name=re.compile("^Submit")).click()
    expect(page.get_by_text("You: 1 of 3")).to_be_visible()
    assert Annotation.objects.get().payload == {"text": "whole"}
    context.close()
