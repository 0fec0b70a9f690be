"""Opening a batch with checks, and changing how many it has."""

import threading

import pytest
from django.core.management import call_command
from django.db import connection

from annotation.checks.shares import Shares, set_checks
from annotation.core.checks import made_checks
from annotation.core.errors import InvalidInput
from annotation.models import Assignment, Event, Kind, Role, Task
from annotation.queue.claims import claim_next
from annotation.queue.progress import open_to
from tests.annotation.checks.helpers import answer_all, batch_with, checked_hotel, gold_in, labels_in, of_kind
from tests.annotation.helpers import hotel
from tests.factories import join

pytestmark = pytest.mark.django_db


def test_gold_takes_the_place_and_ids_of_ordinary_tasks_and_loses_none():
    project = hotel(prompts=20, slug="hotel", held_out_share=0)
    prompts = list(project.prompts.values_list("pk", flat=True))
    gold_in(project, 3)
    batch = batch_with(project, prompts, overlap=2)
    before = dict(batch.tasks.values_list("pk", "position"))
    set_checks(batch=batch, shares=Shares(gold=10), actor=None)
    gold = of_kind(batch, "gold")
    assert len(gold) == 2
    assert gold < before.keys()  # no id tells them from tasks that were opened with the batch
    assert labels_in(batch) == 20
    assert batch.tasks.count() == 22
    assert sorted(batch.tasks.values_list("position", flat=True)) == list(range(1, 23))
    assert {task.assignments.count() for task in batch.tasks.all()} == {2}
    assert batch.tasks.exclude(pk__in=gold).values("prompt").distinct().count() == 20
    event = Event.objects.get(verb="batch.checks")
    assert event.after["added"]["gold"] == 2


def test_each_person_meets_gold_once_across_batches_and_never_what_they_made():
    project, first = checked_hotel(6, gold=1)
    set_checks(batch=first, shares=Shares(gold=10), actor=None)
    second = batch_with(
        project, list(first.tasks.exclude(pk__in=of_kind(first, "gold")).values_list("prompt", flat=True))
    )
    set_checks(batch=second, shares=Shares(gold=10), actor=None)
    person = join(project, Role.ANNOTATOR)
    manager = project.memberships.get(role=Role.MANAGER).user
    tasks = answer_all(first, person) + answer_all(second, person)
    assert sum(task.pk in of_kind(first, "gold") | of_kind(second, "gold") for task in tasks) == 1
    left = open_to(person, second).values_list("task", flat=True)
    assert not left
    assert not set(open_to(manager, second).values_list("task", flat=True)) & of_kind(second, "gold")
    assert not {task.pk for task in answer_all(second, manager)} & of_kind(second, "gold")


def test_shares_are_topped_up_and_never_taken_back():
    _project, batch = checked_hotel(10, gold=4)
    set_checks(batch=batch, shares=Shares(gold=10), actor=None)
    set_checks(batch=batch, shares=Shares(gold=10), actor=None)
    assert made_checks(batch) == {"gold": 1}
    set_checks(batch=batch, shares=Shares(gold=30), actor=None)
    assert made_checks(batch) == {"gold": 3}
    set_checks(batch=batch, shares=Shares(), actor=None)
    assert made_checks(batch) == {"gold": 3}
    assert labels_in(batch) == 10


def test_a_share_is_refused_that_is_too_high_or_that_the_kind_does_not_have():
    project, batch = checked_hotel(3)
    with pytest.raises(InvalidInput, match="From 0 to 30"):
        set_checks(batch=batch, shares=Shares(gold=31), actor=None)
    writing = batch_with(project, list(batch.tasks.values_list("prompt", flat=True)), kind=Kind.WRITING)
    with pytest.raises(InvalidInput, match="scoring and choosing"):
        set_checks(batch=writing, shares=Shares(gold=5), actor=None)


def test_the_command_opens_and_its_dry_run_only_says_what_it_would_put_in(capsys):
    project = hotel(prompts=40, slug="hotel", held_out_share=0)
    gold_in(project, 4)
    gold_in(project, 1, explanation="A polite question to a hotel.")
    arguments = ["open_batch", "hotel", "choosing", "--gold", "5", "--repeats", "3", "--twins", "3", "--tutorial", "2"]
    call_command(*arguments, "--dry-run")
    out = capsys.readouterr().out
    for sentence in (
        "2 hidden gold tasks.",
        "2 repeated tasks.",
        "2 damaged twins.",
        "1 practice item for each person.",
        "Practice items: 1 of the 2 wanted.",
    ):
        assert sentence in out
    assert not project.batches.exclude(name="Earlier requests").exists()
    call_command(*arguments)
    batch = project.batches.get(name="Choosing")
    assert made_checks(batch) == {"gold": 2, "repeat": 2, "twin": 2, "tutorial": 1}
    assert labels_in(batch) == 40
    assert "2 hidden gold tasks." in capsys.readouterr().out


@pytest.mark.django_db(transaction=True)
def test_two_people_at_once_never_share_a_gold_slot_nor_get_a_practice_item_twice():
    project = hotel(prompts=1, slug="hotel", held_out_share=0)
    chosen = list(project.prompts.values_list("pk", flat=True))
    gold_in(project, 2)
    gold_in(project, 1, explanation="Polite.")
    batch = batch_with(project, chosen, gold=30, tutorial=1)
    assert len(of_kind(batch, "gold")) == 1
    people = [join(project, Role.ANNOTATOR) for _ in range(4)]
    barrier, failures = threading.Barrier(len(people)), []

    def work(person):
        try:
            barrier.wait()
            answer_all(batch, person)
            while claim_next(batch=batch, annotator=person):
                pass
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=[person]) for person in people]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert not failures
    slots = Assignment.objects.filter(batch=batch)
    assert slots.filter(task__in=of_kind(batch, "gold"), state="done").count() == 1
    practice = slots.filter(task__in=of_kind(batch, "tutorial"))
    assert set(practice.values_list("annotator", "state")) == {(person.pk, "done") for person in people}
    assert practice.count() == len(people)
    assert Task.objects.filter(batch=batch).count() == 3
