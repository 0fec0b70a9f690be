"""Which tasks come up for adjudication, and in which order."""

import pytest
from django.test import Client
from django.urls import reverse

from annotation import jobs
from annotation.analyses.run import analyse, covers_of
from annotation.answers.submission import submit
from annotation.members.accounts import BACKEND
from annotation.models import Kind, Project, Role, TaskDoubt
from annotation.projects.settings import update_project
from annotation.quality.run import assess
from annotation.queue.claims import claim_next
from annotation.reviewing.disagreements import queue_of
from tests.annotation.helpers import batch_of, hotel
from tests.factories import join

pytestmark = pytest.mark.django_db


def answer_all(batch, person, sides, *, bad=()):
    """By task, in the order of their ids: which of its two texts the person prefers, or that both are bad."""
    tasks = list(batch.tasks.order_by("pk").values_list("pk", flat=True))
    while slot := claim_next(batch=batch, annotator=person):
        number = tasks.index(slot.task_id)
        shown = slot.task.candidate_ids
        payload = {"choice": "one", "chosen": shown[sides[number]], "shown": shown, "strength": 1, "reasons": []}
        if number in bad:
            payload |= {"choice": "both_bad", "chosen": None, "strength": None}
        submit(assignment=slot, payload=payload, annotator=person)


def test_where_the_better_annotator_is_alone_comes_first():
    project = hotel(prompts=16, held_out_share=0)
    batch = batch_of(project, Kind.CHOOSING, overlap=3)
    ann, ben, cal = (join(project, Role.ANNOTATOR, name=name) for name in ("Ann", "Ben", "Cal"))
    reviewer = join(project, Role.REVIEWER)
    usual = [0, 1] * 8
    other = [1 - side for side in usual]
    answer_all(batch, ann, [*usual[:15], other[15]])
    answer_all(batch, ben, usual)
    # Cal is alone in five tasks, Ann in the last one.
    answer_all(batch, cal, [*other[:5], *usual[5:]])
    tasks = list(batch.tasks.order_by("pk").values_list("pk", flat=True))
    divided = [*tasks[:5], tasks[15]]
    analyse(project)
    assert list(queue_of(project, reviewer)) == divided, "as doubtful as each other"
    assess(project)
    assert next(queue_of(project, reviewer)) == tasks[15]
    doubts = dict(TaskDoubt.objects.values_list("task", "doubt"))
    assert set(doubts) == set(divided)
    assert doubts[tasks[15]] > max(doubts[task] for task in tasks[:5])
    analyse(project)
    assert dict(TaskDoubt.objects.values_list("task", "doubt")) == doubts, "until quality is assessed again"


@pytest.fixture
def five():
    """(project, tasks, reviewer): five annotators of three tasks, 5:0, 4:1 and 3:2."""
    project = hotel(prompts=3, held_out_share=0, slug="hotel")
    batch = batch_of(project, Kind.CHOOSING, overlap=5)
    people = [join(project, Role.ANNOTATOR) for _ in range(5)]
    for who, person in enumerate(people):
        answer_all(batch, person, [0, int(who < 1), int(who < 2)])
    return project, list(batch.tasks.order_by("pk").values_list("pk", flat=True)), join(project, Role.REVIEWER)


def test_only_tasks_below_the_share_that_the_project_asks_for_come_up(five):
    project, (_all, most, few), reviewer = five
    manager = join(project, Role.MANAGER)
    client = Client()
    client.force_login(manager, backend=BACKEND)

    def waiting(percent):
        address = reverse("project_settings", args=["hotel"])
        form = client.get(address).context["form"]
        values = {name: field.value() for name in form.fields if (field := form[name]).value() is not None}
        values |= {"adjudicate_below": percent, "error_categories": "\n".join(project.error_categories)}
        assert client.post(address, values).status_code == 302
        live = list(queue_of(project, reviewer))
        jobs.analyse_project(project.pk)
        analyse(Project.objects.get(pk=project.pk))
        assert set(TaskDoubt.objects.values_list("task", flat=True)) == set(live)
        assert set(queue_of(project, reviewer)) == set(live)
        return set(live)

    assert waiting(100) == {most, few}
    assert waiting(81) == {most, few}
    assert waiting(80) == {few}, "80 % is not below 80 %"
    assert waiting(60) == set()
    assert waiting("") == set(), "as it was"
    refused = client.post(reverse("project_settings", args=["hotel"]), {"adjudicate_below": "0"})
    assert refused.status_code == 422


def test_another_share_makes_an_analysis_due(five):
    project, _tasks, _reviewer = five
    before = covers_of([project.pk])
    update_project(project=project, actor=None, adjudicate_below=70)
    assert covers_of([project.pk]) != before
