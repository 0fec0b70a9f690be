"""Three people with different habits finish the same work, all four kinds of it: Hana by keyboard alone, Ken on his
phone with a thumb, Mei on a train whose network comes and goes."""

import random
from collections import Counter

import pytest
from django.test import Client
from playwright.sync_api import expect

from annotation.models import Annotation, Assignment, Draft, Kind, Role, TimeSpent
from tests.annotation.helpers import batch_of, hotel
from tests.factories import join
from tests.stories.browser.page_helpers import give_session

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
DONE = "This batch is finished"
NOTHING = "You've finished your tasks here"


class Keyboard:
    """Never touches a mouse."""

    def __init__(self, page):
        self.page = page

    def write(self):
        self.page.keyboard.press("e")
        self.page.keyboard.type("静かなお部屋をお願いします。")
        self.page.keyboard.press("Control+Enter")

    def mend(self, number):
        if number % 2:
            self.page.keyboard.press("a")
            return
        self.page.keyboard.press("e")
        self.page.keyboard.press("Control+Home")
        self.page.keyboard.type("恐れ入りますが、")
        self.page.keyboard.press("Control+Enter")

    def score(self):
        for key in ("4", "2", "Enter"):
            self.page.keyboard.press(key)

    def choose(self, number):
        for key in (str(number % 2 + 1), "d", "q", "Enter"):
            self.page.keyboard.press(key)


class Thumb:
    """Taps what is on the screen."""

    def __init__(self, page):
        self.page = page

    def submit(self):
        self.page.locator("#submit").tap()

    def write(self):
        self.page.locator("#text").tap()
        self.page.locator("#text").fill("静かな部屋をお願いできますか。")
        self.submit()

    def mend(self, number):
        if number % 2:
            self.page.locator("[name=unchanged]").tap()
            return
        self.page.locator("#text").fill("静かな部屋だと助かります。")
        self.submit()

    def score(self):
        for aspect in self.page.locator(".aspect").all():
            aspect.locator("label").nth(1).tap()
        self.submit()

    def choose(self, number):
        self.page.locator("label.alternative").nth(number % 2).tap()
        self.page.get_by_text("Slightly").tap()
        self.submit()


class Train(Keyboard):
    """Works on in tunnels: a request in three is lost on its way there or back, and some answers are given offline."""

    def __init__(self, page):
        super().__init__(page)
        self.chance = random.Random(5)
        page.route("**/assignments/**", self.route)

    def route(self, route):
        fate = self.chance.random()
        if fate < 0.17:
            return route.abort("connectionfailed")
        if fate < 0.34:  # the server took it; its answer never came back
            route.fetch()
            return route.abort("connectionreset")
        return route.continue_()

    def tunnel(self, act):
        context = self.page.context
        context.set_offline(True)
        act()
        expect(self.page.locator("#saved")).to_contain_text("Offline")
        context.set_offline(False)

    def write(self):
        self.tunnel(super().write)

    def choose(self, number):
        act = super().choose
        self.tunnel(lambda: act(number)) if number % 2 else act(number)


def work_through(person, batch, live_server):
    """All that the batch has for this person, one task after the other."""
    page = person.page
    page.goto(f"{live_server.url}/batches/{batch.pk}/work/")
    for number in range(20):
        expect(page.locator("#heading")).to_be_focused()
        if page.locator("#work-form").count() == 0:
            break
        before = page.locator("#task").get_attribute("data-assignment")
        {
            Kind.WRITING: person.write,
            Kind.POSTEDITING: lambda n=number: person.mend(n),
            Kind.SCORING: person.score,
            Kind.CHOOSING: lambda n=number: person.choose(n),
        }[batch.kind]()
        expect(page.locator(f"#task[data-assignment='{before}']")).to_have_count(0)
    expect(page.locator("#heading")).to_have_text(DONE if batch_done(batch) else NOTHING)


def batch_done(batch):
    return not Assignment.objects.filter(batch=batch).exclude(state="done").exists()


def test_three_habits_one_finished_batch_of_each_kind(browser, live_server):
    project = hotel(prompts=2)
    batches = [batch_of(project, kind, overlap=3) for kind in Kind.values]
    habits = {
        "Hana Mori": (Keyboard, {}),
        "Ken Abe": (Thumb, {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}),
        "Mei Lin": (Train, {"color_scheme": "dark"}),
    }
    complaints, contexts = [], []
    for name, (habit, options) in habits.items():
        user, client = join(project, Role.ANNOTATOR, name=name), Client()
        context = browser.new_context(**options)
        contexts.append(context)
        give_session(context, live_server, client, user)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        person = habit(page)
        for batch in batches:
            work_through(person, batch, live_server)
        context.set_offline(True)  # a page that closes sends its seconds; not while the database is emptied behind it
    for context in contexts:
        context.close()
    assert complaints == []
    slots = Assignment.objects.filter(batch__in=batches)
    assert set(slots.values_list("state", flat=True)) == {"done"}
    # Two prompts, and two candidates of each to score.
    assert Counter(slots.values_list("batch__kind", flat=True)) == {
        Kind.WRITING: 6,
        Kind.POSTEDITING: 6,
        Kind.SCORING: 12,
        Kind.CHOOSING: 6,
    }
    answers = Annotation.objects.all()
    assert answers.count() == answers.filter(is_current=True, version=1).count() == 30
    assert set(Counter(answers.values_list("annotator", "task")).values()) == {1}
    assert set(Counter(answers.values_list("annotator__name", flat=True)).values()) == {10}
    assert not Draft.objects.exists()
    # Time was counted for everybody, and nobody's is more than the hours of the story.
    assert {row.annotator.name for row in TimeSpent.objects.filter(active_seconds__gt=0)} == set(habits)
