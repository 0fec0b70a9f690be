"""The pages of plans and their command: figures of a planted pilot, too early, keeping, comparing, deleting."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from lxml import html

from annotation.models import Annotation, Assignment, Event, Exclusion, Kind, Plan, Role, TimeSpent
from annotation.planning.pilot import pilot_of
from annotation.projects.pay import set_rate
from annotation.projects.settings import update_project
from tests.annotation.helpers import batch_of, hotel
from tests.factories import join

pytestmark = pytest.mark.django_db
MONDAY = datetime(2026, 11, 30, 12, tzinfo=UTC)
ASKED = {"tasks": "300", "overlap": "2", "people": "3", "start": "2026-12-07"}


def words(response):
    return " ".join(html.fromstring(response.content.decode()).text_content().split())


def cells(response, table="plan-rows"):
    found = html.fromstring(response.content.decode()).xpath(f"//table[contains(@class, '{table}')]/tbody/tr")
    return [[" ".join(cell.text_content().split()) for cell in row] for row in found]


def answer_all(batch, people, *, days=4, seconds=60.0):
    """In bulk: the people choose in turn, on working days before Monday. They differ in every fourth task; every tenth
    task is a tie."""
    slots = list(Assignment.objects.filter(batch=batch).select_related("task").order_by("position", "slot"))
    annotations, spent = [], []
    for n, slot in enumerate(slots):
        task, person = n // batch.overlap, people[n % len(people)]
        at = MONDAY - timedelta(days=[3, 4, 5, 6, 7][task % days], minutes=task)
        first, second = slot.task.candidate_ids
        differs = task % 4 == 0 and n % batch.overlap
        chosen = second if bool(task % 3 == 0) != bool(differs) else first
        choice = {"choice": "one", "chosen": chosen}
        if task % 10 == 9:
            choice = {"choice": "tie", "chosen": None}
        slot.state, slot.annotator, slot.claimed_at, slot.finished_at = "done", person, at, at
        annotations.append(
            Annotation(
                assignment=slot,
                task=slot.task,
                annotator=person,
                kind=batch.kind,
                payload={**choice, "shown": [first, second], "reasons": []},
                active_seconds=seconds,
            )
        )
        spent.append(
            TimeSpent(
                annotator=person,
                batch=batch,
                assignment=slot,
                visit=f"visit-{slot.pk:05}",
                active_seconds=seconds,
                began_at=at,
                seen_at=at,
            )
        )
    Assignment.objects.bulk_update(slots, ["state", "annotator", "claimed_at", "finished_at"])
    made = Annotation.objects.bulk_create(annotations)
    for row in made:  # which creating sets to now
        row.created_at = row.assignment.finished_at
    Annotation.objects.bulk_update(made, ["created_at"])
    TimeSpent.objects.bulk_create(spent)


@pytest.fixture
def project(monkeypatch):
    """It is Monday noon."""
    monkeypatch.setattr(timezone, "now", lambda: MONDAY)
    return hotel(prompts=60, slug="hotel", name="Hotel replies", time_zone="UTC")


@pytest.fixture
def people(project):
    return [join(project, Role.ANNOTATOR, name=name) for name in ("Kei", "Rin", "Mio")]


@pytest.fixture
def pilot(project, people):
    batch = batch_of(project, overlap=2)
    answer_all(batch, people)
    return batch


@pytest.fixture
def client(client, project, sign_in):
    return sign_in(join(project, Role.MANAGER, name="Hana"))


def test_a_newer_batch_without_an_answer_is_not_proposed_as_the_pilot(project, pilot, client):
    batch_of(project, Kind.WRITING)
    page = html.fromstring(client.get(reverse("plan", args=["hotel"])).content)
    assert page.xpath("//select[@name='pilot']//option[@selected]/@value") == [str(pilot.pk)]


def test_a_pilot_says_what_a_collection_takes(project, pilot, client):
    page = client.get(reverse("plan", args=["hotel"]), {"pilot": pilot.pk, **ASKED})
    text = words(page)
    # 600 answers of a minute are ten hours; three people did 40 minutes each on four of the days.
    assert "10 h" in text
    assert "The pilot: 120 answers to 60 tasks, by 3 people on 4 days. 1 min 00 s of active time an answer." in text
    assert "No rate is set for 3 people of the pilot." in text
    assert reverse("settings_pay", args=["hotel"]) in page.content.decode()
    assert "Krippendorff’s alpha is 0." in text
    assert "10 % of the pilot’s comparisons prefer neither text." in text
    rows = cells(page)
    assert [row[1] for row in rows] == ["600", "600", "600", "1,200"]
    assert rows[0][0] == "300 tasks, 2 answers each, by 3 people this plan"
    assert rows[1][5] == "–"  # one answer a task: no agreement to measure
    assert rows[3][2] == "20 h"
    # Where answers resemble each other, 600 tasks with one answer say more than 300 with two.
    assert float(rows[1][6].rstrip(" %")) > float(rows[0][6].rstrip(" %"))
    links = html.fromstring(page.content.decode()).xpath("//table[contains(@class, 'plan-rows')]//a/@href")
    assert len(links) == 3
    page = client.get(reverse("plan", args=["hotel"]) + links[0])
    assert cells(page)[0][0] == "600 tasks, 1 answer each, by 3 people this plan"


def test_hours_a_week_and_rates_are_taken_into_account(project, pilot, people, client):
    hana = join(project, Role.MANAGER)
    priced = update_project(project=project, actor=hana, currency="EUR")
    rate = {"project": priced, "since": date(2026, 1, 1), "annotator": None, "actor": hana}
    set_rate(unit="hour", amount=Decimal(12), **rate)
    asked = {"pilot": "choosing", **ASKED, "hours": "5"}
    text = words(client.get(reverse("plan", args=["hotel"]), asked))
    assert "€120" in text
    # Ten hours of three people who work an hour on each weekday: four days from Monday on.
    assert "done 10 Dec" in text
    set_rate(unit="answer", amount=Decimal("0.5"), **{**rate, "annotator": people[0], "since": date(2026, 12, 8)})
    assert "€120" in words(client.get(reverse("plan", args=["hotel"]), asked)), "the rate of the first day counts"


def test_too_early_is_said_and_nothing_invented(project, people, client):
    batch = batch_of(project, overlap=1)
    page = client.get(reverse("plan", args=["hotel"]), {"pilot": batch.pk, **ASKED})
    assert "Too early to say: a plan needs 30 answers with a recorded time on 2 days" in words(page)
    answer_all(batch, people, days=1)
    page = client.get(reverse("plan", args=["hotel"]), {"pilot": batch.pk, **ASKED})
    assert "The pilot has 60 answers on 1 day." in words(page)
    assert not cells(page)
    assert "Keep plan" not in words(page)


def test_few_people_and_single_answers_are_named(project, people, client):
    batch = batch_of(project, overlap=1)
    answer_all(batch, people[:1])
    text = words(client.get(reverse("plan", args=["hotel"]), {"pilot": batch.pk, **ASKED}))
    assert "The pilot has times of 1 person: the intervals do not know how people differ." in text
    assert "The pilot has no task with two answers." in text
    assert "it lies between answers that repeat each other and answers that are independent." in text


def test_excluded_answers_do_not_count_and_days_limit_the_pilot(project, pilot, people):
    Exclusion.objects.create(project=project, annotator=people[0], reason="Clicks")
    assert pilot_of(project, kind=Kind.CHOOSING, batch=pilot).people == 2
    friday = date(2026, 11, 27)
    assert pilot_of(project, kind=Kind.CHOOSING, first=friday, last=friday).days == 1
    assert pilot_of(project, kind=Kind.WRITING).answers == 0


def test_wrong_settings_are_named(project, pilot, client):
    for changed, message in (
        ({"people": "1"}, "Nobody gets a task twice"),
        ({"first": "2026-12-02", "last": "2026-12-01"}, "This day is before the first."),
        ({"start": "9999-12-31"}, "Choose a day within ten years from today."),
        ({"tasks": "0"}, "greater than or equal to 1"),
    ):
        page = client.get(reverse("plan", args=["hotel"]), {"pilot": pilot.pk, **ASKED, **changed})
        assert page.status_code == 422
        assert message in words(page)


def test_alternatives_can_be_asked_for_themselves(project, pilot, client):
    address = reverse("plan", args=["hotel"])
    for tasks, rows in (("1000000", 1), ("400000", 3)):
        page = client.get(address, {"pilot": pilot.pk, **ASKED, "tasks": tasks})
        links = html.fromstring(page.content.decode()).xpath(
            "//a[starts-with(@href, '?') and contains(@href, 'tasks=')]/@href"
        )
        assert len(links) >= rows - 1
        for link in links:
            assert client.get(address + link).status_code == 200, link


def test_a_plan_has_a_name_that_can_be_seen(project, pilot, client):
    for name in ("", "  ", "\u200b", "\u00ad \ufeff", "x" * 121):
        page = client.post(reverse("plan", args=["hotel"]), {"pilot": pilot.pk, **ASKED, "name": name})
        assert page.status_code == 422, name
    assert not Plan.objects.exists()


def test_a_plan_is_kept_compared_and_deleted(project, pilot, people, client):
    target = batch_of(project, overlap=1)
    address = reverse("plan", args=["hotel"])
    settings = {"pilot": pilot.pk, **ASKED}
    assert client.post(address, settings).status_code == 422  # no name
    answer = client.post(address, {**settings, "name": "Second round", "batch": target.pk})
    plan = Plan.objects.get()
    assert answer.url == reverse("kept_plan", args=["hotel", plan.pk])
    assert (plan.pilot, plan.batch, plan.wanted["tasks"]) == (pilot, target, 300)
    assert Event.objects.get(verb="plan.kept").object_id == plan.pk
    text = words(client.get(answer.url))
    assert "too early to say what is expected." in text
    assert "540 fewer than planned" in text  # hours and cost are compared for as many answers
    dashboard = client.get(reverse("dashboard", args=["hotel"]))
    # Half an hour a day, as in the pilot: 20 working days.
    assert "Planned: 1 Jan 2027, 10 h. Second round" in words(dashboard)
    assert answer.url in dashboard.content.decode()
    answer_all(target, people, seconds=66.0)
    text = words(client.get(answer.url))
    assert "; done 27 Nov; hours: 10 % over, outside the plan’s interval." in text
    client.post(answer.url, {"batch": ""})
    assert Plan.objects.get().batch is None
    assert Event.objects.get(verb="plan.assigned").before == {"batch": target.pk}
    assert client.post(answer.url, {"batch": batch_of(project, Kind.WRITING).pk}).status_code == 422
    client.post(reverse("plan_delete", args=["hotel", plan.pk]))
    assert not Plan.objects.exists()
    assert Event.objects.get(verb="plan.deleted").before["name"] == "Second round"


def test_few_queries_on_every_page(project, pilot, people, client):
    address = reverse("plan", args=["hotel"])
    settings = {"pilot": pilot.pk, **ASKED}
    client.post(address, {**settings, "name": "One", "batch": pilot.pk})
    kept = reverse("kept_plan", args=["hotel", Plan.objects.get().pk])
    for url, values in ((address, settings), (kept, {}), (reverse("dashboard", args=["hotel"]), {})):
        with CaptureQueriesContext(connection) as captured:
            assert client.get(url, values).status_code == 200
        assert len(captured) <= 12, [query["sql"][:90] for query in captured]


def test_the_command_says_the_same(project, pilot, people, capsys):
    asked = ["--project", "hotel", "--tasks", "300", "--overlap", "2", "--people", "3", "--width", "80"]
    call_command("plan_collection", *asked, "--pilot", str(pilot.pk))
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    assert "10 h" in printed
    assert "1,200" in printed
    with pytest.raises(CommandError, match="no such batch in hotel, and no kind"):
        call_command("plan_collection", *asked, "--pilot", "0")
    with pytest.raises(CommandError, match="Nobody gets a task twice"):
        call_command("plan_collection", *asked, "--pilot", "choosing", "--people", "1")
