"""Seconds of work: what a page sends often, late, twice or with a lie, and what the record keeps of it."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from annotation.answers import worktime
from annotation.answers.submission import submit, undo_last
from annotation.answers.worktime import Spent, record_time
from annotation.models import Annotation, Assignment, Event, Role, TimeSpent, WorkClock
from annotation.queue.claims import claim_next
from tests.annotation.helpers import batch_of, hotel
from tests.annotation.queue.test_claims import ANSWER
from tests.factories import join


@pytest.fixture
def story(db):
    project = hotel(prompts=2)
    batch, hana = batch_of(project), join(project, Role.ANNOTATOR)
    return batch, hana, in_hand_for(claim_next(batch=batch, annotator=hana), minutes=10)


def in_hand_for(assignment, *, minutes):
    Assignment.objects.filter(pk=assignment.pk).update(claimed_at=timezone.now() - timedelta(minutes=minutes))
    return assignment


def kept():
    return [(row.visit, row.active_seconds, round(row.idle_seconds)) for row in TimeSpent.objects.order_by("visit")]


def send(client, name, assignment, **fields):
    return client.post(reverse(name, args=[assignment.pk]), fields)


def test_totals_only_grow_whatever_the_order(story):
    _, hana, assignment = story
    for active, idle in ((10, 0), (30, 5), (20, 0), (30, 5)):
        record_time(assignment=assignment, annotator=hana, spent=Spent("visit-one", active, idle))
    assert kept() == [("visit-one", 30, 5)]


def test_no_more_than_the_time_that_passed(story):
    _, hana, assignment = story
    record_time(assignment=assignment, annotator=hana, spent=Spent("visit-one", 550, 86_000))
    assert kept() == [("visit-one", 550, 52)]
    record_time(assignment=assignment, annotator=hana, spent=Spent("visit-two", 86_000, 10))
    ((_, active, _),) = kept()[1:]
    assert 51 < active < 54, "both showings together fit the ten minutes"


def test_hundreds_of_showings_have_no_more_than_the_clock(story):
    _, hana, assignment = story
    for number in range(220):
        record_time(assignment=assignment, annotator=hana, spent=Spent(f"visit-{number:04}", 10, 5))
    rows = kept()
    assert 600 <= sum(active for _, active, _ in rows) < 606
    assert len(rows) <= worktime.MAX_VISITS + 1


@pytest.mark.parametrize(("active", "idle"), [(0, 30), (2, 86_400), (1, 5)])
def test_idle_seconds_of_all_showings_fit_the_clock_too(story, active, idle):
    _, hana, assignment = story
    for number in range(130):
        record_time(assignment=assignment, annotator=hana, spent=Spent(f"visit-{number:04}", active, idle))
    assert 400 < sum(idle for _, _, idle in kept()) < 606


@pytest.mark.parametrize("tasks", [2, 3, 5])
def test_tasks_held_at_the_same_time_share_one_clock(db, tasks):
    project = hotel(prompts=tasks)
    hana = join(project, Role.ANNOTATOR)
    held = [in_hand_for(claim_next(batch=batch_of(project), annotator=hana), minutes=10) for _ in range(tasks)]
    for assignment in held:
        record_time(assignment=assignment, annotator=hana, spent=Spent("", 600, 0))
    assert 600 <= sum(active for _, active, _ in kept()) < 606
    # The clock goes on: what passes from now on counts again, and nothing from before it.
    WorkClock.objects.update(at=timezone.now() - timedelta(seconds=40))
    record_time(assignment=held[-1], annotator=hana, spent=Spent("", 600, 0))
    assert 640 <= sum(active for _, active, _ in kept()) < 646


def test_work_without_a_connection_counts_when_it_arrives(story):
    batch, hana, assignment = story
    other = in_hand_for(claim_next(batch=batch_of(batch.project), annotator=hana), minutes=1)
    record_time(assignment=other, annotator=hana, spent=Spent("visit-two", 20, 0))
    record_time(assignment=assignment, annotator=hana, spent=Spent("visit-one", 540, 0))
    assert kept() == [("visit-one", 540, 0), ("visit-two", 20, 0)]


def test_a_finished_task_takes_no_more_than_until_it_was_finished(story):
    _, hana, assignment = story
    submit(assignment=assignment, payload=ANSWER, spent=Spent("visit-one", 590, 0))
    Assignment.objects.update(
        claimed_at=timezone.now() - timedelta(hours=3), finished_at=timezone.now() - timedelta(hours=2, minutes=50)
    )
    record_time(assignment=assignment, annotator=hana, spent=Spent("visit-one", 7_000, 0))
    ((_, active, _),) = kept()
    assert active < 603


def test_drafts_the_minute_and_the_answer_tell_one_story(story, sign_in):
    _, hana, assignment = story
    client = sign_in(hana)
    send(client, "draft", assignment, visit="visit-one", active_seconds="12", idle_seconds="0", choice="a")
    assert send(client, "time", assignment, visit="visit-one", active_seconds="60", idle_seconds="4").status_code == 204
    send(client, "time", assignment, visit="visit-two", active_seconds="30", idle_seconds="0")
    send(client, "submit", assignment, visit="visit-two", active_seconds="33", idle_seconds="1", choice="a")
    answer = Annotation.objects.get()
    assert (answer.active_seconds, answer.idle_seconds) == (93, 5)
    # What arrives after the answer still counts in the record, and changes no answer.
    send(client, "time", assignment, visit="visit-two", active_seconds="34", idle_seconds="1")
    assert kept() == [("visit-one", 60, 4), ("visit-two", 34, 1)]
    assert Annotation.objects.get().active_seconds == 93


def test_who_only_reads_keeps_the_task(story, sign_in):
    _, hana, assignment = story
    Assignment.objects.update(leased_until=timezone.now() + timedelta(minutes=1))
    send(sign_in(hana), "time", assignment, visit="visit-one", active_seconds="50")
    assert Assignment.objects.get(pk=assignment.pk).leased_until > timezone.now() + timedelta(minutes=58)


def test_time_on_a_task_that_was_skipped_or_put_back_counts_too(story, sign_in):
    batch, hana, assignment = story
    client = sign_in(hana)
    send(client, "skip", assignment, reason="unclear", visit="visit-one", active_seconds="20", idle_seconds="1")
    second = in_hand_for(claim_next(batch=batch, annotator=hana), minutes=1)
    send(client, "release", second, visit="visit-two", active_seconds="7")
    assert kept() == [("visit-one", 20, 1), ("visit-two", 7, 0)]


def test_a_reopened_answer_counts_from_when_it_was_opened(story):
    batch, hana, assignment = story
    submit(assignment=assignment, payload=ANSWER, spent=Spent("visit-one", 40, 0))
    opened = undo_last(annotator=hana, batch=batch)
    again = submit(
        assignment=opened, payload={**ANSWER, "choice": "both_bad"}, spent=Spent("visit-two", 300, 0)
    ).annotation
    assert 40 <= again.active_seconds < 45


def test_nobody_writes_time_on_another_persons_task(story, sign_in):
    batch, hana, assignment = story
    ken = join(batch.project, Role.ANNOTATOR)
    assert send(sign_in(ken), "time", assignment, visit="visit-ken", active_seconds="9").status_code == 404
    record_time(assignment=assignment, annotator=ken, spent=Spent("visit-ken", 9, 0))
    assert kept() == []
    # A name that another task has used keeps what it was told of that one.
    record_time(assignment=assignment, annotator=hana, spent=Spent("visit-one", 9, 0))
    other = claim_next(batch=batch_of(batch.project), annotator=hana)
    record_time(assignment=other, annotator=hana, spent=Spent("visit-one", 1, 0))
    assert TimeSpent.objects.get().assignment == assignment


@pytest.mark.parametrize("visit", ["", "short", "x" * 41, "no spaces", "<b>"])
def test_a_visit_without_a_proper_name_is_one_a_task(story, sign_in, visit):
    _, hana, assignment = story
    client = sign_in(hana)
    for seconds in ("5", "8"):
        send(client, "time", assignment, visit=visit, active_seconds=seconds)
    assert kept() == [(f"task-{assignment.pk:08}", 8, 0)]
    assert not Event.objects.filter(verb__contains="time").exists()


@pytest.mark.django_db(transaction=True)
def test_two_at_once_leave_one_row():
    project = hotel(prompts=1)
    batch, hana = batch_of(project), join(project, Role.ANNOTATOR)
    assignment = in_hand_for(claim_next(batch=batch, annotator=hana), minutes=10)
    gate, failures = threading.Barrier(8), []

    def tell(seconds):
        try:
            gate.wait()
            record_time(assignment=assignment, annotator=hana, spent=Spent("visit-one", seconds, 0))
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=tell, args=(seconds,)) for seconds in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not failures
    assert kept() == [("visit-one", 8, 0)]


@pytest.mark.django_db(transaction=True)
def test_many_showings_at_once_share_one_clock():
    project = hotel(prompts=1)
    batch, hana = batch_of(project), join(project, Role.ANNOTATOR)
    assignment = in_hand_for(claim_next(batch=batch, annotator=hana), minutes=10)
    gate, failures = threading.Barrier(8), []

    def tell(number):
        try:
            gate.wait()
            record_time(assignment=assignment, annotator=hana, spent=Spent(f"visit-{number:04}", 600, 0))
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=tell, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not failures
    assert 600 <= sum(active for _, active, _ in kept()) < 610
