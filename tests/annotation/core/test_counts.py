"""The counts that triggers keep equal a recount after whatever happened, folded or not."""

import threading
from datetime import UTC, datetime
from itertools import cycle

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from annotation.answers.exclusions import lift_exclusion, withdraw_prompt
from annotation.answers.submission import skip, submit, undo_last
from annotation.answers.timesheets import time_sheet
from annotation.answers.worktime import Spent
from annotation.core import counts
from annotation.core.errors import InvalidInput
from annotation.importing.candidates import NewCandidate, add_candidates
from annotation.models import (
    Annotation,
    Assignment,
    Candidate,
    Kind,
    Prompt,
    PromptCount,
    Role,
    SlotCount,
    TimeSpent,
    WorkCount,
)
from annotation.projects.settings import create_project, update_project
from annotation.queue.claims import claim_next, release
from annotation.queue.progress import project_progress
from tests.annotation.helpers import batch_of, hotel
from tests.factories import join

pytestmark = pytest.mark.django_db
HELLO = {"text": "はい。"}


@pytest.fixture
def project():
    return hotel(prompts=5, slug="hotel")


def work(project, batch):
    """One answered and reopened, one answered, one skipped, one held."""
    kei, hana = join(project, Role.ANNOTATOR), join(project, Role.ANNOTATOR)
    spent = Spent(visit="visit-0001", active=1.5, idle=0.5)
    submit(assignment=claim_next(batch=batch, annotator=kei), payload=HELLO, spent=spent)
    submit(assignment=claim_next(batch=batch, annotator=kei), payload=HELLO)
    undo_last(annotator=kei, batch=batch)
    skip(assignment=claim_next(batch=batch, annotator=hana), reason="unclear")
    claim_next(batch=batch, annotator=hana)


def test_progress_counts_what_people_did_before_and_after_folding(project):
    batch = batch_of(project, Kind.WRITING, overlap=2)
    work(project, batch)
    for _ in range(2):
        (item,) = project_progress(project)
        assert (item.done, item.claimed, item.free, item.skipped, item.total) == (2, 1, 7, 1, 10)
        assert counts.differences() == []
        assert counts.fold_counts() > 0 or SlotCount.objects.filter(is_sum=False).count() == 0
    assert SlotCount.objects.count() == 5
    release(assignment=Assignment.objects.get(state="held", finished_at=None), actor=None)
    assert project_progress(project)[0].claimed == 0


def test_rows_that_are_moved_or_deleted_count_elsewhere_or_no_more(project):
    work(project, batch_of(project, Kind.WRITING, overlap=2))
    Annotation.objects.update(created_at=datetime(2026, 3, 10, 12, tzinfo=UTC))
    TimeSpent.objects.update(began_at=datetime(2026, 3, 10, 12, tzinfo=UTC))
    Assignment.objects.filter(state="skipped").update(finished_at=datetime(2026, 3, 11, tzinfo=UTC))
    assert counts.differences() == []
    TimeSpent.objects.all().delete()
    Annotation.objects.all().delete()
    Assignment.objects.all().delete()
    assert counts.differences() == []
    counts.fold_counts()
    assert (SlotCount.objects.count(), WorkCount.objects.count()) == (0, 0)


def test_the_slots_of_a_withdrawn_prompt_are_counted_apart(project):
    batch = batch_of(project, Kind.WRITING, overlap=2)
    prompt = claim_next(batch=batch, annotator=join(project, Role.ANNOTATOR)).task.prompt
    withdrawal = withdraw_prompt(prompt=prompt, reason="Not ours", actor=join(project, Role.MANAGER))
    (item,) = project_progress(project)
    assert (item.withdrawn, item.claimed, item.total) == (2, 0, 8)
    assert counts.differences() == []
    lift_exclusion(exclusion=withdrawal, actor=None)
    assert (project_progress(project)[0].withdrawn, project_progress(project)[0].total) == (0, 10)
    assert counts.differences() == []


def test_a_count_that_is_wrong_is_found_and_made_again(project, capsys):
    work(project, batch_of(project, Kind.WRITING))
    counts.fold_counts()
    call_command("rebuild_counts", "--check", "--project", "hotel")
    assert "Every count equals a recount." in capsys.readouterr().out
    SlotCount.objects.filter(state="done").update(slots=41)
    WorkCount.objects.update(active_seconds=3)
    with pytest.raises(CommandError, match="3 counts differ from a recount: run rebuild_counts without --check"):
        call_command("rebuild_counts", "--check")
    shown = capsys.readouterr().out
    assert "state done: stored slots 41; counted slots 1" in shown
    call_command("rebuild_counts")
    assert counts.differences() == []
    call_command("rebuild_counts", "--fold")
    for arguments in (["--project", "nowhere"], ["--fold", "--project", "hotel"]):
        with pytest.raises(CommandError):
            call_command("rebuild_counts", *arguments)


