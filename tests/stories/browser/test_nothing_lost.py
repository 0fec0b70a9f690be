"""Nothing is lost on the annotation pages: lost connections, ended sessions, second clicks, other tabs, idle hours."""

import json

import pytest
from playwright.sync_api import expect

from annotation.models import Annotation, Assignment, Draft, Kind, Role, TimeSpent
from tests.annotation.helpers import batch_of
from tests.factories import PASSWORD, join
from tests.stories.browser.page_helpers import axe, next_task, open_work

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

KEPT = "() => Object.keys(localStorage).filter((key) => key.startsWith('konomi:draft:')).length"


@pytest.fixture
def writing(signed_in, live_server, project):
    """Hana's page with a writing task; its text field."""
    open_work(signed_in, live_server, batch_of(project, Kind.WRITING))
    return signed_in.locator("#text")


@pytest.fixture
def choosing(signed_in, live_server, project):
    open_work(signed_in, live_server, batch_of(project))
    return signed_in


def saved(page):
    return page.locator("#saved")


def texts():
    return [annotation.payload["text"] for annotation in Annotation.objects.order_by("pk")]


# ---- offline ----


def test_offline_is_said_kept_and_made_good(writing):
    page = writing.page
    page.context.set_offline(True)
    writing.fill("typed in a tunnel")
    expect(saved(page)).to_have_text("Offline: saved in this browser")
    expect(page.locator("#live")).to_have_text("Offline: saved in this browser")
    assert page.evaluate(KEPT) == 1
    axe(page)
    page.context.set_offline(False)
    expect(saved(page)).to_have_text("Saved")
    assert Draft.objects.get().payload == {"text": "typed in a tunnel"}
    assert page.evaluate(KEPT) == 0


def close_offline(page):
    """Close `page` as if its device were switched off while it is offline."""
    # The browser's offline mode ends with the page, before the last request that a closing page sends.
    page.evaluate("() => { window.fetch = () => Promise.reject(new TypeError('offline')) }")
    page.close(run_before_unload=False)


def test_what_was_typed_offline_survives_a_closed_page(writing, live_server):
    page, context, url = writing.page, writing.page.context, writing.page.url
    context.set_offline(True)
    writing.fill("typed before the battery died")
    close_offline(page)
    context.set_offline(False)
    assert not Draft.objects.exists()
    later = context.new_page()
    later.goto(url)
    expect(later.locator("#text")).to_have_value("typed before the battery died")
    expect(saved(later)).to_have_text("Saved")
    assert Draft.objects.get().payload == {"text": "typed before the battery died"}


def test_a_newer_draft_of_another_device_wins(writing):
    page = writing.page
    page.context.set_offline(True)
    writing.fill("older, on this device")
    expect(saved(page)).to_have_text("Offline: saved in this browser")
    held = Assignment.objects.get(state="held")
    Draft.objects.create(annotator=held.annotator, task=held.task, payload={"text": "newer, on the other one"})
    other = page.context.new_page()
    close_offline(page)
    other.context.set_offline(False)
    other.goto(page.url)
    expect(other.locator("#text")).to_have_value("newer, on the other one")
    assert other.evaluate(KEPT) == 0


def test_an_answer_submitted_offline_goes_off_by_itself_once(writing):
    page = writing.page
    page.context.set_offline(True)
    writing.fill("submitted in a tunnel")
    page.locator("#submit").click()
    expect(saved(page)).to_contain_text("Offline: your answer is saved in this browser")
    page.locator("#submit").click()
    page.context.set_offline(False)
    next_task(page, 1)
    assert texts() == ["submitted in a tunnel"]
    expect(writing).to_have_value("")
    assert page.evaluate(KEPT) == 0


def test_an_answer_submitted_offline_goes_off_from_the_next_page(writing):
    page, context, url = writing.page, writing.page.context, writing.page.url
    context.set_offline(True)
    writing.fill("submitted, then the browser was closed")
    page.keyboard.press("Control+Enter")
    expect(saved(page)).to_contain_text("Offline: your answer is saved in this browser")
    close_offline(page)
    context.set_offline(False)
    later = context.new_page()
    later.goto(url)
    next_task(later, 1)
    assert texts() == ["submitted, then the browser was closed"]


def test_a_server_in_trouble_is_asked_again(writing):
    page, answers = writing.page, []

    def trouble(route):
        answers.append(route.request.url)
        route.fulfill(status=503) if len(answers) < 3 else route.continue_()

    page.route("**/draft/", trouble)
    writing.fill("against the odds")
    expect(saved(page)).to_have_text("The server is not responding: saved in this browser, retrying")
    expect(saved(page)).to_have_text("Saved")
    answers.clear()
    page.route("**/submit/", trouble)
    page.locator("#submit").click()
    expect(saved(page)).to_contain_text("will be sent again")
    expect(page.locator("#done-by-me")).to_have_text("1")
    assert texts() == ["against the odds"]


