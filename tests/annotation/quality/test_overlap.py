"""Adaptive overlap: tasks whose annotators differ, or whose label is unsure, get one more annotator; others do not."""

from dataclasses import replace

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from annotation.answers.exclusions import exclude_person, withdraw_prompt
from annotation.answers.reopening import reopen_submission
from annotation.answers.submission import submit
from annotation.kinds import show
from annotation.members.accounts import BACKEND
from annotation.models import Annotation, Assignment, Batch, Candidate, Event, Kind, Role, TaskCheck
from annotation.quality import run, source
from annotation.quality.doubt import TaskDoubts, task_doubts
from annotation.quality.labels import labels_of
from annotation.quality.material import Check
from annotation.quality.overlap import judge
from annotation.quality.run import assess, covers_of, newest
from annotation.queue.batches import close_batch, reopen_batch
from annotation.queue.claims import claim_next
from annotation.queue.overlap import Tasks, adaptive_tasks
from annotation.queue.progress import project_progress
from annotation.reviewing.adjudication import adjudicate
from annotation.reviewing.verdicts import accept
from tests.annotation.checks.helpers import answer_all, batch_with, gold_in
from tests.annotation.helpers import ONE, batch_of, hotel, plan_of
from tests.annotation.quality.test_labels import choice, line, material
from tests.factories import join

pytestmark = pytest.mark.django_db


def client_of(person):
    client = Client()
    client.force_login(person, backend=BACKEND)
    return client


def text_of(page):
    return " ".join(page.content.decode().split()).replace("\u2068", "").replace("\u2069", "")


def polite_side(slot):
    shown = [side.candidate for side in show(slot).sides]
    origins = dict(Candidate.objects.filter(pk__in=shown).values_list("pk", "origin"))
    return next(at for at, key in enumerate(shown) if origins[key] == ONE)


def work(person, batch, *, rude=()):
    """Answer by HTTP until nothing is left: the polite text, but in the tasks at the positions `rude`. Returns the
    positions that were answered and the last page."""
    client, answered = client_of(person), []
    while True:
        page = client.get(reverse("work", args=[batch.pk]))
        slot = page.context.get("assignment")
        if slot is None:
            return answered, text_of(page)
        side = polite_side(slot) ^ (slot.task.position in rude)
        sent = client.post(reverse("submit", args=[slot.pk]), {"choice": "ab"[side]})
        assert sent.status_code == 302
        answered.append(slot.task.position)


def slots_of(batch):
    """By position: how many slots the task has that were not skipped."""
    rows = Assignment.objects.filter(batch=batch).exclude(state="skipped").values_list("task__position", flat=True)
    found: dict[int, int] = {}
    for position in rows:
        found[position] = found.get(position, 0) + 1
    return found


@pytest.fixture
def project():
    return hotel(prompts=6, slug="hotel", held_out_share=0)


