"""Pausing a member: no further task, whichever way; what they hold and gave stays. Mio manages, Hana annotates."""

import threading

import pytest
from django.db import connection
from django.urls import reverse
from lxml import html

from annotation.answers.submission import submit, undo_last
from annotation.core.errors import Conflict
from annotation.members.pausing import pause_member, resume_member
from annotation.models import Event, Kind, Membership, Role, Task
from annotation.queue.claims import claim_next
from annotation.queue.manual_assignment import assign
from annotation.queue.progress import work_for
from tests.annotation.helpers import batch_of, hotel
from tests.factories import join

REASON = "Let us talk about the register first."


@pytest.fixture
def project(db):
    return hotel(prompts=4, slug="hotel", name="Hotel replies")


@pytest.fixture
def mio(project):
    return join(project, Role.MANAGER, name="Mio")


@pytest.fixture
def hana(project):
    return join(project, Role.ANNOTATOR, name="Hana")


@pytest.fixture
def batch(project):
    return batch_of(project, Kind.WRITING)


def membership(person):
    return Membership.objects.get(user=person)


def test_who_is_paused_gets_no_further_task_and_finishes_what_they_hold(project, mio, hana, batch):
    held = claim_next(batch=batch, annotator=hana)
    pause_member(membership=membership(hana), reason=REASON, actor=mio)
    assert claim_next(batch=batch, annotator=hana).pk == held.pk
    assert [item.available for item in work_for(hana)] == [True]
    submit(assignment=held, payload={"text": "はい。"}, annotator=hana)
    assert claim_next(batch=batch, annotator=hana) is None
    assert [(item.available, item.done_by_me) for item in work_for(hana)] == [(False, 1)]
    # Their answer is theirs to correct.
    assert undo_last(annotator=hana, batch=batch).pk == held.pk
    assert claim_next(batch=batch, annotator=hana).pk == held.pk
    with pytest.raises(Conflict, match="paused"):
        assign(task=Task.objects.get(batch=batch, position=3), annotator=hana, actor=mio)


def test_pausing_concerns_one_project_and_ends(project, mio, hana, batch):
    other = hotel(prompts=2, slug="other")
    Membership.objects.create(project=other, user=hana, role=Role.ANNOTATOR)
    elsewhere = batch_of(other, Kind.WRITING)
    paused = pause_member(membership=Membership.objects.get(user=hana, project=project), reason=REASON, actor=mio)
    assert claim_next(batch=batch, annotator=hana) is None
    assert claim_next(batch=elsewhere, annotator=hana) is not None
    with pytest.raises(Conflict, match="paused already"):
        pause_member(membership=paused, reason=REASON, actor=mio)
    resume_member(membership=paused, actor=mio)
    assert claim_next(batch=batch, annotator=hana) is not None
    with pytest.raises(Conflict, match="not paused"):
        resume_member(membership=paused, actor=mio)
    assert [event.verb for event in Event.objects.filter(object_type="membership").order_by("pk")] == [
        "member.paused",
        "member.resumed",
    ]


def test_the_pages_say_it_and_bring_back_where_the_form_was(project, mio, hana, batch, sign_in):
    client = sign_in(mio)
    claim_next(batch=batch, annotator=hana)
    submit(assignment=claim_next(batch=batch, annotator=hana), payload={"text": "はい。"}, annotator=hana)
    url = reverse("settings_member_pause", args=["hotel", membership(hana).pk])
    dashboard = reverse("dashboard", args=["hotel"])
    assert url in client.get(dashboard).content.decode()
    # Without a reason nothing happens: the person would not know why.
    assert "Give a reason" in client.post(url, {"reason": "  ", "back": dashboard}, follow=True).content.decode()
    assert membership(hana).paused_at is None
    answer = client.post(url, {"reason": REASON, "back": dashboard})
    assert answer.url == dashboard
    page = client.get(dashboard).content.decode()
    assert "Hana is paused and gets no further tasks." in page
    assert reverse("settings_member_resume", args=["hotel", membership(hana).pk]) in page
    assert REASON in client.get(reverse("settings_people", args=["hotel"])).content.decode()
    # Nobody is sent elsewhere.
    resume = reverse("settings_member_resume", args=["hotel", membership(hana).pk])
    assert client.post(resume, {"back": "https://elsewhere.example/"}).url == reverse("settings_people", args=["hotel"])
    client.post(url, {"reason": REASON})

    client = sign_in(hana)
    home = html.fromstring(client.get(reverse("home")).content)
    assert "You are paused in" in home.text_content()
    assert REASON in home.text_content()
    assert not home.xpath(f'//a[@href="{reverse("work", args=[batch.pk])}"]')
    work = client.get(reverse("work", args=[batch.pk])).content.decode()
    assert REASON in work
    assert "No task for you" in work


@pytest.mark.django_db(transaction=True)
def test_a_pause_and_a_claim_at_once_leave_one_task_at_most(mio, hana, batch):
    """Whichever comes first: afterwards the person holds what they claimed before it, and gets nothing more."""
    gate = threading.Barrier(2)

    def claim():
        gate.wait()
        claim_next(batch=batch, annotator=hana)
        connection.close()

    def pause():
        gate.wait()
        pause_member(membership=membership(hana), reason=REASON, actor=mio)
        connection.close()

    threads = [threading.Thread(target=claim), threading.Thread(target=pause)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if held := claim_next(batch=batch, annotator=hana):
        submit(assignment=held, payload={"text": "はい。"}, annotator=hana)
    assert claim_next(batch=batch, annotator=hana) is None
