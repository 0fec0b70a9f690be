"""A person's answers of a batch are excluded, and the slots are open again for others: at once, or not at all."""

from dataclasses import dataclass

from django.db import transaction
from django.db.models import Exists, Max, OuterRef
from django.utils.translation import gettext as _

from annotation.core.errors import Conflict
from annotation.core.events import record
from annotation.core.exclusions import is_excluded
from annotation.models import Annotation, Assignment, Batch, Exclusion, Task, User

State = Assignment.State


@dataclass(frozen=True)
class Requeued:
    answers: int
    slots: int


def requeue(*, batch: Batch, annotator: User, reason: str, actor: User | None) -> Requeued:
    """Exclude this person's labels of the batch, each with this reason, and open a slot of each of their tasks.

    Whoever answered a task never gets it again, so the slots are for others. Answers to checks stay, as evidence. Open
    and held tasks are not touched, and no slot is opened of a task whose prompt is withdrawn, or that was decided.
    Raises Conflict where there is no answer to exclude.
    """
    with transaction.atomic():
        slots = Assignment.objects.select_for_update().filter(batch=batch, annotator=annotator, state=State.DONE)
        mine = Annotation.objects.filter(
            assignment__in=[slot.pk for slot in slots.order_by("pk")], is_current=True
        ).exclude(is_excluded(project="task__batch__project"))
        tasks = list(mine.order_by("task").values_list("task", flat=True))
        if not tasks:
            raise Conflict(_("%(person)s has no labels in this batch that count.") % {"person": annotator})
        Exclusion.objects.bulk_create(
            Exclusion(project=batch.project, task_id=task, annotator=annotator, reason=reason, created_by=actor)
            for task in tasks
        )
        withdrawn = Exclusion.objects.filter(prompt=OuterRef("prompt"), lifted_at=None)
        wanted = Task.objects.select_for_update(no_key=True, of=["self"]).filter(pk__in=tasks).order_by("pk")
        wanted = wanted.filter(~Exists(withdrawn), adjudications=None)
        locked = list(wanted)
        last = dict(
            Assignment.objects.filter(task__in=locked).order_by().values_list("task").annotate(last=Max("slot"))
        )
        made = Assignment.objects.bulk_create(
            Assignment(
                task=task,
                batch=batch,
                slot=last[task.pk] + 1,
                priority=batch.priority,
                position=task.position,
            )
            for task in locked
        )
        result = Requeued(answers=len(tasks), slots=len(made))
        after = {"annotator": annotator.pk, "answers": result.answers, "slots": result.slots, "reason": reason}
        record(verb="batch.requeued", target=batch, actor=actor, project=batch.project, after=after)
    return result
