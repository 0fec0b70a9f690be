"""The guideline debugger: grouping, a clause, its trial, and that a trial's answers are no labels."""

import re

import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from annotation.answers.submission import submit
from annotation.core.errors import Conflict, InvalidInput
from annotation.datasets.freeze import freeze_dataset
from annotation.models import (
    Adjudication,
    Analysis,
    Annotation,
    Batch,
    Event,
    Guideline,
    GuidelineClause,
    Role,
    Task,
    TaskDoubt,
    TrialPerson,
)
from annotation.quality.results import VERSION
from annotation.quality.run import QUALITY, assess
from annotation.queue.claims import claim_next
from annotation.queue.progress import left_for, work_for
from annotation.reviewing.adjudication import adjudicate
from annotation.trials.clauses import propose_clause
from annotation.trials.grouping import AGAINST, WITH, best_people, group_decisions
from annotation.trials.results import update_results
from annotation.trials.trial import start_trial
from tests.annotation.helpers import batch_of, hotel
from tests.factories import join

pytestmark = pytest.mark.django_db
TASKS = 12


def accuracy(value, low):
    return {"value": value, "low": low, "high": min(value + 0.05, 1), "n": 40, "effective": 40}


class Story:
    """Three in the crowd and two good people; each of twelve tasks was decided."""

    def __init__(self):
        self.project = hotel(prompts=TASKS)
        self.manager = join(self.project, Role.MANAGER)
        self.people = [join(self.project, Role.ANNOTATOR) for _ in range(5)]
        self.batch = batch_of(self.project, overlap=5)
        # The good ones contradict the crowd in the first half.
        for number, person in enumerate(self.people):
            for _ in range(TASKS):
                self.answer(self.batch, person, lambda task, number=number: number > 2 and task.position <= TASKS // 2)
        self.tasks = list(Task.objects.filter(batch=self.batch).order_by("position"))
        for task in self.tasks:
            cause = "underspecified" if task.position <= 8 else "style"
            adjudicate(task=task, adjudicator=self.manager, cause=cause, note=f"Note {task.position % 2}")
        values = [accuracy(0.7, 0.6)] * 3 + [accuracy(0.95, 0.9)] * 2
        people = [{"person": p.pk, "accuracy": own} for p, own in zip(self.people, values, strict=True)]
        Analysis.objects.create(
            project=self.project,
            name=QUALITY,
            version=VERSION,
            seconds=0,
            result={"people": people},
            covers={},
            computed_at=timezone.now(),
        )

    def answer(self, batch, person, second):
        """Prefer the first candidate of the next task, or the second one where `second` says so."""
        held = claim_next(batch=batch, annotator=person)
        shown = list(held.task.candidate_ids)
        payload = {
            "choice": "one",
            "chosen": shown[bool(second(held.task))],
            "shown": shown,
            "reasons": [],
            "strength": 1,
        }
        return submit(assignment=held, payload=payload, annotator=person).annotation

    def clause(self, client):
        client.force_login(self.manager)
        page = reverse("guideline_debugger", args=[self.project.slug])
        tasks = [task.pk for task in self.tasks]
        answer = client.post(page, {"text": "Use *keigo* to guests.", "task": tasks})
        clause = GuidelineClause.objects.get()
        assert answer.url == reverse("clause", args=[clause.pk])
        return clause


@pytest.fixture
def story():
    return Story()


def text_of(response):
    return " ".join(re.sub("[\u2068\u2069]", "", response.content.decode()).split())


def test_the_best_people_are_those_whose_interval_says_so():
    rows = [{"person": n, "accuracy": accuracy(0.7 + n / 10, 0.55 + n / 10)} for n in range(3)]
    assert best_people(rows) == frozenset()
    rows[2]["accuracy"]["low"] = 0.85
    assert best_people(rows) == {2}
    assert best_people(rows[2:]) == frozenset()
    assert best_people([{"person": 1, "accuracy": None}]) == frozenset()


def test_tasks_are_grouped_by_cause_and_by_whether_the_best_contradict_the_crowd(story, client):
    found = group_decisions(story.project)
    groups = {group.cause: group for group in found.groups}
    assert found.best == {person.pk for person in story.people[3:]}
    assert {cause: len(group.decisions) for cause, group in groups.items()} == {"underspecified": 8, "style": 4}
    assert len(groups["underspecified"].of(AGAINST)) == 6
    assert len(groups["underspecified"].of(WITH)) == 2
    share = groups["underspecified"].against
    assert share.low < share.value == 0.75 < share.high
    client.force_login(story.manager)
    page = text_of(client.get(reverse("guideline_debugger", args=[story.project.slug])))
    assert "The best people are 2 of 5" in page
    assert "best people against the crowd (6)" in page
    assert "Note 1 Note 0" in page or "Note 0 Note 1" in page
    narrowed = text_of(client.get(reverse("guideline_debugger", args=[story.project.slug]) + "?cause=style&best=with"))
    assert narrowed.count('name="task"') == 4
    Analysis.objects.all().delete()
    assert "Nobody can be told apart" in text_of(client.get(reverse("guideline_debugger", args=[story.project.slug])))
    for path in ("quality", "settings_guideline"):
        assert reverse("guideline_debugger", args=[story.project.slug]) in text_of(
            client.get(reverse(path, args=[story.project.slug]))
        )


def test_a_clause_needs_a_text_and_tasks(story, client):
    client.force_login(story.manager)
    page = reverse("guideline_debugger", args=[story.project.slug])
    for posted, problem in (
        ({"text": "Be polite"}, "Tick the tasks"),
        ({"text": " ", "task": [story.tasks[0].pk]}, "This field is required"),
    ):
        refused = client.post(page, posted)
        assert refused.status_code == 422
        assert problem in text_of(refused)
    other = batch_of(hotel(prompts=1))
    assert client.post(page, {"text": "x", "task": [Task.objects.get(batch=other).pk]}).status_code == 422
    assert not GuidelineClause.objects.exists()


def tried(story, client):
    """The clause in trial: with it everybody agrees, without it every second person differs."""
    clause = story.clause(client)
    refused = client.post(reverse("clause_try", args=[clause.pk]), {"overlap": 3, "priority": 0})
    assert refused.status_code == 422
    client.post(reverse("clause_try", args=[clause.pk]), {"overlap": 2, "priority": 0})
    clause.refresh_from_db()
    return clause


def arms_of(clause):
    return {
        arm: [row.annotator for row in TrialPerson.objects.filter(clause=clause, arm=arm).select_related("annotator")]
        for arm in ("present", "proposed")
    }


def test_half_of_the_annotators_see_each_version_and_nobody_the_other(story, client):
    clause = tried(story, client)
    present, proposed = Batch.objects.filter(trial=clause).order_by("trial_arm")
    assert (present.name, present.seed) == (proposed.name, proposed.seed)
    shapes = [
        list(batch.tasks.order_by("position").values_list("prompt_id", "candidate_ids"))
        for batch in (present, proposed)
    ]
    assert shapes[0] == shapes[1]
    assert sorted(shapes[0]) == sorted((task.prompt_id, task.candidate_ids) for task in story.tasks)
    arms = arms_of(clause)
    assert sorted(len(people) for people in arms.values()) == [2, 3]
    for arm, batch, other in (("present", present, proposed), ("proposed", proposed, present)):
        person = arms[arm][0]
        assert [work.batch for work in work_for(person) if work.batch.trial_id] == [batch]
        assert left_for(person, other) == (0, True)
        assert claim_next(batch=other, annotator=person) is None
        client.force_login(person)
        work = text_of(client.get(reverse("work", args=[batch.pk])))
        assert "This batch has a guideline of its own" in work
        assert reverse("trial_guideline", args=[batch.pk]) in work
        shown = text_of(client.get(reverse("trial_guideline", args=[batch.pk])))
        assert ("keigo" in shown) == (arm == "proposed")
        assert client.get(reverse("trial_guideline", args=[other.pk])).status_code == 404
    second = propose_clause(project=story.project, text="Two", tasks=[story.tasks[0].pk], actor=story.manager)
    with pytest.raises(Conflict, match="Another clause"):
        start_trial(clause=second, actor=story.manager)


def test_the_difference_is_measured_and_the_clause_adopted(story, client):
    clause = tried(story, client)
    for arm, people in arms_of(clause).items():
        batch = Batch.objects.get(trial=clause, trial_arm=arm)
        for number, person in enumerate(people[:2]):
            for _ in range(TASKS):
                # With the clause both follow the prompt; without it the second person differs on two tasks of three.
                differs = arm == "present" and number == 1
                story.answer(
                    batch,
                    person,
                    lambda task, differs=differs: (task.prompt_id % 2 == 0) ^ (differs and task.prompt_id % 3 > 0),
                )
    held = Annotation.objects.filter(task__batch__trial=clause)
    assert held.count() == 2 * 2 * TASKS
    assert set(held.values_list("guideline", flat=True)) == {clause.based_on_id}
    client.force_login(story.people[0])
    assert client.post(reverse("clause_adopt", args=[clause.pk])).status_code == 404
    client.force_login(story.manager)
    early = text_of(client.post(reverse("clause_adopt", args=[clause.pk]), follow=True))
    assert "has not measured a difference yet" in early
    assert update_results(story.project) == 1
    assert update_results(story.project) == 0
    clause.refresh_from_db()
    (row,) = clause.result["measures"]
    assert clause.result["answers"] == {"present": 24, "proposed": 24}
    assert row["proposed"]["value"] == pytest.approx(1.0)
    assert row["present"]["value"] < 0.3
    difference = row["difference"]
    assert difference["value"] == pytest.approx(row["proposed"]["value"] - row["present"]["value"])
    assert 0 < difference["low"] < difference["value"] <= difference["high"]
    page = text_of(client.get(reverse("clause", args=[clause.pk])))
    assert "People agree more with the clause." in page
    adopted = text_of(client.post(reverse("clause_adopt", args=[clause.pk]), follow=True))
    assert "Version 2 is now current" in adopted
    assert Guideline.objects.get(project=story.project, version=2).text.endswith("\n\nUse *keigo* to guests.\n")
    assert set(Batch.objects.filter(trial=clause).values_list("status", flat=True)) == {"closed"}
    assert Event.objects.filter(verb="clause.adopted").exists()
    again = text_of(client.post(reverse("clause_discard", args=[clause.pk]), follow=True))
    assert "not possible any more" in again


def test_answers_of_a_trial_are_no_labels_anywhere(story, client, capsys, tmp_path):
    plain = freeze_dataset(project=story.project, purpose="dpo", actor=None)
    clause = tried(story, client)
    for arm, people in arms_of(clause).items():
        for number, person in enumerate(people[:2]):
            story.answer(Batch.objects.get(trial=clause, trial_arm=arm), person, lambda _task, number=number: number)
    version = freeze_dataset(project=story.project, purpose="dpo", actor=None)
    assert version.sha256 == plain.sha256
    (batch,) = Batch.objects.filter(trial=clause, trial_arm="present")
    with pytest.raises(InvalidInput, match="belong to trials of the guideline"):
        freeze_dataset(project=story.project, purpose="dpo", batches=(batch.pk,), actor=None)
    assess(story.project)
    result = Analysis.objects.get(project=story.project, name=QUALITY).result
    assert (result["answers"], result["left_out"]) == (5 * TASKS, {"trial": 4})
    call_command("analyse", story.project.slug)
    assert not TaskDoubt.objects.filter(task__batch__trial=clause).exists()
    client.force_login(story.manager)
    assert "in a trial of the guideline: 4" in text_of(client.get(reverse("quality", args=[story.project.slug])))
    assert "its answers are no labels" in text_of(client.get(reverse("batch", args=[batch.pk])))
    target = tmp_path / "answers.csv"
    call_command("export_annotations", story.project.slug, "--output", str(target))
    assert "excluded from datasets: 4" in capsys.readouterr().out.replace("\n", " ")
    assert Adjudication.objects.filter(batch__trial=clause).count() == 0
    discarded = text_of(client.post(reverse("clause_discard", args=[clause.pk]), follow=True))
    assert "The guideline stays as it is" in discarded
    assert Guideline.objects.filter(project=story.project).count() == 1
