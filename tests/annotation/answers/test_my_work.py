"""What I submitted: found again, changed while the project lets me, every version kept."""

import unicodedata
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from annotation.answers.reopening import reopen_submission
from annotation.answers.submission import save_draft, skip, submit, undo_last
from annotation.core.errors import Conflict
from annotation.models import Annotation, Assignment, Draft, Event, Kind, Project, Role
from annotation.queue.batches import close_batch
from annotation.queue.claims import claim_next
from tests.annotation.helpers import batch_of, hotel
from tests.factories import UserFactory, join

pytestmark = pytest.mark.django_db


@pytest.fixture
def story():
    project = hotel(prompts=4, slug="hotel", name="Hotel replies")
    return batch_of(project, Kind.WRITING), join(project, Role.ANNOTATOR, name="Hana Mori")


def write(batch, who, text):
    return submit(assignment=claim_next(batch=batch, annotator=who), payload={"text": text}, annotator=who).annotation


def make_older(hours):
    Annotation.objects.update(created_at=F("created_at") - timedelta(hours=hours))


def test_an_answer_is_changed_on_the_ordinary_page_and_every_version_is_kept(story, sign_in):
    batch, hana = story
    first, _second = write(batch, hana, "a quiet room please"), write(batch, hana, "another")
    in_hand = claim_next(batch=batch, annotator=hana)
    save_draft(assignment=in_hand, payload={"text": "half"})
    client = sign_in(hana)
    listed = client.get(reverse("my_work")).content.decode()
    assert listed.count("editable until") == 2
    opened = client.post(reverse("my_answer_reopen", args=[first.pk]), follow=True)
    assert opened.redirect_chain[-1][0] == reverse("work", args=[batch.pk])
    assert "a quiet room please" in opened.content.decode()
    assert "open again" in opened.content.decode()
    assert Assignment.objects.get(pk=in_hand.pk).state == "free"
    assert Draft.objects.filter(task=in_hand.task, annotator=hana).exists(), "what was in hand is kept as a draft"
    client.post(reverse("submit", args=[first.assignment_id]), {"text": "a quieter room please"})
    second = Annotation.objects.get(assignment=first.assignment_id, is_current=True)
    assert second.version == 2
    page = client.get(reverse("my_answer", args=[first.pk])).content.decode()
    assert "My answer (2 versions)" in page
    assert "Changes in this version" in page
    assert "removed:" in page
    assert page.index("Version 2") < page.index("Version 1")
    assert Event.objects.filter(verb="annotation.reopened").count() == 1


def test_asking_twice_is_as_asking_once_and_drafts_survive(story):
    batch, hana = story
    first = write(batch, hana, "first")
    reopened = reopen_submission(annotation=first, actor=hana)
    save_draft(assignment=reopened, payload={"text": "first, mended"})
    assert reopen_submission(annotation=first, actor=hana).pk == reopened.pk
    assert Draft.objects.get(task=first.task).payload == {"text": "first, mended"}
    assert Event.objects.filter(verb="annotation.reopened").count() == 1
    other = write_elsewhere(batch, hana)
    reopen_submission(annotation=other, actor=hana)
    assert Assignment.objects.get(pk=first.assignment_id).state == "done", "it stands as it was"
    assert reopen_submission(annotation=first, actor=hana).pk == first.assignment_id
    assert Draft.objects.get(task=first.task).payload == {"text": "first, mended"}, "what was typed is still there"


def write_elsewhere(batch, who):
    """An answer to another task, given while an older answer is open again: in a second tab of the same person."""
    task = batch.tasks.exclude(assignments__annotator=who).first()
    slot = task.assignments.get()
    Assignment.objects.filter(pk=slot.pk).update(state="done", annotator=who, finished_at=timezone.now())
    return Annotation.objects.create(
        assignment=slot, task=task, annotator=who, kind=batch.kind, payload={"text": "other"}
    )


def test_after_the_window_an_answer_stands_and_the_page_says_so(story, sign_in):
    batch, hana = story
    first = write(batch, hana, "first")
    make_older(hours=25)
    client = sign_in(hana)
    page = client.get(reverse("my_work")).content.decode()
    assert "Answers in this project can be changed for 24 hours. That time has passed." in page
    assert reverse("my_answer_reopen", args=[first.pk]) not in page
    refused = client.post(reverse("my_answer_reopen", args=[first.pk]), follow=True)
    assert "That time has passed" in refused.content.decode()
    with pytest.raises(Conflict, match="That time has passed"):
        undo_last(annotator=hana, batch=batch)
    assert Assignment.objects.get(pk=first.assignment_id).state == "done"


