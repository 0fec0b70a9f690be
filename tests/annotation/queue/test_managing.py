"""A manager in the queue: giving a task, taking tasks back, changing a batch; the rules of claiming hold for them.

Mio manages; Hana and Ken annotate.
"""

import threading

import pytest
from django.db import connection
from django.urls import reverse
from lxml import html

from annotation.answers.submission import save_draft, skip, submit
from annotation.core.errors import Conflict, InvalidInput
from annotation.members.memberships import remove_member
from annotation.models import (
    Assignment,
    Batch,
    Candidate,
    Draft,
    Event,
    Kind,
    Membership,
    Project,
    Qualification,
    QualificationAttempt,
    Role,
    Task,
)
from annotation.qualification.attempts import start_attempt
from annotation.queue.batch_changes import change_batch
from annotation.queue.batches import close_batch
from annotation.queue.claims import claim_next
from annotation.queue.manual_assignment import assign, release_all
from tests.annotation.helpers import batch_of, hotel
from tests.factories import AspectFactory, CandidateFactory, UserFactory, join

ANSWER = {"choice": "tie", "chosen": None, "shown": [], "strength": None, "reasons": []}


@pytest.fixture
def project(db):
    return hotel(prompts=4)


@pytest.fixture
def mio(project):
    return join(project, Role.MANAGER, name="Mio")


@pytest.fixture
def hana(project):
    return join(project, Role.ANNOTATOR, name="Hana")


@pytest.fixture
def ken(project):
    return join(project, Role.ANNOTATOR, name="Ken")


def task_at(batch, position):
    return Task.objects.get(batch=batch, position=position)


# ---- giving a task ----


def test_a_given_task_comes_next_and_is_kept_for_a_day(project, mio, hana, ken):
    batch = batch_of(project)
    slot = assign(task=task_at(batch, 3), annotator=hana, actor=mio)
    assert (slot.state, slot.annotator) == ("held", hana)
    assert (slot.leased_until - slot.claimed_at).days == 1
    assert [claim_next(batch=batch, annotator=ken).position] == [1]
    mine = claim_next(batch=batch, annotator=hana)
    assert mine.pk == slot.pk
    assert (mine.leased_until - slot.claimed_at).days == 0, "opening it begins the usual lease"
    event = Event.objects.get(verb="assignment.assigned")
    assert (event.actor, event.object_id, event.after["annotator"]) == (mio, slot.pk, hana.pk)
    submit(assignment=mine, payload=ANSWER)
    assert claim_next(batch=batch, annotator=hana).position == 2


def test_who_has_a_task_in_hand_is_refused_or_it_goes_back_with_its_draft_kept(project, mio, hana):
    batch = batch_of(project)
    present = claim_next(batch=batch, annotator=hana)
    save_draft(assignment=present, payload=ANSWER)
    with pytest.raises(Conflict, match="Hana is working on task 1 of this batch"):
        assign(task=task_at(batch, 2), annotator=hana, actor=mio)
    slot = assign(task=task_at(batch, 2), annotator=hana, actor=mio, instead=True)
    assert claim_next(batch=batch, annotator=hana).pk == slot.pk
    assert Draft.objects.get().task_id == present.task_id
    # The page of the first is still open: what is sent from it counts.
    submit(assignment=present, payload=ANSWER, annotator=hana)
    assert Assignment.objects.filter(annotator=hana, state="done", task=present.task_id).exists()


def test_the_rules_of_claiming_hold(project, mio, hana, ken):
    batch = batch_of(project, overlap=2)
    first = claim_next(batch=batch, annotator=hana)
    with pytest.raises(Conflict, match="Hana is already working on this task"):
        assign(task=first.task, annotator=hana, actor=mio, instead=True)
    submit(assignment=first, payload=ANSWER)
    with pytest.raises(Conflict, match="Hana has already answered this task"):
        assign(task=first.task, annotator=hana, actor=mio)
    second = claim_next(batch=batch, annotator=hana)
    skip(assignment=second, reason="unclear")
    with pytest.raises(Conflict, match="Hana has skipped this task"):
        assign(task=second.task, annotator=hana, actor=mio)
    task = task_at(batch, 4)
    Candidate.objects.filter(pk=task.candidate_ids[0]).update(origin=f"human:{hana.pk}")
    with pytest.raises(Conflict, match="may not judge it"):
        assign(task=task, annotator=hana, actor=mio)
    assign(task=task, annotator=ken, actor=mio)
    stranger = UserFactory(name="Rin")
    with pytest.raises(Conflict, match="Rin is no longer a member"):
        assign(task=task, annotator=stranger, actor=mio)
    close_batch(batch=batch, actor=mio)
    with pytest.raises(Conflict, match="closed"):
        assign(task=task_at(batch, 3), annotator=hana, actor=mio)


