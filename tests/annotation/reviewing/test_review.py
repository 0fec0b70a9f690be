"""Reviewers work through their queue by the pages: each answer goes to one of them, every step is kept."""

from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.db.models import F
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from annotation.answers.remarks import add_remark
from annotation.answers.reopening import reopen_submission
from annotation.answers.submission import submit
from annotation.answers.timesheets import time_sheet
from annotation.members.accounts import BACKEND
from annotation.models import (
    Annotation,
    Assignment,
    Batch,
    Event,
    Exclusion,
    Kind,
    MemoryEntry,
    Project,
    Review,
    ReviewClaim,
    Role,
    TimeSpent,
)
from annotation.queue.batches import close_batch
from annotation.queue.claims import claim_next
from annotation.reviewing.queue import QueueFilter, queue_of
from tests.annotation.helpers import batch_of, hotel
from tests.factories import join

pytestmark = pytest.mark.django_db


@pytest.fixture
def sign_in():
    """A client for each person: several are signed in at once."""

    def signed_in(user):
        client = Client()
        client.force_login(user, backend=BACKEND)
        return client

    return signed_in


@pytest.fixture
def story():
    """A batch of writing that requires review, its author and a reviewer."""
    project = hotel(prompts=3, slug="hotel", name="Hotel replies")
    batch = batch_of(project, Kind.WRITING, requires_review=True)
    return batch, join(project, Role.ANNOTATOR, name="Kei Mori"), join(project, Role.REVIEWER, name="Rin Hayashi")


def write(batch, who, text):
    return submit(assignment=claim_next(batch=batch, annotator=who), payload={"text": text}, annotator=who).annotation


def queue(slug="hotel", **filters):
    url = reverse("review", args=[slug])
    return f"{url}?{urlencode(filters)}" if filters else url


def decide(client, answer, verdict, **fields):
    url = reverse("review_decide", args=[answer.pk])
    return client.post(url, {"verdict": verdict, **fields}, headers={"HX-Request": "true"})


def correct(client, answer, **fields):
    return client.post(reverse("review_correct", args=[answer.pk]), fields, headers={"HX-Request": "true"})


def under_review(response):
    answer = response.context and response.context.get("answer")
    return answer.pk if answer else None


def test_accepting_brings_the_next_answer_until_there_is_none(story, sign_in):
    batch, kei, rin = story
    first, second = write(batch, kei, "one"), write(batch, kei, "two")
    client = sign_in(rin)
    page = client.get(queue())
    assert under_review(page) == first.pk
    assert "Review required" in page.content.decode()
    page = decide(client, first, "accepted")
    assert (page.status_code, under_review(page)) == (200, second.pk)
    page = decide(client, second, "accepted")
    assert "Nothing to review" in page.content.decode()
    review = Review.objects.get(annotation=first)
    assert (review.verdict, review.first_pass, review.reviewer) == ("accepted", True, rin)
    event = Event.objects.get(verb="review.accepted", object_id=review.pk)
    assert (event.actor, event.after["annotation"]) == (rin, first.pk)
    assert not ReviewClaim.objects.exists()


def test_without_javascript_the_verdict_leads_back_to_the_filtered_queue(story, sign_in):
    batch, kei, rin = story
    answer = write(batch, kei, "one")
    response = sign_in(rin).post(
        reverse("review_decide", args=[answer.pk]), {"verdict": "accepted", "why": "required", "batch": batch.pk}
    )
    assert response.url == queue(why="required", batch=batch.pk)


def test_two_reviewers_never_get_one_answer_and_a_lease_that_ran_out_is_no_claim(story, sign_in):
    batch, kei, rin = story
    first, second = write(batch, kei, "one"), write(batch, kei, "two")
    aoi = sign_in(join(batch.project, Role.REVIEWER))
    client = sign_in(rin)
    assert under_review(client.get(queue())) == first.pk
    assert under_review(client.get(queue())) == first.pk, "another tab shows the same"
    assert under_review(aoi.get(queue())) == second.pk
    ReviewClaim.objects.update(leased_until=timezone.now() - timedelta(minutes=1))
    page = decide(aoi, second, "accepted")
    assert under_review(page) == first.pk
    # The first one comes back from lunch and presses all the same: the answer is free of a verdict, so it counts once.
    assert decide(client, first, "accepted").status_code == 200
    response = decide(aoi, first, "left_out", reason="Too late")
    assert response.status_code == 409
    assert "has been reviewed already" in response.content.decode()
    assert not Exclusion.objects.exists()


