"""Everything that reads answers as labels: none of it takes one to a task that checks people."""

import json
import re
from pathlib import Path

import pytest

from annotation.analyses.source import material_of as analysed
from annotation.answers.exclusions import exclude_answer
from annotation.answers.task_filters import disagreeing
from annotation.core.checks import checked_answers, is_check
from annotation.core.exclusions import answer_counts, excluded_answers, is_excluded
from annotation.core.reviews import unreviewed
from annotation.datasets.freeze import freeze_dataset
from annotation.datasets.rows import ExportOptions
from annotation.exchange.export import export_answers
from annotation.kinds import KINDS
from annotation.models import Annotation, Candidate, CandidateCount, Kind, MemoryEntry, Role, TaskCheck
from annotation.planning.pilot import pilot_of
from annotation.qualification.tests import model_answers
from annotation.quality.source import material_of as quality_of
from annotation.queue.progress import progress_of
from annotation.queue.prompt_selection import FRESH, PromptSelection
from annotation.reference import translation_memory
from annotation.reviewing.disagreements import queue_of
from annotation.web.forms.queue import BatchForm
from tests.annotation.checks.helpers import answer_all, batch_with, gold_in, of_kind
from tests.annotation.helpers import hotel
from tests.factories import PromptFactory, join
from training.results.preferences import comparing

pytestmark = pytest.mark.django_db
ROOMS = Path(__file__).parents[3]
# What reads annotations, and why it needs no look at checks.
NOT_OF_LABELS = {
    "annotation/core/exclusions.py": "defines it",
    "annotation/checks/results.py": "reads the checks",
    "annotation/quality/source.py": "reads both, and keeps them apart itself",
    "annotation/queue/overlap.py": "counts slots; `annotation.quality.overlap` leaves checks out",
}


@pytest.fixture
def site():
    """Two people disagree about everything; one of them is a manager, whose answers are gold and tests elsewhere."""
    project = hotel(prompts=14, slug="hotel", held_out_share=0)
    prompts = list(project.prompts.values_list("pk", flat=True))
    gold_in(project, 2)
    gold_in(project, 1, explanation="Polite.")
    batch = batch_with(project, prompts, overlap=2, gold=10, twins=10, repeats=10, tutorial=1)
    manager = join(project, Role.MANAGER)
    people = [join(project, Role.ANNOTATOR), manager]
    for best, person in enumerate(people):
        answer_all(batch, person, best=best)
    checks = set(TaskCheck.objects.filter(batch=batch).values_list("task", flat=True))
    assert {what: len(of_kind(batch, what)) for what in TaskCheck.What.values} == {
        "gold": 2,
        "tutorial": 1,
        "repeat": 2,
        "twin": 2,
    }
    answered = Annotation.objects.filter(task__in=checks, is_current=True)
    assert answered.count() == 2 * 7
    labels = set(Annotation.objects.filter(task__batch=batch).exclude(task__in=checks).values_list("pk", flat=True))
    assert len(labels) == 28
    return project, batch, checks, labels


def test_a_dataset_has_labels_alone_and_counts_the_others(site, settings):
    project, batch, _checks, labels = site
    version = freeze_dataset(
        project=project, purpose="dpo", actor=None, options=ExportOptions(keep_ties=True), batches=[batch.pk]
    )
    assert version.manifest["annotations"]["count"] == len(labels)
    assert version.manifest["checks"] == {"annotations": 14}
    damaged = set(Candidate.objects.filter(prompt=None).values_list("pk", flat=True))
    assert damaged
    paths = (settings.DATASETS_DIR / version.sha256).glob("*.jsonl")
    rows = [json.loads(line) for path in paths for line in path.read_text().splitlines()]
    assert len(rows) == 14
    assert not damaged & {key for row in rows for key in row["candidate_ids"]}


def test_an_export_of_answers_has_labels_alone_and_counts_the_others(site, tmp_path):
    project, _batch, checks, _labels = site
    exported = export_answers(project=project, format="jsonl", path=tmp_path / "answers.jsonl", actor=None)
    lines = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert exported.counts.left_out["checks"] == 14
    assert not checks & {line["task"] for line in lines}
    assert "damaged:" not in (tmp_path / "answers.jsonl").read_text()


def test_analyses_pilots_and_learning_rounds_take_labels_alone(site):
    project, batch, checks, labels = site
    assert len(analysed(project).answers.task) == len(labels)
    assert not checks & set(analysed(project).answers.task.tolist())
    assert not checks & set(analysed(project).disagreement.doubts())
    assert pilot_of(project, kind=Kind.CHOOSING, batch=batch).answers == len(labels)
    counted = comparing(Annotation.objects.filter(task__batch=batch)).exclude(
        is_excluded(project="task__batch__project")
    )
    assert set(counted.values_list("pk", flat=True)) == labels


