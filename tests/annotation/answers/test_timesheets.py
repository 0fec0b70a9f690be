"""Time sheets: the annotator and the manager read the same figures, day by day, and a file carries them."""

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from lxml import html

from annotation.answers.reopening import reopen_submission
from annotation.answers.timesheets import time_sheet, totals
from annotation.models import Annotation, Assignment, Kind, Role, TimeSpent
from annotation.projects.settings import update_project
from annotation.queue.claims import claim_next
from annotation.text.formatting import duration
from tests.annotation.helpers import batch_of, hotel
from tests.factories import UserFactory, join

pytestmark = pytest.mark.django_db


@pytest.fixture
def project():
    return hotel(prompts=6, slug="hotel", name="Hotel replies")


def in_hand_for_an_hour(batch, who):
    """A task that came into the person's hand an hour ago, so that an hour can have been spent on it."""
    assignment = claim_next(batch=batch, annotator=who)
    Assignment.objects.filter(pk=assignment.pk).update(claimed_at=timezone.now() - timedelta(hours=1))
    return assignment


def answer(client, batch, who, visit, active, idle):
    assignment = in_hand_for_an_hour(batch, who)
    form = {"text": "はい。", "visit": visit, "active_seconds": active, "idle_seconds": idle}
    assert client.post(reverse("submit", args=[assignment.pk]), form).status_code == 302
    return assignment


def move_to(moment):
    """All that was recorded happened then, so that no test depends on the hour at which it runs."""
    TimeSpent.objects.update(began_at=moment)
    Annotation.objects.update(created_at=moment)
    Assignment.objects.exclude(finished_at=None).update(finished_at=moment)


MARCH = {"month": "2026-03"}
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


def table(page, heading="days"):
    """The cells of a time sheet's lines."""
    (region,) = html.fromstring(page).xpath(f"//*[@aria-labelledby='{heading}']")
    return [[" ".join(cell.text_content().split()) for cell in row.iter("td")] for row in region.xpath(".//tbody/tr")]


def test_the_annotator_sees_exactly_what_the_manager_sees(project, sign_in):
    writing, hana = batch_of(project, Kind.WRITING), join(project, Role.ANNOTATOR, name="Hana Mori")
    ken, mio = join(project, Role.ANNOTATOR, name="Ken Abe"), join(project, Role.MANAGER)
    client = sign_in(hana)
    first = answer(client, writing, hana, "visit-0001", 61.4, 30)
    answer(client, writing, hana, "visit-0002", 120.3, 0)
    skipped = in_hand_for_an_hour(writing, hana)
    form = {"reason": "unclear", "visit": "visit-0003", "active_seconds": 5, "idle_seconds": 4}
    client.post(reverse("skip", args=[skipped.pk]), form)
    answer(sign_in(ken), writing, ken, "visit-0001", 10, 1)

    move_to(NOON)
    mine = table(sign_in(hana).get(reverse("my_time"), MARCH).content.decode())
    assert len(mine) == 1
    assert mine[0][0] == "10 Mar 2026"
    assert mine[0][2:] == ["3 min 07 s", "34 s", "2", "1"]
    page = sign_in(mio).get(reverse("time_sheets", args=["hotel"]), MARCH).content.decode()
    theirs = [row for row in table(page) if row[1] == "Hana Mori"]
    assert [row[0] for row in theirs] == [row[0] for row in mine]
    assert [row[3:] for row in theirs] == [row[2:] for row in mine], "the very same figures"
    assert len(table(page)) == 2
    one = sign_in(mio).get(reverse("time_sheets", args=["hotel"]), MARCH | {"person": hana.pk}).content.decode()
    assert len(table(one)) == 1
    assert "Hana Mori: 3 min 07 s of work" in one
    move_to(timezone.now())
    assert "Today: 3 min 07 s of work" in sign_in(hana).get("/").content.decode()

    # Changed later: more seconds, and no second answer.
    again = reopen_submission(annotation=Annotation.objects.get(assignment=first), actor=hana)
    Assignment.objects.filter(pk=again.pk).update(claimed_at=timezone.now() - timedelta(hours=1))
    form = {"text": "いいえ。", "visit": "visit-0004", "active_seconds": 60, "idle_seconds": 0}
    sign_in(hana).post(reverse("submit", args=[again.pk]), form)
    move_to(NOON)
    assert table(sign_in(hana).get(reverse("my_time"), MARCH).content.decode())[0][2:] == [
        "4 min 07 s",
        "34 s",
        "2",
        "1",
    ]


