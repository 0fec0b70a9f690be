"""Excluding answers: what was answered stays and is shown, and counts for nothing until the exclusion is lifted.

A withdrawn prompt is one whose answers are all excluded; besides, it leaves the queue and gets no further tasks.

Excluded answers go into no new dataset version, no votes, agreement or result of a round, and no test; similar texts
are not offered from them. They still count as work: progress, time sheets and *my work* are what they were. Frozen
dataset versions and tests that exist never change.
"""

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from annotation.core.errors import Conflict, InvalidInput
from annotation.core.events import record
from annotation.core.exclusions import excluded_answers
from annotation.core.typed_text import checked_line
from annotation.kinds.base import ERASED_ANSWER
from annotation.models import (
    Annotation,
    Exclusion,
    Membership,
    Project,
    Prompt,
    Review,
    Task,
    User,
    Withdrawal,
)
from annotation.queue.withdrawn import lock_tasks, restore_slots, withdraw_slots

MAX_REASON = 500


def exclude_answer(*, annotation: Annotation, reason: str, actor: User | None) -> Exclusion:
    """Exclude this person's answer to the task, later versions included. Raises Conflict when it is excluded already or
    was withdrawn, InvalidInput without a reason."""
    task = Task.objects.select_related("batch__project").get(pk=annotation.task_id)
    current = Annotation.objects.filter(task=task, annotator=annotation.annotator_id, is_current=True)
    if not current.exists():
        raise Conflict(_("This answer was withdrawn: there is nothing to exclude."))
    return _exclude(task.batch.project, reason, actor, task=task, annotator=annotation.annotator)


def exclude_person(*, project: Project, annotator: User, reason: str, actor: User | None) -> Exclusion:
    """Exclude all answers of this person in the project, those to come included. Raises Conflict when they are excluded
    already, InvalidInput without a reason and for somebody who neither belongs to the project nor answered in it."""
    if not people_of(project).filter(pk=annotator.pk).exists():
        message = _("%(person)s has no answers in this project.") % {"person": annotator}
        raise InvalidInput(message, [("annotator", message)])
    return _exclude(project, reason, actor, annotator=annotator)


def people_of(project: Project) -> QuerySet[User]:
    """Members, and everybody else who answered in the project."""
    answers = Annotation.objects.filter(annotator=OuterRef("pk"), task__batch__project=project)
    members = Membership.objects.filter(user=OuterRef("pk"), project=project)
    return User.objects.filter(Exists(answers) | Exists(members)).order_by("name", "email")


def exclude_simulated(*, project: Project, reason: str, actor: User | None) -> Exclusion:
    """Exclude the answers of all simulated annotators in the project, those to come included. Raises as
    `exclude_person` does."""
    return _exclude(project, reason, actor)


def withdraw_prompt(*, prompt: Prompt, reason: str, actor: User | None) -> Exclusion:
    """Withdraw a prompt: its open tasks leave the queue, also those that somebody works on (their drafts are kept), its
    answers are excluded, and no new batch takes it. `lift_exclusion` restores it. Raises Conflict when it is withdrawn
    already, InvalidInput without a reason."""
    project, reason = prompt.project, checked_reason(reason)
    try:
        with transaction.atomic():
            lock_tasks(project.pk)
            exclusion = Exclusion.objects.create(project=project, prompt=prompt, reason=reason, created_by=actor)
            slots, held = withdraw_slots(prompt, actor=actor)
            answers = Annotation.objects.filter(task__prompt=prompt, is_current=True).count()
            after = {"exclusion": exclusion.pk, "reason": reason, "answers": answers, "slots": slots, "held": held}
            record(verb="prompt.withdrawn", target=prompt, actor=actor, project=project, after=after)
    except IntegrityError as error:
        raise Conflict(_("This prompt is withdrawn already.")) from error
    return exclusion


