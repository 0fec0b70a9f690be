"""Remarks: Hana asks beside a task, Rin answers, Hana finds the answer; and who sees what."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotation.answers.remarks import add_remark, answer_remark
from annotation.models import Event, Kind, Remark, Role
from annotation.queue.claims import claim_next
from tests.annotation.helpers import ONE, TWO, batch_of, hotel
from tests.factories import UserFactory, join

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture
def story():
    project = hotel(prompts=2, slug="hotel", name="Hotel replies")
    hana, rin = join(project, Role.ANNOTATOR, name="Hana Mori"), join(project, Role.REVIEWER, name="Rin Abe")
    return project, claim_next(batch=batch_of(project), annotator=hana), hana, rin


def beside(assignment):
    return reverse("assignment_remarks", args=[assignment.pk])


def test_a_question_is_asked_answered_and_read(story, sign_in):
    _, assignment, hana, rin = story
    page = sign_in(hana).get(beside(assignment)).content.decode()
    assert assignment.task.prompt.text in page
    question = {"kind": "question", "text": "Is <b>this</b> a guest or the staff?"}
    said = sign_in(hana).post(beside(assignment), question, follow=True).content.decode()
    assert "Your question is with the reviewers" in said
    assert "&lt;b&gt;this" in said
    assert "No answer yet." in said
    remark = Remark.objects.get()

    client = sign_in(rin)
    assert "1 open remark in <bdi>Hotel replies</bdi>" in client.get("/").content.decode()
    assert "waits for an answer" not in sign_in(hana).get("/").content.decode()
    client = sign_in(rin)
    assert "1 open" in client.get("/projects/hotel/").content.decode()
    listed = client.get("/projects/hotel/remarks/").content.decode()
    assert "1 open remark" in listed
    assert "&lt;b&gt;this" in listed
    assert assignment.task.prompt.text in listed
    assert ONE not in listed
    assert TWO not in listed
    answer = client.post(reverse("remark_answer", args=[remark.pk]), {"text": "A guest."}, follow=True)
    assert "Hana Mori sees it" in answer.content.decode()
    assert "No open remarks" in answer.content.decode()
    again = client.post(reverse("remark_answer", args=[remark.pk]), {"text": "The staff."})
    assert again.status_code == 409
    assert "already answered this" in again.content.decode()
    assert "The staff." in again.content.decode(), "what was typed is not lost"

    client = sign_in(hana)
    home = client.get("/").content.decode()
    assert "An answer to your question" in home
    assert "A guest." in home
    assert client.get(beside(assignment), headers=HTMX).content.decode().count("A guest.") == 1
    assert Remark.objects.get().read_at is not None
    assert "A guest." not in client.get("/").content.decode()
    verbs = Event.objects.filter(object_type="remark").order_by("pk").values_list("verb", "actor")
    assert list(verbs) == [("remark.added", hana.pk), ("remark.answered", rin.pk), ("remark.read", hana.pk)]


def test_the_answer_on_the_first_page_goes_when_it_is_read(story, sign_in):
    _, assignment, hana, rin = story
    remark = add_remark(task=assignment.task, author=hana, kind="flag", text="Cut off in the middle.")
    answer_remark(remark=remark, text="Skip it, please.", actor=rin)
    client = sign_in(hana)
    assert "An answer to your flag" in client.get("/").content.decode()
    assert client.post(reverse("remark_read", args=[remark.pk])).url == "/"
    assert "Skip it, please." not in client.get("/").content.decode()
    assert sign_in(rin).post(reverse("remark_read", args=[remark.pk])).status_code == 404


def test_the_panel_answers_htmx_with_its_inside(story, sign_in):
    _, assignment, hana, _ = story
    client = sign_in(hana)
    html = client.get(beside(assignment) + "?kind=flag", headers=HTMX).content.decode()
    assert "<html" not in html
    assert 'value="flag" checked' in html
    sent = client.post(beside(assignment), {"kind": "flag", "text": "Wrong language."}, headers=HTMX)
    assert "The task is flagged" in sent.content.decode()
    refused = client.post(beside(assignment), {"kind": "flag", "text": "  "}, headers=HTMX)
    assert refused.status_code == 422
    assert "Write a message." in refused.content.decode()
    odd = client.post(beside(assignment), {"kind": "praise", "text": "kept <i>"}, headers=HTMX)
    assert odd.status_code == 422
    assert "kept &lt;i&gt;" in odd.content.decode()
    too_long = client.post(beside(assignment), {"kind": "comment", "text": "x" * 4001}, headers=HTMX)
    assert "At most 4000 characters" in too_long.content.decode()
    assert Remark.objects.count() == 1


def test_a_double_click_is_one_remark(story, sign_in):
    _, assignment, hana, _ = story
    for _ in range(2):
        sign_in(hana).post(beside(assignment), {"kind": "comment", "text": "A pun."}, headers=HTMX)
    assert Remark.objects.count() == 1


def test_a_comment_is_settled_in_silence_and_a_question_is_not(story, sign_in):
    _, assignment, hana, rin = story
    comment = add_remark(task=assignment.task, author=hana, kind="comment", text="A pun.")
    question = add_remark(task=assignment.task, author=hana, kind="question", text="A pun?")
    client = sign_in(rin)
    html = client.post(reverse("remark_settle", args=[comment.pk]), follow=True).content.decode()
    assert "Resolved without an answer." in html
    assert "A question needs an answer" in (
        client.post(reverse("remark_settle", args=[question.pk]), follow=True).content.decode()
    )
    assert "already resolved this" in (
        client.post(reverse("remark_settle", args=[comment.pk]), follow=True).content.decode()
    )
    assert "Seen by a reviewer." in sign_in(hana).get(beside(assignment)).content.decode()
    assert "An answer to" not in sign_in(hana).get("/").content.decode()
    client = sign_in(rin)
    everything = client.get("/projects/hotel/remarks/?only=all").content.decode()
    assert "Resolved by Rin Abe without an answer" in everything
    assert "A pun?" not in client.get("/projects/hotel/remarks/?only=all&kind=comment").content.decode()
    assert client.get("/projects/hotel/remarks/?kind=nonsense&page=x").status_code == 200
    elsewhere = {"text": "Fine.", "back": "https://elsewhere.example/"}
    assert client.post(reverse("remark_answer", args=[question.pk]), elsewhere).url == "/projects/hotel/remarks/"
    empty = client.post(reverse("remark_answer", args=[comment.pk]), {"text": " "})
    assert empty.status_code == 422
    assert "Write an answer." in empty.content.decode()


def test_authors_see_their_own_and_strangers_nothing(story, sign_in):
    project, assignment, hana, rin = story
    ken, mio = join(project, Role.ANNOTATOR), join(project, Role.MANAGER)
    theirs = claim_next(batch=assignment.batch, annotator=ken)
    hers = add_remark(task=theirs.task, author=hana, kind="comment", text="Said by Hana.")
    assert "Said by Hana." not in sign_in(ken).get(beside(theirs)).content.decode()
    assert sign_in(ken).get(beside(assignment)).status_code == 404
    assert sign_in(rin).get(beside(assignment)).status_code == 404
    for stranger in (ken, UserFactory(), join(hotel(prompts=0), Role.MANAGER)):
        client = sign_in(stranger)
        assert client.get("/projects/hotel/remarks/").status_code == 404
        assert client.post(reverse("remark_answer", args=[hers.pk]), {"text": "x"}).status_code == 404
        assert client.post(reverse("remark_settle", args=[hers.pk])).status_code == 404
        assert client.post(reverse("remark_read", args=[hers.pk])).status_code == 404
    assert sign_in(mio).get("/projects/hotel/remarks/").status_code == 200
    assert Remark.objects.get().answered_at is None


def test_the_list_takes_as_many_queries_with_many_remarks(sign_in):
    counts = []
    for many in (1, 15):
        project = hotel(prompts=many)
        batch, hana = batch_of(project, Kind.CHOOSING), join(project, Role.ANNOTATOR)
        for _ in range(many):
            assignment = claim_next(batch=batch, annotator=hana)
            add_remark(task=assignment.task, author=hana, kind="question", text="Why?")
            sign_in(hana).post(reverse("submit", args=[assignment.pk]), {"choice": "a"})
        client = sign_in(join(project, Role.REVIEWER))
        with CaptureQueriesContext(connection) as captured:
            assert "Better" in client.get(reverse("remarks", args=[project.slug])).content.decode()
        counts.append(len(captured))
    assert counts[0] == counts[1] <= 12, counts
