"""Who gets which task: order, leases, nobody twice; a race of sixteen with some dying; and a state machine."""

import contextlib
import json
import random
import threading
from collections import Counter
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from annotation.answers.submission import submit, undo_last
from annotation.core.errors import Conflict
from annotation.models import (
    Annotation,
    Assignment,
    Event,
    Kind,
    Project,
    Qualification,
    QualificationAttempt,
    Role,
    Task,
)
from annotation.queue.batches import close_batch
from annotation.queue.claims import AHEAD, CLAIM, UNSEEN, claim_next, expire_leases, release, release_left
from annotation.queue.manual_assignment import assign
from annotation.queue.progress import work_for
from tests.annotation.helpers import batch_of, hotel, many
from tests.factories import CandidateFactory, PromptFactory, UserFactory, join

ANSWER = {"choice": "tie", "chosen": None, "shown": [], "strength": None, "reasons": []}


def run_out(assignment):
    Assignment.objects.filter(pk=assignment.pk).update(leased_until=timezone.now() - timedelta(hours=1))


@pytest.mark.django_db
def test_claiming_again_gives_the_task_in_hand_with_its_lease_renewed():
    project = hotel()
    batch, hana = batch_of(project), join(project, Role.ANNOTATOR)
    first = claim_next(batch=batch, annotator=hana)
    run_out(first)
    again = claim_next(batch=batch, annotator=hana)
    assert again.pk == first.pk
    assert again.leased_until > timezone.now() + timedelta(minutes=59)
    assert Event.objects.filter(verb="assignment.claimed", actor=hana, object_id=first.pk).count() == 1


@pytest.mark.django_db
def test_tasks_come_by_priority_then_position_and_never_twice():
    project = hotel(prompts=3)
    batch, hana = batch_of(project, overlap=2), join(project, Role.ANNOTATOR)
    last = Task.objects.get(batch=batch, position=3)
    Assignment.objects.filter(task=last).update(priority=5)
    seen = []
    while (assignment := claim_next(batch=batch, annotator=hana)) is not None:
        seen.append(assignment.position)
        submit(assignment=assignment, payload=ANSWER)
    assert seen == [3, 1, 2]
    assert Assignment.objects.filter(batch=batch, state="free").count() == 3


@pytest.mark.django_db
def test_what_comes_back_behind_a_person_is_given_before_the_end():
    project = hotel(prompts=6)
    batch, hana, ken = batch_of(project, overlap=1), join(project, Role.ANNOTATOR), join(project, Role.ANNOTATOR)
    ken_has = claim_next(batch=batch, annotator=ken)
    seen = []
    for _ in range(2):
        assignment = claim_next(batch=batch, annotator=hana)
        seen.append(assignment.position)
        submit(assignment=assignment, payload=ANSWER)
    release(assignment=ken_has, actor=ken)
    while (assignment := claim_next(batch=batch, annotator=hana)) is not None:
        seen.append(assignment.position)
        submit(assignment=assignment, payload=ANSWER)
    assert seen == [2, 3, 4, 5, 6, 1]


def rows_looked_through(batch, person):
    """How many free slots the claim met and passed over, as the database itself counts them."""

    def removed(plan):
        return sum(plan.get(key, 0) for key in plan if key.startswith("Rows Removed")) + sum(
            removed(part) for part in plan.get("Plans", [])
        )

    params = {
        "batch": batch.pk,
        "project": batch.project_id,
        "annotator": person.pk,
        "written_by": f"human:{person.pk}",
        "lease": timedelta(minutes=5),
    }
    with transaction.atomic(), connection.cursor() as cursor:
        # As autovacuum does on a site; here what earlier tests left decides the plan otherwise.
        cursor.execute("ANALYZE annotation_assignment, annotation_task")
        # So small a table is quicker read whole; a large one never is.
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + CLAIM.format(where=AHEAD, unseen=UNSEEN, checks=""), params)
        ((plan,),) = cursor.fetchall()
        transaction.set_rollback(True)
    (found,) = plan if isinstance(plan, list) else json.loads(plan)
    return removed(found["Plan"])


@pytest.mark.django_db(transaction=True)
def test_who_is_far_ahead_does_not_look_through_what_they_had():
    project = hotel(prompts=0)
    many(project, 400)
    batch, hana = batch_of(project, overlap=3), join(project, Role.ANNOTATOR)
    for _ in range(150):
        submit(assignment=claim_next(batch=batch, annotator=hana), payload=ANSWER)
    assert Assignment.objects.filter(batch=batch, state="free", position__lte=150).count() == 300
    assert rows_looked_through(batch, hana) < 10


