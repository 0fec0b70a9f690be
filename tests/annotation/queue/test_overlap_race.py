"""Slots are added while others answer, skip, reopen, decide and withdraw: one at most, and none to a task that changed
since it was judged."""

import contextlib

import pytest

from annotation.answers.exclusions import withdraw_prompt
from annotation.answers.reopening import reopen_submission
from annotation.answers.submission import skip, submit
from annotation.core.errors import Conflict
from annotation.models import Annotation, Assignment, Batch, Event, Exclusion, Role
from annotation.queue.batches import close_batch
from annotation.queue.claims import claim_next
from annotation.queue.overlap import add_slots
from annotation.queue.progress import project_progress
from annotation.reviewing.adjudication import adjudicate
from tests.annotation.answers.test_withdrawal_race import in_threads, payload
from tests.annotation.helpers import batch_of, hotel
from tests.factories import join

pytestmark = pytest.mark.django_db(transaction=True)
TASKS, ROUNDS = 4, 4


def test_one_slot_at_most_and_none_to_a_task_that_changed():
    project = hotel(prompts=TASKS)
    people = [join(project, Role.ANNOTATOR) for _ in range(4)]
    reviewer = join(project, Role.REVIEWER)
    for number in range(ROUNDS):
        batch = batch_of(project, overlap=2, overlap_most=4)
        for person in people[:2]:
            while held := claim_next(batch=batch, annotator=person):
                submit(assignment=held, payload=payload(held), annotator=person)
        tasks = list(batch.tasks.order_by("position"))
        answers = {task.pk: 2 for task in tasks}
        reopened, decided, withdrawn, usual = tasks[number:] + tasks[:number]
        own = Annotation.objects.get(task=reopened, annotator=people[0])

        def extend(batch=batch, answers=answers):
            add_slots(batch=batch, answers=answers, assessed=8, saved=0, calibrated=False)

        def work(person, batch=batch):
            while held := claim_next(batch=batch, annotator=person):
                with contextlib.suppress(Conflict):
                    if person == people[3]:
                        skip(assignment=held, reason="unclear")
                    else:
                        submit(assignment=held, payload=payload(held), annotator=person)

        def reopen(own=own):
            with contextlib.suppress(Conflict):
                reopen_submission(annotation=own, actor=people[0])

        def decide(task=decided):
            adjudicate(task=task, adjudicator=reviewer, cause="style")

        in_threads(
            extend,
            extend,
            reopen,
            decide,
            lambda task=withdrawn: withdraw_prompt(prompt=task.prompt, reason="Broken", actor=None),
            extend,
            lambda: work(people[2]),
            lambda: work(people[3]),
        )
        extend()
        slots = Assignment.objects.filter(batch=batch).exclude(state="skipped")
        counts = {task.pk: slots.filter(task=task).count() for task in tasks}
        assert set(counts.values()) <= {2, 3}
        assert counts[usual.pk] == 3
        events = Event.objects.filter(verb="batch.extended", object_id=batch.pk)
        assert sum(event.after["added"] for event in events) == sum(counts.values()) - 2 * TASKS
        assert not slots.filter(task__prompt=withdrawn.prompt, state__in=["free", "held"]).exists()
        (progress,) = [item for item in project_progress(project) if item.batch.pk == batch.pk]
        assert progress.done + progress.free + progress.claimed + progress.withdrawn == sum(counts.values())
        close_batch(batch=batch, actor=None)
        extend()
        assert slots.count() == sum(counts.values())
        Exclusion.objects.all().delete()
    assert Batch.objects.filter(assessed=8).count() == ROUNDS
