"""Quality of a project's labels: computed, stored as the analysis `QUALITY`, and due again when something changed.

Like the other analyses (`annotation.analyses.run`): at most every five minutes and a tenth of the time, in a job. What
is stored replaces the last one.
"""

import time
from collections import defaultdict
from collections.abc import Iterable
from contextlib import nullcontext

from django.db import connection, transaction
from django.db.models import Count, Max, Q
from django.utils import timezone

from annotation.analyses.run import Covers, is_rested
from annotation.analyses.run import covers_of as covers_of_answers
from annotation.core.locks import Lock, try_lock
from annotation.models import Adjudication, Analysis, Batch, Project, Review
from annotation.quality.doubt import TaskDoubts, task_doubts
from annotation.quality.labels import PairLabels, labels_of
from annotation.quality.material import Material
from annotation.quality.overlap import extend
from annotation.quality.results import VERSION, results_of
from annotation.quality.source import checked_tasks, material_of, selected_tasks
from annotation.queue.overlap import adaptive_tasks

QUALITY = "quality"  # of `Analysis.name`
NEW_DOUBTS = """
UPDATE annotation_taskdoubt d SET doubt = n.doubt FROM unnest(%s::bigint[], %s::float8[]) AS n (task, doubt)
WHERE d.project_id = %s AND d.task_id = n.task
"""


def assess(project: Project) -> bool:
    """Compute and store the quality of the project's labels, order its disagreements by their doubt, and give unsure
    tasks of adaptive batches one more slot. False, at once, while another connection analyses it.

    `manage.py analyse` is its command; the job runs it for what `due_projects` finds."""
    with try_lock(Lock.ANALYSIS, project.pk) as mine:
        if not mine:
            return False
        began = time.monotonic()
        nested = connection.in_atomic_block
        with transaction.atomic():
            if not nested:  # every statement sees one moment
                with connection.cursor() as cursor:
                    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            covers = covers_of([project.pk]).get(project.pk, {})
            material, selected = material_of(project), selected_tasks(project)
            tasks, checks = adaptive_tasks(project), checked_tasks(project)
        labels = labels_of(material)
        doubts = task_doubts(material, labels)
        if labels.posterior is not None:  # of votes alone, the other analyses have said as much
            store_doubts(project, doubts)
        adaptive = extend(project, tasks, doubts, calibrated=labels.calibrated is not None, checks=checks)
        values = {
            "result": results_of(material, labels, selected) | {"adaptive": adaptive},
            "version": VERSION,
            "covers": covers,
            "computed_at": timezone.now(),
            "seconds": time.monotonic() - began,
        }
        Analysis.objects.update_or_create(project=project, name=QUALITY, defaults=values)
        return True


def store_doubts(project: Project, doubts: TaskDoubts) -> None:
    """Adjudicators decide first what the labels are least sure of, among the tasks on which annotators differ."""
    with connection.cursor() as cursor:
        cursor.execute(NEW_DOUBTS, [doubts.task.tolist(), doubts.doubt.tolist(), project.pk])


def material(project: Project) -> Material:
    """The answers of one moment; the caller's transaction if it has one."""
    with nullcontext() if connection.in_atomic_block else transaction.atomic():
        return material_of(project)


def pair_labels(project: Project) -> PairLabels:
    """Votes, posterior and calibrated posterior of each pair of texts that people chose between, as of now."""
    found = material(project)
    return PairLabels(found, labels_of(found))


def covers_of(projects: Iterable[int] | None = None) -> dict[int, Covers]:
    """What the figures depend on, as counts by project that change whenever it may: what the other analyses depend on,
    reviews and adjudications made and taken back, batches that require review, and open adaptive batches with the
    people who could answer more. None: of all projects."""
    ids = None if projects is None else list(projects)
    found: dict[int, Covers] = defaultdict(dict, covers_of_answers(ids))
    reviews, decided = Review.objects.order_by(), Adjudication.objects.order_by()
    required = Batch.objects.filter(requires_review=True).order_by()
    adaptive = Batch.objects.filter(overlap_most__isnull=False, status=Batch.Status.OPEN).order_by()
    if ids is not None:
        adaptive = adaptive.filter(project__in=ids)
        reviews, decided = reviews.filter(batch__project__in=ids), decided.filter(batch__project__in=ids)
        required = required.filter(project__in=ids)
    for project, count, last in reviews.values_list("batch__project").annotate(Count("pk"), Max("pk")):
        found[project] = found[project] | {"reviews": count, "last_review": last}
    for project, count, last in decided.values_list("batch__project").annotate(Count("pk"), Max("pk")):
        found[project] = found[project] | {"adjudications": count, "last_adjudication": last}
    for project, count, last in required.values_list("project").annotate(Count("pk"), Max("pk")):
        found[project] = found[project] | {"reviewed_batches": count, "last_reviewed_batch": last}
    members = Count("project__memberships", filter=Q(project__memberships__user__is_active=True))
    for project, batch, people in adaptive.values_list("project", "pk").annotate(people=members):
        if project in found:
            found[project] = found[project] | {f"adaptive_{batch}": people}
    return dict(found)


def due_projects() -> list[int]:
    """The projects of which something changed since their last assessment, if that is long enough ago."""
    stored = Analysis.objects.filter(name=QUALITY, version=VERSION)
    last = {row.project_id: row for row in stored.only("project_id", "covers", "computed_at", "seconds")}
    return sorted(
        pk
        for pk, covers in covers_of().items()
        if pk not in last or (last[pk].covers != covers and is_rested(last[pk]))
    )


def is_due(project: Project) -> bool:
    """Whether a job that was queued some time ago still has something to do."""
    row = newest(project)
    return row is None or (row.covers != covers_of([project.pk]).get(project.pk, {}) and is_rested(row))


def newest(project: Project) -> Analysis | None:
    """What is stored, in the current form."""
    return Analysis.objects.filter(project=project, name=QUALITY, version=VERSION).first()
