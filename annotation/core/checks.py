"""Which tasks check people instead of collecting labels: for queries of the ORM, and for statements of our own.

Answers to gold, practice items, repeats and damaged twins are work, which is paid, and no labels: everything that reads
labels leaves them out by these expressions (`exclusions.is_excluded` contains `is_check`).
"""

from collections import Counter
from collections.abc import Iterable

from django.db.models import Count, Exists, OuterRef, Q

from annotation.models import Assignment, Batch, TaskCheck

# What a damaged text is by its origin. It belongs to no prompt, so nothing that reads a prompt's candidates meets it.
DAMAGED = "damaged:"


def checks_people(task: str) -> str:
    """SQL: whether the task whose id is the expression `task` checks people."""
    return f"EXISTS (SELECT FROM annotation_taskcheck WHERE annotation_taskcheck.task_id = {task})"


CHECKS_PEOPLE = checks_people("annotation.task_id")  # for a statement with `annotation`
IS_LABEL = f"NOT {CHECKS_PEOPLE}"


def is_check(task: str = "task") -> Exists:
    """Whether a task checks people; `task` names its column in the outer query."""
    return Exists(TaskCheck.objects.filter(task=OuterRef(task)).order_by())


def checked_answers(batches: Iterable[Batch]) -> dict[int, tuple[int, int]]:
    """Of each batch, how many slots of its tasks check people: (answered, all but skipped and withdrawn). One query,
    and none where no batch has checks."""
    with_checks = [batch.pk for batch in batches if batch.checks]
    if not with_checks:
        return {}
    State = Assignment.State
    slots = Assignment.objects.filter(
        task__in=TaskCheck.objects.filter(batch__in=with_checks).values("task")
    ).order_by()
    done = Q(state=State.DONE) | Q(state=State.HELD, finished_at__isnull=False)
    rows = slots.values_list("batch").annotate(
        answered=Count("pk", filter=done), total=Count("pk", filter=~Q(state__in=[State.SKIPPED, State.WITHDRAWN]))
    )
    return {batch: (answered, total) for batch, answered, total in rows}


def made_checks(batch: Batch) -> Counter[str]:
    """How many tasks of the batch check people, by what they are."""
    return Counter(dict(TaskCheck.objects.filter(batch=batch).values_list("what").annotate(Count("pk"))))