@pytest.mark.django_db
def test_a_prompt_met_in_another_batch_is_passed_over_where_the_project_says_so():
    project = hotel(prompts=3)
    first, hana, ken = batch_of(project), join(project, Role.ANNOTATOR), join(project, Role.ANNOTATOR)
    known = claim_next(batch=first, annotator=hana)
    submit(assignment=known, payload=ANSWER)
    second = batch_of(project, Kind.WRITING)
    Project.objects.update(avoid_seen=True)
    second.refresh_from_db()
    given = []
    while (assignment := claim_next(batch=second, annotator=hana)) is not None:
        given.append(assignment.task.prompt_id)
        submit(assignment=assignment, payload={"text": "はい"})
    assert len(given) == 2
    assert known.task.prompt_id not in given
    # By now she has met all three, two of them here: the first batch has none left for her either.
    assert [item.batch for item in work_for(hana) if item.available] == []
    assert {item.batch for item in work_for(ken) if item.available} == {first, second}
    Project.objects.update(avoid_seen=False)
    assert {item.batch for item in work_for(hana) if item.available} == {first, second}


@pytest.mark.django_db
def test_a_batch_with_a_test_is_for_those_who_passed():
    project = hotel(prompts=2)
    batch, hana, ken = batch_of(project), join(project, Role.ANNOTATOR), join(project, Role.ANNOTATOR)
    before = claim_next(batch=batch, annotator=ken)
    test = Qualification.objects.create(project=project, name="Register", kind=Kind.CHOOSING, seed=1)
    batch.qualification = test
    batch.save()
    assert claim_next(batch=batch, annotator=hana) is None
    assert [(item.available, item.needs_test) for item in work_for(hana)] == [(False, True)]
    # What was claimed before the test came stays claimed.
    assert claim_next(batch=batch, annotator=ken).pk == before.pk
    assert [(item.available, item.needs_test) for item in work_for(ken)] == [(True, False)]
    attempt = {"qualification": test, "user": hana, "finished_at": timezone.now()}
    QualificationAttempt.objects.create(**attempt, number=1, passed=False)
    assert claim_next(batch=batch, annotator=hana) is None
    QualificationAttempt.objects.create(**attempt, number=2, passed=True)
    assert claim_next(batch=batch, annotator=hana) is not None


@pytest.mark.django_db
def test_nobody_judges_what_they_wrote():
    project = hotel(prompts=0)
    hana, ken = join(project, Role.ANNOTATOR), join(project, Role.ANNOTATOR)
    prompt = PromptFactory(project=project)
    CandidateFactory(prompt=prompt, text="by Hana", origin=f"human:{hana.pk}")
    CandidateFactory(prompt=prompt, text="by a model", origin="checkpoint:1")
    batch = batch_of(project)
    assert not work_for(hana)[0].available
    assert work_for(ken)[0].available
    assert claim_next(batch=batch, annotator=hana) is None
    assert claim_next(batch=batch, annotator=ken) is not None
    # What she wrote is no bar to another pair for the same prompt.
    CandidateFactory(prompt=prompt, text="by another model", origin="checkpoint:2")
    others = batch_of(project, origins=["checkpoint:1", "checkpoint:2"])
    assert [item.batch for item in work_for(hana) if item.available] == [others]
    assert claim_next(batch=others, annotator=hana) is not None


@pytest.mark.django_db
def test_a_lease_that_ran_out_goes_to_the_next_person_even_before_the_sweep():
    project = hotel(prompts=1)
    batch, hana, ken = batch_of(project), join(project, Role.ANNOTATOR), join(project, Role.ANNOTATOR)
    first = claim_next(batch=batch, annotator=hana)
    assert claim_next(batch=batch, annotator=ken) is None
    run_out(first)
    assert claim_next(batch=batch, annotator=ken).pk == first.pk
    expired = Event.objects.get(verb="assignment.expired")
    assert expired.before == {"annotator": hana.pk}


@pytest.mark.django_db
def test_the_sweep_returns_only_what_ran_out(capsys):
    project = hotel(prompts=2)
    batch, hana, ken = batch_of(project), join(project, Role.ANNOTATOR), join(project, Role.ANNOTATOR)
    run_out(claim_next(batch=batch, annotator=hana))
    kept = claim_next(batch=batch, annotator=ken)
    call_command("expire_leases")
    assert capsys.readouterr().out.strip() == "returned: 1 task whose lease ran out"
    assert expire_leases() == 0
    assert list(Assignment.objects.filter(state="held")) == [kept]


