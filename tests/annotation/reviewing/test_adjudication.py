"""Tasks whose annotators disagree are decided by a reviewer, worst first; datasets, results and authors see the
decision."""

import json
from datetime import timedelta

import pytest
from django.db.models import F
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from annotation.analyses.run import analyse
from annotation.answers.reopening import reopen_submission
from annotation.answers.submission import submit
from annotation.answers.timesheets import time_sheet
from annotation.core.errors import Conflict, InvalidInput
from annotation.datasets.freeze import freeze_dataset
from annotation.members.accounts import BACKEND
from annotation.models import Adjudication, AdjudicationClaim, Event, Kind, Role, TaskDoubt
from annotation.queue.claims import claim_next
from annotation.reviewing.adjudication import adjudicate, take_back_last
from annotation.reviewing.disagreements import claim_next as claim_task
from annotation.reviewing.disagreements import queue_of
from tests.annotation.helpers import batch_of, hotel
from tests.factories import join

pytestmark = pytest.mark.django_db
HTMX = {"HTTP_HX_REQUEST": "true"}


class Story:
    """Three annotators of four tasks: they are of one mind on the first, 2:1 on the second and third (a ranking of
    three texts), and two of them so far disagree on the fourth."""

    def __init__(self):
        self.project = hotel(prompts=4, slug="hotel", held_out_share=0)
        self.batch = batch_of(self.project, Kind.CHOOSING, overlap=3)
        self.people = [join(self.project, Role.ANNOTATOR, name=name) for name in ("Kei", "Mio", "Sora")]
        self.rin = join(self.project, Role.REVIEWER, name="Rin")
        self.tasks = list(self.batch.tasks.order_by("position"))
        self.answers = {}
        for who, sides in enumerate([(0, 0, 0, 0), (0, 0, 0, 1), (0, 1, 1)]):
            for number, side in enumerate(sides):
                self.answers[who, number] = self.answer(self.people[who], side)

    def answer(self, person, side):
        held = claim_next(batch=self.batch, annotator=person)
        return submit(assignment=held, payload=choice(held.task, side), annotator=person).annotation


def choice(task, side):
    shown = task.candidate_ids
    return {"choice": "one", "chosen": shown[side], "shown": shown, "strength": 1, "reasons": []}


@pytest.fixture
def story(settings, tmp_path):
    settings.VAR, settings.DATASETS_DIR = tmp_path, tmp_path / "datasets"
    return Story()


def client_of(person):
    client = Client()
    client.force_login(person, backend=BACKEND)
    return client


def rows_of(version, settings):
    path = settings.VAR / version.directory / "train.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_the_most_doubtful_task_comes_first_and_the_page_decides_it(story, settings):
    _one, two, three, four = story.tasks
    assert list(queue_of(story.project, story.rin)) == sorted([two.pk, three.pk, four.pk]), "before an analysis"
    analyse(story.project)
    assert {row.task_id: round(row.doubt, 3) for row in TaskDoubt.objects.all()} == {
        two.pk: 0.333,
        three.pk: 0.333,
        four.pk: 0.5,
    }
    client = client_of(story.rin)
    page = client.get(reverse("adjudicate", args=["hotel"])).content.decode()
    assert "3 disagreements in the newest analysis" in " ".join(page.split())
    assert f"Decide task {four.position}" in " ".join(page.split()).replace("\u2068", "").replace("\u2069", "")
    address = reverse("adjudicate_task", args=[four.pk])
    # What is missing is said, and nothing is decided.
    chosen = {"decision": story.answers[1, 3].pk}
    for posted, problem in (({"cause": "style"}, "Choose the answer"), (chosen, "Say why the annotators disagree")):
        answer = client.post(address, posted, **HTMX)
        assert (answer.status_code, Adjudication.objects.count()) == (422, 0)
        assert problem in answer.content.decode()
    answer = client.post(address, {**chosen, "cause": "error", "note": "Politer", "active_seconds": "3"}, **HTMX)
    assert answer.status_code == 200
    assert "Decided. Here is the next task." in answer.content.decode()
    decision = Adjudication.objects.get()
    assert (decision.payload, decision.cause) == (story.answers[1, 3].payload, "error")
    assert decision.doubt == pytest.approx(0.5)
    assert not TaskDoubt.objects.filter(task=four).exists()
    (event,) = Event.objects.filter(verb="task.adjudicated")
    assert event.after["chosen"] == story.answers[1, 3].pk
    # Sent twice is once; from somebody else it is refused.
    assert adjudicate(task=four, adjudicator=story.rin, chosen=story.answers[1, 3].pk, cause="error", note="Politer")
    other = join(story.project, Role.REVIEWER)
    refused = client_of(other).post(address, {**chosen, "cause": "style"}, **HTMX)
    assert refused.status_code == 409
    assert "has been decided already" in refused.content.decode()
    # The dashboard and the results of review count them.
    assert reverse("adjudicate", args=["hotel"]) in client.get(reverse("dashboard", args=["hotel"])).content.decode()
    results = " ".join(client.get(reverse("reviews", args=["hotel"])).content.decode().split())
    assert "Why annotators disagreed, in 1 decided task" in results