def test_quality_keeps_checks_apart(site):
    project, _batch, _checks, _labels = site
    material = quality_of(project)
    assert material.left_out["checks"]
    assert len(material.gold) == 4


def test_queues_of_reviewers_hold_no_checks(site):
    project, batch, checks, _labels = site
    reviewer = join(project, Role.REVIEWER)
    assert not checks & set(unreviewed(project).values_list("task", flat=True))
    assert set(queue_of(project, reviewer, batch=batch.pk)).isdisjoint(checks)
    assert set(disagreeing(batch)) == set(batch.tasks.exclude(is_check("pk")).values_list("pk", flat=True))


def test_tests_are_made_of_labels_alone(site):
    _project, batch, checks, _labels = site
    assert not checks & set(model_answers(batch).values_list("task", flat=True))


def test_an_exclusion_counts_labels_alone(site):
    project, batch, _checks, _labels = site
    gold = Annotation.objects.filter(task__in=of_kind(batch, "gold")).first()
    exclude_answer(annotation=gold, reason="seen before", actor=None)
    assert sum(answer_counts(project).values()) == 0
    assert sum(row.answers for row in excluded_answers(project)) == 0


def test_a_damaged_text_is_no_candidate_anywhere(site):
    project, _batch, _checks, _labels = site
    damaged = Candidate.objects.filter(prompt=None)
    assert {row.origin.partition(":")[0] for row in damaged} == {"damaged"}
    assert not CandidateCount.objects.filter(origin__startswith="damaged:").exists()
    assert "damaged" not in str(BatchForm(project=project).fields["origins"].choices)
    ids = set(damaged.values_list("pk", flat=True))
    again = batch_with(project, list(project.prompts.values_list("pk", flat=True)), kind=Kind.SCORING)
    assert not [task for task in again.tasks.all() if ids & set(task.candidate_ids)]


def test_a_prompt_of_checks_alone_is_fresh(site):
    project, batch, _checks, _labels = site
    extra = PromptFactory(project=project, text="Is there a lift?")
    twin = batch.tasks.filter(pk__in=of_kind(batch, "twin")).first()
    twin.prompt = extra
    twin.save()
    assert extra in PromptSelection(which=FRESH).prompts_for(batch)


def test_the_second_text_of_a_repeat_is_in_no_translation_memory_and_shows_nothing_of_the_first():
    project = hotel(prompts=14, slug="hotel", held_out_share=0)
    batch = batch_with(project, list(project.prompts.values_list("pk", flat=True)), kind=Kind.WRITING, repeats=10)
    person = join(project, Role.ANNOTATOR)
    tasks = answer_all(batch, person)
    repeats = of_kind(batch, "repeat")
    assert sum(task.pk in repeats for task in tasks) == 2
    for task in (task for task in tasks if task.pk in repeats):
        found = translation_memory.similar(
            project=project, text=task.prompt.text, person=person, task_id=task.pk, prompt_id=task.prompt_id
        )
        first = TaskCheck.objects.get(task=task).of_task_id
        assert not {hit.entry for hit in found} & set(
            MemoryEntry.objects.filter(task__in=[first, *repeats]).values_list("pk", flat=True)
        )
    translation_memory.rebuild(project=project)
    version = freeze_dataset(project=project, purpose="sft", actor=None)
    assert version.manifest["annotations"]["count"] == 14


def test_progress_counts_all_work_and_says_how_much_of_it_checks(site):
    _project, batch, _checks, _labels = site
    (progress,) = progress_of(type(batch).objects.filter(pk=batch.pk))
    batch.refresh_from_db()
    assert checked_answers([batch]) == {batch.pk: (14, 14)}
    assert progress.done == 28 + 14
    assert progress.total == 28 + 14


def test_every_statement_that_leaves_out_exclusions_looks_at_checks_as_well():
    asking = re.compile(r"\bEXCLUSION_JOINS\b")
    for path in sorted((ROOMS / "annotation").rglob("*.py")) + sorted((ROOMS / "training").rglob("*.py")):
        name = str(path.relative_to(ROOMS))
        text = path.read_text()
        if asking.search(text) and name not in NOT_OF_LABELS:
            assert re.search(r"\b(IS_LABEL|CHECKS_PEOPLE|checks_people)\b", text), name
    assert KINDS
