"""The bar of steps on a project's page follows a trip round the loop, and begins again with the next round."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from annotation.answers.submission import submit
from annotation.models import Batch, Role
from annotation.queue.batches import open_batch
from annotation.queue.claims import claim_next
from tests.factories import CandidateFactory, PromptFactory, join
from training.models import Checkpoint, Round, Run
from training.results.promotion import promote

pytestmark = pytest.mark.django_db


@pytest.fixture
def bar(sign_in, manager, project):
    """`bar()`: the numbers of the steps that are done, and the next one with its badge."""

    def read():
        html = sign_in(manager).get(reverse("project", args=[project.slug])).text
        steps = re.findall(r'<li class="(done|next|)">(.*?)</li>', html[html.index('class="steps"') :], re.DOTALL)
        done = [number for number, (state, _html) in enumerate(steps, 1) if state == "done"]
        following = [
            (number, re.findall(r">(in progress|next)<", html)[0])
            for number, (state, html) in enumerate(steps, 1)
            if state == "next"
        ]
        assert len(steps) == 7
        return done, following

    return read


def batch(project, manager, name):
    return open_batch(project=project, kind="choosing", name=name, actor=manager, overlap=1)


def answered(batch, person):
    while (assignment := claim_next(batch=batch, annotator=person)) is not None:
        payload = {"choice": "tie", "chosen": None, "shown": assignment.task.candidate_ids}
        submit(assignment=assignment, payload={**payload, "strength": None, "reasons": []})


def test_a_trip_round_the_loop_and_the_next_one(bar, project, manager, freeze):
    assert bar() == ([], [(1, "next")])
    for number in range(2):
        prompt = PromptFactory(project=project, text=f"Is breakfast at {number}?")
        for n in range(2):
            CandidateFactory(prompt=prompt, text=f"{n}", origin=f"import:{n}")
    assert bar() == ([1], [(2, "next")])
    person = join(project, Role.ANNOTATOR)
    first = batch(project, manager, "First")
    assert bar() == ([1, 2], [(3, "next")])
    answered(first, person)
    assert bar() == ([1, 2, 3], [(4, "next")])
    dataset = freeze("dpo")
    assert bar() == ([1, 2, 3, 4], [(5, "next")])
    base = Run.objects.create(project=project, trainer="pretrain", status="running")
    assert bar() == ([1, 2, 3, 4], [(5, "next")]), "a base model is no training on the dataset"
    base.delete()
    run = Run.objects.create(project=project, trainer="dpo", dataset=dataset, status="running")
    assert bar() == ([1, 2, 3, 4], [(5, "in progress")])
    Run.objects.update(status="succeeded")
    checkpoint = Checkpoint.objects.create(project=project, run=run, path="runs/none", sha256="0" * 64)
    assert bar() == ([1, 2, 3, 4, 5], [(6, "next")])
    promote(checkpoint=checkpoint, actor=manager)
    assert bar() == ([1, 2, 3, 4, 5, 6], [(7, "next")])
    round = Round.objects.create(project=project, number=2, checkpoint=checkpoint, status="preparing")
    assert bar() == ([1, 2, 3, 4, 5, 6], [(7, "in progress")])
    Round.objects.filter(pk=round.pk).update(status="collecting")
    second = batch(project, manager, "Second")
    assert bar() == ([1, 2], [(3, "next")])
    answered(second, person)
    assert bar() == ([1, 2, 3], [(4, "next")])


def test_going_on_with_an_open_batch_is_a_step_forward(bar, project, manager, freeze):
    prompt = PromptFactory(project=project)
    for n in range(2):
        CandidateFactory(prompt=prompt, text=f"{n}", origin=f"import:{n}")
    batch(project, manager, "First")
    Batch.objects.update(created_at=timezone.now() - timedelta(days=1))
    freeze("dpo")
    assert bar() == ([1, 2, 3, 4], [(5, "next")])
    Batch.objects.update(created_at=timezone.now() + timedelta(days=1))
    assert bar() == ([1, 2], [(3, "next")])