def test_the_same_verdict_sent_twice_is_one(story, sign_in):
    batch, kei, rin = story
    first = write(batch, kei, "one")
    client = sign_in(rin)
    for _time in range(2):
        assert decide(client, first, "left_out", reason="Not an answer").status_code == 200
    assert Review.objects.count() == Exclusion.objects.count() == 1
    assert Event.objects.filter(verb="review.left_out").count() == 1
    assert Exclusion.objects.get().reason == "Not an answer"


def test_a_verdict_on_an_answer_that_its_author_opened_or_changed_is_refused(story, sign_in):
    batch, kei, rin = story
    first = write(batch, kei, "one")
    client = sign_in(rin)
    client.get(queue())
    reopened = reopen_submission(annotation=first, actor=kei)
    for payload in ({"text": "one"}, None):
        response = decide(client, first, "accepted")
        assert response.status_code == 409
        assert "has opened or changed this answer meanwhile" in response.content.decode()
        if payload:
            submit(assignment=reopened, payload={"text": "better"}, annotator=kei)
    assert not Review.objects.exists()
    assert under_review(client.get(queue())) == Annotation.objects.get(is_current=True).pk


def test_a_reviewed_answer_is_final_for_its_author(story, sign_in):
    batch, kei, rin = story
    first = write(batch, kei, "one")
    decide(sign_in(rin), first, "accepted")
    client = sign_in(kei)
    assert "it is final" in client.get(reverse("my_work")).content.decode()
    response = client.post(reverse("my_answer_reopen", args=[first.pk]), follow=True)
    assert "A reviewer has reviewed this answer" in response.content.decode()
    client.post(reverse("undo", args=[batch.pk]))
    assert Assignment.objects.get(pk=first.assignment_id).state == "done"


def test_reasons_are_needed_and_what_was_typed_stays(story, sign_in):
    batch, kei, rin = story
    first = write(batch, kei, "one")
    client = sign_in(rin)
    for verdict in ("left_out", "sent_back", "", "nonsense"):
        assert decide(client, first, verdict).status_code == 422
    response = decide(client, first, "sent_back", note="x" * 4001)
    assert "At most 4000 characters" in response.content.decode()
    assert "xxx" in response.content.decode()
    assert not Review.objects.exists()


def test_a_correction_counts_in_place_of_the_answer_which_stays_its_authors(story, sign_in):
    batch, kei, rin = story
    first = write(batch, kei, "one")
    client = sign_in(rin)
    page = client.get(reverse("review_correct", args=[first.pk]))
    assert page.context["text"] == "one"
    for fields, message in (
        ({"text": "one", "note": "Fine"}, "Nothing is corrected"),
        ({"text": "won"}, "Say what was wrong"),
        ({"text": "", "note": "Empty"}, "Nothing is written yet"),
    ):
        response = correct(client, first, **fields)
        assert response.status_code == 422
        assert message in response.content.decode()
    response = correct(client, first, text="won", note="Spelling", why="required")
    assert response.headers["HX-Redirect"] == queue(why="required")
    first.refresh_from_db()
    assert (first.payload, first.is_current, first.version) == ({"text": "one"}, True, 1)
    review = Review.objects.get()
    assert (review.payload, review.note) == ({"text": "won"}, "Spelling")
    assert Event.objects.get(verb="review.corrected").after["payload"] == {"text": "won"}
    assert MemoryEntry.objects.get(author=kei).target == "won"
    page = client.get(reverse("task", args=[first.task_id])).content.decode()
    assert "As corrected, which is what counts:" in page
    assert "Corrected" in client.get(reverse("batch", args=[batch.pk])).content.decode()
    figures = time_sheet(projects=[batch.project], since=first.created_at.date(), until=first.created_at.date())
    assert [(line.annotator, line.figures.answered) for line in figures] == [(kei, 1)]


def test_the_author_sees_the_correction_and_may_reply_once(story, sign_in):
    batch, kei, rin = story
    first = write(batch, kei, "one")
    correct(sign_in(rin), first, text="won", note="Spelling")
    client = sign_in(kei)
    for page in (reverse("my_work"), reverse("my_answer", args=[first.pk])):
        text = client.get(page).content.decode()
        assert all(part in text for part in ("Corrected", "Rin Hayashi", "Spelling", "won"))
    url = reverse("my_answer_reply", args=[first.pk])
    assert client.post(url, {"text": " "}).status_code == 422
    assert client.post(url, {"text": "I meant the number."}).status_code == 302
    again = client.post(url, {"text": "Really."})
    assert again.status_code == 409
    assert Review.objects.get().reply == "I meant the number."
    assert Event.objects.filter(verb="review.replied").count() == 1
    assert "I meant the number." in sign_in(rin).get(reverse("reviews", args=["hotel"])).content.decode()
    assert sign_in(rin).post(url, {"text": "Mine"}).status_code == 404