def test_agreed_tasks_stop_and_divided_ones_get_a_third_annotator(project, capsys):
    ann, ben, cal = (join(project, Role.ANNOTATOR, name=name) for name in ("Ann", "Ben", "Cal"))
    manager = client_of(join(project, Role.MANAGER))
    options = ["--overlap", "2", "--overlap-most", "3", "--sure", "0.9"]
    call_command("open_batch", "hotel", "choosing", *options)
    printed = capsys.readouterr().out
    assert "6 tasks × 2 to 3 annotators = 12 to 18 answers." in printed
    assert "6 tasks, overlap 2 to 3" in printed
    batch = Batch.objects.get()
    assert (batch.overlap, batch.overlap_most, batch.sure) == (2, 3, 0.9)
    work(ann, batch)
    plan = plan_of(batch, None)
    assert "12–18" in text_of(manager.get(reverse("kept_plan", args=["hotel", plan.pk])))
    dashboard = text_of(manager.get(reverse("dashboard", args=["hotel"])))
    assert "Adaptive overlap may ask for up to 6 more answers" in dashboard
    work(ben, batch, rude=(2, 5))
    # All answers are there, and nobody calls it complete before they were analysed.
    for name in ("project", "dashboard"):
        page = text_of(manager.get(reverse(name, args=["hotel"])))
        assert "2 to 3 annotators per task" in page or name == "dashboard"
        assert "the next analysis says which tasks get one more" in page
        assert "is complete" not in page
    assert "waiting for analysis" in text_of(manager.get(reverse("project", args=["hotel"])))
    assert "complete" not in text_of(manager.get(reverse("home")))
    page = text_of(manager.get(reverse("batch", args=[batch.pk])))
    assert "12 of 12 answers" in page
    assert "The next analysis, within minutes, says which tasks get one more." in page
    answered, page = work(cal, batch)
    assert answered == []
    assert "tasks whose annotators differ may get one more" in page
    capsys.readouterr()
    call_command("analyse", "hotel")
    assert "2 tasks of 6 get one more annotator; 0 unsure with nobody left" in capsys.readouterr().out
    (event,) = Event.objects.filter(verb="batch.extended")
    assert event.after == {"added": 2, "nobody_left": 0, "calibrated": False}
    call_command("analyse", "hotel")
    assert slots_of(batch) == {1: 2, 2: 3, 3: 2, 4: 2, 5: 3, 6: 2}, "twice is the same as once"
    page = text_of(manager.get(reverse("batch", args=[batch.pk])))
    assert "12 of 14 answers" in page
    assert "only 0 of 50 gold pairs have answers" in page
    answered, page = work(cal, batch)
    assert sorted(answered) == [2, 5]
    assert "Within minutes" in page
    call_command("analyse", "hotel")
    (progress,) = project_progress(project)
    assert progress.is_complete
    assert (progress.total, progress.more, progress.batch.saved) == (14, 0, 4)
    assert "Every task has as many answers as it needs: 14 in total" in work(cal, batch)[1]
    page = text_of(manager.get(reverse("batch", args=[batch.pk])))
    assert "6 of 6 tasks need no more; labels saved: 4 of 18." in page
    page = text_of(manager.get(reverse("quality", args=["hotel"])))
    assert "What adaptive overlap saved" in page
    assert "4 of 18" in page
    assert "22%" in page.replace(" %", "%")
    table = manager.get(reverse("quality_file", args=["hotel"])).content.decode()
    assert "adaptive overlap,,,,Choosing,saved,4,,,6," in table
    assert Event.objects.filter(verb="batch.extended").count() == 1


def test_the_form_opens_one_and_says_what_is_refused(project):
    client = client_of(join(project, Role.MANAGER))
    for _ in range(2):
        join(project, Role.ANNOTATOR)
    address = reverse("batch_new", args=["hotel"])
    form = {"name": "Pairs", "kind": "choosing", "overlap": "2", "overlap_most": "5", "sure": "0.9", "which": "without"}
    form |= {"priority": "0", "seed": "7"}
    page = text_of(client.post(address, {**form, "action": "preview"}))
    assert "6 tasks × 2 to 5 annotators = 12 to 30 answers." in page
    assert "Only 3 people may work on this batch" in page
    for changes, reason in (
        ({"overlap": "1"}, "at least 2 annotators per task"),
        ({"overlap_most": "2"}, "must be 3 to 50"),
        ({"sure": "1.2"}, "0.999"),
        ({"kind": "scoring"}, "Only choosing can have adaptive overlap"),
    ):
        page = client.post(address, {**form, **changes})
        assert (page.status_code, Batch.objects.count()) == (422, 0)
        assert reason in text_of(page)
    for _ in range(2):
        assert client.post(address, form).status_code == 302
    batch = Batch.objects.get()
    assert (batch.overlap, batch.overlap_most, batch.sure) == (2, 5, 0.9)
    assert client.post(address, {**form, "overlap_most": "", "seed": "8", "which": "all"}).status_code == 302
    assert Batch.objects.latest("pk").overlap_most is None
    for options in (
        ["--overlap", "1", "--overlap-most", "3"],
        ["--sure", "0.9"],
        ["--overlap", "3", "--overlap-most", "3"],
    ):
        with pytest.raises(CommandError):
            call_command("open_batch", "hotel", "choosing", "--which", "all", *options)


@pytest.fixture
def divided(project):
    """(project, batch, people): two of three annotators differ on all six tasks."""
    batch = batch_of(project, Kind.CHOOSING, overlap=2, overlap_most=3)
    people = [join(project, Role.ANNOTATOR) for _ in range(3)]
    for person, side in zip(people[:2], (0, 1), strict=True):
        while slot := claim_next(batch=batch, annotator=person):
            submit(assignment=slot, payload=choice(slot.task.candidate_ids, slot.task.candidate_ids[side], 1))
    return project, batch, people