@pytest.mark.django_db
def test_tasks_of_people_who_left_return_by_themselves(capsys):
    project = hotel(prompts=5)
    batch = batch_of(project)
    removed, deactivated, reopened, here = (join(project, Role.ANNOTATOR) for _ in range(4))
    administrator = UserFactory(is_superuser=True)
    submit(assignment=claim_next(batch=batch, annotator=reopened), payload=ANSWER)
    undo_last(annotator=reopened, batch=batch)
    held = {person: claim_next(batch=batch, annotator=person) for person in (removed, deactivated, here, administrator)}
    # By whatever door they left: nothing of ours released what they held.
    project.memberships.filter(user__in=[removed, reopened]).delete()
    type(deactivated).objects.filter(pk=deactivated.pk).update(is_active=False)
    call_command("expire_leases")
    assert "returned: 3 tasks of people who left" in capsys.readouterr().out
    kept = Assignment.objects.filter(state="held").values_list("pk", flat=True)
    assert set(kept) == {held[here].pk, held[administrator].pk}
    assert Assignment.objects.get(annotator=reopened).state == "done", "the answer stays"
    assert Event.objects.filter(verb="assignment.released").count() == 3
    assert release_left() == 0
    assert claim_next(batch=batch, annotator=join(project, Role.ANNOTATOR)) is not None


@pytest.mark.django_db
def test_release_puts_a_task_back_once():
    project = hotel(prompts=1)
    batch, hana = batch_of(project), join(project, Role.ANNOTATOR)
    held = claim_next(batch=batch, annotator=hana)
    release(assignment=held, actor=hana)
    assert (held.state, held.annotator_id, held.leased_until) == ("free", None, None)
    with pytest.raises(Conflict):
        release(assignment=held, actor=hana)


@pytest.mark.django_db
def test_a_closed_batch_hands_out_nothing_but_keeps_what_is_in_hand():
    project = hotel(prompts=2)
    batch, hana, ken = batch_of(project), join(project, Role.ANNOTATOR), join(project, Role.ANNOTATOR)
    held = claim_next(batch=batch, annotator=hana)
    close_batch(batch=batch, actor=None)
    assert claim_next(batch=batch, annotator=ken) is None
    assert claim_next(batch=batch, annotator=hana).pk == held.pk
    submit(assignment=held, payload=ANSWER)
    assert claim_next(batch=batch, annotator=hana) is None


@pytest.mark.django_db(transaction=True)
def test_sixteen_at_once_fill_every_slot_once_though_some_die():
    """Real connections: some workers vanish holding a task, some fall over inside their transaction."""
    project = hotel(prompts=60)
    batch = batch_of(project, overlap=3)
    people = [join(project, Role.ANNOTATOR) for _ in range(16)]
    acknowledged: list[tuple[int, int]] = []
    failures: list[BaseException] = []

    class Died(Exception):
        pass

    def work(person, number):
        chance = random.Random(number)
        idle = 0
        try:
            while idle < 60:
                assignment = claim_next(batch=batch, annotator=person)
                if assignment is None:
                    if not Assignment.objects.filter(batch=batch, state__in=["free", "held"]).exists():
                        return
                    idle += 1
                    threading.Event().wait(0.02)
                    continue
                fate = chance.random()
                if fate < 0.08:  # gone for good holding a task: the lease runs out
                    run_out(assignment)
                    continue
                if fate < 0.16:  # killed inside the transaction: nothing was acknowledged, nothing is kept
                    with contextlib.suppress(Died), transaction.atomic():
                        submit(assignment=assignment, payload=ANSWER, annotator=person)
                        raise Died
                    connection.close()
                    continue
                try:
                    submit(assignment=assignment, payload=ANSWER, annotator=person)
                except Conflict:
                    continue
                acknowledged.append((person.pk, assignment.task_id))
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(person, number)) for number, person in enumerate(people)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    done = Assignment.objects.filter(batch=batch, state="done")
    assert done.count() == 180
    assert not Assignment.objects.filter(batch=batch).exclude(state="done").exists()
    assert set(Counter(done.values_list("task", flat=True)).values()) == {3}
    answers = Counter(Annotation.objects.filter(is_current=True).values_list("annotator", "task"))
    assert set(answers.values()) == {1}
    assert answers == Counter(acknowledged)


