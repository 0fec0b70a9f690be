"""Which answers are excluded: for queries of the ORM, and for statements of our own.

An answer has at most four exclusions in effect: its own, that of its prompt (which is withdrawn), its annotator's, and
that of all simulated annotators. It counts under the first of them. Answers to tasks that check people
(`annotation.core.checks`) and those of trials of the guideline (`annotation.core.trials`) are no labels: `is_excluded`
leaves them out as well, statements of our own by `IS_LABEL` and `IS_ORDINARY`.
"""

from collections import Counter
from typing import NamedTuple

from django.db import connection
from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from annotation.core.checks import IS_LABEL, is_check
from annotation.core.trials import IS_ORDINARY, is_trial
from annotation.models import Batch, Exclusion, Project, Prompt, Task, User

# For a statement with `annotation` (its task and annotator), its `task`, and the parameter %(project)s.
EXCLUSION_JOINS = """
    JOIN annotation_user person ON person.id = annotation.annotator_id
    LEFT JOIN annotation_exclusion of_answer ON of_answer.lifted_at IS NULL
        AND of_answer.task_id = annotation.task_id AND of_answer.annotator_id = annotation.annotator_id
    LEFT JOIN annotation_exclusion of_prompt ON of_prompt.lifted_at IS NULL AND of_prompt.prompt_id = task.prompt_id
    LEFT JOIN annotation_exclusion of_person ON of_person.lifted_at IS NULL AND of_person.project_id = %(project)s
        AND of_person.annotator_id = annotation.annotator_id AND of_person.task_id IS NULL
        AND of_person.prompt_id IS NULL
    LEFT JOIN annotation_exclusion of_simulated ON of_simulated.lifted_at IS NULL
        AND of_simulated.project_id = %(project)s AND of_simulated.annotator_id IS NULL
        AND of_simulated.prompt_id IS NULL AND person.is_simulated
"""
EXCLUSION_ID = "coalesce(of_answer.id, of_prompt.id, of_person.id, of_simulated.id)"

# Begins with the people and prompts of the exclusions, so that it costs what they have and not what the project holds.
COUNTS = f"""
    SELECT {EXCLUSION_ID}, count(*)
    FROM (
        SELECT a.id, a.task_id, a.annotator_id FROM annotation_annotation a
        WHERE a.is_current AND a.annotator_id IN (
            SELECT annotator_id FROM annotation_exclusion
            WHERE project_id = %(project)s AND lifted_at IS NULL AND annotator_id IS NOT NULL
            UNION SELECT id FROM annotation_user WHERE is_simulated AND EXISTS (
                SELECT FROM annotation_exclusion WHERE project_id = %(project)s AND lifted_at IS NULL
                    AND annotator_id IS NULL AND prompt_id IS NULL))
        UNION
        SELECT a.id, a.task_id, a.annotator_id FROM annotation_annotation a
            JOIN annotation_task t ON t.id = a.task_id
        WHERE a.is_current AND t.prompt_id IN (
            SELECT prompt_id FROM annotation_exclusion
            WHERE project_id = %(project)s AND lifted_at IS NULL AND prompt_id IS NOT NULL)
    ) AS annotation
    JOIN annotation_task task ON task.id = annotation.task_id
    JOIN annotation_batch batch ON batch.id = task.batch_id AND batch.project_id = %(project)s
    {EXCLUSION_JOINS}
    WHERE (%(batch)s::bigint IS NULL OR batch.id = %(batch)s) AND {EXCLUSION_ID} IS NOT NULL AND {IS_LABEL}
        AND {IS_ORDINARY}
    GROUP BY 1
"""  # noqa: S608 - our own expressions


class Excluded(NamedTuple):
    """An exclusion in effect, and how many current answers it leaves out."""

    exclusion: Exclusion
    answers: int


def in_effect(project: Project) -> QuerySet[Exclusion]:
    rows = Exclusion.objects.filter(project=project, lifted_at=None)
    return rows.select_related("annotator", "task__batch", "prompt", "created_by")


def withdrawals(project: Project) -> QuerySet[Exclusion]:
    """The exclusions in effect that withdraw a prompt."""
    return Exclusion.objects.filter(project=project, lifted_at=None, prompt__isnull=False).order_by()


def usable_prompts(project: Project) -> QuerySet[Prompt]:
    """The project's prompts without those that are withdrawn."""
    rows = Prompt.objects.filter(project=project)
    return rows.exclude(Exists(Exclusion.objects.filter(prompt=OuterRef("pk"), lifted_at=None)))


class InEffect:
    """The exclusions that concern a batch: one query, then each answer is looked up in memory."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        prompts = Task.objects.filter(batch=batch).values("prompt")
        rows = in_effect(batch.project).filter(Q(task=None, prompt=None) | Q(task__batch=batch) | Q(prompt__in=prompts))
        self.rows = {(row.task_id, row.annotator_id, row.prompt_id): row for row in rows}

    def of(self, task: Task, annotator: User) -> Exclusion | None:
        """The exclusion under which this person's answer to the task counts."""
        simulated = [(None, None, None)] if annotator.is_simulated else []
        person = annotator.pk
        keys = [(task.pk, person, None), (None, None, task.prompt_id), (None, person, None), *simulated]
        return next((self.rows[key] for key in keys if key in self.rows), None)

    def withdrawal(self, task: Task) -> Exclusion | None:
        """The exclusion that withdraws the task's prompt."""
        return self.rows.get((None, None, task.prompt_id))

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


def is_excluded(*, project: str, task: str = "task", annotator: str = "annotator") -> Q:
    """Whether an answer is excluded, or is no label because its task checks people or belongs to a trial; the arguments
    name its columns in the outer query."""
    excluded = has_exclusion(project=project, task=task, annotator=annotator)
    return Q(excluded) | Q(is_check(task)) | Q(is_trial(task))


def has_exclusion(*, project: str, task: str = "task", annotator: str = "annotator") -> Exists:
    """Whether an answer, label or not, is excluded; the arguments name its columns in the outer query."""
    own = Q(annotator=OuterRef(annotator)) & (Q(task=None) | Q(task=OuterRef(task)))
    withdrawn = Q(prompt=OuterRef(f"{task}__prompt"))
    simulated = User.objects.filter(pk=OuterRef(OuterRef(annotator)), is_simulated=True)
    rows = Exclusion.objects.filter(project=OuterRef(project), lifted_at=None)
    return Exists(rows.filter(own | withdrawn | (Q(annotator=None, prompt=None) & Q(Exists(simulated)))).order_by())


def state_of(project: Project) -> tuple[int, int]:
    """Changes whenever an exclusion is made or lifted: rows are only added, and lifted once."""
    counts = Exclusion.objects.filter(project=project).aggregate(made=Count("pk"), lifted=Count("lifted_at"))
    return counts["made"], counts["lifted"]