def test_tasks_that_are_decided_withdrawn_reopened_or_closed_get_none(divided):
    project, batch, people = divided
    tasks = list(batch.tasks.order_by("position"))
    reviewer = join(project, Role.REVIEWER)
    adjudicate(task=tasks[0], adjudicator=reviewer, cause="style")
    withdraw_prompt(prompt=tasks[1].prompt, actor=None, reason="Broken")
    opened = Annotation.objects.get(task=tasks[2], annotator=people[1])
    slot = reopen_submission(annotation=opened, actor=people[1])
    close_batch(batch=batch, actor=None)
    closed = covers_of([project.pk])
    assess(project)
    assert set(slots_of(batch).values()) == {2}
    reopen_batch(batch=batch, actor=None)
    assert covers_of([project.pk]) != closed, "an analysis is due"
    assess(project)
    assert slots_of(batch) == {1: 2, 2: 2, 3: 2, 4: 3, 5: 3, 6: 3}
    # The author of the third has come to agree.
    submit(assignment=slot, payload=Annotation.objects.get(task=tasks[2], annotator=people[0]).payload)
    assess(project)
    assert slots_of(batch)[3] == 2
    (row,) = newest(project).result["adaptive"]
    assert (row["tasks"], row["settled"], row["saved"]) == (5, 2, 2)


def test_an_answer_that_waits_for_review_is_waited_for_and_an_excluded_one_is_replaced(divided):
    project, batch, people = divided
    reviewer = join(project, Role.REVIEWER)
    batch.requires_review = True
    batch.save()
    assess(project)
    assert set(slots_of(batch).values()) == {2}
    assert project_progress(project)[0].awaits_analysis
    task = batch.tasks.get(position=4)
    for answer in Annotation.objects.filter(task=task):
        accept(annotation=answer, reviewer=reviewer)
    assess(project)
    assert slots_of(batch)[4] == 3
    batch.requires_review = False
    batch.save()
    exclude_person(project=project, annotator=people[1], reason="Random answers", actor=None)
    assess(project)
    assert set(slots_of(batch).values()) == {3}, "one answer counts, and two are asked for at least"


def test_no_slot_is_added_that_nobody_can_fill(divided):
    project, batch, people = divided
    for membership in project.memberships.exclude(user__in=people[:2]):
        membership.delete()
    assess(project)
    assert set(slots_of(batch).values()) == {2}
    assert newest(project).result["adaptive"][0]["nobody_left"] == 6
    manager = client_of(people[0])
    people[0].memberships.update(role=Role.MANAGER)
    assert "6 tasks are unsure, but nobody is left" in text_of(manager.get(reverse("batch", args=[batch.pk])))
    before = covers_of([project.pk])
    join(project, Role.ANNOTATOR)
    assert covers_of([project.pk]) != before
    assess(project)
    assert set(slots_of(batch).values()) == {3}


def test_with_gold_the_calibrated_probability_decides(monkeypatch):
    """Of 56 tasks 50 are gold. Ann errs in every seventh, Ben in every fifth; Cal is a third for the unsure."""
    project = hotel(prompts=56, held_out_share=0)
    batch = batch_of(project, Kind.CHOOSING, overlap=2, overlap_most=3, sure=0.9)
    ann, ben, _cal = (join(project, Role.ANNOTATOR, name=name) for name in ("Ann", "Ben", "Cal"))
    tasks = list(batch.tasks.order_by("position"))
    for person in (ann, ben):
        while slot := claim_next(batch=batch, annotator=person):
            shown = slot.task.candidate_ids
            wrong = slot.task.position % (5 if person == ben else 7) == 0
            submit(assignment=slot, payload=choice(shown, shown[wrong], 1))
    gold = {task.pk: Check("gold", choice(task.candidate_ids, task.candidate_ids[0], 1)) for task in tasks[:50]}
    for module in (source, run):
        monkeypatch.setattr(module, "checked_tasks", lambda _project: gold)
    # Too few real tasks teach nothing of anybody: the gold tasks of another batch are real ones there.
    other = batch_of(project, Kind.CHOOSING, overlap=2)
    for person in (ann, ben):
        while slot := claim_next(batch=other, annotator=person):
            shown = slot.task.candidate_ids
            wrong = person == ben and slot.task.position % 4 == 0
            submit(assignment=slot, payload=choice(shown, shown[wrong], 1))
    assess(project)
    found = run.material(project)
    labels = labels_of(found)
    assert labels.calibrated is not None
    doubts = task_doubts(found, labels)
    least = dict(zip(doubts.task.tolist(), doubts.least.tolist(), strict=True))
    unsure = {task.position for task in tasks[50:] if least[task.pk] < 0.9}
    assert {position for position, slots in slots_of(batch).items() if slots == 3} == unsure
    assert 0 < len(unsure) < 6
    (event,) = Event.objects.filter(verb="batch.extended")
    assert event.after == {"added": len(unsure), "nobody_left": 0, "calibrated": True}
    manager = client_of(join(project, Role.MANAGER))
    page = text_of(manager.get(reverse("batch", args=[batch.pk])))
    assert "while the calibrated probability of a label is below 90" in page
    assert f"{6 - len(unsure)} of 6 tasks need no more" in page


