"""Labels that a checkpoint's margins contradict are listed for reviewers."""

import pytest
from django.urls import reverse
from django.utils import timezone

from annotation.answers.submission import submit
from annotation.models import Annotation, PairMargin, Role, Task
from annotation.queue.claims import claim_next
from annotation.reviewing.adjudication import adjudicate
from tests.annotation.helpers import batch_of, hotel
from tests.factories import join

pytestmark = pytest.mark.django_db


def test_the_largest_contradictions_come_first_and_nothing_is_changed(client):
    project = hotel(prompts=4)
    rin, *people = (join(project, Role.REVIEWER), *(join(project, Role.ANNOTATOR) for _ in range(3)))
    client.force_login(rin)
    page = reverse("second_look", args=[project.slug])
    assert f"compute_margins {project.slug}" in client.get(page).content.decode()
    batch = batch_of(project, overlap=3)
    for number, person in enumerate(people):
        for _ in range(4):
            held = claim_next(batch=batch, annotator=person)
            shown = list(held.task.candidate_ids)
            chosen = shown[1] if number == 0 else shown[0]
            payload = {"choice": "one", "chosen": chosen, "shown": shown, "reasons": [], "strength": 1}
            submit(assignment=held, payload=payload, annotator=person)
    tasks = list(Task.objects.filter(batch=batch).order_by("position"))
    # Two of three prefer the first text of each task; the checkpoint does so in the first one only.
    for task, margin in zip(tasks, (9.0, -0.5, -3.0, -2.0), strict=True):
        one, other = sorted(task.candidate_ids)
        row = {"project": project, "prompt_id": task.prompt_id, "one": one, "other": other, "margin": margin}
        PairMargin.objects.create(**row, origin="checkpoint:7", computed_at=timezone.now())
    adjudicate(task=tasks[3], adjudicator=rin, cause="style")
    before = list(Annotation.objects.order_by("pk").values_list("payload", flat=True))
    text = client.get(page).content.decode()
    links = [text.find(reverse("adjudicate_task", args=[task.pk])) for task in tasks]
    assert links[0] == links[3] == -1
    assert 0 < links[2] < links[1]
    assert text.count("2 of 3") == 2
    assert "checkpoint:7" in text
    assert list(Annotation.objects.order_by("pk").values_list("payload", flat=True)) == before