@pytest.mark.django_db(transaction=True)
def test_one_person_in_two_tabs_gets_one_task():
    project = hotel(prompts=8)
    batch, hana = batch_of(project), join(project, Role.ANNOTATOR)
    got, gate = [], threading.Barrier(6)

    def open_tab():
        gate.wait()
        got.append(claim_next(batch=batch, annotator=hana).pk)
        connection.close()

    tabs = [threading.Thread(target=open_tab) for _ in range(6)]
    for tab in tabs:
        tab.start()
    for tab in tabs:
        tab.join(30)
    assert len(got) == 6
    assert len(set(got)) == 1


@pytest.mark.django_db
def test_a_lease_begins_again_when_the_clock_was_set_back():
    project = hotel()
    batch, hana = batch_of(project), join(project, Role.ANNOTATOR)
    held = claim_next(batch=batch, annotator=hana)
    ahead, lease = timezone.now() + timedelta(hours=2), timedelta(minutes=project.lease_minutes)
    Assignment.objects.filter(pk=held.pk).update(claimed_at=ahead, leased_until=ahead + lease)
    assert expire_leases() == 0
    held.refresh_from_db()
    assert (held.state, held.annotator_id) == (Assignment.State.HELD, hana.pk), "still in progress"
    assert timezone.now() < held.leased_until <= timezone.now() + lease
    assert held.claimed_at <= timezone.now()
    until = held.leased_until
    expire_leases()
    held.refresh_from_db()
    assert held.leased_until == until, "once"


def move(assignment, ahead):
    """As if everything about this slot had been written while the clock was so far ahead."""
    Assignment.objects.filter(pk=assignment.pk).update(
        claimed_at=F("claimed_at") + ahead, leased_until=F("leased_until") + ahead
    )


@pytest.mark.django_db
def test_a_lease_that_was_renewed_while_the_clock_was_ahead_begins_again():
    project = hotel()
    batch, hana = batch_of(project), join(project, Role.ANNOTATOR)
    held = claim_next(batch=batch, annotator=hana)
    claimed, lease = held.claimed_at, timedelta(minutes=project.lease_minutes)
    # Claimed before; the clock was set a day ahead, a draft was saved, and the clock was set back.
    Assignment.objects.filter(pk=held.pk).update(leased_until=timezone.now() + timedelta(days=1) + lease)
    call_command("expire_leases")
    held.refresh_from_db()
    assert (held.state, held.annotator_id, held.claimed_at) == ("held", hana.pk, claimed)
    assert timezone.now() + lease - timedelta(minutes=1) < held.leased_until <= timezone.now() + lease


@pytest.mark.django_db
def test_a_lease_is_no_longer_than_the_project_says_now():
    project = hotel()
    batch, hana = batch_of(project), join(project, Role.ANNOTATOR)
    held = claim_next(batch=batch, annotator=hana)
    Project.objects.filter(pk=project.pk).update(lease_minutes=5)
    expire_leases()
    held.refresh_from_db()
    assert held.leased_until <= timezone.now() + timedelta(minutes=5)


@pytest.mark.django_db
def test_a_far_lease_is_found_by_whoever_asks_for_a_task_where_no_worker_runs():
    project = hotel(prompts=1)
    batch, hana, ken = batch_of(project), join(project, Role.ANNOTATOR), join(project, Role.ANNOTATOR)
    held = claim_next(batch=batch, annotator=hana)
    move(held, timedelta(days=1))
    assert claim_next(batch=batch, annotator=ken) is None
    held.refresh_from_db()
    assert held.leased_until <= timezone.now() + timedelta(minutes=project.lease_minutes)
    run_out(held)
    assert claim_next(batch=batch, annotator=ken).pk == held.pk


@pytest.mark.django_db
@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(days=3)])
def test_what_a_manager_assigned_keeps_its_day(ahead):
    project = hotel()
    batch, hana = batch_of(project), join(project, Role.ANNOTATOR)
    slot = assign(task=Task.objects.get(batch=batch, position=2), annotator=hana, actor=join(project, Role.MANAGER))
    move(slot, ahead)
    for _ in range(2):
        expire_leases()
    slot.refresh_from_db()
    day = timedelta(days=1)
    assert timezone.now() + day - timedelta(minutes=1) < slot.leased_until <= timezone.now() + day
    assert slot.claimed_at <= timezone.now()
    # Opened, it has the usual lease, and only that one is repaired to.
    claim_next(batch=batch, annotator=hana)
    Assignment.objects.filter(pk=slot.pk).update(leased_until=timezone.now() + timedelta(hours=20))
    expire_leases()
    slot.refresh_from_db()
    assert slot.leased_until <= timezone.now() + timedelta(minutes=project.lease_minutes)
