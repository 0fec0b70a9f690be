"""The first page: what waits, the tests before it, answers to what one asked, and today's time."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from lxml import html

from annotation.answers.remarks import add_remark, answer_remark
from annotation.answers.submission import submit
from annotation.models import Kind, Qualification, QualificationAttempt, Role, TimeSpent
from annotation.queue.batches import close_batch
from annotation.queue.claims import claim_next
from tests.annotation.helpers import batch_of, hotel
from tests.annotation.queue.test_claims import ANSWER
from tests.factories import UserFactory, join

pytestmark = pytest.mark.django_db


def test_a_test_comes_first_where_a_batch_asks_for_one(sign_in):
    project = hotel(prompts=2, slug="hotel")
    batch, hana = batch_of(project), join(project, Role.ANNOTATOR)
    test = Qualification.objects.create(project=project, name="Register", kind=Kind.CHOOSING, seed=1)
    batch.qualification = test
    batch.save()
    client = sign_in(hana)
    page = client.get("/").content.decode()
    assert "A test is waiting" in page
    assert "Take the test" in page
    assert reverse("qualification", args=[test.pk]) in page
    assert reverse("work", args=[batch.pk]) not in page
    assert "Take the test" in client.get("/projects/hotel/").content.decode()
    QualificationAttempt.objects.create(
        qualification=test, user=hana, number=1, passed=True, finished_at=timezone.now(), share=1.0
    )
    page = client.get("/").content.decode()
    assert "One batch has work for you" in page
    assert "Take the test" not in page
    assert "No tasks left for you at the moment" not in page


def test_a_managers_first_page_is_a_managers(sign_in):
    hana = UserFactory(name="Hana Mori")
    hotel_project, empty, other = hotel(prompts=4, name="Hotel"), hotel(prompts=1, name="Empty"), hotel(prompts=1)
    for project, role in ((hotel_project, Role.MANAGER), (empty, Role.MANAGER), (other, Role.ANNOTATOR)):
        project.memberships.create(user=hana, role=role)
    batch, ken = batch_of(hotel_project), join(hotel_project, Role.ANNOTATOR)
    submit(assignment=claim_next(batch=batch, annotator=ken), payload=ANSWER)
    held = claim_next(batch=batch, annotator=ken)
    add_remark(task=held.task, author=ken, kind="question", text="Which lift?")
    html = sign_in(hana).get("/").content.decode()
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html))
    assert "1 of 4 answers are done in the 2 projects that you manage" in text
    assert re.search(r"Hotel 1 +1 of 4 1 1 1 ", text), text
    assert "Empty Open a batch – 0 0 0" in text
    assert reverse("remarks", args=[hotel_project.slug]) in html
    assert "open remark in" not in text, "it is in the table"
    assert text.index("Projects that you manage") < text.index("Work for you") < text.index("Other projects")
    assert reverse("work", args=[batch.pk]) in html, "a manager may annotate, too"
    close_batch(batch=batch, actor=None)
    assert "No batch is open in the 2 projects that you manage" in sign_in(hana).get("/").content.decode()


def test_the_title_counts_what_its_list_shows(sign_in):
    project = hotel(prompts=2, slug="hotel")
    hana = join(project, Role.ANNOTATOR)
    for kind in (Kind.CHOOSING, Kind.WRITING, Kind.POSTEDITING):
        batch_of(project, kind)
    tested = batch_of(project)
    tested.qualification = Qualification.objects.create(project=project, name="Register", kind=Kind.CHOOSING, seed=1)
    tested.save()
    page = html.fromstring(sign_in(hana).get("/").content)
    assert page.findtext(".//h1") == "Three batches have work for you"
    lists = page.xpath('//ul[@class="cards"]')
    assert [len(cards) for cards in lists] == [3, 1]
    heading = page.get_element_by_id(lists[1].get("aria-labelledby"))
    assert heading.text_content().strip() == "A test is waiting"


def test_it_asks_the_database_the_same_with_many_answers_and_hours(sign_in):
    counts = []
    for many in (1, 8):
        project = hotel(prompts=many)
        batch, hana, rin = batch_of(project, Kind.WRITING), join(project, Role.ANNOTATOR), join(project, Role.REVIEWER)
        for n in range(many):
            assignment = claim_next(batch=batch, annotator=hana)
            submit(assignment=assignment, payload={"text": "はい。"}, annotator=hana)
            remark = add_remark(task=assignment.task, author=hana, kind="question", text=f"Why {n}?")
            answer_remark(remark=remark, text="Because.", actor=rin)
            TimeSpent.objects.create(
                annotator=hana,
                batch=batch,
                assignment=assignment,
                visit=f"visit-{n:04}",
                active_seconds=60,
                began_at=timezone.now(),
                seen_at=timezone.now(),
            )
        client = sign_in(hana)
        with CaptureQueriesContext(connection) as captured:
            page = client.get("/").content.decode()
        counts.append(len(captured))
        assert f"{many} min 00 s of work" in page
        assert page.count("An answer to your question") == min(many, 5)
    assert "3 more answers appear" in page
    assert counts[0] == counts[1] <= 14, counts


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_pages_beside_the_tasks_hold_in_each_language(sign_in, language):
    project = hotel(prompts=3, slug="hotel")
    batch, hana = batch_of(project, Kind.WRITING), join(project, Role.ANNOTATOR)
    mio = join(project, Role.MANAGER)
    assignment = claim_next(batch=batch, annotator=hana)
    answer = submit(assignment=assignment, payload={"text": "はい。"}, annotator=hana).annotation
    remark = add_remark(task=assignment.task, author=hana, kind="question", text="Why?")
    answer_remark(remark=remark, text="Because.", actor=mio)
    add_remark(task=assignment.task, author=hana, kind="comment", text="Odd.")
    pages = {
        hana: [
            "/",
            "/my-work/",
            f"/my-work/{answer.pk}/",
            "/my-time/",
            f"/assignments/{assignment.pk}/remarks/",
            "/projects/hotel/",
            "/projects/hotel/guideline/",
        ],
        mio: ["/projects/hotel/", "/projects/hotel/remarks/?only=all", "/projects/hotel/time/"],
    }
    for person, paths in pages.items():
        person.language = language
        person.save()
        client = sign_in(person)
        for path in paths:
            page = client.get(path)
            assert page.status_code == 200, path
            html = page.content.decode()
            assert f'<html lang="{language}"' in html, path
            assert "%(" not in html, path