def test_an_answer_sent_back_is_open_for_its_author_with_the_note_whatever_the_window(story, sign_in):
    batch, kei, rin = story
    Project.objects.update(edit_hours=1)
    first = write(batch, kei, "one")
    Annotation.objects.update(created_at=F("created_at") - timedelta(hours=5))
    reviewer, author = sign_in(rin), sign_in(kei)
    assert decide(reviewer, first, "sent_back", note="More polite, please").status_code == 200
    assert "sent your answer" in author.get(reverse("home")).content.decode()
    page = author.get(reverse("work", args=[batch.pk]))
    assert page.context["assignment"].pk == first.assignment_id
    assert "More polite, please" in page.content.decode()
    author.post(reverse("submit", args=[first.assignment_id]), {"text": "one, if you please"})
    second = Annotation.objects.get(is_current=True)
    page = reviewer.get(queue(why="returned"))
    assert under_review(page) == second.pk
    assert "More polite, please" in page.content.decode()
    decide(reviewer, second, "accepted")
    total = reviewer.get(reverse("reviews", args=["hotel"])).context["total"]
    assert (total.answers, total.first, total.final) == (1, 0, 1)
    assert Review.objects.get(annotation=second).first_pass is False


def test_sending_back_takes_no_task_out_of_the_authors_hands(story, sign_in):
    batch, kei, rin = story
    Project.objects.update(edit_hours=0)
    first = write(batch, kei, "one")
    held = claim_next(batch=batch, annotator=kei)
    decide(sign_in(rin), first, "sent_back", note="More polite, please")
    assert Assignment.objects.get(pk=held.pk).state == "held"
    assert Assignment.objects.get(pk=first.assignment_id).state == "done"
    client = sign_in(kei)
    assert "More polite, please" in client.get(reverse("my_work")).content.decode()
    opened = client.post(reverse("my_answer_reopen", args=[first.pk]), follow=True)
    assert opened.context["assignment"].pk == first.assignment_id


def test_nothing_is_sent_back_in_a_closed_batch_or_to_somebody_who_left(story, sign_in):
    batch, kei, rin = story
    first = write(batch, kei, "one")
    client = sign_in(rin)
    kei.memberships.all().delete()
    assert "no longer works on this project" in decide(client, first, "sent_back", note="Again").content.decode()
    close_batch(batch=batch, actor=None)
    assert "This batch is closed" in decide(client, first, "sent_back", note="Again").content.decode()
    assert not Review.objects.exists()


def test_nobody_reviews_their_own_answer(story, sign_in):
    batch, _kei, rin = story
    own = write(batch, rin, "mine")
    client = sign_in(rin)
    assert under_review(client.get(queue())) is None
    assert decide(client, own, "accepted").status_code == 409
    assert client.get(reverse("review_correct", args=[own.pk])).status_code == 302


def test_passing_over_brings_the_next_one_and_the_first_comes_back_later(story, sign_in):
    batch, kei, rin = story
    first, second = write(batch, kei, "one"), write(batch, kei, "two")
    client = sign_in(rin)
    page = client.get(queue())
    page = client.get(page.context["skip_url"])
    assert under_review(page) == second.pk
    page = decide(client, second, "accepted", after=first.pk)
    assert under_review(page) is None
    assert "The whole queue" in page.content.decode()
    assert under_review(client.get(queue())) == first.pk


# ---- what comes up, and why ----


@pytest.fixture
def choices():
    """Twelve answers in two batches of choosing, which require no review: the first has two annotators a task."""
    project = hotel(prompts=6, slug="hotel", review_share=0)
    batch = batch_of(project, Kind.CHOOSING, overlap=2)
    kei, aki = (join(project, Role.ANNOTATOR) for _ in range(2))
    for person in (kei, aki):
        while held := claim_next(batch=batch, annotator=person):
            submit(assignment=held, payload=choice(held.task.candidate_ids, 0), annotator=person)
    return batch, kei, aki, join(project, Role.REVIEWER)


def choice(shown, at):
    return {"choice": "one", "chosen": shown[at], "shown": shown, "strength": None, "reasons": []}


def ids(of, rin, **filters):
    of.project.refresh_from_db()
    return sorted(queue_of(of.project, rin, QueueFilter(**filters)))


