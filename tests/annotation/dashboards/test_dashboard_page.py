"""The dashboard through its page: what it says equals a recount, and who may see what."""

import csv
import io
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from lxml import html

from annotation.answers.submission import skip, submit, undo_last
from annotation.answers.worktime import Spent
from annotation.dashboards import attention, collection
from annotation.dashboards.collection import collection_of
from annotation.models import Annotation, Assignment, Event, Kind, PayRate, Role, TimeSpent, WorkClock
from annotation.projects.pay import set_rate
from annotation.projects.settings import update_project
from annotation.queue.batches import close_batch
from annotation.queue.claims import claim_next
from tests.annotation.helpers import batch_of, hotel
from tests.factories import UserFactory, join

pytestmark = pytest.mark.django_db
HELLO = {"text": "はい。"}
MONDAY = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.fixture
def project():
    return hotel(prompts=100, slug="hotel", name="Hotel replies")


@pytest.fixture
def monday(monkeypatch):
    """It is Monday noon; before it, on each of ten working days, Kei gave six answers of a minute each."""
    monkeypatch.setattr(timezone, "now", lambda: MONDAY)


def ten_days(project, batch):
    kei = join(project, Role.ANNOTATOR, name="Kei", email="kei@example.org")
    day, days = MONDAY, []
    while len(days) < 10:
        day -= timedelta(days=1)
        if day.weekday() < 5:
            days.append(day)
    for day in days:
        for _ in range(6):
            slot = claim_next(batch=batch, annotator=kei)
            Assignment.objects.filter(pk=slot.pk).update(claimed_at=day - timedelta(minutes=5))
            submit(assignment=slot, payload=HELLO, spent=Spent(visit=f"visit-{slot.pk:05}", active=60.0))
            Annotation.objects.filter(assignment=slot).update(created_at=day)
            TimeSpent.objects.filter(assignment=slot).update(began_at=day, active_seconds=60.0)
    WorkClock.objects.update(at=MONDAY - timedelta(minutes=1))
    return kei


def words(response):
    return " ".join(html.fromstring(response.content.decode()).text_content().split())


def test_it_says_when_it_is_done_and_what_it_costs(project, monday, sign_in):
    batch = batch_of(project, Kind.WRITING)
    ten_days(project, batch)
    hana = join(project, Role.MANAGER)
    client = sign_in(hana)
    page = words(client.get(reverse("dashboard", args=["hotel"])))
    assert "60 of 100 answers done." in page
    # 40 answers at six a day: seven working days from Monday on.
    assert "At the pace of the last ten working days: 8 Dec." in page
    assert "1 person is working now." in page
    assert "spent" not in page
    project = update_project(project=project, actor=hana, currency="EUR", budget=Decimal(20))
    set_rate(project=project, unit="hour", amount=Decimal(12), since=date(2026, 1, 1), annotator=None, actor=hana)
    page = words(client.get(reverse("dashboard", args=["hotel"])))
    assert "€12.00 of €20.00 spent. €20.00 at the end." in page
    update_project(project=project, actor=hana, budget=Decimal(15))
    assert "The budget will not cover what is open." in words(client.get(reverse("dashboard", args=["hotel"])))


def test_it_equals_a_recount_after_every_kind_of_action(project, sign_in):
    batch = batch_of(project, Kind.WRITING, overlap=2)
    kei, rin = join(project, Role.ANNOTATOR, name="Kei"), join(project, Role.ANNOTATOR, name="Rin")

    def agrees():
        found = collection_of(project)
        slots = Assignment.objects.filter(batch__project=project)
        done = slots.filter(state="done").count() + slots.filter(state="held").exclude(finished_at=None).count()
        assert sum(item.done for item in found.batches) == done
        for person in found.people:
            own = Annotation.objects.filter(annotator=person.user, version=1)
            assert person.in_all.answered == own.count()
            assert person.in_all.skipped == slots.filter(annotator=person.user, state="skipped").count()
        assert sum(day.answers for day in found.history.values()) == Annotation.objects.filter(version=1).count()
        return found

    agrees()
    for _ in range(2):
        submit(assignment=claim_next(batch=batch, annotator=kei), payload=HELLO)
        agrees()
    skip(assignment=claim_next(batch=batch, annotator=rin), reason="unclear")
    agrees()
    undo_last(annotator=kei, batch=batch)
    assert agrees().done == 2
    skip(assignment=claim_next(batch=batch, annotator=kei), reason="unclear")
    assert agrees().done == 1
    close_batch(batch=batch, actor=None)
    found = agrees()
    assert (found.total, found.remaining) == (0, 0)
    assert words(sign_in(join(project, Role.MANAGER)).get(reverse("dashboard", args=["hotel"]))).count(
        "No batch is open"
    )