def test_the_test_and_texts_seen_elsewhere_hold_too(project, mio, hana):
    test = Qualification.objects.create(project=project, name="Politeness", kind=Kind.CHOOSING, seed=1)
    batch = batch_of(project, qualification=test)
    task = task_at(batch, 1)
    with pytest.raises(Conflict, match="has not passed the test"):
        assign(task=task, annotator=hana, actor=mio)
    QualificationAttempt.objects.create(qualification=test, user=hana, number=1, passed=True)
    other = batch_of(project)
    seen = Task.objects.get(batch=other, prompt=task.prompt)
    assign(task=seen, annotator=hana, actor=mio)
    Project.objects.filter(pk=project.pk).update(avoid_seen=True)
    with pytest.raises(Conflict, match="in another batch"):
        assign(task=task, annotator=hana, actor=mio)


def test_no_slot_is_made_for_it(project, mio, hana, ken):
    batch = batch_of(project)
    assign(task=task_at(batch, 1), annotator=hana, actor=mio)
    with pytest.raises(Conflict, match="answered or claimed"):
        assign(task=task_at(batch, 1), annotator=ken, actor=mio)
    assert Assignment.objects.filter(task=task_at(batch, 1)).count() == 1


def at_once(*actions):
    """Run these at one moment, each on a connection of its own; what they returned or raised."""
    gate, results = threading.Barrier(len(actions)), [None] * len(actions)

    def run(at, action):
        try:
            gate.wait(10)
            results[at] = action()
        except Conflict as conflict:
            results[at] = conflict
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(actions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return results


def world():
    project = hotel(prompts=3)
    people = [join(project, Role.ANNOTATOR, name=name) for name in ("Hana", "Ken")]
    return project, batch_of(project), join(project, Role.MANAGER, name="Mio"), people


@pytest.mark.django_db(transaction=True)
def test_two_managers_give_one_slot_and_one_of_them_is_told():
    _project, batch, mio, (hana, ken) = world()
    task = task_at(batch, 1)
    for _ in range(5):
        results = at_once(
            lambda: assign(task=task, annotator=hana, actor=mio), lambda: assign(task=task, annotator=ken, actor=mio)
        )
        assert sorted(type(result).__name__ for result in results) == ["Assignment", "Conflict"]
        held = Assignment.objects.get(state="held")
        release_all(project=batch.project, annotator=held.annotator, actor=mio)


@pytest.mark.django_db(transaction=True)
def test_two_slots_of_a_task_go_to_two_people_at_once():
    project, _batch, mio, (hana, ken) = world()
    batch = batch_of(project, overlap=2)
    task = task_at(batch, 1)
    results = at_once(
        lambda: assign(task=task, annotator=hana, actor=mio), lambda: assign(task=task, annotator=ken, actor=mio)
    )
    assert {result.annotator_id for result in results} == {hana.pk, ken.pk}


@pytest.mark.django_db(transaction=True)
def test_two_tasks_for_one_person_and_a_claim_of_their_own_are_one_in_hand():
    _project, batch, mio, (hana, _ken) = world()
    for _ in range(5):
        results = at_once(
            lambda: assign(task=task_at(batch, 2), annotator=hana, actor=mio),
            lambda: assign(task=task_at(batch, 3), annotator=hana, actor=mio),
            lambda: claim_next(batch=batch, annotator=hana),
        )
        held = Assignment.objects.get(state="held")
        assert results[2].pk == held.pk, "what they are shown is what they hold"
        assert sum(isinstance(result, Conflict) for result in results[:2]) >= 1
        release_all(project=batch.project, annotator=hana, actor=mio)


@pytest.mark.django_db(transaction=True)
def test_nobody_who_is_removed_at_this_moment_keeps_a_given_task():
    project, batch, mio, (hana, _ken) = world()
    membership = Membership.objects.get(project=project, user=hana)
    at_once(
        lambda: assign(task=task_at(batch, 1), annotator=hana, actor=mio),
        lambda: remove_member(membership=membership, actor=mio),
    )
    assert not Membership.objects.filter(user=hana).exists()
    assert not Assignment.objects.filter(state="held").exists()


# ---- taking back ----


def test_all_that_somebody_holds_goes_back_and_nothing_of_others_or_other_projects(project, mio, hana, ken):
    one, two = batch_of(project), batch_of(project, Kind.WRITING)
    elsewhere = hotel(prompts=1)
    Membership.objects.create(project=elsewhere, user=hana, role=Role.ANNOTATOR)
    for batch in (one, two, batch_of(elsewhere)):
        claim_next(batch=batch, annotator=hana)
    claim_next(batch=one, annotator=ken)
    assert release_all(project=project, annotator=hana, actor=mio) == 2
    assert release_all(project=project, annotator=hana, actor=mio) == 0
    left = Assignment.objects.filter(state="held").values_list("annotator", "batch__project")
    assert set(left) == {(hana.pk, elsewhere.pk), (ken.pk, project.pk)}
    assert Event.objects.filter(verb="assignment.released", actor=mio, before__annotator=hana.pk).count() == 2


def test_a_member_who_leaves_gives_back_what_they_hold(project, mio, hana):
    batch = batch_of(project)
    claim_next(batch=batch, annotator=hana)
    remove_member(membership=Membership.objects.get(project=project, user=hana), actor=mio)
    assert not Assignment.objects.filter(state="held").exists()


# ---- changing a batch ----


def test_a_change_is_remembered_and_priority_reaches_what_is_still_to_do(project, mio, hana):
    batch = batch_of(project)
    done = claim_next(batch=batch, annotator=hana)
    submit(assignment=done, payload=ANSWER)
    held = claim_next(batch=batch, annotator=hana)
    change_batch(batch=batch, actor=mio, name="  Lobby,  first ", priority=7, qualification=None)
    batch.refresh_from_db()
    assert (batch.name, batch.priority) == ("Lobby, first", 7)
    assert set(Assignment.objects.filter(state="free").values_list("priority", flat=True)) == {7}
    held.refresh_from_db()
    assert held.priority == 7, "it may come back to the queue"
    event = Event.objects.get(verb="batch.changed")
    assert (event.before, event.after["priority"]) == ({"name": "choosing batch", "priority": 0}, 7)
    change_batch(batch=batch, actor=mio, name="Lobby, first", priority=7, qualification=None)
    assert Event.objects.filter(verb="batch.changed").count() == 1, "no change, no event"
    with pytest.raises(InvalidInput) as refused:
        change_batch(batch=batch, actor=mio, name=" ", priority=5000, qualification=None)
    assert [field for field, _ in refused.value.problems] == ["name", "priority"]


def test_a_test_that_is_added_later_asks_at_the_next_task(project, mio, hana):
    batch = batch_of(project)
    held = claim_next(batch=batch, annotator=hana)
    test = Qualification.objects.create(project=project, name="Politeness", kind=Kind.CHOOSING, seed=1)
    change_batch(batch=batch, actor=mio, name=batch.name, priority=0, qualification=test)
    batch.refresh_from_db()
    assert claim_next(batch=batch, annotator=hana).pk == held.pk
    submit(assignment=held, payload=ANSWER)
    assert claim_next(batch=batch, annotator=hana) is None
    assert start_attempt(qualification=test, user=hana)
    for wrong in (
        Qualification.objects.create(project=project, name="Scores", kind=Kind.SCORING, seed=1),
        Qualification.objects.create(project=hotel(prompts=0), name="Elsewhere", kind=Kind.CHOOSING, seed=1),
    ):
        with pytest.raises(InvalidInput, match="of this project"):
            change_batch(batch=batch, actor=mio, name=batch.name, priority=0, qualification=wrong)
    change_batch(batch=batch, actor=mio, name=batch.name, priority=0, qualification=None)
    assert claim_next(batch=batch, annotator=hana) is not None


# ---- the pages ----


def test_the_batch_page_shows_what_is_in_hand_and_its_buttons_work(sign_in, project, mio, hana, ken):
    batch = batch_of(project)
    claim_next(batch=batch, annotator=hana)
    client, address = sign_in(mio), reverse("batch", args=[batch.pk])
    page = client.get(address).content.decode()
    assert "1 task in progress" in page
    page = client.get(reverse("task", args=[task_at(batch, 2).pk])).content.decode()
    assert "Hana (working on task 1)" in page
    give = reverse("task_give", args=[task_at(batch, 2).pk])
    done = client.post(give, {"annotator": ken.pk}, follow=True).content.decode()
    assert "Task 2 is the next that Ken gets" in done
    assert client.post(give, {"annotator": ken.pk}).url == f"{address}#task-{task_at(batch, 2).pk}"
    said = {
        "Hana is working on task 1 of this batch": (3, {"annotator": hana.pk}),
        "Task 3 is the next that Hana gets": (3, {"annotator": hana.pk, "instead": "on"}),
        "Choose a member of the project.": (4, {"annotator": UserFactory().pk}),
        "Choose a member of the project. ": (4, {"annotator": "nobody"}),
    }
    for words, (position, data) in said.items():
        url = reverse("task_give", args=[task_at(batch, position).pk])
        assert words.strip() in client.post(url, data, follow=True).content.decode()
    back = reverse("batch_release_person", args=[batch.pk])
    for words in ("1 task of Ken is back in the queue.", "This person no longer holds any task."):
        assert words in client.post(back, {"annotator": ken.pk}, follow=True).content.decode()
    page = sign_in(join(project, Role.REVIEWER)).get(address).content.decode()
    assert "Hana" in page
    assert "Assign to" not in page
    assert ">Release<" not in page


def test_a_task_of_somebody_who_left_is_named_so(sign_in, project, mio, hana):
    batch = batch_of(project)
    claim_next(batch=batch, annotator=hana)
    hana.is_active = False
    hana.save()
    page = sign_in(mio).get(reverse("batch", args=[batch.pk])).content.decode()
    assert "has left" in page
    page = sign_in(mio).get(reverse("task", args=[task_at(batch, 2).pk])).content.decode()
    assert f'<option value="{hana.pk}">' not in page


def test_a_batch_is_changed_on_its_page_and_faults_are_shown_there(sign_in, project, mio, hana):
    batch = batch_of(project)
    test = Qualification.objects.create(project=project, name="Politeness", kind=Kind.CHOOSING, seed=1)
    Qualification.objects.create(project=project, name="Scores", kind=Kind.SCORING, seed=1)
    client, address = sign_in(mio), reverse("batch_change", args=[batch.pk])
    page = client.get(reverse("batch", args=[batch.pk])).content.decode()
    assert f'<option value="{test.pk}">Politeness' in page
    assert "Scores" not in page
    data = {"name": "Lobby", "priority": "3", "qualification": str(test.pk)}
    page = client.post(address, data, follow=True).content.decode()
    assert "<bdi>Lobby</bdi>: 0 of 4 answers" in page
    assert "Required test:" in page
    refused = client.post(address, data | {"name": "", "priority": "1001"})
    assert refused.status_code == 422
    assert "less than or equal to 1000" in refused.content.decode()
    page, refusal = (html.fromstring(text).get_element_by_id("change") for text in (page, refused.content.decode()))
    assert page.get("open") is None
    assert refusal.get("open") is not None, "what is to be fixed is in sight"
    assert page.xpath("following::*[@id='tasks']"), "above the tasks"
    assert sign_in(hana).post(address, data).status_code == 404
    assert Batch.objects.get().qualification == test


def test_a_batch_is_opened_with_several_texts_a_task_and_a_test(sign_in, project, mio):
    for number, prompt in enumerate(project.prompts.all()):
        CandidateFactory(prompt=prompt, text=f"お静かなお部屋{number}を。", origin="checkpoint:9")
    test = Qualification.objects.create(project=project, name="Politeness", kind=Kind.CHOOSING, seed=1)
    scores = Qualification.objects.create(project=project, name="Scores", kind=Kind.SCORING, seed=1)
    client, address = sign_in(mio), reverse("batch_new", args=[project.slug])
    assert "Politeness" in client.get(address).content.decode()
    data = {
        "name": "Three",
        "kind": "choosing",
        "overlap": "1",
        "which": "all",
        "priority": "0",
        "alternatives": "3",
        "qualification": str(test.pk),
    }
    for wrong, said in (
        ({"alternatives": "1"}, "Choosing takes at least two"),
        ({"alternatives": "7"}, "less than or equal to 6"),
        ({"qualification": str(scores.pk)}, "of another kind than the batch"),
        ({"qualification": "77"}, "valid choice"),
    ):
        refused = client.post(address, data | wrong)
        assert refused.status_code == 422
        assert said in refused.content.decode()
    assert not Batch.objects.exists()
    client.post(address, data)
    batch = Batch.objects.get()
    assert (batch.alternatives, batch.qualification) == (3, test)
    assert {len(task.candidate_ids) for task in batch.tasks.all()} == {3}
    client.post(address, data | {"kind": "writing", "name": "W", "qualification": ""})
    assert Batch.objects.get(name="W").alternatives == 1


def test_scoring_several_side_by_side(sign_in, project, mio):
    AspectFactory(project=project)
    data = {"name": "Two", "kind": "scoring", "overlap": "1", "which": "all", "priority": "0", "alternatives": "2"}
    sign_in(mio).post(reverse("batch_new", args=[project.slug]), data)
    assert {len(task.candidate_ids) for task in Batch.objects.get().tasks.all()} == {2}
