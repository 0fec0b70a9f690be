"""Which answers are excluded: for queries of the ORM, and for statements of our own.

An answer has at most three exclusions in effect: its own, its annotator's, and that of all simulated annotators. It
counts under the first of them.
"""

from collections import Counter
from typing import NamedTuple

from django.db import connection
from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from annotation.models import Batch, Exclusion, Project, User

# For a statement with `annotation` (its task and annotator) and the parameter %(project)s.
EXCLUSION_JOINS = """
    JOIN annotation_user person ON person.id = annotation.annotator_id
    LEFT JOIN annotation_exclusion of_answer ON of_answer.lifted_at IS NULL
        AND of_answer.task_id = annotation.task_id AND of_answer.annotator_id = annotation.annotator_id
    LEFT JOIN annotation_exclusion of_person ON of_person.lifted_at IS NULL AND of_person.project_id = %(project)s
        AND of_person.task_id IS NULL AND of_person.annotator_id = annotation.annotator_id
    LEFT JOIN annotation_exclusion of_simulated ON of_simulated.lifted_at IS NULL
        AND of_simulated.project_id = %(project)s AND of_simulated.annotator_id IS NULL AND person.is_simulated
"""
EXCLUSION_ID = "coalesce(of_answer.id, of_person.id, of_simulated.id)"

# Begins with the people of the exclusions, so that it costs what they answered and not what the project holds.
COUNTS = f"""
    SELECT {EXCLUSION_ID}, count(*)
    FROM annotation_annotation annotation
    JOIN annotation_task task ON task.id = annotation.task_id
    JOIN annotation_batch batch ON batch.id = task.batch_id AND batch.project_id = %(project)s
    {EXCLUSION_JOINS}
    WHERE annotation.is_current AND (%(batch)s::bigint IS NULL OR batch.id = %(batch)s)
      AND annotation.annotator_id IN (
        SELECT annotator_id FROM annotation_exclusion
        WHERE project_id = %(project)s AND lifted_at IS NULL AND annotator_id IS NOT NULL
        UNION SELECT id FROM annotation_user WHERE is_simulated AND EXISTS (
            SELECT FROM annotation_exclusion
            WHERE project_id = %(project)s AND lifted_at IS NULL AND annotator_id IS NULL))
      AND {EXCLUSION_ID} IS NOT NULL
    GROUP BY 1
"""  # noqa: S608 - our own expressions


class Excluded(NamedTuple):
    """An exclusion in effect, and how many current answers it leaves out."""

    exclusion: Exclusion
    answers: int


def in_effect(project: Project) -> QuerySet[Exclusion]:
    rows = Exclusion.objects.filter(project=project, lifted_at=None)
    return rows.select_related("annotator", "task__batch", "created_by")


class InEffect:
    """The exclusions that concern a batch: one query, then each answer is looked up in memory."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        rows = in_effect(batch.project).filter(Q(task=None) | Q(task__batch=batch))
        self.rows = {(row.task_id, row.annotator_id): row for row in rows}

    def of(self, task_id: int, annotator: User) -> Exclusion | None:
        """The exclusion under which this person's answer to the task counts."""
        simulated = [(None, None)] if annotator.is_simulated else []
        keys = [(task_id, annotator.pk), (None, annotator.pk), *simulated]
        return next((self.rows[key] for key in keys if key in self.rows), None)

    def counted(self) -> list[Excluded]:
        """Those that leave out any answer of the batch; a query where there are any."""
        counts = answer_counts(self.batch.project, self.batch.pk) if self.rows else Counter[int]()
        return [Excluded(row, counts[row.pk]) for row in self.rows.values() if counts[row.pk]]


def excluded_answers(project: Project) -> list[Excluded]:
    """The exclusions in effect with the current answers that each leaves out. Two queries; one where nothing is
    excluded."""
    exclusions = list(in_effect(project))
    counts = answer_counts(project) if exclusions else Counter[int]()
    return [Excluded(row, counts[row.pk]) for row in exclusions]


def answer_counts(project: Project, batch: int | None = None) -> Counter[int]:
    """How many current answers each exclusion leaves out."""
    with connection.cursor() as cursor:
        cursor.execute(COUNTS, {"project": project.pk, "batch": batch})
        return Counter(dict(cursor.fetchall()))


def is_excluded(*, project: str, task: str = "task", annotator: str = "annotator") -> Exists:
    """Whether an answer is excluded; the arguments name its columns in the outer query."""
    own = Q(annotator=OuterRef(annotator)) & (Q(task=None) | Q(task=OuterRef(task)))
    simulated = User.objects.filter(pk=OuterRef(OuterRef(annotator)), is_simulated=True)
    rows = Exclusion.objects.filter(project=OuterRef(project), lifted_at=None)
    return Exists(rows.filter(own | (Q(annotator=None) & Q(Exists(simulated)))).order_by())


def state_of(project: Project) -> tuple[int, int]:
    """Changes whenever an exclusion is made or lifted: rows are only added, and lifted once."""
    counts = Exclusion.objects.filter(project=project).aggregate(made=Count("pk"), lifted=Count("lifted_at"))
    return counts["made"], counts["lifted"]