def test_rates_by_person_day_and_answer(project):
    batch = batch_of(project, Kind.WRITING)
    kei, rin = join(project, Role.ANNOTATOR), join(project, Role.ANNOTATOR)
    project = update_project(project=project, actor=None, currency="JPY")
    for person, day in ((kei, 2), (kei, 9), (rin, 9)):
        slot = claim_next(batch=batch, annotator=person)
        submit(assignment=slot, payload=HELLO)
        Annotation.objects.filter(assignment=slot).update(created_at=datetime(2026, 3, day, 12, tzinfo=UTC))
    assert collection_of(project).spent == 0
    for who, amount, since in ((None, 10, 5), (rin, 30, 1)):
        rate = {"unit": "answer", "amount": Decimal(amount), "since": date(2026, 3, since), "annotator": who}
        set_rate(project=project, actor=None, **rate)
    found = collection_of(project)
    assert found.spent == 40  # Kei's answer of 2 March is before the first rate
    assert found.unpriced.answered == 1
    assert {person.user: person.cost for person in found.people} == {kei: 10.0, rin: 30.0}


def test_a_few_queries_whatever_the_size(project, sign_in):
    batch = batch_of(project, Kind.WRITING)
    client = sign_in(join(project, Role.MANAGER))
    counts = []
    for people in (1, 4):
        for _ in range(people):
            submit(assignment=claim_next(batch=batch, annotator=join(project, Role.ANNOTATOR)), payload=HELLO)
        with CaptureQueriesContext(connection) as captured:
            assert client.get(reverse("dashboard", args=["hotel"])).status_code == 200
        counts.append(len(captured))
    assert counts[0] == counts[1] <= 12, [query["sql"][:90] for query in captured]


def test_what_blocks_is_named_with_where_to_act(project, sign_in):
    batch = batch_of(project, Kind.WRITING)
    kei = join(project, Role.ANNOTATOR, name="Kei")
    slot = claim_next(batch=batch, annotator=kei)
    Assignment.objects.filter(pk=slot.pk).update(claimed_at=timezone.now() - timedelta(hours=2))
    rows = attention.blockers(collection_of(project), collection_of(project).forecast())
    assert [row.sentence for row in rows] == ["Kei holds a task and has not been active for an hour."]
    WorkClock.objects.create(annotator=kei, credit=0, granted=0, at=timezone.now())
    assert attention.blockers(collection_of(project), collection_of(project).forecast()) == []
    assert collection.is_recent(WorkClock.objects.get().at)


def test_reviewers_see_no_money_and_strangers_nothing(project, sign_in):
    batch_of(project, Kind.WRITING)
    project = update_project(project=project, actor=None, currency="EUR")
    set_rate(project=project, unit="hour", amount=Decimal(12), since=date(2026, 1, 1), annotator=None, actor=None)
    address = reverse("dashboard", args=["hotel"])
    assert "spent" not in words(sign_in(join(project, Role.REVIEWER)).get(address))
    page = sign_in(join(project, Role.REVIEWER)).get(address).content.decode()
    assert reverse("time_sheets", args=[project.slug]) not in page, "the sheets are the managers'"
    assert "€0.00 spent." in words(sign_in(join(project, Role.MANAGER)).get(address))
    for person in (join(project, Role.ANNOTATOR), UserFactory()):
        assert sign_in(person).get(address).status_code == 404
    for person in (join(project, Role.REVIEWER), join(project, Role.ANNOTATOR)):
        for name in ("settings_pay", "dashboard_people_file"):
            assert sign_in(person).get(reverse(name, args=["hotel"])).status_code == 404


