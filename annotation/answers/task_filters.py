"""Which tasks of a batch are listed, and in which order.

Each filter is a query over the rows of the batch. Two read its answers here: disagreement is what the kind calls that,
and a search compares folded texts. Either takes about a second for 15,000 tasks with three answers each.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.db import connection
from django.db.models import BooleanField, Exists, F, Func, OuterRef, QuerySet, Subquery, Value
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from annotation.core.exclusions import has_exclusion, in_effect, is_excluded
from annotation.kinds import KINDS
from annotation.models import Annotation, Assignment, Batch, Remark, Task
from annotation.text.search import Search

ROWS_AT_ONCE = 5_000
STATES = {
    "": _("All tasks"),
    "done": _("Answered"),
    "held": _("In progress"),
    "skipped": _("Skipped"),
    "free": _("Waiting"),
    "withdrawn": _("Withdrawn"),
}
ORDERS = {
    "": _("Task number"),
    "newest": _("Latest answer first"),
    "longest": _("Longest working time first"),
}
CANDIDATE_TEXTS = """
    SELECT t.id, c.text FROM annotation_task t JOIN annotation_candidate c ON c.id = ANY(t.candidate_ids)
    WHERE t.batch_id = %s
"""


def flags_of(batch: Batch) -> dict[str, str | Promise]:
    """The flags by which tasks of this batch can be filtered, with their labels."""
    flags: dict[str, str | Promise] = {"": _("Any")}
    if batch.overlap > 1:
        flags["disagreement"] = _("Annotators disagree")
    if KINDS[batch.kind].low_path:
        flags["low"] = KINDS[batch.kind].low_label
    return flags | {
        "open_remarks": _("Open remarks"),
        "remarks": _("Remarks"),
        "edited": _("Answer edited later"),
        "excluded": _("Excluded answer"),
    }


@dataclass(frozen=True, kw_only=True)
class TaskFilter:
    """`state` is a key of STATES, `flag` one of `flags_of`, `order` one of ORDERS; any other value filters nothing.
    `person` is the id of somebody who has a slot (with `state`: in that state), 0 for anybody. A `query` of the form
    #12 is a task's number; any other is looked for in prompts, candidates and answers."""

    state: str = ""
    person: int = 0
    flag: str = ""
    query: str = ""
    order: str = ""

    def tasks(self, batch: Batch) -> QuerySet[Task]:
        tasks = Task.objects.filter(batch=batch)
        slots = Assignment.objects.filter(batch=batch)
        if self.state in STATES and self.state:
            slots = slots.filter(state=self.state)
        if self.person:
            slots = slots.filter(annotator=self.person)
        if (self.state in STATES and self.state) or self.person:
            tasks = tasks.filter(pk__in=slots.order_by().values("task"))
        # What is computed here ends in one list of ids: each such list costs its length again in every query.
        ids = None
        if self.flag == "disagreement" and self.flag in flags_of(batch):
            ids = set(disagreeing(batch))
        elif self.flag in flags_of(batch) and self.flag:
            tasks = flagged(tasks, batch, self.flag)
        if number := task_number(self.query):
            tasks = tasks.filter(position=number)
        elif search := Search(self.query):
            matching = {task for task, *texts in texts_of(batch) if search.matches(*texts)}
            ids = matching if ids is None else ids & matching
        return ordered(tasks if ids is None else tasks.filter(pk__in=ids), self.order)


def flagged(tasks: QuerySet[Task], batch: Batch, flag: str) -> QuerySet[Task]:
    answers = Annotation.objects.filter(task__batch=batch, is_current=True).order_by()
    match flag:
        case "low":
            low = Func(
                F("payload"),
                Value(KINDS[batch.kind].low_path),
                template="jsonb_path_exists(%(expressions)s::jsonpath)",
                output_field=BooleanField(),
            )
            return tasks.filter(pk__in=answers.filter(low).values("task"))
        case "open_remarks":
            return tasks.filter(Exists(Remark.objects.filter(task=OuterRef("pk"), answered_at=None)))
        case "remarks":
            return tasks.filter(Exists(Remark.objects.filter(task=OuterRef("pk"))))
        case "edited":
            return tasks.filter(pk__in=answers.filter(version__gt=1).values("task"))
    excluded = answers.filter(has_exclusion(project="task__batch__project"))
    return tasks.filter(pk__in=excluded.values("task"))


def disagreeing(batch: Batch) -> Iterator[int]:
    """The tasks on which labels that are not excluded differ, as the kind compares them."""
    answers = Annotation.objects.filter(task__batch=batch, is_current=True)
    if batch.checks or in_effect(batch.project).exists():
        # Of a trial's answers none is a label, and where they differ is what it is about.
        left_out = has_exclusion if batch.trial_id else is_excluded
        answers = answers.exclude(left_out(project="task__batch__project"))
    rows = answers.order_by("task_id").values_list("task_id", "payload").iterator(chunk_size=ROWS_AT_ONCE)
    for task, of_task in groupby(rows, key=lambda row: row[0]):
        if differ(batch.kind, [payload for _task, payload in of_task]):
            yield task


def differ(kind: str, payloads: list[dict[str, Any]]) -> bool:
    """Whether two of the answers to one task are not equal, as the kind compares them."""
    if len(payloads) < 2:
        return False
    answers: dict[Any, Any] = {}
    compared = KINDS[kind]
    return any(
        answers.setdefault(question, value) != value
        for payload in payloads
        for question, value in compared.comparable(compared.parse(payload))
    )


def task_number(query: str) -> int | None:
    """The 12 of #12; 0 is no task's number."""
    mark, digits = query.strip()[:1], query.strip()[1:]
    return int(digits) if mark == "#" and digits.isascii() and digits.isdecimal() and len(digits) < 10 else None


def texts_of(batch: Batch) -> Iterator[tuple[Any, ...]]:
    """(task, text, …) of all that can be searched in a batch."""
    prompts = Task.objects.filter(batch=batch).order_by()
    yield from prompts.values_list("pk", "prompt__text", "prompt__external_id").iterator(chunk_size=ROWS_AT_ONCE)
    with connection.chunked_cursor() as cursor:
        cursor.execute(CANDIDATE_TEXTS, [batch.pk])
        yield from cursor
    if fields := [f"payload__{key}" for key in KINDS[batch.kind].searched]:
        answers = Annotation.objects.filter(task__batch=batch, is_current=True).order_by()
        yield from answers.values_list("task_id", *fields).iterator(chunk_size=ROWS_AT_ONCE)
    skipped = Assignment.objects.filter(batch=batch).exclude(skip_comment="").order_by()
    yield from skipped.values_list("task_id", "skip_comment").iterator(chunk_size=ROWS_AT_ONCE)


def ordered(tasks: QuerySet[Task], order: str) -> QuerySet[Task]:
    answers = Annotation.objects.filter(task=OuterRef("pk"), is_current=True)
    by: Mapping[str, str] = {"newest": "created_at", "longest": "active_seconds"}
    if order not in by:
        return tasks.order_by("position")
    value = Subquery(answers.order_by(f"-{by[order]}").values(by[order])[:1])
    return tasks.annotate(ordered_by=value).order_by(F("ordered_by").desc(nulls_last=True), "position")
