"""Judging in a real browser: rankings, marks, fixes, differences and totals, by keyboard, mouse and finger."""

import pytest
from playwright.sync_api import expect

from annotation.models import Annotation, Candidate, Draft, Kind, Prompt, Role
from tests.annotation.helpers import batch_of, hotel
from tests.factories import CandidateFactory, join
from tests.stories.browser.page_helpers import axe, open_work

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

# Signs beyond the first plane, one of them joined of two, stand before what is marked.
EMOJI = "👍🏽🙂静かなお部屋をお願いできますか。"


@pytest.fixture
def hana():
    return join(hotel(prompts=1), Role.ANNOTATOR, name="Hana Mori")


@pytest.fixture
def signed_in(signed_in):
    errors = []
    signed_in.on("pageerror", lambda error: errors.append(str(error)))
    yield signed_in
    assert errors == []


def submit(page, key="Enter"):
    page.keyboard.press(key)
    expect(page.get_by_role("heading", name="This batch is finished")).to_be_visible()
    return Annotation.objects.get().payload


def text_of(candidate):
    return Candidate.objects.get(pk=candidate).text


@pytest.fixture
def third(project):
    CandidateFactory(prompt=Prompt.objects.get(), text="もう少し静かな部屋はございますか。", origin="checkpoint:9")
    return batch_of(project, alternatives=3)


def ranks(page):
    return [page.locator(f"#rank-{letter}").input_value() for letter in "abc"]


def test_ranking_by_keys_with_a_tie(signed_in, live_server, third):
    page = signed_in
    open_work(page, live_server, third)
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("A has no place yet.")
    expect(page.locator("#rank-a")).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.locator(".keys-list")).to_contain_text("A is ranked next")
    page.keyboard.press("?")
    for key in ("2", "3", "=", "1"):
        page.keyboard.press(key)
    assert ranks(page) == ["2", "1", "2"]
    expect(page.locator("#live")).to_have_text("Rank 1: B, Rank 2: C = A")
    page.keyboard.press("3")  # pressed again, it takes the text out
    assert ranks(page) == ["2", "1", ""]
    page.keyboard.press("3")
    assert ranks(page) == ["2", "1", "3"]
    axe(page)
    page.keyboard.press("5")
    expect(page.get_by_role("checkbox", name="All bad")).to_be_checked()
    assert ranks(page) == ["", "", ""]
    for key in ("2", "1", "3"):
        page.keyboard.press(key)
    expect(page.get_by_role("checkbox", name="All bad")).not_to_be_checked()
    expect(page.locator("#saved")).to_have_text("Saved")
    page.reload()
    assert ranks(page) == ["2", "1", "3"]
    payload = submit(page)
    a, b, c = payload["shown"]
    assert (payload["choice"], payload["ranking"]) == ("ranking", [[b], [a], [c]])


def test_ranking_by_drag_and_by_arrows(signed_in, live_server, third):
    page = signed_in
    open_work(page, live_server, third)

    def drag(letter, target):
        page.locator(f"[data-token={letter}]").hover()
        page.mouse.down()
        box = page.locator(target).bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=4)
        page.mouse.up()

    drag("c", "[data-gap='0']")
    drag("a", "[data-gap='1']")
    drag("b", "[data-gap='0']")
    assert ranks(page) == ["3", "1", "2"]
    drag("a", "[data-group='1'] .order-place")  # on another: equally good
    assert ranks(page) == ["2", "1", "2"]
    axe(page)
    page.locator("[data-token=a]").focus()
    page.keyboard.press("ArrowLeft")  # out of the tie, before it
    assert ranks(page) == ["2", "1", "3"]
    expect(page.locator("[data-token=a]")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    assert ranks(page) == ["1", "1", "2"]
    payload = submit(page)
    a, b, c = payload["shown"]
    assert payload["ranking"] == [[a, b], [c]]


def test_ranking_by_a_finger_within_a_phone(signed_in, live_server, third):
    page = signed_in
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme="dark")
    open_work(page, live_server, third)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for letter in "cab":
        page.locator(f".alternative[data-side={letter}] .text").click()
    assert ranks(page) == ["2", "3", "1"]
    axe(page)