def test_each_reason_brings_its_answers_and_no_others(choices, sign_in):
    batch, kei, aki, rin = choices
    answers = list(Annotation.objects.order_by("task__position", "annotator"))
    assert ids(batch, rin) == []
    by_task = {}
    for answer in answers:
        by_task.setdefault(answer.task.position, []).append(answer)
    flagged, remarked, split = by_task[1], by_task[2], by_task[3]
    add_remark(task=flagged[0].task, author=kei, kind="flag", text="Broken prompt")
    add_remark(task=remarked[0].task, author=aki, kind="comment", text="Hard")
    other = split[1]
    Annotation.objects.filter(pk=other.pk).update(payload=choice(other.task.candidate_ids, 1))
    Annotation.objects.update(active_seconds=40)
    hasty = by_task[4][0]
    Annotation.objects.filter(pk=hasty.pk).update(active_seconds=3)
    of_aki = [answer.pk for answer in remarked if answer.annotator_id == aki.pk]
    expected = {
        "flag": sorted(answer.pk for answer in flagged),
        "remark": of_aki,
        "disagreement": sorted(answer.pk for answer in split),
        "fast": [hasty.pk],
        "random": [],
        "required": [],
    }
    assert {why: ids(batch, rin, why=why) for why in expected} == expected
    assert ids(batch, rin) == sorted(pk for pks in expected.values() for pk in pks)
    assert ids(batch, rin, why="flag", person=kei.pk) == [a.pk for a in flagged if a.annotator_id == kei.pk]
    assert ids(batch, rin, batch=batch.pk + 1) == []
    page = sign_in(rin).get(queue(why="disagreement")).content.decode()
    assert page.count("review-answer") > 2
    assert "under review" in page


def test_the_random_sample_is_stable_and_about_as_large_as_the_project_says(choices):
    batch, _kei, _aki, rin = choices
    Project.objects.update(review_share=100)
    everything = ids(batch, rin, why="random")
    assert len(everything) == 12
    Project.objects.update(review_share=50)
    half = ids(batch, rin, why="random")
    assert half == ids(batch, rin, why="random")
    assert set(half) < set(everything)
    Project.objects.update(review_share=20)
    assert set(ids(batch, rin, why="random")) <= set(half), "a smaller share is part of a larger one"


def test_anonymous_review_names_nobody(story, sign_in):
    batch, kei, rin = story
    first = write(batch, kei, "one")
    Project.objects.update(review_anonymous=True)
    client = sign_in(rin)
    text = client.get(queue(person=rin.pk)).content.decode()
    assert "Kei Mori" not in text
    assert "Annotator 1" in text
    correct(client, first, text="won", note="Spelling")
    assert "Kei Mori" not in client.get(reverse("reviews", args=["hotel"])).content.decode()
    for page in (reverse("my_work"), reverse("my_answer", args=[first.pk])):
        assert "Rin Hayashi" not in sign_in(kei).get(page).content.decode()


# ---- time ----


def test_time_of_reviewing_is_in_the_reviewers_time_sheet_and_bounded_by_the_clock(story, sign_in):
    batch, kei, rin = story
    first = write(batch, kei, "one")
    client = sign_in(rin)
    client.get(queue())
    ReviewClaim.objects.update(claimed_at=F("claimed_at") - timedelta(seconds=60))
    url = reverse("review_time", args=[first.pk])
    spent = {"visit": "visit-0001", "active_seconds": "30", "idle_seconds": "5"}
    assert client.post(url, spent).status_code == 204
    decide(client, first, "accepted", **(spent | {"active_seconds": "5000"}))
    day = timezone.localdate()
    lines = time_sheet(projects=[batch.project], since=day - timedelta(1), until=day + timedelta(1), annotator=rin)
    assert len(lines) == 1
    assert 30 <= lines[0].figures.active <= 65
    assert Review.objects.get().active_seconds == pytest.approx(TimeSpent.objects.get(annotator=rin).active_seconds)
    assert client.post(url, spent | {"visit": "visit-0002"}).status_code == 204
    assert TimeSpent.objects.filter(annotator=rin).count() == 1, "whoever holds no answer records nothing"
    assert not TimeSpent.objects.filter(annotator=kei).exists()


def test_whether_review_is_required_is_a_managers_choice_with_an_event(story, sign_in):
    batch, _kei, _rin = story
    hana = join(batch.project, Role.MANAGER)
    form = {"name": batch.name, "priority": 0, "qualification": ""}
    assert sign_in(hana).post(reverse("batch_change", args=[batch.pk]), form).status_code == 302
    assert Batch.objects.get().requires_review is False
    event = Event.objects.get(verb="batch.changed")
    assert (event.before, event.after) == ({"requires_review": True}, {"requires_review": False})
