"""Writing and post-editing in a real browser: terms and similar texts, checks, and a difference like the server's."""

import random
import re
import unicodedata

import pytest
from playwright.sync_api import expect

from annotation.models import Annotation, Candidate, Kind, Role
from annotation.reference import glossary
from annotation.text.edit_distance import edits_between, is_unspaced
from tests.annotation.helpers import batch_of
from tests.factories import CandidateFactory, GuidelineFactory, ProjectFactory, PromptFactory
from tests.stories.browser import page_helpers
from tests.stories.browser.page_helpers import axe, next_task

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def open_work(page, live_server, batch):
    """What stands beside the editor comes after the task."""
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
    expect(page.locator(".similar")).to_contain_text("97 % alike")
    now = page.locator(".source .text").inner_text()[-2]
    expect(page.locator(".similar del")).to_have_text(number)
    expect(page.locator(".similar ins")).to_have_text(now)
    axe(page)
    page.keyboard.press("h")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#text")).to_have_value(f"より静かなお部屋{number}をお願いできますか。")
    expect(page.locator("#checks")).to_contain_text(f"The number {now} of the text is missing")
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
    expect(page.locator("#edits")).to_have_text("As it was")


def text_there(page):
    return page.locator("#original").text_content()


def test_a_post_edit_is_counted_as_the_server_counts_it(signed_in, live_server, project):
    page, batch = signed_in, batch_of(project, Kind.POSTEDITING)
    open_work(page, live_server, batch)
    expect(page.locator("#edits")).to_have_text("As it was")
    page.keyboard.press("e")
    page.keyboard.press("Control+Home")
    page.keyboard.type("本当に")
    expect(page.locator("#diff ins")).to_have_text("本当に")
    shown = page.locator("#edits").inner_text()
    page.keyboard.press("Escape")
    page.keyboard.press("r")
    expect(page.locator("#edits")).to_have_text("As it was")
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


PAIRS = [
    ("en", "The room was quiet.", "The rooms were very quiet!"),
    ("en", "It's  a “quiet” room\nhere", "It’s a quiet room, here."),
    ("en", "", "something"),
    ("en", "one two three four", ""),
    ("ja", "静かなお部屋をお願いできますか。", "静かな部屋をお願いします。"),
    ("ja", "が　ぎ ぐ", "か\u3099き\u3099"),  # composed and not: the same letters
    ("zh", "我们想要安静的房间。", "我想要一个安静的房间"),
    ("th", "ห้องนี้เงียบมาก", "ห้องนั้นเงียบ"),
    ("ko", "조용한 방을 부탁합니다.", "더 조용한 방으로 부탁드립니다."),
    ("ar", "أُريدُ غُرْفَةً هادِئَةً.", "أريد غرفة هادئة."),
    ("hi", "मुझे शांत कमरा चाहिए।", "मुझे एक शान्त कमरा चाहिए"),
    ("fr", "L’hôtel n'est pas cher.", "L'hôtel n’est vraiment pas cher !"),
    ("de", "Cafe\u0301 👩‍👩‍👧 schön", "Café 👩‍👧 scho\u0308n"),
    ("en", "snake_case и 12 ½ ² \ufeff x\x1cy\x85z", "snake case и 12 ½ ² x yz"),
]


def bare(text):
    return unicodedata.normalize("NFC", re.sub(r"[\s\ufeff]", "", text))


def random_pairs():
    """Many small texts from few signs, so that all kinds of edit meet."""
    some = random.Random(7)
    signs = "aab é \n'’_-。、静か がกี้2 "
    for n in range(300):
        language = ("en", "ja", "th")[n % 3]
        yield language, *("".join(some.choices(signs, k=some.randrange(40))) for _ in range(2))


def test_edits_and_hter_are_the_servers_in_any_script(signed_in, live_server, project):
    page = signed_in
    open_work(page, live_server, batch_of(project, Kind.POSTEDITING))
    pairs = [*PAIRS, *random_pairs()]
    there = page.evaluate(
        "pairs => pairs.map(([language, a, b, by]) => konomi.editing.compare(a, b, by, language))",
        [[language, a, b, "characters" if is_unspaced(language) else "words"] for language, a, b in pairs],
    )
    for (language, original, edited), seen in zip(pairs, there, strict=True):
        edits = edits_between(original, edited, language)
        assert (seen["count"], f"{seen['rate']}%") == (edits.count, f"{edits.rate:.0%}"), (language, original, edited)
        # What is shown without what went is the edited text; without what came, the original but for its
        # blanks and for how its letters are composed.
        assert "".join(text for tag, text in seen["parts"] if tag != "del") == edited
        kept = "".join(text for tag, text in seen["parts"] if tag != "ins")
        assert bare(kept) == bare(original)


def test_two_thousand_words_are_compared_and_counted(signed_in, live_server, project):
    page = signed_in
    open_work(page, live_server, batch_of(project, Kind.POSTEDITING))
    seen = page.evaluate("""() => {
        const words = Array.from({ length: 2000 }, (_, n) => `word${(n * 7919) % 500}`);
        const edited = words.map((one, n) => n % 40 ? one : `${one}x`);
        return konomi.editing.compare(words.join(" "), edited.join(" "), "words", "en");
    }""")
    assert seen["count"] == 50


# ---- checks: a clean pair has none, each fault its own ----