def test_nobody_sees_what_another_person_left_in_the_browser(writing, live_server, client, project):
    page, context = writing.page, writing.page.context
    context.set_offline(True)
    writing.fill("Hana's own words")
    close_offline(page)
    context.set_offline(False)
    ren = join(project, Role.ANNOTATOR, name="Ren Abe")
    client.force_login(ren, backend="annotation.members.auth_backend.PeopleBackend")
    cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}
    context.add_cookies([cookie])
    later = context.new_page()
    open_work(later, live_server, project.batches.get())
    expect(later.locator("#text")).to_have_value("")
    assert not Draft.objects.exists()


def test_signing_out_leaves_nothing_in_the_browser(writing):
    page = writing.page
    page.route("**/draft/", lambda route: route.abort())
    writing.fill("mine alone")
    expect(saved(page)).to_contain_text("saved in this browser")
    page.on("dialog", lambda dialog: dialog.accept())
    page.locator(".menu > summary").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/accounts/login/")
    assert page.evaluate(KEPT) == 0


# ---- leaving ----


def test_leaving_warns_only_about_what_is_not_saved(writing, live_server):
    page, asked = writing.page, []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    writing.press_sequentially("saved")
    expect(saved(page)).to_have_text("Saved")
    page.reload()
    assert asked == []
    page.route("**/draft/", lambda route: route.abort())
    page.locator("#text").press_sequentially(" and not")
    expect(saved(page)).to_contain_text("saved in this browser")
    page.goto(live_server.url)
    assert asked == ["beforeunload"]


def test_an_answer_that_leads_to_another_page_goes_there_unasked(writing, live_server):
    page, asked = writing.page, []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.route("**/submit/", lambda route: route.fulfill(headers={"HX-Redirect": "/my-work/"}))
    writing.fill("the last one")
    page.locator("#submit").click()
    page.wait_for_url("**/my-work/")
    assert asked == []
    assert page.evaluate(KEPT) == 0


# ---- the session ----


def sign_in_again(page, password=PASSWORD, email=None):
    dialog = page.get_by_role("dialog", name="Sign in again")
    expect(dialog).to_be_visible()
    if email:
        dialog.locator("[name=login]").fill(email)
    dialog.locator("[type=password]").fill(password)
    dialog.locator("[type=password]").press("Enter")
    return dialog


def test_a_session_that_ended_is_renewed_in_place_and_the_draft_saved(writing, hana):
    page = writing.page
    page.context.clear_cookies()
    writing.fill("typed after the session ended")
    expect(saved(page)).to_have_text("Signed out: saved in this browser")
    dialog = page.get_by_role("dialog", name="Sign in again")
    expect(dialog.locator("[name=login]")).to_have_value(hana.email)
    axe(page)
    sign_in_again(page, "a wrong one")
    expect(dialog.get_by_text("not correct")).to_be_visible()
    sign_in_again(page)
    expect(dialog).to_be_hidden()
    expect(saved(page)).to_have_text("Saved")
    assert Draft.objects.get().payload == {"text": "typed after the session ended"}
    page.locator("#submit").click()
    next_task(page, 1)


def test_a_submission_after_the_session_ended_is_sent_after_the_sign_in(choosing):
    page = choosing
    page.context.clear_cookies(name="sessionid")
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    sign_in_again(page)
    next_task(page, 1)
    assert Annotation.objects.get().payload["choice"] == "one"


def test_a_sign_in_that_asks_for_more_is_finished_in_a_new_tab(writing):
    page, context = writing.page, writing.page.context
    cookies = context.cookies()
    context.clear_cookies(name="sessionid")
    page.route("**/accounts/login/**", lambda route: route.fulfill(body="<p>Your code, please</p>"))
    writing.fill("between two codes")
    dialog = page.get_by_role("dialog", name="Sign in again")
    expect(dialog).to_contain_text("Sign-in needs another step")
    expect(dialog.get_by_role("link", name="Sign in in a new tab")).to_be_visible()
    context.add_cookies(cookies)
    expect(dialog).to_be_hidden()
    expect(saved(page)).to_have_text("Saved")


def test_another_person_signing_in_never_gets_the_text(writing, project):
    page = writing.page
    ren = join(project, Role.ANNOTATOR, name="Ren Abe")
    page.context.clear_cookies(name="sessionid")
    writing.fill("Hana's own words")
    sign_in_again(page, email=ren.email)
    expect(page.locator(".menu > summary")).to_contain_text("Ren")
    expect(page.locator("#text")).to_have_value("")
    assert not Draft.objects.exists()


# ---- once ----


def test_a_second_enter_is_no_second_annotation(choosing):
    page = choosing
    page.keyboard.press("1")
    page.evaluate(
        """() => {
            const enter = () => new KeyboardEvent("keydown", {key: "Enter", bubbles: true});
            document.body.dispatchEvent(enter());
            document.body.dispatchEvent(enter());
        }"""
    )
    next_task(page, 1)
    expect(page.get_by_role("alert")).to_have_count(0)
    assert Annotation.objects.count() == 1


def test_two_tabs_on_one_task_make_one_annotation(writing):
    page = writing.page
    other = page.context.new_page()
    other.goto(page.url)
    writing.fill("from the first tab")
    page.locator("#submit").click()
    next_task(page, 1)
    other.locator("#text").fill("from the second tab")
    other.locator("#submit").click()
    expect(other.get_by_role("alert")).to_contain_text("You already submitted that task")
    assert texts() == ["from the first tab"]