def test_a_decision_changes_the_dataset_and_its_manifest_and_undo_changes_both_back(story, settings):
    two, three = story.tasks[1:3]
    plain = freeze_dataset(project=story.project, purpose="dpo", actor=None)
    assert "adjudication" not in plain.manifest
    adjudicate(task=two, adjudicator=story.rin, chosen=story.answers[2, 1].pk, cause="error")
    adjudicate(task=three, adjudicator=story.rin, cause="style")
    version = freeze_dataset(project=story.project, purpose="dpo", actor=None)
    facts = {"decided": 1, "kept_divided": 1, "causes": {"error": 1, "style": 1}}
    assert version.manifest["adjudication"] == facts
    chances = {row["prompt_id"]: row["probability"] for row in rows_of(version, settings)}
    assert chances[two.prompt_id] == 1.0
    assert chances[three.prompt_id] == pytest.approx(2 / 3, abs=1e-6)
    turned = [row for row in rows_of(version, settings) if row["prompt_id"] == two.prompt_id]
    before = [row for row in rows_of(plain, settings) if row["prompt_id"] == two.prompt_id]
    assert turned[0]["chosen"] == before[0]["rejected"], "the minority was right"
    for _ in range(2):
        take_back_last(project=story.project, adjudicator=story.rin)
    assert freeze_dataset(project=story.project, purpose="dpo", actor=None).pk == plain.pk
    with pytest.raises(Conflict, match="decided no task"):
        take_back_last(project=story.project, adjudicator=story.rin)


def test_answers_to_a_decided_task_are_final_and_their_authors_see_why(story):
    answer, task = story.answers[0, 1], story.tasks[1]
    client = client_of(story.rin)
    own = choice(task, 1)
    form = {"choice": "b", "cause": "underspecified", "note": "See clause 3", "strength": "1"}
    page = client.get(reverse("adjudicate_own", args=[task.pk]))
    assert page.status_code == 200
    sent = client.post(reverse("adjudicate_own", args=[task.pk]), {**form, "choice": ""})
    assert (sent.status_code, Adjudication.objects.count()) == (422, 0)
    with pytest.raises(InvalidInput):
        adjudicate(task=task, adjudicator=story.rin, payload=own, cause="bad luck")
    sent = client.post(reverse("adjudicate_own", args=[task.pk]), form)
    assert (sent.status_code, sent.url) == (302, reverse("adjudicate", args=["hotel"]))
    decision = Adjudication.objects.get()
    assert (decision.chosen_id, decision.payload["strength"], decision.cause) == (None, 1, "underspecified")
    with pytest.raises(Conflict, match="decided this task"):
        reopen_submission(annotation=answer, actor=story.people[0])
    page = " ".join(client_of(story.people[0]).get(reverse("my_answer", args=[answer.pk])).content.decode().split())
    assert "Decided by a reviewer" in page
    assert "See clause 3" in page
    assert "Underspecified task" in page
    listed = client_of(story.people[0]).get(reverse("my_work")).content.decode()
    assert reverse("my_answer_reopen", args=[answer.pk]) not in listed


def test_nobody_decides_their_own_task_or_one_that_is_open_again_or_not_divided(story):
    task = story.tasks[1]
    author = story.people[0]
    author.memberships.update(role=Role.REVIEWER)
    assert list(queue_of(story.project, author)) == []
    with pytest.raises(Conflict, match="answered themselves"):
        adjudicate(task=task, adjudicator=author, cause="style")
    reopen_submission(annotation=story.answers[1, 1], actor=story.people[1])
    assert task.pk not in list(queue_of(story.project, story.rin))
    with pytest.raises(Conflict, match="opened an answer"):
        adjudicate(task=task, adjudicator=story.rin, cause="style")
    moved = client_of(story.rin).get(reverse("adjudicate_task", args=[task.pk]))
    assert moved.status_code == 302
    with pytest.raises(InvalidInput, match="does not count"):
        adjudicate(task=story.tasks[2], adjudicator=story.rin, chosen=story.answers[0, 0].pk, cause="style")


def test_each_task_goes_to_one_reviewer_and_a_lease_that_ended_is_free(story):
    other = join(story.project, Role.REVIEWER)
    analyse(story.project)
    first, second = (claim_task(project=story.project, reviewer=who) for who in (story.rin, other))
    assert first.pk != second.pk
    assert claim_task(project=story.project, reviewer=story.rin).pk == first.pk, "two tabs show the same task"
    passed = claim_task(project=story.project, reviewer=story.rin, after=first.pk)
    assert passed.pk not in (first.pk, second.pk)
    AdjudicationClaim.objects.update(leased_until=F("leased_until") - timedelta(days=2))
    third = join(story.project, Role.REVIEWER)
    assert claim_task(project=story.project, reviewer=third).pk == story.tasks[3].pk
    assert Event.objects.filter(verb="adjudication.claimed").exists()


def test_time_of_deciding_is_in_the_time_sheets(story):
    analyse(story.project)
    task = claim_task(project=story.project, reviewer=story.rin)
    AdjudicationClaim.objects.update(claimed_at=timezone.now() - timedelta(minutes=5))
    posted = {"visit": "a" * 16, "active_seconds": "90", "idle_seconds": "5"}
    client = client_of(story.rin)
    assert client.post(reverse("adjudicate_time", args=[task.pk]), posted).status_code == 204
    client.post(reverse("adjudicate_task", args=[task.pk]), {**posted, "decision": "divided", "cause": "style"}, **HTMX)
    assert Adjudication.objects.get().active_seconds == pytest.approx(90, abs=1)
    today = timezone.localdate()
    day = timedelta(1)
    (line,) = time_sheet(projects=[story.project], since=today - day, until=today + day, annotator=story.rin)
    assert line.figures.active == pytest.approx(90, abs=1)
