"""Throughput and all projects through their pages: figures equal the rows, filters are in the address."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.core import mail
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from lxml import html

from annotation.answers.submission import skip, submit
from annotation.answers.worktime import Spent
from annotation.core.time_zones import today_in
from annotation.dashboards.summaries import monday_of
from annotation.models import (
    Annotation,
    Assignment,
    Event,
    Kind,
    Membership,
    ReviewClaim,
    Role,
    TimeSpent,
    WeeklySummary,
)
from annotation.projects.settings import update_project
from annotation.queue.claims import claim_next
from annotation.reviewing.queue import hold
from annotation.reviewing.worktime import record_time
from tests.annotation.helpers import batch_of, hotel
from tests.factories import UserFactory, join

pytestmark = pytest.mark.django_db
HELLO = {"text": "はい。"}
LATE = datetime(2026, 11, 10, 22, 30, tzinfo=UTC)  # in Tokyo half past seven of the next morning


def words(response):
    return " ".join(html.fromstring(response.content.decode()).text_content().split())


def rows(response, table):
    found = html.fromstring(response.content.decode()).xpath(f"//table[contains(@class, '{table}')]/tbody/tr")
    return [[" ".join(cell.text_content().split()) for cell in row] for row in found]


def answer_at(batch, person, at, seconds):
    slot = claim_next(batch=batch, annotator=person)
    Assignment.objects.filter(pk=slot.pk).update(claimed_at=at - timedelta(minutes=5))
    submit(assignment=slot, payload=HELLO, spent=Spent(visit=f"visit-{slot.pk:05}", active=1.0))
    Annotation.objects.filter(assignment=slot).update(created_at=at)
    TimeSpent.objects.filter(assignment=slot).update(began_at=at, active_seconds=seconds)


@pytest.fixture
def project():
    project = hotel(prompts=12, slug="hotel", name="Hotel replies")
    return update_project(project=project, actor=None, time_zone="Asia/Tokyo")


@pytest.fixture
def worked(project):
    """Kei: two answers at 7 a.m. of the 11th and one on the 12th; Rin: one on the 11th, and a skip."""
    batch = batch_of(project, Kind.WRITING)
    kei, rin = (join(project, Role.ANNOTATOR, name=name) for name in ("Kei", "Rin"))
    for at, who, seconds in (
        (LATE, kei, 60.0),
        (LATE + timedelta(minutes=10), kei, 80.0),
        (LATE + timedelta(days=1), kei, 40.0),
        (LATE + timedelta(hours=3), rin, 30.0),
    ):
        answer_at(batch, who, at, seconds)
    slot = claim_next(batch=batch, annotator=rin)
    skip(assignment=slot, reason="unclear")
    Assignment.objects.filter(pk=slot.pk).update(finished_at=LATE)
    return batch, kei, rin


def test_answers_by_day_and_hour_of_the_projects_zone(project, worked, sign_in):
    batch, kei, _rin = worked
    client, address = sign_in(join(project, Role.MANAGER)), reverse("throughput", args=["hotel"])
    asked = {"first": "2026-11-01", "last": "2026-11-30"}
    response = client.get(address, asked)
    page = words(response)
    assert "4 answers in 3 min 30 s of active time" in page
    assert "Asia/Tokyo" in page
    newest, before = rows(response, "hours")
    assert (newest[0], before[0]) == ("Thu 12 Nov", "Wed 11 Nov")
    assert [(hour, n) for hour, n in enumerate(before[1:25]) if n] == [(7, "2"), (10, "1")]
    assert before[25:27] == ["3", "2 min 50 s"]
    assert rows(response, "skips") == [["The text is unclear", "1"]]
    # One day, one person, one batch, one kind: each narrows, and the other filters stay in the links.
    one = client.get(address, asked | {"last": "2026-11-11", "person": kei.pk, "batch": batch.pk, "kind": "writing"})
    assert "2 answers in 2 min 20 s of active time" in words(one)
    assert f"person={kei.pk}" in response.text
    assert "first=2026-11-01&amp;last=2026-11-30&amp;person=" in response.text
    assert "No work in these days" in words(client.get(address, asked | {"kind": "scoring"}))
    for wrong in (
        {"first": "2026-12-01"},
        {"last": "x"},
        {"person": "0"},
        {"kind": "cooking"},
        {"first": "2020-01-01"},
    ):
        response = client.get(address, asked | wrong)
        assert response.status_code == 422
        assert 'class="error"' in response.text
    assert client.get(address).status_code == 200  # the last two weeks
    assert sign_in(join(project, Role.REVIEWER)).get(address).status_code == 404


def test_lead_time_and_active_per_answer_are_what_the_page_says(project, worked, sign_in):
    batch, kei, _rin = worked
    rin = join(project, Role.REVIEWER, name="Reviewer")
    answer = Annotation.objects.filter(annotator=kei).earliest("pk")
    assert hold(annotation=answer, reviewer=rin)
    ReviewClaim.objects.update(claimed_at=timezone.now() - timedelta(minutes=9))
    record_time(annotation=answer, reviewer=rin, spent=Spent(visit="visit-review", active=50.0, idle=20.0))
    TimeSpent.objects.filter(annotator=rin).update(began_at=LATE)
    page = sign_in(join(project, Role.MANAGER)).get(
        reverse("throughput", args=["hotel"]), {"first": "2026-11-11", "last": "2026-11-11"}
    )
    (day,) = rows(page, "hours")
    assert day[25:] == ["3", "3 min 40 s", "20 s", "4 min 00 s"]
    assert "Lead time: active and idle together." in words(page)
    assert "divided by its answers" in words(page)
    (of_batch,) = [row for row in rows(page, "card") if row[0] == batch.name]
    assert of_batch[1:4] == ["3", "3 min 40 s", "1 min 13 s"]


def test_throughput_costs_the_same_with_more_people(project, worked, sign_in):
    batch, _kei, _rin = worked
    client, address = sign_in(join(project, Role.MANAGER)), reverse("throughput", args=["hotel"])
    asked = {"first": "2026-11-01", "last": "2026-11-30"}
    counts = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as captured:
            client.get(address, asked)
        counts.append(len(captured))
        for _ in range(3):
            answer_at(batch, join(project, Role.ANNOTATOR), LATE, 10.0)
    assert counts[0] == counts[1] <= 12


def test_all_projects_in_one_table(project, worked, sign_in):
    hana = join(project, Role.MANAGER)
    other = hotel(prompts=2, slug="spa", name="Spa replies", target_language="fr")
    Membership.objects.create(project=other, user=hana, role=Role.REVIEWER)
    hotel(prompts=1, slug="secret", name="Of somebody else")
    client, address = sign_in(hana), reverse("all_projects")
    response = client.get(address)
    page = words(response)
    assert "2 projects" in page
    assert "4 of 12" in page
    assert "Of somebody else" not in page
    # Whoever does not manage a project is not told to open a batch in it.
    hotel_row, spa_row = rows(response, "stacks")
    assert "Spa replies" in spa_row[0]
    assert spa_row[5] == "–"
    assert "Hotel replies" in hotel_row[0]
    assert "1 project" in words(client.get(address, {"language": "fr"}))
    assert "None of your projects match." in words(client.get(address, {"language": "xx"}))
    assert "0 archived projects" in words(client.get(address, {"archived": "1"}))
    with CaptureQueriesContext(connection) as two:
        client.get(address)
    for number in range(5):
        more = hotel(prompts=1, slug=f"more-{number}", name=f"More {number}")
        Membership.objects.create(project=more, user=hana, role=Role.MANAGER)
    with CaptureQueriesContext(connection) as seven:
        client.get(address)
    assert len(seven) == len(two) <= 12
    administrator = sign_in(UserFactory(is_superuser=True)).get(address)
    assert "8 projects" in words(administrator)


def test_a_summary_each_monday_to_those_who_asked(project, worked, sign_in, monkeypatch, capsys):
    hana, ren = join(project, Role.MANAGER, email="hana@example.org"), join(project, Role.REVIEWER, language="ja")
    ask, address = {"wanted": "1"}, reverse("weekly_summary", args=["hotel"])
    for who in (hana, hana, ren):
        assert sign_in(who).post(address, ask).url == reverse("all_projects")
    this_monday = monday_of(today_in(project))
    assert set(WeeklySummary.objects.values_list("sent_for", flat=True)) == {this_monday}  # the next is the first
    WeeklySummary.objects.update(sent_for=date(2026, 11, 9))
    assert sign_in(join(project, Role.ANNOTATOR)).post(address, ask).status_code == 404
    assert Event.objects.filter(verb="weekly_summary.asked").count() == 2

    def sent_at(*moment):
        mail.outbox.clear()
        with monkeypatch.context() as patch:
            patch.setattr(timezone, "now", lambda: datetime(*moment, tzinfo=UTC))
            call_command("send_summaries")
        assert capsys.readouterr().out == f"{len(mail.outbox)} sent\n"
        return {letter.to[0]: letter for letter in mail.outbox}

    assert sent_at(2026, 11, 12, 4) == {}  # of this week there is nothing to say yet
    assert sent_at(2026, 11, 15, 21) == {}  # Monday, six o'clock in Tokyo
    letters = sent_at(2026, 11, 15, 22)
    assert letters.keys() == {"hana@example.org", ren.email}
    letter = letters["hana@example.org"]
    assert letter.subject == "Hotel replies: 4 of 12 answers done."
    assert "4 answers last week; 0 the week before." in letter.body
    assert "http://testserver/projects/hotel/dashboard/" in letter.body
    assert "先週" in letters[ren.email].body
    assert sent_at(2026, 11, 16, 22) == {}  # once a week
    Membership.objects.filter(user=ren).update(role=Role.ANNOTATOR)
    assert sent_at(2026, 11, 25, 22).keys() == {"hana@example.org"}  # on a later day where the site was off

    def broken(*_arguments, **_options):
        raise ConnectionRefusedError("no mail server")

    with monkeypatch.context() as patch:
        patch.setattr("annotation.dashboards.summaries.send_mail", broken)
        assert sent_at(2026, 11, 30, 0) == {}
    assert sent_at(2026, 11, 30, 1).keys() == {"hana@example.org"}
    sign_in(hana).post(address, {"wanted": ""})
    assert sent_at(2026, 12, 7, 1) == {}
