"""What a batch shows before it opens: tasks, answers, hours and whether there are enough people; page and command."""

import re
from html import unescape

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from annotation.models import (
    Assignment,
    Batch,
    Event,
    Kind,
    Membership,
    Qualification,
    QualificationAttempt,
    Role,
    Task,
    TimeSpent,
)
from annotation.queue.claims import claim_next
from annotation.queue.preview import preview_batch
from annotation.queue.prompt_selection import PromptSelection
from tests.annotation.helpers import ONE, TWO, batch_of, hotel, many
from tests.factories import CandidateFactory, PromptFactory, UserFactory, join

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture
def project():
    """Four prompts with two candidates each, and three people."""
    project = hotel(prompts=4)
    join(project, Role.ANNOTATOR, name="Kei")
    join(project, Role.REVIEWER, name="Mio")
    return project


@pytest.fixture
def client(project, sign_in):
    return sign_in(join(project, Role.MANAGER, name="Hana"))


def form(project, **changes):
    values = {"name": "First look", "kind": "choosing", "which": "without", "overlap": "3", "priority": "0"}
    return {name: value for name, value in (values | changes).items() if value is not None}


def shown(response, status=200):
    """The text of the preview on the page."""
    assert response.status_code == status
    section = re.search(r'<section class="card" id="batch-preview".*?</section>', response.content.decode(), re.S)[0]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", section)).split())


def preview(client, project, **changes):
    posted = form(project, **changes) | {"action": "preview"}
    return shown(client.post(reverse("batch_new", args=[project.slug]), posted, headers=HTMX))


def work(project, seconds, kind=Kind.CHOOSING, person=None, **fields):
    """A finished batch in which one person's answers took these active seconds, each in two showings of its task."""
    many(project, len(seconds))
    person = person or join(project, Role.ANNOTATOR)
    fresh = PromptSelection(which="fresh", limit=len(seconds))
    batch = batch_of(project, kind, prompts=fresh, **fields)
    now = timezone.now()
    slots = list(Assignment.objects.filter(batch=batch).order_by("position"))
    assert len(slots) == len(seconds)
    for slot, active in zip(slots, seconds, strict=True):
        for visit, share in (("a", 0.25), ("b", 0.75)):
            TimeSpent.objects.create(
                annotator=person,
                batch=batch,
                assignment=slot,
                visit=f"visit-{slot.pk}-{visit}",
                active_seconds=active * share,
                idle_seconds=1000,
                began_at=now,
                seen_at=now,
            )
    Assignment.objects.filter(batch=batch).update(state="done", annotator=person, finished_at=now)
    return batch


# ---- how much it is ----


def test_the_page_shows_tasks_answers_and_hours_before_anything_opens(client, project):
    text = preview(client, project, name="", seed="5")
    # Two texts to choose from are assumed to take 45 s: 12 answers are 9 minutes, 3 for each of three people.
    assert "4 tasks × 3 annotators = 12 answers." in text
    assert "About 9 min of work (4 min to 18 min): 3 min for each of the 3 people who may work on it." in text
    assert "Assumed: 45 s per answer, 22 s to 1 min 30 s. This project has 0 answers" in text
    assert "Open it anyway" not in text
    assert not Batch.objects.exists()
    assert not Event.objects.filter(verb="batch.opened").exists()


def test_without_scripts_the_preview_button_shows_the_same_and_keeps_the_form(client, project):
    posted = form(project, origins=[ONE, TWO], limit="3", name="Halb", priority="7") | {"action": "preview"}
    response = client.post(reverse("batch_new", args=[project.slug]), posted)
    assert "3 tasks × 3 annotators = 9 answers." in shown(response)
    page = response.content.decode()
    assert 'value="Halb"' in page
    assert 'value="7"' in page
    assert page.count("checked") == 4, "kind, prompts and two origins"
    assert '<button class="btn" name="action" value="preview">Preview</button>' in page
    assert not Batch.objects.exists()


def test_the_first_page_says_what_will_be_there_and_asks_for_it(client, project):
    page = client.get(reverse("batch_new", args=[project.slug])).content.decode()
    assert 'hx-trigger="load, change"' in page
    assert re.search(r'<input type="hidden" name="seed" value="\d+"', page)


