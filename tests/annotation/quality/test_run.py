"""The quality of real answers: what is read of them, when it is stored and when it is due."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from annotation import jobs
from annotation.answers.exclusions import exclude_person
from annotation.answers.submission import submit
from annotation.consent.withdrawals import withdraw
from annotation.kinds import show
from annotation.models import Analysis, Annotation, Candidate, Kind, Role
from annotation.quality.run import assess, due_projects, is_due, newest, pair_labels
from annotation.quality.source import material_of
from annotation.queue.claims import claim_next
from annotation.reviewing.adjudication import adjudicate
from annotation.reviewing.verdicts import correct
from tests.annotation.helpers import ONE, batch_of, hotel
from tests.factories import join

pytestmark = pytest.mark.django_db
PROMPTS = 12


def choose(batch, person, *, polite=True):
    """Prefers the polite text of every task, or the other."""
    while slot := claim_next(batch=batch, annotator=person):
        shown = [side.candidate for side in show(slot).sides]
        origins = dict(Candidate.objects.filter(pk__in=shown).values_list("pk", "origin"))
        chosen = next(key for key in shown if (origins[key] == ONE) == polite)
        payload = {"choice": "one", "chosen": chosen, "shown": shown, "strength": None, "reasons": []}
        submit(assignment=slot, payload=payload)


@pytest.fixture
def judged():
    """(project, batch, people): Ann and Ben prefer the polite texts, Cal the others."""
    project = hotel(prompts=PROMPTS, slug="hotel")
    batch = batch_of(project, Kind.CHOOSING, overlap=3)
    people = [join(project, Role.ANNOTATOR, name=name) for name in ("Ann", "Ben", "Cal")]
    for person in people:
        choose(batch, person, polite=person.name != "Cal")
    return project, batch, people


def percent(project):
    assess(project)
    (row,) = newest(project).result["agreement"]
    return row["percent"]["value"]


def test_only_answers_that_count_are_looked_at(judged):
    project, _batch, (ann, ben, cal) = judged
    assert percent(project) == pytest.approx(1 / 3)
    result = newest(project).result
    assert result["answers"] == 3 * PROMPTS
    assert {row["person"]: row["answers"] for row in result["people"]} == dict.fromkeys((ann.pk, ben.pk, cal.pk), 12)
    rates = {row["origin"]: row["win_rate"] for row in result["rankings"]}
    assert rates[ONE] == pytest.approx(2 / 3, abs=0.01)
    exclude_person(project=project, annotator=cal, reason="Answers at random", actor=None)
    assert percent(project) == 1
    assert newest(project).result["left_out"] == {"excluded": PROMPTS}
    withdraw(project=project, person=ben, mode="erase", actor=None, confirmation=ben.email)
    assert newest(project).result["answers"] == 24
    assess(project)
    result = newest(project).result
    assert (result["answers"], result["left_out"]) == (PROMPTS, {"excluded": PROMPTS})
    assert [row["person"] for row in result["people"]] == [ann.pk]


def test_a_decision_is_the_label_and_not_agreement(judged):
    project, batch, people = judged
    reviewer = join(project, Role.REVIEWER)
    task = batch.tasks.first()
    cals = Annotation.objects.get(task=task, annotator=people[2])
    adjudicate(task=task, adjudicator=reviewer, cause="error", chosen=cals.pk)
    assert percent(project) == pytest.approx(1 / 3)
    (row,) = newest(project).result["labels_agreement"]
    assert row["percent"]["value"] == pytest.approx((1 / 3 * 11 + 1) / 12)
    chosen = cals.payload["chosen"]
    other = next(key for key in task.candidate_ids if key != chosen)
    found = pair_labels(project).of(task.prompt_id, chosen, other)
    assert found == {"answers": 3, "votes": [1, 0, 0], "posterior": [1, 0, 0], "decided": True}


def test_answers_that_wait_for_a_review_do_not_count_before(judged):
    project, batch, people = judged
    batch.requires_review = True
    batch.save()
    assess(project)
    assert newest(project).result["left_out"] == {"waiting": 3 * PROMPTS}
    answer = Annotation.objects.filter(annotator=people[0]).first()
    reviewer = join(project, Role.REVIEWER)
    other = next(key for key in answer.payload["shown"] if key != answer.payload["chosen"])
    correct(annotation=answer, reviewer=reviewer, note="Too stiff", payload=answer.payload | {"chosen": other})
    (value,) = material_of(project).rated.given.tolist()
    (counted,) = material_of(project).rated.counted.tolist()
    assert value == -counted


def test_it_is_due_when_answers_or_decisions_changed_and_not_at_once(judged):
    project, batch, _people = judged
    assert due_projects() == [project.pk]
    jobs.analyse_project(project.pk)
    assert (due_projects(), is_due(project)) == ([], False)
    task = batch.tasks.first()
    adjudicate(task=task, adjudicator=join(project, Role.REVIEWER), cause="style")
    assert due_projects() == [], "at most every five minutes"
    Analysis.objects.update(computed_at=timezone.now() - timedelta(minutes=6))
    assert due_projects() == [project.pk]
    before = newest(project).computed_at
    jobs.analyse_project(project.pk)
    assert newest(project).computed_at > before
    with CaptureQueriesContext(
        connection,
    ) as queries:
        jobs.analyse_project(project.pk)
    assert not [query for query in queries if "annotation_candidate" in query["sql"]]


def test_the_command_computes_it(judged, capsys):
    project, _batch, _people = judged
    call_command("analyse", "hotel")
    assert "36 answers analysed" in capsys.readouterr().out
    assert newest(project).result["labels"]["pairs"] == PROMPTS