CLEAN = [
    ("en", "ja", "Could we have a quieter room, number 3?", "静かなお部屋、3番をお願いできますでしょうか。"),
    ("en", "ja", "Breakfast is served from 7:00 to 10:30.", "朝食は七時から10時30分までです。"),
    ("en", "ja", "The deposit is $1,000.50 for 12 nights!", "保証金は12泊で1,000.50ドルです。"),
    ("en", "ja", "Check-in is at 3 p.m. on 2024/05/03.", "チェックインは２０２４年５月３日の15時です。"),
    ("en", "ja", "More than 2 million guests (2023) came.", "200万人以上のお客様（2023年）がいらっしゃいました。"),
    ("en", "ja", "We have 25 rooms, and 120 beds.", "客室は二十五室、ベッドは百二十台ございます。"),
    ("en", "ja", "Dear {name}, see https://example.org/a?b=1.", "{name}様、https://example.org/a?b=1をご覧ください。"),
    ("en", "ja", "Open 24/7.", "年中無休です。"),
    ("en", "ja", "“Thank you for your stay,” she said.", "「ご宿泊ありがとうございます」と彼女は言いました。"),
    ("en", "ja", "Press <b>Enter</b> & wait", "<b>Enter</b>を押してお待ちください"),
    ("ja", "en", "部屋は静かでしたか。", "Was the room quiet?"),
    ("ja", "en", "１２００円の朝食が３つ付きます。", "Three breakfasts of 1,200 yen are included."),
    ("ja", "en", "午後３時にお待ちしております！", "We look forward to seeing you at 15:00."),
    ("ja", "en", "売上は1.5億円でした。", "Sales were 150 million yen."),
    ("en", "de", "The room costs 1,250.75 euros.", "Das Zimmer kostet 1.250,75 Euro."),
    ("en", "de", "Is breakfast included (2 persons)?", "Ist das Frühstück (zwei Personen) inbegriffen?"),
    ("en", "fr", "Is it far: 10 km?", "Est-ce loin : 10 km ?"),
    ("en", "ar", "Where is the station?", "أين المحطة؟"),
    ("en", "th", "The room is quiet.", "ห้องนี้เงียบ"),
    ("en", "zh", "The pool opens at 8 o'clock.", "游泳池八点开放。"),
    ("en", "de", "OK", "OK"),
    ("en", "ja", "Thanks :)", "ありがとう :)"),
    ("en", "ja", "1) Towels\n2) Soap", "1) タオル\n2) せっけん"),
    ("en", "ja", "%s guests and %(count)d rooms", "お客様%s名、%(count)d室"),
]
FAULTY = [
    ("en", "ja", "It costs 1,200 yen for two.", "お二人で1,300円です。", "check.number"),
    ("ja", "en", "１２時に来てください。", "Please come at 11.", "check.number"),
    ("en", "ja", "Dear {name}, welcome.", "{nane}様、ようこそ。", "check.placeholder.missing"),
    ("en", "ja", "Welcome, dear guest.", "{name}様、ようこそ。", "check.placeholder.extra"),
    ("en", "ja", "Mail us at a@example.org.", "b@example.orgまでメールをください。", "check.placeholder.missing"),
    ("en", "ja", "The room is quiet.", "部屋は静かです", "check.end.missing"),
    ("en", "ja", "Quiet room", "静かな部屋。", "check.end.extra"),
    ("en", "ja", "The room is quiet.", "部屋は静かです.", "check.end.script"),
    ("ja", "en", "部屋は静かです。", "The room is quiet。", "check.end.script"),
    ("en", "de", "Is the room quiet?", "Das Zimmer ist ruhig.", "check.end.question"),
    ("en", "de", "The room is quiet.", "Ist das Zimmer ruhig?", "check.end.statement"),
    ("en", "de", "The room is quiet and has a view.", "Das Zimmer " + "ist sehr " * 12 + "ruhig.", "check.long"),
    ("en", "de", "The room is quiet and has a wide view of the sea and the hills.", "Ruhig.", "check.short"),
    ("en", "ja", "The room is quiet.", "The room is quiet.", "check.untranslated"),
    ("en", "ja", "The room is quiet.", "部屋は  静かです。", "check.spaces"),
    ("en", "ja", "The room (no. A) is quiet.", "部屋（Aは静かです。", "check.brackets"),
]


def test_checks_point_out_faults_and_leave_clean_pairs_alone(signed_in, live_server, project):
    page = signed_in
    open_work(page, live_server, batch_of(project, Kind.WRITING))
    run = "pairs => pairs.map(([from, to, source, target]) => konomi.editing.check(source, target, {from, to}))"
    found_in_clean = zip(CLEAN, page.evaluate(run, CLEAN), strict=True)
    assert [(pair, found) for pair, found in found_in_clean if found] == []
    for pair, found in zip(FAULTY, page.evaluate(run, [pair[:4] for pair in FAULTY]), strict=True):
        assert pair[4] in [name for name, _ in found], (pair, found)
    terms = """([source, target]) => konomi.editing.check(source, target,
        {from: "en", to: "de", terms: [["quiet room", ["ruhiges Zimmer", "stiller Raum"]]]}).map(([name]) => name)"""
    assert page.evaluate(terms, ["A quiet room.", "Mit ruhigem Zimmer."]) == []
    assert page.evaluate(terms, ["A quiet room.", "Ein Raum, still."]) == []
    assert page.evaluate(terms, ["A quiet room.", "Eine leise Kammer."]) == ["check.term"]
    # An answer need not share numbers, ending or length with what it answers.
    answer = """() => konomi.editing.check("Is room 12 quiet?", "Yes", {from: "en", to: "en", translation: false})"""
    assert page.evaluate(answer) == []


def test_a_warning_waits_until_the_text_is_written(signed_in, live_server, project):
    page, batch = signed_in, batch_of(project, Kind.WRITING)
    open_work(page, live_server, batch)
    page.keyboard.press("e")
    page.keyboard.type("静か")
    page.wait_for_timeout(1_100)
    expect(page.locator("#checks li")).to_have_count(0)
    page.keyboard.type("な部屋をお願いします。")
    expect(page.locator("#checks")).to_contain_text("is missing or another one here")
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