def test_a_batch_with_checks_is_complete_once_its_other_tasks_are_sure():
    project = hotel(prompts=6, held_out_share=0)
    prompts = list(project.prompts.values_list("pk", flat=True))
    gold_in(project, 2)
    batch = batch_with(project, prompts, overlap=2, gold=20)
    Batch.objects.filter(pk=batch.pk).update(overlap_most=3)
    checks = set(TaskCheck.objects.filter(batch=batch).values_list("task__position", flat=True))
    assert checks
    for best in (0, 1):  # they differ on every task, gold as well
        answer_all(batch, join(project, Role.ANNOTATOR), best)
    assess(project)
    slots = slots_of(batch)
    assert {position for position, count in slots.items() if count == 3} == set(slots) - checks
    answer_all(batch, join(project, Role.ANNOTATOR))
    assess(project)
    (progress,) = [item for item in project_progress(project) if item.batch.pk == batch.pk]
    assert progress.is_complete, (progress, progress.batch.assessed)
    assert newest(project).result["adaptive"][0]["tasks"] == len(slots) - len(checks)


def test_two_answers_of_each_task_count(divided):
    project, _batch, _people = divided
    tasks = adaptive_tasks(project)
    assert tasks.answers.tolist() == tasks.counted.tolist() == [2] * 6
    assert not (tasks.open | tasks.waiting | tasks.decided | tasks.withdrawn).any()


# ---- without a database ----


def standing(count, **fields):
    flags = {name: np.zeros(count, dtype=bool) for name in ("open", "waiting", "decided", "withdrawn")}
    numbers = {"answers": np.full(count, 2), "counted": np.full(count, 2)}
    return Tasks(**{"task": np.arange(count), "batch": np.ones(count), **numbers, **flags} | fields)


def test_a_calibrated_probability_decides_and_an_uncalibrated_one_does_not():
    batch = Batch(pk=1, overlap=2, overlap_most=4, sure=0.9)
    least, divided = np.array([0.95, 0.8, 0.95, 0.8]), np.array([False, False, True, True])
    doubts = TaskDoubts(np.arange(4), np.full(4, 2), 1 - least, least, divided)
    found = judge(batch, standing(4), doubts, calibrated=True, checks=[])
    assert found.wanted == {1: 2, 3: 2}
    assert (found.settled, found.answers, found.saved, found.assessed) == (2, 4, 4, 8)
    assert judge(batch, standing(4), doubts, calibrated=False, checks=[]).wanted == {2: 2, 3: 2}
    full = standing(4, answers=np.full(4, 4), counted=np.full(4, 4))
    doubts = replace(doubts, answers=np.full(4, 4))
    assert judge(batch, full, doubts, calibrated=True, checks=[]).wanted == {}
    # An answer that came after the analysis read them, and a task that checks people.
    late = standing(4, counted=np.array([4, 3, 4, 4]))
    found = judge(batch, late, doubts, calibrated=True, checks=[3])
    assert (found.wanted, found.assessed, found.tasks) == ({}, 7, 3)


def test_all_bad_is_an_answer_of_its_own():
    texts = {task: {2 * task + 1: "alpha", 2 * task + 2: "beta"} for task in range(1, 4)}
    lines = []
    for task in texts:
        one, two = sorted(texts[task])
        lines.append(line(task, 7, choice([one, two], choice="both_bad") if task < 3 else choice([one, two], one)))
        lines.append(line(task, 8, choice([one, two], choice="both_bad") if task < 2 else choice([one, two], two)))
    found = material(lines, texts)
    doubts = task_doubts(found, labels_of(found))
    assert doubts.task.tolist() == [1, 2, 3]
    assert doubts.answers.tolist() == [2, 2, 2]
    assert doubts.divided.tolist() == [False, True, True]
    assert doubts.least.tolist() == [1, 0.5, 0.5]
    assert doubts.doubt.tolist() == [0, 0.5, 0.5]