def test_errors_are_marked_by_keyboard_alone(signed_in, live_server, project):
    Candidate.objects.all().update(text=EMOJI)
    page, batch = signed_in, batch_of(project, Kind.SCORING)
    open_work(page, live_server, batch)
    page.keyboard.press("m")
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    assert page.evaluate("getSelection().toString()") == "静か"
    page.keyboard.press("Shift+ArrowRight")
    assert page.evaluate("getSelection().toString()") == "静かな"
    page.keyboard.press("ArrowDown")
    assert page.evaluate("getSelection().toString()") == "静"
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Enter")
    axe(page)
    expect(page.get_by_role("button", name="Mistranslation")).to_be_focused()
    page.keyboard.press("1")  # mistranslation
    page.keyboard.press("3")  # major
    expect(page.locator(".marks li")).to_contain_text("静か")
    expect(page.locator("mark")).to_have_text("静か")
    page.keyboard.press("m")  # goes on where the last mark ends
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    expect(page.locator(".marks li")).to_have_count(1)
    expect(page.locator("#saved")).to_have_text("Saved")
    ((mark,),) = Draft.objects.get().payload["spans"].values()
    assert EMOJI[mark["start"] : mark["end"]] == "静か"
    assert (mark["category"], mark["severity"]) == ("Mistranslation", "major")
    page.reload()
    expect(page.locator("mark")).to_have_text("静か")
    axe(page)
    page.keyboard.press("4")
    page.keyboard.press("2")
    ((mark,),) = submit(page)["spans"].values()
    assert EMOJI[mark["start"] : mark["end"]] == "静か"
    page.goto(f"{live_server.url}/my-work/")
    expect(page.locator("mark")).to_have_text("静か")
    expect(page.get_by_text("Mistranslation · Major")).to_be_visible()


def test_errors_are_marked_with_the_mouse_and_removed(signed_in, live_server, project):
    Candidate.objects.all().update(text="🙂 Sure, a room more quiet is here.\r\n🙂 Welcome back!")
    page, batch = signed_in, batch_of(project, Kind.SCORING)
    open_work(page, live_server, batch)

    def select(word):
        at = page.evaluate(
            """(word) => {
                const node = document.querySelector("[data-text] :not(.mark-note), [data-text]");
                const walker = document.createTreeWalker(document.querySelector("[data-text]"), NodeFilter.SHOW_TEXT);
                while (walker.nextNode()) {
                    const at = walker.currentNode.data.indexOf(word);
                    if (at < 0) continue;
                    const range = document.createRange();
                    range.setStart(walker.currentNode, at);
                    range.setEnd(walker.currentNode, at + word.length);
                    const box = range.getBoundingClientRect();
                    return [box.left, box.right, box.top + box.height / 2];
                }
            }""",
            word,
        )
        page.mouse.move(at[0] + 1, at[2])
        page.mouse.down()
        page.mouse.move(at[1] - 1, at[2], steps=5)
        page.mouse.up()

    for word in ("more quiet", "Welcome"):
        select(word)
        expect(page.locator(".mark-quote")).to_have_text(word)
        page.get_by_role("button", name="Style").click()
        page.get_by_role("button", name="Minor").click()
    expect(page.locator(".marks li")).to_have_count(2)
    axe(page)
    page.get_by_role("button", name="Remove mark 1").click()
    expect(page.locator(".marks li")).to_have_count(1)
    page.keyboard.press("Escape")
    page.locator("#heading").focus()
    page.keyboard.press("4")
    page.keyboard.press("2")
    ((candidate, (mark,)),) = submit(page)["spans"].items()
    assert text_of(candidate)[mark["start"] : mark["end"]] == "Welcome", "a line end of two signs counts as stored"


def test_what_differs_on_a_key_by_words_and_by_signs(signed_in, live_server, project):
    one, two = Candidate.objects.all()
    Candidate.objects.filter(pk=one.pk).update(text="🙂 静かなお部屋です。")
    Candidate.objects.filter(pk=two.pk).update(text="🙂 静かな部屋でございます。")
    page, batch = signed_in, batch_of(project)
    open_work(page, live_server, batch)

    def differing():
        return {tuple(page.locator(f"[data-text={letter}] .differs").all_text_contents()) for letter in "ab"}

    page.keyboard.press("v")
    expect(page.locator("#difference")).to_have_attribute("aria-pressed", "true")
    assert differing() == {("お",), ("ございま",)}
    axe(page)
    page.keyboard.press("v")
    expect(page.locator(".differs")).to_have_count(0)
    project.target_language = "en"
    project.save()
    Candidate.objects.filter(pk=one.pk).update(text="A quiet room, with a view.")
    Candidate.objects.filter(pk=two.pk).update(text="A quieter room, with view.")
    page.reload()
    page.keyboard.press("v")
    assert differing() == {("quiet", "a"), ("quieter",)}


