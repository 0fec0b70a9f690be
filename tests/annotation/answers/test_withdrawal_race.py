"""A prompt is withdrawn and restored while people claim, submit, skip and undo its tasks, and while batches open."""

import contextlib
import threading
import time

import pytest
from django.db import connection, transaction

from annotation.answers.exclusions import lift_exclusion, withdraw_prompt
from annotation.answers.submission import draft_of, skip, submit, undo_last
from annotation.core.errors import Conflict
from annotation.models import Annotation, Assignment, Event, Exclusion, Role, Task
from annotation.queue import batches
from annotation.queue.claims import claim_next
from tests.annotation.helpers import batch_of, hotel
from tests.factories import join

pytestmark = pytest.mark.django_db(transaction=True)
PEOPLE, ROUNDS = 4, 6


def in_threads(*actions):
    """Run them at once, each with a connection of its own; returns when all are done."""
    failures = []

    def run(action):
        try:
            action()
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[action]) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert not failures, failures


def payload(held):
    shown = held.task.candidate_ids
    return {"choice": "one", "chosen": shown[0], "shown": shown, "strength": 1, "reasons": []}


def test_nothing_is_lost_or_half_written():
    project = hotel(prompts=1)
    people = [join(project, Role.ANNOTATOR) for _ in range(PEOPLE)]
    for number in range(ROUNDS):
        batch = batch_of(project, overlap=PEOPLE)
        prompt = batch.tasks.get().prompt
        acknowledged, refused = set(), {}

        def work(person, at, batch=batch, acknowledged=acknowledged, refused=refused, number=number):
            held = claim_next(batch=batch, annotator=person)
            if held is None:
                return
            if (at + number) % PEOPLE == 0:
                try:
                    skip(assignment=held, reason="unclear")
                except Conflict as error:
                    refused[person.pk] = (held, str(error))
                return
            try:
                submit(assignment=held, payload=payload(held), annotator=person)
                acknowledged.add(person.pk)
            except Conflict as error:
                refused[person.pk] = (held, str(error))
            if (at + number) % PEOPLE == 1:
                with contextlib.suppress(Conflict):
                    undo_last(annotator=person, batch=batch)

        def withdraw(prompt=prompt):
            withdraw_prompt(prompt=prompt, reason="Wrong", actor=None)

        in_threads(*[lambda p=p, at=at: work(p, at) for at, p in enumerate(people)], withdraw)
        slots = Assignment.objects.filter(batch=batch)
        states = set(slots.values_list("state", flat=True))
        assert states <= {"done", "skipped", "withdrawn"}, states
        assert slots.exclude(state="skipped").count() == PEOPLE, "the overlap is what it was"
        answers = Annotation.objects.filter(task__batch=batch, is_current=True)
        assert set(answers.values_list("annotator", flat=True)) == acknowledged
        assert slots.filter(state="done").count() == len(acknowledged)
        for person in people:
            if person.pk in refused and "withdrew" in refused[person.pk][1]:
                held = refused[person.pk][0]
                kept = draft_of(assignment=held, annotator=person)
                assert kept is None or kept.payload == payload(held)
        event = Event.objects.filter(verb="prompt.withdrawn").latest("pk")
        withdrawn = Assignment.objects.filter(task__prompt=prompt, state="withdrawn")  # of the rounds before, too
        assert event.after["slots"] == withdrawn.count()
        lift_exclusion(exclusion=Exclusion.objects.get(lifted_at=None), actor=None)
        assert not slots.filter(state="withdrawn").exists()
        batches.close_batch(batch=batch, actor=None)


def test_a_batch_that_opens_meanwhile_has_no_open_slot_of_it(monkeypatch):
    project = hotel(prompts=2)
    prompt = project.prompts.first()
    real = batches.deal_tasks

    def interrupted(*arguments):
        selection = real(*arguments)  # the tasks are dealt, with the prompt among them, and not yet there
        in_threads(lambda: withdraw_prompt(prompt=prompt, reason="Wrong", actor=None))
        return selection

    monkeypatch.setattr(batches, "deal_tasks", interrupted)
    batch = batch_of(project, overlap=2)
    assert Task.objects.filter(batch=batch, prompt=prompt).exists()
    states = Assignment.objects.filter(task__prompt=prompt, batch=batch).values_list("state", flat=True)
    assert list(states) == ["withdrawn", "withdrawn"]


def test_a_withdrawal_waits_for_a_batch_that_opens(monkeypatch):
    project = hotel(prompts=2)
    prompt = project.prompts.first()
    real, thread = batches.insert_slots, []

    def interrupted(batch):
        def withdraw():
            try:
                withdraw_prompt(prompt=prompt, reason="Wrong", actor=None)
            finally:
                connection.close()

        thread.append(threading.Thread(target=withdraw))
        thread[0].start()
        real(batch)

    monkeypatch.setattr(batches, "insert_slots", interrupted)
    batch = batch_of(project, overlap=2)
    thread[0].join(60)
    assert not thread[0].is_alive()
    states = Assignment.objects.filter(task__prompt=prompt, batch=batch).values_list("state", flat=True)
    assert list(states) == ["withdrawn", "withdrawn"]


def test_a_slot_left_by_a_skip_that_the_withdrawal_waits_for_is_withdrawn_too():
    project = hotel(prompts=1)
    batch, person = batch_of(project), join(project, Role.ANNOTATOR)
    held = claim_next(batch=batch, annotator=person)
    skipped = threading.Event()

    def skip_slowly():
        with transaction.atomic(), connection.cursor() as cursor:
            skip(assignment=held, reason="unclear")
            skipped.set()
            for _ in range(200):  # until the withdrawal waits for the slot
                cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
                if cursor.fetchone()[0]:
                    return
                time.sleep(0.05)

    def withdraw():
        assert skipped.wait(30)
        withdraw_prompt(prompt=batch.tasks.get().prompt, reason="Wrong", actor=None)

    in_threads(skip_slowly, withdraw)
    assert sorted(Assignment.objects.values_list("state", flat=True)) == ["skipped", "withdrawn"]
