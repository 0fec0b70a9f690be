"""Adjudication: a reviewer's final decision on a task whose annotators disagree, and why they did.

Most disagreement is no error: "keep as divided" is a decision, too. Each one is kept and leaves an event; it is refused
when somebody else was first or an author has an answer open, and the same decision sent twice is one.
"""

from collections.abc import Sequence
from copy import copy
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from annotation.answers.worktime import Spent
from annotation.core.errors import Conflict, InvalidInput
from annotation.core.events import record
from annotation.core.exclusions import is_excluded
from annotation.kinds import KINDS
from annotation.models import Adjudication, AdjudicationClaim, Annotation, Assignment, Project, Task, TaskDoubt, User
from annotation.reference import translation_memory
from annotation.reviewing.undo import restore_memory
from annotation.reviewing.verdicts import NOTHING, optional_note
from annotation.reviewing.worktime import record_time_on_task, seconds_on_task


def adjudicate(
    *,
    task: Task,
    adjudicator: User,
    cause: str,
    chosen: int | None = None,
    payload: dict[str, Any] | None = None,
    note: str = "",
    spent: Spent = NOTHING,
) -> Adjudication:
    """Decide the task: every answer to it counts as the answer `chosen` (an id), or as `payload`, as the kind's `read`
    returned it. With neither, the answers are kept as divided: each counts as it is, also in a batch that requires
    review.

    Raises InvalidInput without a cause or for an answer that is not of the task, and Conflict: see `answers_to`.
    """
    note = optional_note(note)
    if cause not in Adjudication.Cause.values:
        message = _("Say why the annotators disagree.")
        raise InvalidInput(message, [("cause", message)])
    with transaction.atomic():
        slots = list(Assignment.objects.select_for_update(no_key=True).filter(task=task).order_by("pk"))
        known = Adjudication.objects.filter(task=task).first()
        if known is not None:
            if is_same(known, adjudicator, cause, chosen, payload, note):
                return known
            raise Conflict(_("This task has been decided already. Your decision was not saved."))
        answers = answers_to(task, adjudicator, slots)
        if chosen is not None:
            payload = chosen_payload(answers, chosen)
        record_time_on_task(task=task, reviewer=adjudicator, spent=spent)
        doubt = TaskDoubt.objects.filter(task=task).first()
        decision = Adjudication.objects.create(
            task=task,
            batch_id=task.batch_id,
            adjudicator=adjudicator,
            payload=payload,
            chosen_id=chosen,
            cause=cause,
            note=note,
            doubt=doubt.doubt if doubt else 0,
            active_seconds=seconds_on_task(task, adjudicator),
        )
        AdjudicationClaim.objects.filter(task=task).delete()
        TaskDoubt.objects.filter(task=task).delete()
        if payload is not None:
            remember(answers, payload)
        after = {"task": task.pk, "cause": cause, "chosen": chosen, "note": note, "payload": payload}
        after["annotations"] = [answer.pk for answer in answers]
        verb = "task.kept_divided" if payload is None else "task.adjudicated"
        record(verb=verb, target=decision, actor=adjudicator, project=task.batch.project, after=after)
    return decision


def is_same(
    known: Adjudication,
    adjudicator: User,
    cause: str,
    chosen: int | None,
    payload: dict[str, Any] | None,
    note: str,
) -> bool:
    """Whether it is the decision that this person sent before."""
    if (known.adjudicator_id, known.cause, known.note, known.chosen_id) != (adjudicator.pk, cause, note, chosen):
        return False
    return chosen is not None or known.payload == payload


def answers_to(task: Task, adjudicator: User, slots: Sequence[Assignment]) -> list[Annotation]:
    """The answers that a decision is about: current, finished, not excluded. Raises Conflict where fewer than two are
    left, an author has an answer open, or one is the adjudicator's own."""
    current = Annotation.objects.filter(task=task, is_current=True).exclude(is_excluded(project="task__batch__project"))
    answers = list(current.select_related("annotator", "assignment").order_by("pk"))
    if any(answer.annotator_id == adjudicator.pk for answer in answers):
        raise Conflict(_("Nobody decides a task that they answered themselves."))
    if any(slot.state == Assignment.State.HELD and slot.finished_at for slot in slots):
        raise Conflict(_("An author has opened an answer to this task. Your decision was not saved: try again later."))
    if len(answers) < 2:
        raise Conflict(_("Fewer than two answers to this task count: there is nothing to decide."))
    return answers


def chosen_payload(answers: Sequence[Annotation], chosen: int) -> dict[str, Any]:
    for answer in answers:
        if answer.pk == chosen:
            return dict(answer.payload)
    message = _("The answer that you chose does not count any more. Look at the task again.")
    raise InvalidInput(message, [("decision", message)])


def remember(answers: Sequence[Annotation], payload: dict[str, Any]) -> None:
    """The decided text is what is found among similar texts."""
    for answer in answers:
        kind = KINDS[answer.kind]
        if kind.own_text(payload) is not None:
            decided = copy(answer)
            decided.payload = payload
            translation_memory.store(annotation=decided)
        elif kind.keeps_own_text:
            translation_memory.discard(task_id=answer.task_id, author=answer.annotator)


def take_back_last(*, project: Project, adjudicator: User) -> Task:
    """Take back this person's newest decision in the project; returns its task. Raises Conflict when there is none."""
    rows = Adjudication.objects.filter(batch__project=project, adjudicator=adjudicator)
    newest = rows.order_by("-created_at", "-pk").select_related("task__batch__project").first()
    if newest is None:
        raise Conflict(_("You have decided no task in this project."))
    take_back(adjudication=newest, actor=adjudicator)
    task: Task = newest.task
    return task


def take_back(*, adjudication: Adjudication, actor: User | None) -> None:
    """The answers count as before; the event keeps the decision. Raises Conflict when it was taken back already."""
    task = adjudication.task
    with transaction.atomic():
        list(Assignment.objects.select_for_update(no_key=True).filter(task=task).order_by("pk"))
        known = Adjudication.objects.filter(pk=adjudication.pk).first()
        if known is None:
            raise Conflict(_("This decision was taken back already."))
        before = {"task": task.pk, "cause": known.cause, "adjudicator": known.adjudicator_id, "note": known.note}
        before |= {"payload": known.payload, "chosen": known.chosen_id}
        project = task.batch.project
        record(verb="task.decision_taken_back", target=known, actor=actor, project=project, before=before)
        if known.doubt:
            TaskDoubt.objects.update_or_create(task=task, defaults={"project": project, "doubt": known.doubt})
        known.delete()
        if not known.is_divided:
            answers = Annotation.objects.filter(task=task, is_current=True).select_related("annotator")
            for answer in answers:
                restore_memory(answer)
