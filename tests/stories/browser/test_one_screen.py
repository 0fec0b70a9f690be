"""A task on one screen: no control lies under the bar, and texts stay in view while their keys are pressed."""

import os
from pathlib import Path

import pytest

from annotation.models import Batch, Candidate, Kind, Project, Prompt, Role
from tests.annotation.helpers import batch_of, hotel
from tests.factories import CandidateFactory, ReasonTagFactory, join
from tests.stories.browser.page_helpers import axe, open_work

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SIZES = {
    "laptop": (1366, 768),
    "small laptop": (1280, 720),
    "phone": (390, 844),
    "laptop at 200 %": (683, 384),
}
SENTENCE = "Thank you for your stay; we are sorry that the lift was out of order and the room above yours so loud. "
# As long as the longest texts of the demonstration, and 400 words.
TEXTS = {"short": SENTENCE * 3, "400 words": SENTENCE * 20}
KINDS = {
    "choosing": (Kind.CHOOSING, {}),
    "ranking three": (Kind.CHOOSING, {"alternatives": 3}),
    "scoring": (Kind.SCORING, {}),
    "scoring three side by side": (Kind.SCORING, {"alternatives": 3}),
    "post-editing": (Kind.POSTEDITING, {}),
    "writing": (Kind.WRITING, {}),
}
REASONS = ("more polite", "addresses the review", "more natural", "shorter and clearer", "no invented facts", "style")

# Every control of the form, brought into view as a person would: which of them are covered where they stand?
COVERED = """() => {
  const covered = [];
  const controls = ":is(input:not([type=hidden]), button, select, textarea, summary)";
  for (const control of document.querySelectorAll(`#work-form ${controls}`)) {
    const shown = control.closest("label.chip, label.point, label.alternative") ?? control;
    if (!control.checkVisibility({ visibilityProperty: true }) || control.closest(".skip-panel, .mark-panel")) continue;
    shown.scrollIntoView({ block: "nearest" });
    const box = shown.getBoundingClientRect(), inset = 4;
    const x = box.left + box.width / 2;
    for (const y of [box.top + inset, Math.min(box.bottom, box.top + 60) - inset]) {
      const there = document.elementFromPoint(x, y);
      if (!there || !(shown.contains(there) || there.contains(shown))) {
        covered.push(`${control.outerHTML.slice(0, 90)} by ${there?.outerHTML.slice(0, 60) ?? "the edge"}`);
        break;
      }
    }
  }
  window.scrollTo(0, 0);
  return covered;
}"""

# How many pixels of each text can be read: what its own frame, the window and the bar leave of it.
UNSEEN = """() => {
  const unseen = [], current = document.querySelector(".side-by-side .aspect.current")?.dataset.side;
  for (const text of document.querySelectorAll("#work-form [data-text], #work-form .source .text, #work-form #text")) {
    // Where sides stand below one another, the text that is scored counts.
    if (current && innerWidth < 704 && text.dataset.text !== current) continue;
    let { top, bottom } = text.getBoundingClientRect();
    const whole = bottom - top;
    const foot = document.querySelector(".foot"), sticks = getComputedStyle(foot).position === "sticky";
    for (let frame = text.parentElement; frame; frame = frame.parentElement) {
      if (getComputedStyle(frame).overflowY === "visible") continue;
      const box = frame.getBoundingClientRect();
      [top, bottom] = [Math.max(top, box.top), Math.min(bottom, box.bottom)];
    }
    bottom = Math.min(bottom, sticks ? foot.getBoundingClientRect().top : innerHeight);
    if (bottom - Math.max(0, top) < Math.min(whole, 24)) unseen.push(`${text.outerHTML.slice(0, 80)} ${top} ${bottom}`);
  }
  return unseen;
}"""
KEYS = {
    Kind.CHOOSING: ("1", "s", "q", "2", "w", "3"),
    Kind.SCORING: ("2", "1", "3", "2", "1", "2"),
    Kind.POSTEDITING: ("e",),
    Kind.WRITING: ("e",),
}


@pytest.fixture
def hana():
    project = hotel(prompts=1)
    for name in REASONS:
        ReasonTagFactory(project=project, name=name)
    return join(project, Role.ANNOTATOR, name="Hana Mori")


def with_texts(project: Project, length: str) -> None:
    project.persona = SENTENCE
    project.save()
    CandidateFactory(prompt=Prompt.objects.get(), text="placeholder", origin="checkpoint:9")
    for n, candidate in enumerate(Candidate.objects.order_by("pk")):
        candidate.text, candidate.digest = f"{n}: {TEXTS[length]}", f"{length}-{n}"
        candidate.save()
    Prompt.objects.update(text=TEXTS[length][: 200 if length == "short" else 1_000])


def opened(project: Project, name: str) -> Batch:
    kind, options = KINDS[name]
    return batch_of(project, kind, **options)


@pytest.mark.parametrize("length", TEXTS)
@pytest.mark.parametrize("name", KINDS)
def test_nothing_lies_under_the_bar_and_texts_stay_in_view(name, length, signed_in, live_server, project):
    page = signed_in
    with_texts(project, length)
    kind, _options = KINDS[name]
    batch = opened(project, name)
    faults = []
    for size, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        open_work(page, live_server, batch)
        if folder := os.environ.get("KONOMI_SCREENSHOTS"):
            page.screenshot(path=Path(folder) / f"{name}, {length}, {size}.png")
        faults += [f"{size}: covered: {what}" for what in page.evaluate(COVERED)]
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            faults.append(f"{size}: wider than the window")
        for key in ("", *KEYS[kind]):
            if key:
                page.keyboard.press(key)
            # On a phone or magnified, texts to choose from may be longer than the screen is high, and nobody presses
            # keys before the page has been scrolled.
            if key or size in ("laptop", "small laptop"):
                faults += [f"{size}: after “{key}”: unseen: {what}" for what in page.evaluate(UNSEEN)]
        if size in ("laptop", "small laptop") and page.evaluate("document.documentElement.scrollHeight > innerHeight"):
            faults.append(f"{size}: the page scrolls: {page.evaluate('document.documentElement.scrollHeight')}")
        if size == "laptop":
            axe(page)
    assert not faults, "\n".join(faults)


def test_the_size_of_the_text_is_a_key_and_stays(signed_in, live_server, project):
    page, batch = signed_in, opened(project, "choosing")
    open_work(page, live_server, batch)
    size = "getComputedStyle(document.querySelector('[data-text]')).fontSize"
    usual = float(page.evaluate(size)[:-2])
    page.keyboard.press("+")
    page.keyboard.press("+")
    assert float(page.evaluate(size)[:-2]) == pytest.approx(1.3 * usual)
    page.reload()
    assert float(page.evaluate(size)[:-2]) == pytest.approx(1.3 * usual)
    for _ in range(12):
        page.keyboard.press("-")
    assert float(page.evaluate(size)[:-2]) == pytest.approx(0.8 * usual)
    assert page.get_by_role("button", name="Smaller text").is_disabled()