def test_the_previewed_batch_is_the_one_that_opens(client, project):
    """Of six prompts, two have no second candidate: how many of a sample of four have tasks depends on the draw."""
    PromptFactory(project=project)
    CandidateFactory(prompt=PromptFactory(project=project))
    counts = set()
    for seed in range(12):
        text = preview(client, project, limit="4", seed=str(seed), which="all", overlap="1")
        posted = form(project, limit="4", seed=str(seed), which="all", overlap="1")
        assert client.post(reverse("batch_new", args=[project.slug]), posted).status_code == 302
        batch = Batch.objects.latest("pk")
        assert batch.seed == seed
        assert f"{batch.tasks.count()} tasks × 1 annotator" in text
        assert ("left out" in text) == bool(batch.selection["left_out"])
        counts.add(batch.tasks.count())
    assert len(counts) > 1


def test_a_form_that_is_sent_twice_opens_one_batch(client, project):
    posted = form(project, seed="7", overlap="1")
    address = reverse("batch_new", args=[project.slug])
    answers = [client.post(address, posted, follow=True) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert all("is open with" in answer.content.decode() for answer in answers)
    assert Batch.objects.count() == 1
    others = ({}, {"seed": "8"}, {"limit": "2"}, {"name": "Another"}, {"overlap": "2"}, {"seed": ""}, {"seed": ""})
    for count, change in enumerate(others, 2):
        client.post(address, posted | {"which": "all"} | change)
        assert Batch.objects.count() == count, change


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"overlap": "51"}, "Annotators per task: Ensure this value is less than or equal to 50"),
        ({"overlap": ""}, "Annotators per task: This field is required"),
        ({"origins": ["checkpoint:7"]}, "compares two origins"),
        ({"kind": "scoring", "alternatives": "9"}, "less than or equal to 6"),
        ({"seed": "-1"}, "greater than or equal to 0"),
    ],
)
def test_what_cannot_open_says_why_in_the_preview(client, project, changes, words):
    assert words in preview(client, project, **changes)
    plain = client.post(reverse("batch_new", args=[project.slug]), form(project, **changes) | {"action": "preview"})
    assert words in shown(plain, 422)


def test_a_selection_without_tasks_says_why(client, project):
    batch_of(project)
    assert "No prompts match" in preview(client, project)
    assert "4 tasks" in preview(client, project, which="all")


def test_hours_come_from_the_projects_own_answers_once_there_are_twenty(client, project):
    person = Membership.objects.filter(project=project, role=Role.ANNOTATOR).first().user
    work(project, [100.0] * 19, person=person)
    assert "Assumed: 45 s per answer" in preview(client, project, which="fresh", overlap="1")
    assert "This project has 19 answers" in preview(client, project, which="fresh", overlap="1")
    work(project, [20.0] * 6, person=person)
    text = preview(client, project, which="fresh", overlap="1")
    assert "Measured on 25 answers to such tasks in this project: the median is 1 min 40 s of active time" in text
    assert "Assumed" not in text
    # 4 answers of 100 s: 400 s are 7 min, 2 min for each of three.
    assert "About 7 min of work (7 min to 7 min): 2 min for each of the 3 people who may work on it." in text


def test_the_range_is_where_half_of_the_answers_lie(project):
    person = join(project, Role.ANNOTATOR)
    work(project, [20.0] * 5 + [60.0] * 10 + [180.0] * 5, person=person)
    pace = preview_batch(project=project, kind=Kind.CHOOSING, prompts=PromptSelection(which="all")).pace
    assert (pace.low, pace.median, pace.high) == (50.0, 60.0, 90.0)
    assert pace.is_measured


def test_only_such_answers_of_people_with_a_recorded_time_count(project):
    simulated = UserFactory(is_simulated=True)
    Membership.objects.create(project=project, user=simulated, role=Role.ANNOTATOR)
    work(project, [5.0] * 30, person=simulated)
    work(project, [0.0] * 30)
    work(project, [70.0] * 30, kind=Kind.WRITING)
    other = hotel(prompts=0)
    work(other, [70.0] * 30)
    pace = preview_batch(project=project, kind=Kind.CHOOSING, prompts=PromptSelection(which="all")).pace
    assert (pace.answers, pace.is_measured, pace.median) == (0, False, 45)
    writing = preview_batch(project=project, kind=Kind.WRITING, prompts=PromptSelection(which="all")).pace
    assert (writing.answers, writing.median) == (30, 70.0)


def test_a_ranking_of_four_is_another_task_than_a_choice_of_two(project):
    work(project, [30.0] * 25)
    for number in range(4):
        CandidateFactory(prompt=project.prompts.first(), text=f"別の文{number}")
    pace = preview_batch(project=project, kind=Kind.CHOOSING, alternatives=4, prompts=PromptSelection(which="all")).pace
    assert (pace.answers, pace.median, pace.low, pace.high) == (0, 95, 47.5, 190)


