"""Drafts, submit, skip, undo: what was acknowledged stays, and twice is once."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TransactionTestCase
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from annotation.answers.submission import save_draft, skip, submit, undo_last
from annotation.answers.worktime import Spent
from annotation.core import counts
from annotation.core.errors import Conflict, InvalidInput
from annotation.models import Annotation, Assignment, Draft, Event, QueueCursor, Role, Task, TimeSpent
from annotation.queue.batches import close_batch
from annotation.queue.claims import claim_next, expire_leases, release
from tests.annotation.helpers import batch_of, hotel
from tests.annotation.queue.test_claims import ANSWER, run_out
from tests.factories import join

OTHER = {**ANSWER, "choice": "both_bad"}


@pytest.fixture
def story(db):
    project = hotel(prompts=3)
    return batch_of(project), join(project, Role.ANNOTATOR), join(project, Role.ANNOTATOR)


def minutes_ago(assignment, minutes):
    """The task has been held for so long."""
    then = timezone.now() - timedelta(minutes=minutes)
    Assignment.objects.filter(pk=assignment.pk).update(claimed_at=then)


def test_submitting_records_what_held_then(story):
    batch, hana, _ = story
    assignment = claim_next(batch=batch, annotator=hana)
    minutes_ago(assignment, 1)
    spent = Spent("first-visit", active=12.5, idle=3)
    annotation, is_new = submit(assignment=assignment, payload=ANSWER, spent=spent)
    assert is_new
    assert (annotation.version, annotation.kind, annotation.guideline.version) == (1, "choosing", 1)
    assert (annotation.active_seconds, annotation.idle_seconds) == (12.5, 3)
    assert Annotation.objects.get() == annotation
    assert Annotation.objects.values().get() == {
        key: getattr(annotation, key) for key in Annotation.objects.values()[0]
    }
    assert Assignment.objects.get(pk=assignment.pk).state == "done"
    assert Event.objects.get(verb="annotation.submitted").actor == hana


def test_submitting_twice_is_once_and_the_first_stands(story):
    batch, hana, _ = story
    assignment = claim_next(batch=batch, annotator=hana)
    first = submit(assignment=assignment, payload=ANSWER).annotation
    assert submit(assignment=assignment, payload=OTHER) == (first, False)
    assert Annotation.objects.get().payload == ANSWER
    assert Event.objects.filter(verb="annotation.submitted").count() == 1


def test_a_lease_that_ran_out_is_taken_back_while_nobody_else_has_the_task(story):
    batch, hana, _ = story
    assignment = claim_next(batch=batch, annotator=hana)
    run_out(assignment)
    expire_leases()
    annotation = submit(assignment=assignment, payload=ANSWER, annotator=hana).annotation
    assert annotation.annotator == hana
    assert Assignment.objects.get(pk=assignment.pk).annotator == hana


def test_a_slot_that_somebody_else_has_by_now_is_a_conflict_and_the_answer_a_draft(story):
    batch, hana, ken = story
    assignment = claim_next(batch=batch, annotator=hana)
    run_out(assignment)
    expire_leases()
    assert claim_next(batch=batch, annotator=ken).pk == assignment.pk
    with pytest.raises(Conflict, match="kept as a draft"):
        submit(assignment=assignment, payload=ANSWER, annotator=hana)
    assert Draft.objects.get(annotator=hana).payload == ANSWER
    release(assignment=Assignment.objects.get(pk=assignment.pk), actor=ken)
    assert submit(assignment=assignment, payload=ANSWER, annotator=hana).annotation.annotator == hana


def test_with_overlap_another_free_slot_of_the_task_is_taken_instead(db):
    project = hotel(prompts=1)
    batch = batch_of(project, overlap=2)
    hana, ken = join(project, Role.ANNOTATOR), join(project, Role.ANNOTATOR)
    mine = claim_next(batch=batch, annotator=hana)
    run_out(mine)
    expire_leases()
    Assignment.objects.filter(pk=mine.pk).update(
        state="held", annotator=ken, leased_until=timezone.now() + timezone.timedelta(hours=1)
    )
    annotation = submit(assignment=mine, payload=ANSWER, annotator=hana).annotation
    assert annotation.assignment_id != mine.pk
    assert annotation.assignment.annotator == hana


def test_drafts_are_kept_and_renew_the_lease_and_a_late_one_changes_nothing(story):
    batch, hana, _ = story
    assignment = claim_next(batch=batch, annotator=hana)
    run_out(assignment)
    save_draft(assignment=assignment, payload={"choice": None})
    save_draft(assignment=assignment, payload={"choice": "tie"})
    assert Draft.objects.get().payload == {"choice": "tie"}
    assert expire_leases() == 0
    submit(assignment=assignment, payload=ANSWER)
    assert not Draft.objects.exists()
    assert save_draft(assignment=assignment, payload={"choice": "late"}) is None
    assert not Draft.objects.exists()


def test_a_draft_outlives_its_lease_and_is_nobody_elses(story):
    batch, hana, ken = story
    assignment = claim_next(batch=batch, annotator=hana)
    save_draft(assignment=assignment, payload={"choice": "tie"})
    run_out(assignment)
    expire_leases()
    assert claim_next(batch=batch, annotator=ken).pk == assignment.pk
    assert not Draft.objects.filter(annotator=ken).exists()
    save_draft(assignment=assignment, payload={"choice": "both_bad"}, annotator=hana)
    assert Draft.objects.get(annotator=hana).payload == {"choice": "both_bad"}


def test_skipping_keeps_a_record_and_gives_the_task_to_somebody_else(story):
    batch, hana, ken = story
    assignment = claim_next(batch=batch, annotator=hana)
    skip(assignment=assignment, reason="offensive", comment=" rude ")
    skip(assignment=assignment, reason="offensive")
    skipped = Assignment.objects.get(pk=assignment.pk)
    assert (skipped.state, skipped.skip_reason, skipped.skip_comment) == ("skipped", "offensive", "rude")
    slots = Assignment.objects.filter(task=assignment.task)
    assert sorted(slots.values_list("slot", "state")) == [(1, "skipped"), (2, "free")]
    assert claim_next(batch=batch, annotator=ken).task_id == assignment.task_id
    assert claim_next(batch=batch, annotator=hana).task_id != assignment.task_id
    with pytest.raises(Conflict, match="skipped"):
        submit(assignment=assignment, payload=ANSWER)


@pytest.mark.parametrize(("reason", "comment"), [("", ""), ("nonsense", ""), ("other", "  ")])
def test_a_skip_says_why(story, reason, comment):
    batch, hana, _ = story
    with pytest.raises(InvalidInput):
        skip(assignment=claim_next(batch=batch, annotator=hana), reason=reason, comment=comment)
    assert Assignment.objects.filter(state="held").count() == 1


def test_undo_opens_the_last_answer_again_and_keeps_every_version(story):
    batch, hana, _ = story
    first = submit(assignment=claim_next(batch=batch, annotator=hana), payload=ANSWER).annotation
    in_hand = claim_next(batch=batch, annotator=hana)
    save_draft(assignment=in_hand, payload={"choice": None, "reasons": ["Meaning"]})
    reopened = undo_last(annotator=hana, batch=batch)
    assert reopened.pk == first.assignment_id
    assert Draft.objects.get(task=reopened.task).payload == ANSWER
    assert Assignment.objects.get(pk=in_hand.pk).state == "free"
    assert Draft.objects.filter(task=in_hand.task, annotator=hana).exists()
    assert Annotation.objects.get(is_current=True) == first  # it stays current until the next submission
    second = submit(assignment=reopened, payload=OTHER).annotation
    assert (second.version, second.is_current) == (2, True)
    assert list(Annotation.objects.order_by("version").values_list("is_current", flat=True)) == [False, True]


def test_undo_goes_one_further_back_each_time_and_then_stops(story):
    batch, hana, _ = story
    first = submit(assignment=claim_next(batch=batch, annotator=hana), payload=ANSWER).annotation
    second = submit(assignment=claim_next(batch=batch, annotator=hana), payload=ANSWER).annotation
    assert undo_last(annotator=hana, batch=batch).pk == second.assignment_id
    assert undo_last(annotator=hana, batch=batch).pk == first.assignment_id
    assert undo_last(annotator=hana, batch=batch) is None
    assert Assignment.objects.get(state="held").pk == first.assignment_id
    assert Assignment.objects.get(pk=second.assignment_id).state == "done"


def test_a_reopened_answer_is_never_lost(story):
    batch, hana, _ = story
    submit(assignment=claim_next(batch=batch, annotator=hana), payload=ANSWER)
    reopened = undo_last(annotator=hana, batch=batch)
    run_out(reopened)
    assert expire_leases() == 0
    release(assignment=reopened, actor=hana)
    assert (reopened.state, reopened.annotator) == ("done", hana)
    assert Annotation.objects.get(is_current=True).payload == ANSWER
    skip(assignment=undo_last(annotator=hana, batch=batch), reason="unclear")
    assert not Annotation.objects.filter(is_current=True).exists()
    assert Assignment.objects.filter(task=reopened.task, state="free").count() == 1


def test_the_answers_of_a_closed_batch_stand(story):
    batch, hana, _ = story
    submit(assignment=claim_next(batch=batch, annotator=hana), payload=ANSWER)
    close_batch(batch=batch, actor=None)
    with pytest.raises(Conflict, match="closed"):
        undo_last(annotator=hana, batch=batch)


@pytest.mark.django_db(transaction=True)
def test_the_same_answer_sent_eight_times_at_once_is_one():
    project = hotel(prompts=1)
    batch, hana = batch_of(project), join(project, Role.ANNOTATOR)
    assignment = claim_next(batch=batch, annotator=hana)
    got, gate = [], threading.Barrier(8)

    def send():
        gate.wait()
        got.append(
            submit(assignment=Assignment.objects.get(pk=assignment.pk), payload=ANSWER, annotator=hana).annotation.pk
        )
        connection.close()

    senders = [threading.Thread(target=send) for _ in range(8)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join(30)
    assert len(got) == 8
    assert set(got) == {Annotation.objects.get().pk}


class Queue(RuleBasedStateMachine):
    """Three people on a small batch, doing whatever they like; after each step every promise of the queue holds."""

    OVERLAP = 2

    @initialize()
    def begin(self):
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE annotation_event")  # a delete is refused
        for model in (TimeSpent, QueueCursor, Annotation, Draft, Assignment, Task):
            model.objects.all().delete()
        project = hotel(prompts=3)
        self.batch = batch_of(project, overlap=self.OVERLAP)
        self.people = [join(project, Role.ANNOTATOR) for _ in range(3)]
        self.hand: dict[int, Assignment] = {}
        self.stale: list[tuple[int, Assignment]] = []
        self.said: dict[tuple[int, int], dict] = {}

    people_index = st.integers(0, 2)

    @rule(who=people_index)
    def claim(self, who):
        had = Assignment.objects.filter(annotator=self.people[who]).values("task")
        free = Assignment.objects.filter(batch=self.batch, state="free").exclude(task__in=had)
        open_to_them = set(free.values_list("task", flat=True))
        assignment = claim_next(batch=self.batch, annotator=self.people[who])
        if who in self.hand:
            assert assignment is not None
            assert assignment.pk == self.hand[who].pk
        elif assignment is not None:
            assert assignment.task_id in open_to_them
            self.hand[who] = assignment
        else:
            assert not open_to_them

    @rule(who=people_index, payload=st.sampled_from([ANSWER, OTHER]))
    def answer(self, who, payload):
        if who in self.hand:
            assignment = self.hand.pop(who)
            submit(assignment=assignment, payload=payload)
            self.said[(who, assignment.task_id)] = payload
            self.stale.append((who, assignment))

    @rule(who=people_index)
    def pass_on(self, who):
        if who in self.hand:
            assignment = self.hand.pop(who)
            skip(assignment=assignment, reason="unclear")
            self.said.pop((who, assignment.task_id), None)

    @rule(who=people_index)
    def put_back(self, who):
        if who in self.hand:
            assignment = self.hand.pop(who)
            self.stale.append((who, assignment))
            release(assignment=assignment, actor=self.people[who])

    @rule(who=people_index)
    def wander_off(self, who):
        if who in self.hand:
            run_out(self.hand[who])
            expire_leases()
            if self.hand[who].finished_at is None:
                self.stale.append((who, self.hand.pop(who)))

    @rule(who=people_index)
    def undo(self, who):
        reopened = undo_last(annotator=self.people[who], batch=self.batch)
        if reopened is not None:
            self.hand[who] = reopened

    @precondition(lambda self: self.stale)
    @rule(at=st.integers(0, 30), payload=st.sampled_from([ANSWER, OTHER]))
    def answer_from_an_old_page(self, at, payload):
        who, assignment = self.stale[at % len(self.stale)]
        person = self.people[who]
        before = self.said.get((who, assignment.task_id))
        try:
            annotation = submit(assignment=assignment, payload=payload, annotator=person).annotation
        except Conflict:
            return
        reopened = who in self.hand and self.hand[who].task_id == assignment.task_id
        if reopened:
            self.hand.pop(who)
        self.said[(who, assignment.task_id)] = payload if before is None or reopened else before
        assert annotation.payload == self.said[(who, assignment.task_id)]

    @invariant()
    def counts_equal_a_recount(self):
        assert counts.differences() == []

    @rule()
    def fold(self):
        counts.fold_counts()

    @invariant()
    def promises(self):
        if not hasattr(self, "batch"):
            return
        slots = list(Assignment.objects.filter(batch=self.batch))
        for task_id in {slot.task_id for slot in slots}:
            mine = [slot for slot in slots if slot.task_id == task_id]
            assert sum(slot.state != "skipped" for slot in mine) == self.OVERLAP
            owners = [slot.annotator_id for slot in mine if slot.annotator_id]
            assert len(owners) == len(set(owners))
        held = {slot.annotator_id: slot.pk for slot in slots if slot.state == "held"}
        assert held == {self.people[who].pk: assignment.pk for who, assignment in self.hand.items()}
        standing = Annotation.objects.filter(is_current=True).values_list("annotator", "task", "payload")
        assert {(person, task): payload for person, task, payload in standing} == {
            (self.people[who].pk, task): payload for (who, task), payload in self.said.items()
        }


class TestQueue(TransactionTestCase):
    def test_every_promise_holds_whatever_people_do(self):
        run_state_machine_as_test(
            Queue,
            settings=settings(
                max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
            ),
        )