def test_the_file_has_the_same_figures_and_no_formulas(project, sign_in):
    writing = batch_of(project, Kind.WRITING)
    hana = join(project, Role.ANNOTATOR, name='=HYPERLINK("https://elsewhere.example")')
    answer(sign_in(hana), writing, hana, "visit-0001", 61.4, 30)
    move_to(NOON)
    client = sign_in(join(project, Role.MANAGER))
    sent = client.get(reverse("time_file", args=["hotel"]), MARCH)
    assert sent.headers["Content-Type"].startswith("text/csv")
    assert "attachment" in sent.headers["Content-Disposition"]
    (row,) = csv.DictReader(io.StringIO(sent.content.decode("utf-8-sig")))
    assert row["name"].startswith("'=HYPERLINK")
    assert (row["active_seconds"], row["idle_seconds"], row["answered"], row["skipped"]) == ("61", "30", "1", "0")
    assert row["day"] == "2026-03-10"


def test_days_are_the_projects_and_months_are_leafed_through(project, sign_in):
    writing, hana = batch_of(project, Kind.WRITING), join(project, Role.ANNOTATOR)
    answer(sign_in(hana), writing, hana, "visit-0001", 61.4, 30)
    # Half past eleven in the evening of 31 March in London is 1 April in Tokyo.
    late = datetime(2026, 3, 31, 22, 30, tzinfo=UTC)
    move_to(late)
    client = sign_in(hana)
    for zone, month in (("UTC", "2026-03"), ("Asia/Tokyo", "2026-04")):
        update_project(project=project, actor=None, time_zone=zone)
        page = client.get(reverse("my_time"), {"month": month}).content.decode()
        assert table(page)[0][2:] == ["1 min 01 s", "30 s", "1", "0"]
        assert zone in page
        other = "2026-04" if month == "2026-03" else "2026-03"
        assert "No work in" in client.get(reverse("my_time"), {"month": other}).content.decode()
    for nonsense in ("", "x", "2026-13", "0000-00", "9999-12", "2026-03-01"):
        assert client.get(reverse("my_time"), {"month": nonsense}).status_code == 200


def test_answers_without_a_script_count_and_have_no_seconds(project, sign_in):
    writing, hana = batch_of(project, Kind.WRITING), join(project, Role.ANNOTATOR)
    sign_in(hana).post(reverse("submit", args=[claim_next(batch=writing, annotator=hana).pk]), {"text": "はい。"})
    move_to(NOON)
    sheet = time_sheet(projects=[project], since=NOON.date(), until=NOON.date())
    assert [(line.annotator, line.figures.active, line.figures.answered) for line in sheet] == [(hana, 0, 1)]
    assert totals(sheet).seconds_per_answer == 0
    assert totals([]).seconds_per_answer is None


def test_only_managers_see_others(project, sign_in):
    for stranger in (join(project, Role.ANNOTATOR), join(project, Role.REVIEWER), UserFactory()):
        for name in ("time_sheets", "time_file"):
            assert sign_in(stranger).get(reverse(name, args=["hotel"])).status_code == 404
    assert "No activity in this month" in sign_in(UserFactory()).get(reverse("my_time")).content.decode()


def test_a_sheet_takes_as_many_queries_with_many_lines(project):
    counts = []
    for people in (1, 4):
        writing = batch_of(project, Kind.WRITING, overlap=people)
        for n in range(people):
            hana = join(project, Role.ANNOTATOR)
            slot = claim_next(batch=writing, annotator=hana)
            TimeSpent.objects.create(
                annotator=hana,
                batch=writing,
                assignment=slot,
                visit=f"visit-{n:04}",
                active_seconds=n + 1,
                began_at=NOON,
                seen_at=NOON,
            )
        with CaptureQueriesContext(connection) as captured:
            assert len(time_sheet(projects=[project], since=NOON.date(), until=NOON.date())) >= people
        counts.append(len(captured))
    assert counts == [3, 3]


def test_seconds_in_words():
    assert [duration(value) for value in (0, 7.6, 59.7, 200, 3599.9, 3725, 360_000, None)] == [
        "0 s",
        "8 s",
        "1 min 00 s",
        "3 min 20 s",
        "1 h 00 min",
        "1 h 02 min",
        "100 h 00 min",
        "",
    ]