def test_a_preview_takes_as_many_queries_at_any_size(client, project):
    counts = []
    for size in (3, 300):
        many(project, size)
        with CaptureQueriesContext(connection) as captured:
            preview(client, project)
        counts.append(len(captured))
    assert counts[0] == counts[1] <= 28, counts


# ---- too few people ----


def test_a_warning_names_the_number_and_opening_needs_a_tick(client, project):
    address = reverse("batch_new", args=[project.slug])
    text = preview(client, project, overlap="5")
    assert "4 tasks × 5 annotators = 20 answers." in text
    assert (
        "Each task asks for 5 annotators, but only 3 people may work on this batch: 8 of 20 answers cannot be" in text
    )
    assert "Set annotators per task to 3 or fewer, or add people to the project first." in text
    # 12 of the 20 can be given.
    assert (
        "About 9 min of work (4 min to 18 min) for the 12 answers that can be given: 3 min for each of 3 people."
        in text
    )
    refused = client.post(address, form(project, overlap="5", priority="4", limit="9", origins=[ONE, TWO]))
    assert "8 of 20 answers cannot be given" in shown(refused, 422)
    page = refused.content.decode()
    assert "Not opened yet: there are too few people for it." in page
    for kept in ('value="First look"', 'value="5"', 'value="4"', 'value="9"'):
        assert kept in page
    assert not Batch.objects.exists()
    tick = re.search(r'name="accept_missing" value="(\d+)"', page)[1]
    assert tick == "8"
    opened = client.post(address, form(project, overlap="5", accept_missing=tick), follow=True)
    assert "First look is open with 4 tasks." in opened.content.decode()
    batch = Batch.objects.get()
    assert (batch.overlap, batch.selection["shortage"]["missing"]) == (5, 8)
    assert Event.objects.get(verb="batch.opened").after["shortage"]["people"] == 3


def test_a_tick_is_for_what_was_seen(client, project):
    address = reverse("batch_new", args=[project.slug])
    # Eight were accepted; with an overlap of six, twelve are missing.
    refused = client.post(address, form(project, overlap="6", accept_missing="8"))
    assert "12 of 24 answers cannot be given" in shown(refused, 422)
    assert " checked>" not in re.search(r'id="id_accept_missing"[^>]*>', refused.content.decode())[0]
    # A form that is refused for something else keeps its tick.
    unnamed = client.post(address, form(project, overlap="6", accept_missing="12", name=""))
    assert "12 of 24" in shown(unnamed, 422)
    assert "checked" in re.search(r'id="id_accept_missing"[^>]*>', unnamed.content.decode())[0]
    assert not Batch.objects.exists()


def test_enough_people_need_no_tick_and_record_nothing(client, project):
    client.post(reverse("batch_new", args=[project.slug]), form(project))
    assert "shortage" not in Batch.objects.get().selection


def test_people_who_left_or_were_switched_off_do_not_count(client, project):
    mio = Membership.objects.get(project=project, user__name="Mio").user
    mio.is_active = False
    mio.save()
    assert "only 2 people may work on this batch: 4 of 12" in preview(client, project)
    Membership.objects.get(project=project, user__name="Kei").delete()
    assert "only 1 person may work on this batch: 8 of 12" in preview(client, project)
    assert "Set annotators per task to 1, or add" in preview(client, project)


def test_people_without_an_attempt_left_are_barred_others_may_still_pass(client, project):
    test = Qualification.objects.create(project=project, name="Politeness", kind=Kind.CHOOSING, seed=1, attempts=1)
    people = {row.user.name: row.user for row in Membership.objects.filter(project=project)}
    text = preview(client, project, qualification=str(test.pk))
    assert "3 of them have to pass the test first." in text
    assert "cannot be given" not in text
    now = timezone.now()
    for name, passed in (("Kei", False), ("Mio", True)):
        QualificationAttempt.objects.create(
            qualification=test, user=people[name], number=1, finished_at=now, passed=passed, share=float(passed)
        )
    text = preview(client, project, qualification=str(test.pk))
    assert "1 of them has to pass the test first." in text
    assert "only 2 people may work on this batch: 4 of 12 answers cannot be given." in text
    assert "1 member failed the test and has no attempt left." in text
    Event.objects.create(
        verb="qualification.attempt_granted",
        object_type="qualification",
        object_id=test.pk,
        project=project,
        after={"user": people["Kei"].pk},
    )
    text = preview(client, project, qualification=str(test.pk))
    assert "2 of them have to pass the test first." in text
    assert "cannot be given" not in text


