"""Taking back a verdict: whatever it did is undone, unless its author has gone on since."""

import pytest
from django.test import Client
from django.urls import reverse

from annotation.answers.submission import save_draft, submit
from annotation.core.reviews import unreviewed
from annotation.members.accounts import BACKEND
from annotation.models import Annotation, Assignment, Event, Exclusion, Kind, MemoryEntry, Review, Role
from annotation.queue.claims import claim_next
from annotation.reviewing import verdicts
from tests.annotation.helpers import batch_of, hotel
from tests.factories import join

pytestmark = pytest.mark.django_db
HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def batch():
    return batch_of(hotel(prompts=3, slug="hotel"), Kind.WRITING, requires_review=True)


@pytest.fixture
def kei(batch):
    return join(batch.project, Role.ANNOTATOR, name="Kei")


@pytest.fixture
def rin(batch):
    return join(batch.project, Role.REVIEWER, name="Rin")


@pytest.fixture
def answer(batch, kei):
    slot = claim_next(batch=batch, annotator=kei)
    return submit(assignment=slot, payload={"text": "はい。"}, annotator=kei).annotation


def client_of(person):
    client = Client()
    client.force_login(person, backend=BACKEND)
    return client


def undo(person):
    return client_of(person).post(reverse("review_undo", args=["hotel"]), **HTMX)


@pytest.mark.parametrize(
    "decide",
    [
        lambda about: verdicts.accept(**about),
        lambda about: verdicts.leave_out(**about, reason="Too short"),
        lambda about: verdicts.correct(**about, payload={"text": "はい、承りました。"}, note="More polite"),
        lambda about: verdicts.send_back(**about, note="More polite, please"),
    ],
    ids=["accepted", "left out", "corrected", "sent back"],
)
def test_undo_leaves_no_trace_but_an_event(decide, batch, kei, rin, answer):
    before = (
        Assignment.objects.get(pk=answer.assignment_id).state,
        list(MemoryEntry.objects.values_list("target", flat=True)),
        unreviewed(batch.project).count(),
    )
    decide({"annotation": answer, "reviewer": rin})
    response = undo(rin)
    assert response.status_code == 200
    assert "Here is the answer again" in response.content.decode()
    assert reverse("review_decide", args=[answer.pk]) in response.content.decode()
    assert not Review.objects.exists()
    assert not Exclusion.objects.filter(lifted_at=None).exists()
    after = (
        Assignment.objects.get(pk=answer.assignment_id).state,
        list(MemoryEntry.objects.values_list("target", flat=True)),
        unreviewed(batch.project).count(),
    )
    assert after == before
    (event,) = Event.objects.filter(verb="review.taken_back")
    assert (event.actor, event.before["annotation"]) == (rin, answer.pk)
    # It can be decided again, as a first review.
    assert verdicts.accept(annotation=answer, reviewer=rin).first_pass


def test_what_the_author_did_since_stands(batch, kei, rin, answer):
    verdicts.send_back(annotation=answer, reviewer=rin, note="More polite, please")
    slot = claim_next(batch=batch, annotator=kei)
    assert slot.pk == answer.assignment_id
    save_draft(assignment=slot, payload={"text": "はい、承"}, annotator=kei)
    assert undo(rin).status_code == 409
    submit(assignment=slot, payload={"text": "はい、承りました。"}, annotator=kei)
    assert undo(rin).status_code == 409
    assert Review.objects.count() == 1

    newer = Annotation.objects.get(is_current=True)
    review = verdicts.leave_out(annotation=newer, reviewer=rin, reason="Still too short")
    verdicts.reply_to_review(review=review, author=kei, text="Why?")
    response = undo(rin)
    assert response.status_code == 409
    assert "has replied" in response.content.decode()
    assert Exclusion.objects.filter(lifted_at=None).exists()


def test_only_ones_own_verdicts_and_without_javascript(batch, rin, answer):
    verdicts.accept(annotation=answer, reviewer=rin)
    sato = join(batch.project, Role.REVIEWER, name="Sato")
    assert "You have given no verdict" in undo(sato).content.decode()
    assert Review.objects.count() == 1
    response = client_of(rin).post(reverse("review_undo", args=["hotel"]), {"why": "required"})
    assert response.url == reverse("review_decide", args=[answer.pk]) + "?why=required"
    assert client_of(rin).get(response.url).status_code == 200


def test_an_answer_is_reviewed_from_the_page_of_its_task(batch, kei, rin, answer):
    page = client_of(rin).get(reverse("task", args=[answer.task_id])).content.decode()
    url = reverse("review_decide", args=[answer.pk])
    assert url in page
    assert (
        url not in client_of(join(batch.project, Role.MANAGER)).get(reverse("batch", args=[batch.pk])).content.decode()
    )
    assert client_of(rin).get(url).status_code == 200
    sato = join(batch.project, Role.REVIEWER, name="Sato")
    response = client_of(sato).get(url, follow=True)
    assert "Somebody else reviews this answer now." in response.content.decode()
    verdicts.accept(annotation=answer, reviewer=rin)
    assert url not in client_of(rin).get(reverse("task", args=[answer.task_id])).content.decode()
    assert "cannot be reviewed" in client_of(rin).get(url, follow=True).content.decode()