def restore_prompt(*, prompt: Prompt, actor: User | None) -> Exclusion:
    """Lift a prompt's withdrawal. Raises Conflict when it is not withdrawn."""
    exclusion = Exclusion.objects.filter(prompt=prompt, lifted_at=None).first()
    if exclusion is None:
        raise Conflict(_("This prompt is not withdrawn."))
    return lift_exclusion(exclusion=exclusion, actor=actor)


def lift_exclusion(*, exclusion: Exclusion, actor: User | None) -> Exclusion:
    """The answers count again, from now on; a prompt returns to the queue. Raises Conflict when it was lifted before,
    and for answers of a person who withdrew consent and has not given it again."""
    with transaction.atomic():
        if exclusion.annotator_id is not None:
            refuse_without_consent(exclusion)
        if exclusion.prompt is not None:
            lock_tasks(exclusion.project_id)
        lifted = Exclusion.objects.filter(pk=exclusion.pk, lifted_at=None)
        if not lifted.update(lifted_at=timezone.now(), lifted_by=actor):
            raise Conflict(_("This exclusion has been lifted already."))
        project = exclusion.project
        if exclusion.prompt is not None:
            before = {"exclusion": exclusion.pk, "reason": exclusion.reason}
            after = {"slots": restore_slots(exclusion.prompt)}
            record(
                verb="prompt.restored",
                target=exclusion.prompt,
                actor=actor,
                project=project,
                before=before,
                after=after,
            )
        else:
            record(verb="exclusion.lifted", target=exclusion, actor=actor, project=project, before=_facts(exclusion))
    exclusion.refresh_from_db()
    return exclusion


def refuse_without_consent(exclusion: Exclusion) -> None:
    """Raise Conflict where the exclusion follows from a withdrawal of consent that is in effect."""
    if Withdrawal.objects.filter(exclusion=exclusion, ended_at=None).exists():
        raise Conflict(_("This person withdrew consent: the exclusion can be lifted once they consent again."))
    corrected = Review.objects.filter(annotation__task=exclusion.task_id, annotation__annotator=exclusion.annotator_id)
    corrected = corrected.filter(annotation__is_current=True, verdict=Review.Verdict.CORRECTED)
    if exclusion.task_id is None:
        return
    if corrected.filter(payload=ERASED_ANSWER).exists():
        raise Conflict(_("The correction of this answer was erased: the reviewer withdrew consent."))
    by = Withdrawal.objects.filter(project=exclusion.project_id, ended_at=None, person__in=corrected.values("reviewer"))
    if by.exists():
        raise Conflict(_("The reviewer who corrected this answer withdrew consent."))


def _exclude(
    project: Project, reason: str, actor: User | None, *, task: Task | None = None, annotator: User | None = None
) -> Exclusion:
    reason = checked_reason(reason)
    try:
        with transaction.atomic():
            exclusion = Exclusion.objects.create(
                project=project, task=task, annotator=annotator, reason=reason, created_by=actor
            )
            counts = {row.exclusion.pk: row.answers for row in excluded_answers(project)}
            after = _facts(exclusion) | {"answers": counts[exclusion.pk]}
            record(verb="exclusion.made", target=exclusion, actor=actor, project=project, after=after)
    except IntegrityError as error:
        raise Conflict(_ALREADY[bool(task), bool(annotator)]()) from error
    return exclusion


_ALREADY = {
    (True, True): lambda: _("This answer is excluded already."),
    (False, True): lambda: _("This person's answers are excluded already."),
    (False, False): lambda: _("The answers of simulated annotators are excluded already."),
}


def _facts(exclusion: Exclusion) -> dict[str, object]:
    return {
        "scope": exclusion.scope,
        "task": exclusion.task_id,
        "annotator": exclusion.annotator_id,
        "reason": exclusion.reason,
    }


def checked_reason(reason: str) -> str:
    missing = _("Give a reason for the exclusion.")
    return checked_line(reason, field="reason", limit=MAX_REASON, missing=missing)