def test_the_window_runs_from_the_first_version_not_the_last(story):
    batch, hana = story
    first = write(batch, hana, "first")
    make_older(hours=20)
    submit(assignment=reopen_submission(annotation=first, actor=hana), payload={"text": "second"})
    Annotation.objects.filter(version=1).update(created_at=F("created_at") - timedelta(hours=5))
    with pytest.raises(Conflict, match="That time has passed"):
        reopen_submission(annotation=first, actor=hana)


def test_where_nothing_may_be_changed_only_a_slip_is_taken_back(story, sign_in):
    batch, hana = story
    Project.objects.update(edit_hours=0)
    first, second = write(batch, hana, "first"), write(batch, hana, "second")
    assert "answers are final once submitted" in sign_in(hana).get(reverse("my_work")).content.decode()
    with pytest.raises(Conflict, match="final once submitted"):
        reopen_submission(annotation=second, actor=hana)
    assert undo_last(annotator=hana, batch=batch).pk == second.assignment_id
    with pytest.raises(Conflict, match="final once submitted"):
        undo_last(annotator=hana, batch=batch)
    assert Assignment.objects.get(pk=first.assignment_id).state == "done"


def test_answers_of_a_closed_batch_and_withdrawn_ones_stay(story, sign_in):
    batch, hana = story
    first = write(batch, hana, "first")
    skip(assignment=reopen_submission(annotation=first, actor=hana), reason="unclear")
    with pytest.raises(Conflict, match="withdrawn"):
        reopen_submission(annotation=first, actor=hana)
    assert "This answer was withdrawn" in sign_in(hana).get(reverse("my_answer", args=[first.pk])).content.decode()
    second = write(batch, hana, "second")
    close_batch(batch=batch, actor=None)
    with pytest.raises(Conflict, match="closed"):
        reopen_submission(annotation=second, actor=hana)
    assert "This batch is closed" in sign_in(hana).get(reverse("my_work")).content.decode()


def test_answers_are_found_by_project_batch_kind_day_and_words(story, sign_in):
    batch, hana = story
    other = hotel(prompts=1, slug="spa", name="Spa replies")
    other.memberships.create(user=hana, role=Role.ANNOTATOR)
    spa = batch_of(other)
    write(batch, hana, "静かなお部屋をお願いします。")
    write(batch, hana, "Breakfast, 100% please")
    submit(
        assignment=claim_next(batch=spa, annotator=hana),
        annotator=hana,
        payload={"choice": "tie", "chosen": None, "shown": [], "strength": None, "reasons": ["Fluency"]},
    )
    client = sign_in(hana)

    def found(**query):
        return client.get(reverse("my_work"), query).content.decode()

    assert "You have submitted 3 answers" in found()
    assert "1 matching answer" in found(q="お部屋")
    assert "Breakfast, 100% please" in found(q="100%")
    assert "1 matching answer" in found(q="fluency")
    assert "1 matching answer" in found(q="ＢＲＥＡＫＦＡＳＴ、\u3000１００％".replace("、", ","))
    assert "1 matching answer" in found(q=unicodedata.normalize("NFD", "お部屋をお願いします。"))
    assert "No answers match these filters" in found(q="reasons"), "names of fields are not answers"
    assert "No answers match these filters" in found(q="nowhere")
    assert client.get(reverse("my_work"), {"q": "nowhere\0"}).status_code == 400
    assert "2 matching answers" in found(project="hotel")
    assert "1 matching answer" in found(batch=spa.pk)
    assert "1 matching answer" in found(kind="choosing")
    today = timezone.localdate()
    assert "3 matching answers" in found(day=today.isoformat())
    assert "No answers match" in found(day=(today - timedelta(days=3)).isoformat())
    for nonsense in ({"day": "2026-13-45"}, {"day": "x"}, {"batch": "x"}, {"batch": "9" * 40}, {"project": "none"}):
        assert "No answers match" in found(**nonsense)


def test_nobody_opens_anothers_answers(story, sign_in):
    batch, hana = story
    first = write(batch, hana, "first")
    people = (join(batch.project, Role.ANNOTATOR), join(batch.project, Role.MANAGER), UserFactory(is_superuser=True))
    for somebody in people:
        client = sign_in(somebody)
        assert client.get(reverse("my_answer", args=[first.pk])).status_code == 404
        assert client.post(reverse("my_answer_reopen", args=[first.pk])).status_code == 404


def test_the_list_takes_as_many_queries_with_many_answers(sign_in):
    counts = []
    for many in (2, 20):
        project = hotel(prompts=many)
        hana, batch = join(project, Role.ANNOTATOR), batch_of(project, Kind.WRITING)
        for n in range(many):
            write(batch, hana, f"answer {n}")
        client = sign_in(hana)
        with CaptureQueriesContext(connection) as captured:
            client.get(reverse("my_work"))
        counts.append(len(captured))
    assert counts[0] == counts[1] <= 9, counts