@pytest.mark.parametrize(("zone", "day", "hour"), [("UTC", 10, 20), ("Asia/Tokyo", 11, 5), ("Asia/Kathmandu", 11, 1)])
def test_a_day_is_the_projects(project, zone, day, hour):
    batch = batch_of(project, Kind.WRITING)
    kei = join(project, Role.ANNOTATOR)
    submit(assignment=claim_next(batch=batch, annotator=kei), payload=HELLO)
    Annotation.objects.update(created_at=datetime(2026, 3, 10, 20, tzinfo=UTC))
    update_project(project=project, actor=None, time_zone=zone)
    counts.fold_counts()
    (row,) = WorkCount.objects.all()
    assert (row.day.day, row.hour, row.answered) == (day, hour, 1)
    assert counts.differences() == []
    (line,) = time_sheet(projects=[project], since=row.day, until=row.day)
    assert line.figures.answered == 1


def test_a_zone_with_another_name_is_kept(project, settings):
    settings.TIME_ZONE = "Japan"
    other = create_project(
        name="Inn", goal="translation", source_language="en", target_language="ja", actor=None, slug="inn"
    )
    assert update_project(project=other, actor=None, name="The inn").time_zone == "Japan"
    with pytest.raises(InvalidInput, match="not a time zone"):
        update_project(project=other, actor=None, time_zone="Mars/Olympus")


@pytest.mark.django_db(transaction=True)
def test_folding_rebuilding_and_changing_the_zone_while_people_answer_loses_nothing():
    project = hotel(prompts=30)
    batch = batch_of(project, Kind.WRITING)
    people = [join(project, Role.ANNOTATOR) for _ in range(3)]
    at_work = threading.Event()
    failures = []

    def answer(person):
        try:
            while slot := claim_next(batch=batch, annotator=person):
                submit(assignment=slot, payload=HELLO, spent=Spent(visit=f"visit-{slot.pk:05}", active=0.1))
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    def tidy(action):
        try:
            while not at_work.is_set():
                action()
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    workers = [threading.Thread(target=answer, args=(person,)) for person in people]
    zones = cycle(["Asia/Tokyo", "America/Lima", "Asia/Kathmandu"])

    def change_zone():
        update_project(project=project, actor=None, time_zone=next(zones))

    actions = (counts.fold_counts, counts.rebuild_counts, change_zone)
    tidying = [threading.Thread(target=tidy, args=(action,)) for action in actions]
    for thread in [*workers, *tidying]:
        thread.start()
    for thread in workers:
        thread.join(60)
    at_work.set()
    for thread in tidying:
        thread.join(60)
    assert failures == []
    assert counts.differences() == []
    assert project_progress(project)[0].done == 30


def test_counts_of_prompts_and_candidates_equal_a_recount_after_every_change(project):
    other = hotel(prompts=2, slug="inn")
    prompts = list(Prompt.objects.filter(project=project).order_by("pk"))
    new = [
        NewCandidate(prompt_id=prompt.pk, text=text, origin=origin)
        for prompt in prompts
        for text, origin in (("はい。", "checkpoint:77"), ("うん。", "import:inn"))
    ]
    for _ in range(2):  # the second time adds nothing
        add_candidates(project=project, candidates=new, actor=None)
        assert counts.differences() == []
    before = dict(counts.candidates_by_origin(project))
    assert (before["checkpoint:77"], before["import:inn"]) == (5, 5)
    assert sum(counts.prompts_by_side(project)) == 5
    Prompt.objects.filter(pk=prompts[0].pk).update(held_out=not prompts[0].held_out)
    Candidate.objects.filter(prompt=prompts[1]).update(origin="human:1")
    assert counts.differences() == []
    Prompt.objects.filter(pk=prompts[2].pk).update(project=other)
    assert counts.differences() == []
    assert (sum(counts.prompts_by_side(project)), sum(counts.prompts_by_side(other))) == (4, 3)
    counts.fold_counts()
    Candidate.objects.filter(prompt=prompts[3]).delete()
    Prompt.objects.filter(pk=prompts[3].pk).delete()
    assert counts.differences() == []
    assert dict(counts.candidates_by_origin(project))["checkpoint:77"] == 2
    PromptCount.objects.update(prompts=41)
    assert len(counts.differences(project.pk)) > 0
    counts.rebuild_counts(project.pk)
    assert counts.differences(project.pk) == []