def test_the_rows_of_people_as_a_file(project, sign_in):
    batch = batch_of(project, Kind.WRITING)
    kei = join(project, Role.ANNOTATOR, name="=Kei", email="kei@example.org")
    submit(assignment=claim_next(batch=batch, annotator=kei), payload=HELLO)
    response = sign_in(join(project, Role.MANAGER)).get(reverse("dashboard_people_file", args=["hotel"]))
    (row,) = csv.DictReader(io.StringIO(response.content.decode("utf-8-sig")))
    assert (row["name"], row["answered"], row["cost"]) == ("'=Kei", "1", "")


def test_rates_are_set_and_deleted_on_their_page(project, sign_in):
    kei, hana = join(project, Role.ANNOTATOR, name="Kei"), join(project, Role.MANAGER)
    client, address = sign_in(hana), reverse("settings_pay", args=["hotel"])
    rate = {"action": "rate", "person": "", "amount": "1500", "unit": "hour", "since": "2026-11-02"}
    response = client.post(address, rate)
    assert response.status_code == 422
    assert "Choose the currency first." in words(response)
    assert client.post(address, {"action": "budget", "currency": "JPY", "budget": "350000"}).status_code == 302
    assert client.post(address, rate).status_code == 302
    assert client.post(address, rate | {"amount": "1600"}).status_code == 302  # of the same day: replaced
    assert client.post(address, rate | {"person": str(kei.pk), "unit": "answer", "amount": "30"}).status_code == 302
    page = words(client.get(address))
    assert "¥1,600 an hour" in page
    assert "¥30 an answer" in page
    assert "¥1,500" not in page
    for wrong in ({"amount": "-1"}, {"amount": "x"}, {"unit": "day"}, {"since": "x"}, {"person": str(hana.pk + 99)}):
        assert client.post(address, rate | wrong).status_code == 422
    response = client.post(address, {"action": "budget", "currency": "EUR", "budget": ""})
    assert response.status_code == 422
    assert "The rates are in JPY: delete them first." in words(response)
    assert client.post(address, {"action": "budget", "currency": "XYZ", "budget": ""}).status_code == 422
    row = PayRate.objects.get(annotator=kei)
    assert client.post(reverse("settings_rate_delete", args=["hotel", row.pk])).status_code == 302
    assert client.post(reverse("settings_rate_delete", args=["hotel", row.pk])).status_code == 404
    verbs = list(Event.objects.filter(object_type="payrate").order_by("pk").values_list("verb", flat=True))
    assert verbs == ["pay_rate.set"] * 3 + ["pay_rate.deleted"]


# ---- what an open page asks ----


def test_an_open_page_is_told_news_and_nothing_else(project, sign_in, django_assert_max_num_queries):
    batch = batch_of(project, Kind.WRITING)
    kei = join(project, Role.ANNOTATOR, name="Kei")
    client = sign_in(join(project, Role.MANAGER, name="Mio"))
    url = reverse("dashboard", args=["hotel"])
    (live,) = html.fromstring(client.get(url).content).xpath("//*[@id='live']")
    ask = {"HTTP_HX_REQUEST": "true"}
    with django_assert_max_num_queries(4):
        assert client.get(live.get("hx-get"), **ask).status_code == 204
    submit(assignment=claim_next(batch=batch, annotator=kei), payload=HELLO, annotator=kei)
    answer = client.get(live.get("hx-get"), **ask)
    assert "<html" not in answer.content.decode()
    news = html.fromstring(answer.content)
    assert news.get("id") == "live"
    assert "1 of 100 answers done." in news.text_content()
    assert client.get(news.get("hx-get"), **ask).status_code == 204
    # Who was signed out meanwhile gets the sign-in as a page of its own, not in the place of the figures.
    client.logout()
    assert "/accounts/login/" in client.get(news.get("hx-get"), **ask)["HX-Redirect"]


def test_the_time_is_the_projects(project, sign_in, monday):
    update_project(project=project, actor=None, time_zone="Asia/Tokyo")
    page = sign_in(join(project, Role.MANAGER)).get(reverse("dashboard", args=["hotel"])).content.decode()
    assert "As of 30 November 2026, 21:00 (Asia/Tokyo)." in page