def test_back_to_an_old_task_and_submitting_there(writing, live_server):
    page, old = writing.page, writing.page.locator("#work-form").get_attribute("action")
    writing.fill("the first answer")
    page.locator("#submit").click()
    next_task(page, 1)
    page.goto(live_server.url)
    page.go_back()
    expect(page.locator("#heading")).to_be_focused()
    # A page from before the first answer, as a browser may still hold it.
    page.locator("#work-form").evaluate(
        "(form, old) => { form.setAttribute('hx-post', old); htmx.process(form); form.action = old; }", old
    )
    page.locator("#text").fill("once more")
    expect(saved(page)).to_have_text("Saved")
    page.locator("#submit").click()
    expect(page.get_by_role("heading", name="Write the translation")).to_be_focused()
    assert texts() in (["the first answer"], ["the first answer", "once more"])
    assert Annotation.objects.filter(is_current=True).values("task").distinct().count() == Annotation.objects.count()


# ---- keys ----


def test_composing_never_presses_keys_or_submits(writing):
    page = writing.page
    writing.focus()
    session = page.context.new_cdp_session(page)
    session.send("Input.imeSetComposition", {"text": "しずか", "selectionStart": 3, "selectionEnd": 3})
    page.evaluate(
        """() => {
            for (const key of ["Enter", "x", "?", "z"]) {
                const event = {key, isComposing: true, bubbles: true, ctrlKey: key === "Enter"};
                document.activeElement.dispatchEvent(new KeyboardEvent("keydown", event));
            }
        }"""
    )
    session.send("Input.insertText", {"text": "静か"})
    expect(writing).to_have_value("静か")
    expect(saved(page)).to_have_text("Saved")
    assert page.locator("details[open], dialog[open]").count() == 0
    assert not Annotation.objects.exists()


def test_a_moved_key_works_and_stands_on_its_control(choosing, live_server, hana):
    page, url = choosing, choosing.url
    page.goto(f"{live_server.url}/preferences/")
    axe(page)
    page.get_by_label("Skip the task").fill("k")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_label("Skip the task")).to_have_value("K")
    page.goto(url)
    expect(page.locator(".skip kbd")).to_have_text("K")
    page.keyboard.press("x")
    expect(page.locator("#skip")).not_to_have_attribute("open", "")
    page.keyboard.press("k")
    expect(page.locator("#skip")).to_have_attribute("open", "")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.locator(".keys-list")).to_contain_text("K")


def test_a_choosing_task_takes_a_key_a_reason_and_enter(choosing):
    page = choosing
    for key in ("2", "w", "Enter"):
        page.keyboard.press(key)
    next_task(page, 1)
    payload = Annotation.objects.get().payload
    assert (payload["chosen"], payload["reasons"]) == (payload["shown"][1], ["Meaning"])


# ---- time ----


def seconds(page):
    return [float(page.locator(f"[name={name}]").first.input_value()) for name in ("active_seconds", "idle_seconds")]


def test_after_the_idle_limit_a_veil_asks_and_the_time_is_idle(signed_in, live_server, project):
    page = signed_in
    project.idle_minutes = 2
    project.save()
    page.clock.install()
    open_work(page, live_server, batch_of(project))
    page.mouse.move(40, 40)
    page.clock.run_for(100_000)
    veil = page.get_by_role("dialog", name="Still working?")
    expect(veil).to_be_hidden()
    page.clock.run_for(50_000)
    expect(veil).to_be_visible()
    axe(page)
    page.clock.run_for(600_000)
    # The key that goes on does nothing else.
    page.keyboard.press("1")
    expect(veil).to_be_hidden()
    expect(page.locator("#task [name=choice]:checked")).to_have_count(0)
    page.keyboard.press("1")
    page.clock.run_for(5_000)
    expect(page.locator("#task [name=choice]:checked")).to_have_count(1)
    active, idle = seconds(page)
    assert 100 < active < 135
    assert 600 < idle < 660


def test_a_pause_is_idle_and_looks_different(signed_in, live_server, project):
    page = signed_in
    page.clock.install()
    open_work(page, live_server, batch_of(project))
    page.keyboard.press("b")
    veil = page.get_by_role("dialog", name="Paused")
    expect(veil).to_be_visible()
    page.clock.run_for(180_000)
    veil.click()
    expect(veil).to_be_hidden()
    page.keyboard.press("1")
    page.clock.run_for(2_000)
    active, idle = seconds(page)
    assert active < 10
    assert 178 < idle < 190


def test_the_seconds_reach_the_server_with_each_visit(writing):
    page = writing.page
    writing.fill("timed")
    expect(saved(page)).to_have_text("Saved")
    page.locator("#submit").click()
    next_task(page, 1)
    answer = Annotation.objects.get()
    spent = TimeSpent.objects.get(assignment=answer.assignment)
    assert len(spent.visit) == 32
    assert 0 < spent.active_seconds <= answer.active_seconds
    assert json.dumps(answer.payload) == '{"text": "timed"}'