def test_fix_it_follows_the_choice(signed_in, live_server, project):
    page, batch = signed_in, batch_of(project)
    open_work(page, live_server, batch)
    page.keyboard.press("1")
    page.keyboard.press("f")
    expect(page.locator("#fix-a")).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("2")
    expect(page.locator("#fix-a")).to_be_hidden()
    expect(page.locator("#fix-b")).to_be_visible()
    page.locator("#fix-b").press("Control+End")
    page.keyboard.type("！")
    axe(page)
    expect(page.locator("#saved")).to_have_text("Saved")
    page.reload()
    expect(page.locator("#fix-b")).to_be_visible()
    page.locator("#fix-b").focus()
    payload = submit(page, "Control+Enter")
    b = payload["shown"][1]
    assert payload["fixes"] == {str(b): text_of(b) + "！"}


def test_good_and_bad_passages_of_a_choice(signed_in, live_server, project):
    page, batch = signed_in, batch_of(project)
    open_work(page, live_server, batch)
    page.keyboard.press("m")
    page.keyboard.press("Enter")
    page.keyboard.press("1")
    page.keyboard.press("m")
    page.keyboard.press("m")  # the other text
    page.keyboard.press("Enter")
    page.keyboard.press("2")
    page.keyboard.press("1")  # keys mean again what they mean
    expect(page.locator("[name=choice][value=a]")).to_be_checked()
    axe(page)
    payload = submit(page)
    a, b = payload["shown"]
    assert [payload["spans"][str(key)][0]["quality"] for key in (a, b)] == ["good", "bad"]


def test_a_finger_marks_what_it_selects(browser, live_server, project, hana, client):
    batch = batch_of(project)
    client.force_login(hana, backend="annotation.members.auth_backend.PeopleBackend")
    context = browser.new_context(has_touch=True, viewport={"width": 390, "height": 844})
    context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}])
    page = context.new_page()
    open_work(page, live_server, batch)
    page.locator(".alternative").first.tap()
    expect(page.locator("[name=choice][value=a]")).to_be_checked()
    # What the handles of a long press leave behind.
    page.evaluate(
        """() => {
            const text = document.querySelector("[data-text=b]").firstChild;
            getSelection().setBaseAndExtent(text, 0, text, 3);
        }"""
    )
    expect(page.locator("#mark-panel")).to_be_visible()
    box = page.locator("#mark-panel").bounding_box()
    assert (box["x"], box["y"] + box["height"]) == (0, 844)
    page.get_by_role("button", name="Bad", exact=True).tap()
    expect(page.locator(".marks li")).to_have_count(1)
    page.locator("#submit").tap()
    expect(page.get_by_role("heading", name="This batch is finished")).to_be_visible()
    (marks,) = Annotation.objects.get().payload["spans"].values()
    assert marks == [{"start": 0, "end": 3, "quality": "bad"}]
    context.close()


def test_what_was_judged_offline_waits_in_the_browser(signed_in, live_server, third):
    page = signed_in
    open_work(page, live_server, third)
    page.route("**/draft/", lambda route: route.abort())
    for key in ("3", "=", "2", "1", "m", "Enter", "2", "f"):
        page.keyboard.press(key)
    page.locator("#fix-c").fill("直した訳です。")
    page.once("dialog", lambda dialog: dialog.accept())
    page.reload()
    assert ranks(page) == ["2", "1", "1"]
    expect(page.locator("[data-group='0'] .token")).to_have_count(2)
    expect(page.locator("mark.bad")).to_have_count(1)
    expect(page.locator("#fix-c")).to_have_value("直した訳です。")
    page.unroute("**/draft/")
    page.locator("#heading").focus()
    payload = submit(page)
    a, b, c = payload["shown"]
    assert payload["ranking"] == [[b, c], [a]]
    assert payload["fixes"] == {str(c): "直した訳です。"}


def test_several_texts_side_by_side_with_their_totals(signed_in, live_server, project):
    project.show_total = True
    project.save()
    page, batch = signed_in, batch_of(project, Kind.SCORING, alternatives=2)
    for width, scheme in ((390, "dark"), (1366, "light")):
        page.set_viewport_size({"width": width, "height": 844})
        page.emulate_media(color_scheme=scheme)
        open_work(page, live_server, batch)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        axe(page)
    for key in ("5", "1", "3", "3"):  # A's aspects, then B's
        page.keyboard.press(key)
    # Meaning counts twice: (2 · 1 + 0) / 3 and (2 · ½ + 1) / 3
    expect(page.locator("[data-total=a] b")).to_have_text("67")
    expect(page.locator("[data-total=b] b")).to_have_text("67")
    page.locator("#score-b-register [value='2']").click()
    expect(page.locator("[data-total=b] b")).to_have_text("50")
    scores = submit(page)["scores"]
    assert sorted(scores.values(), key=str) == [{"meaning": 3, "register": 2}, {"meaning": 5, "register": 1}]
