"""Analyses of a project: computed, stored, and due again when something changed. What is stored replaces the last one.

Cheap when idle: what is due is decided by the counts that triggers keep. A project is analysed at most every five
minutes, and at most a tenth of the time is spent on it.
"""

import time
from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Count, Max, Sum
from django.utils import timezone

from annotation.analyses.results import VERSION, results_of
from annotation.analyses.source import material_of
from annotation.core.locks import Lock, try_lock
from annotation.models import Analysis, AnalysisRows, Batch, Exclusion, Project, Remark, Review, WorkCount
from annotation.reviewing.threshold import ANY_DIFFERENCE

SHORTEST_PAUSE = timedelta(minutes=5)
PAUSE_FACTOR = 10  # times what the last analysis took
Covers = dict[str, int]
# Of a choosing task that is there already, the doubt is that of its labels: the next assessment of quality updates it.
NEW_DOUBTS = """
INSERT INTO annotation_taskdoubt AS known (task_id, project_id, doubt)
SELECT d.task, %(project)s, d.doubt FROM unnest(%(tasks)s::bigint[], %(doubts)s::float8[]) AS d (task, doubt)
    JOIN annotation_task t ON t.id = d.task
WHERE NOT EXISTS (SELECT FROM annotation_adjudication a WHERE a.task_id = d.task)
ON CONFLICT (task_id) DO UPDATE SET doubt = excluded.doubt
WHERE (SELECT b.kind FROM annotation_task t JOIN annotation_batch b ON b.id = t.batch_id WHERE t.id = known.task_id)
    <> 'choosing'
"""


def analyse(project: Project) -> bool:
    """Compute and store every analysis of the project. False, at once, while another connection is at it.

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
            material = material_of(project)
            results, rows = results_of(material)
        store(project, results, rows.by_key, covers, time.monotonic() - began)
        store_doubts(project, material.disagreement.doubts())
        return True


def store(
    project: Project,
    results: dict[str, dict[str, Any]],
    rows: dict[str, tuple[int, list[int]]],
    covers: Covers,
    seconds: float,
) -> None:
    """Both results at once: a page never shows one with the other's rows. Rows belong to the first."""
    values = {"version": VERSION, "covers": covers, "computed_at": timezone.now(), "seconds": seconds}
    with transaction.atomic():
        for name, result in results.items():
            Analysis.objects.update_or_create(project=project, name=name, defaults={**values, "result": result})
        trust = Analysis.objects.get(project=project, name=Analysis.Name.TRUST)
        AnalysisRows.objects.filter(analysis=trust).delete()
        AnalysisRows.objects.bulk_create(
            (AnalysisRows(analysis=trust, key=key, count=n, assignments=slots) for key, (n, slots) in rows.items()),
            batch_size=100,
        )


def store_doubts(project: Project, doubts: dict[int, float]) -> None:
    """What adjudicators decide next. A task that was decided meanwhile is left out."""
    with transaction.atomic(), connection.cursor() as cursor:
        values: dict[str, Any] = {"project": project.pk, "tasks": list(doubts), "doubts": list(doubts.values())}
        cursor.execute(
            "DELETE FROM annotation_taskdoubt WHERE project_id = %(project)s AND task_id <> ALL(%(tasks)s::bigint[])",
            values,
        )
        cursor.execute(NEW_DOUBTS, values)


def covers_of(projects: Iterable[int] | None = None) -> dict[int, Covers]:
    """What an analysis depends on, as counts by project that change whenever it may: answers, later versions, skips,
    exclusions made and lifted, flags raised and answered, reviews and the batches that require them, and below which
    agreement tasks come up for adjudication. None: of all projects."""
    work, exclusions = WorkCount.objects.order_by(), Exclusion.objects.order_by()
    flags = Remark.objects.filter(kind=Remark.Kind.FLAG).order_by()
    reviews, requiring = Review.objects.order_by(), Batch.objects.filter(requires_review=True).order_by()
    if projects is not None:
        ids = list(projects)
        work, exclusions = work.filter(batch__project__in=ids), exclusions.filter(project__in=ids)
        flags = flags.filter(task__batch__project__in=ids)
        reviews, requiring = reviews.filter(batch__project__in=ids), requiring.filter(project__in=ids)
    found: dict[int, Covers] = defaultdict(dict)
    sums = {name: Sum(name) for name in ("answered", "changed", "skipped")}
    for project, *values in work.values("batch__project").annotate(**sums).values_list("batch__project", *sums):
        found[project] |= dict(zip(sums, values, strict=True))
    for project, made, lifted in exclusions.values_list("project").annotate(Count("pk"), Count("lifted_at")):
        found[project] |= {"exclusions": made, "lifted": lifted}
    counted = flags.values_list("task__batch__project").annotate(Count("pk"), Count("answered_at"))
    for project, raised, answered in counted:
        found[project] |= {"flags": raised, "answered_flags": answered}
    for project, given, newest in reviews.values_list("batch__project").annotate(Count("pk"), Max("pk")):
        found[project] |= {"reviews": given, "newest_review": newest}
    for project, batches in requiring.values_list("project").annotate(Count("pk")):
        found[project]["requiring_review"] = batches
    asking = Project.objects.filter(pk__in=found, adjudicate_below__lt=ANY_DIFFERENCE).order_by()
    for project, percent in asking.values_list("pk", "adjudicate_below"):
        found[project]["adjudicate_below"] = percent
    return dict(found)


def due_projects() -> list[int]:
    """The projects of which something changed since their last analysis, if that is long enough ago."""
    current = covers_of()
    stored = Analysis.objects.filter(name=Analysis.Name.TRUST, version=VERSION)
    last = {row.project_id: row for row in stored.only("project_id", "covers", "computed_at", "seconds")}
    return sorted(
        pk for pk, covers in current.items() if pk not in last or (last[pk].covers != covers and is_rested(last[pk]))
    )


def is_due(project: Project) -> bool:
    """Whether a job that was queued some time ago still has something to do."""
    row = Analysis.objects.filter(project=project, name=Analysis.Name.TRUST, version=VERSION).first()
    return row is None or (row.covers != covers_of([project.pk]).get(project.pk, {}) and is_rested(row))


def is_rested(row: Analysis) -> bool:
    pause = max(SHORTEST_PAUSE, timedelta(seconds=PAUSE_FACTOR * row.seconds))
    age = timezone.now() - row.computed_at
    return age >= pause or age < timedelta()  # computed in the future: the clock was set back


def newest(project: Project) -> dict[str, Analysis]:
    """The stored analyses by name. One query."""
    return {row.name: row for row in Analysis.objects.filter(project=project).order_by()}