def test_who_wrote_a_text_may_not_judge_it(client, project):
    kei = Membership.objects.get(project=project, user__name="Kei").user
    prompts = list(project.prompts.order_by("pk"))
    for prompt in prompts[:2]:
        prompt.candidates.filter(origin=TWO).update(origin=f"human:{kei.pk}")
    text = preview(client, project)
    assert "2 tasks cannot get 3 answers, because members wrote their texts or have had their prompts: 2 of 12" in text
    assert "Set annotators per task to 2 or fewer, take texts of other origins, or add people" in text
    assert "cannot" not in preview(client, project, overlap="2")
    assert "cannot" not in preview(client, project, kind="writing"), "writing shows no texts"
    # What the warning says is what the queue does.
    client.post(reverse("batch_new", args=[project.slug]), form(project, accept_missing="2"))
    batch = Batch.objects.get()
    given = 0
    for membership in Membership.objects.filter(project=project):
        while held := claim_next(batch=batch, annotator=membership.user):
            Assignment.objects.filter(pk=held.pk).update(state="done", finished_at=timezone.now())
            given += 1
    assert given == 12 - 2


def test_who_has_had_a_prompt_elsewhere_counts_where_the_project_says_so(client, project):
    kei = Membership.objects.get(project=project, user__name="Kei").user
    earlier = batch_of(project, Kind.WRITING)
    for _ in range(3):
        held = claim_next(batch=earlier, annotator=kei)
        Assignment.objects.filter(pk=held.pk).update(state="done", finished_at=timezone.now())
    assert "cannot" not in preview(client, project)
    project.avoid_seen = True
    project.save()
    assert "3 tasks cannot get 3 answers" in preview(client, project)
    assert "3 of 12 answers cannot be given" in preview(client, project)


def test_a_text_of_theirs_that_they_also_had_closes_a_task_once(client, project):
    kei = Membership.objects.get(project=project, user__name="Kei").user
    project.avoid_seen = True
    project.save()
    held = claim_next(batch=batch_of(project, Kind.WRITING), annotator=kei)
    held.task.prompt.candidates.filter(origin=TWO).update(origin=f"human:{kei.pk}")
    assert "1 task cannot get 3 answers, because members wrote its texts or have had its prompt: 1 of 12" in preview(
        client, project
    )


# ---- the command ----


def test_the_command_says_the_same_and_a_dry_run_opens_nothing(client, project, capsys):
    arguments = ("open_batch", project.slug, "choosing", "--overlap", "5", "--seed", "3")
    call_command(*arguments, "--dry-run")
    dry = capsys.readouterr()
    lines = dry.out.splitlines()
    text = preview(client, project, overlap="5", seed="3")
    assert lines[-1] == "dry run, nothing opened"
    assert len(lines) == 4
    for line in (*lines[:-1], *dry.err.splitlines()):
        assert line in text
    assert "8 of 20 answers cannot be given" in dry.err
    assert not Batch.objects.exists()
    call_command(*arguments)
    opened = capsys.readouterr()
    batch = Batch.objects.get()
    assert opened.out.splitlines() == [*lines[:-1], f"batch {batch.pk}: 4 tasks, overlap 5"]
    assert opened.err == dry.err
    assert batch.selection["shortage"]["missing"] == 8


def test_a_project_without_people_says_so(capsys):
    project = hotel(prompts=2)
    call_command("open_batch", project.slug, "writing")
    said = capsys.readouterr()
    assert "About 5 min of work (2 min to 10 min).\n" in said.out
    assert said.err == (
        "Nobody may work on this batch: none of its 2 answers can be given. Add people to the project first.\n"
    )


# ---- afterwards ----


def test_the_batch_page_says_what_was_missing_while_it_is_open(client, project):
    batch = batch_of(project, overlap=4)
    address = reverse("batch", args=[batch.pk])
    sentence = "When this batch opened, 3 people could work on it: 4 of its 16 answers could not be given."
    advice = "Add people to the project, or close the batch when the other answers are there."
    assert f"{sentence} 3 people may work on it now. {advice}" in client.get(address).content.decode()
    join(project, Role.ANNOTATOR)
    enough = client.get(address).content.decode()
    assert f"{sentence} 4 people may work on it now." in enough
    assert advice not in enough
    client.post(reverse("batch_close", args=[batch.pk]))
    assert sentence not in client.get(address).content.decode()
    complete = batch_of(project, overlap=5)
    Task.objects.filter(batch=complete).exclude(pk=complete.tasks.first().pk).delete()
    Assignment.objects.filter(batch=complete).delete()
    assert "When this batch opened" not in client.get(reverse("batch", args=[complete.pk])).content.decode()
