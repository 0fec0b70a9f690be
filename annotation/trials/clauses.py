"""A proposed clause of the guideline: written with the tasks that it is about, then adopted or discarded."""

from collections.abc import Iterable

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from annotation.core.errors import Conflict, InvalidInput
from annotation.core.events import record
from annotation.models import Batch, GuidelineClause, Project, User
from annotation.projects.guidelines import publish_guideline
from annotation.queue.batches import close_batch
from annotation.trials.grouping import tasks_of

CLAUSE_LIMIT = 4_000  # characters
MOST_TASKS = 500
Status = GuidelineClause.Status


def propose_clause(*, project: Project, text: str, tasks: Iterable[int], actor: User) -> GuidelineClause:
    """A draft. Raises InvalidInput for an empty or too long text, and without tasks of the project."""
    text = checked_text(text)
    ids = [task.pk for task in tasks_of(project, set(tasks))]
    if not ids:
        message = _("Tick the tasks that the clause is about.")
        raise InvalidInput(message, [("tasks", message)])
    if len(ids) > MOST_TASKS:
        message = _("A clause is about %(most)s tasks at most.") % {"most": f"{MOST_TASKS:,}"}
        raise InvalidInput(message, [("tasks", message)])
    with transaction.atomic():
        clause = GuidelineClause.objects.create(project=project, text=text, task_ids=ids, created_by=actor)
        after = {"text": text, "tasks": ids}
        record(verb="clause.proposed", target=clause, actor=actor, project=project, after=after)
    return clause


def edit_clause(*, clause: GuidelineClause, text: str, actor: User) -> GuidelineClause:
    """Another text for a draft. Raises InvalidInput, and Conflict once it is tried or decided."""
    text = checked_text(text)
    with transaction.atomic():
        clause = locked(clause, Status.DRAFT)
        before, clause.text = clause.text, text
        clause.save(update_fields=["text"])
        record(
            verb="clause.edited",
            target=clause,
            actor=actor,
            project=clause.project,
            before={"text": before},
            after={"text": text},
        )
    return clause


def adopt_clause(*, clause: GuidelineClause, unmeasured: bool, actor: User) -> GuidelineClause:
    """Publish the guideline with the clause as a new version, and close the trial's batches.

    Raises Conflict when it is decided already, when the trial has no measured difference and that is not accepted by
    `unmeasured`, and when another version was published since the trial began.
    """
    with transaction.atomic():
        clause = locked(clause, Status.TRIAL)
        if not unmeasured and not is_measured(clause):
            raise Conflict(
                _("The trial has not measured a difference yet. Wait for it, or adopt the clause unmeasured.")
            )
        latest = clause.project.guidelines.first()
        if latest is not None and latest.pk != clause.based_on_id:
            message = _(
                "Version %(version)s was published since the trial began, and the clause was not tried with it. Add "
                "the clause to that version in the settings, or discard it here and try it again."
            )
            raise Conflict(message % {"version": latest.version})
        version = latest.version if latest else 0
        clause.adopted_as = publish_guideline(
            project=clause.project, text=clause.proposed, based_on=version, actor=actor
        )
        decide(clause, Status.ADOPTED, actor)
    return clause


def discard_clause(*, clause: GuidelineClause, actor: User) -> GuidelineClause:
    """Keep the guideline as it is; the clause, its answers and its result stay. Raises Conflict when it is decided."""
    with transaction.atomic():
        clause = locked(clause, Status.DRAFT, Status.TRIAL)
        decide(clause, Status.DISCARDED, actor)
    return clause


def decide(clause: GuidelineClause, status: str, actor: User) -> None:
    before, clause.status = clause.status, status
    clause.decided_by, clause.decided_at = actor, timezone.now()
    clause.save(update_fields=["status", "decided_by", "decided_at", "adopted_as"])
    for batch in Batch.objects.filter(trial=clause, status=Batch.Status.OPEN).select_related("project"):
        close_batch(batch=batch, actor=actor)
    after = {"status": status, "result": clause.result}
    if clause.adopted_as is not None:
        after["version"] = clause.adopted_as.version
    record(
        verb=f"clause.{status}",
        target=clause,
        actor=actor,
        project=clause.project,
        before={"status": before},
        after=after,
    )


def is_measured(clause: GuidelineClause) -> bool:
    """Whether the trial found a difference of agreement of any measure, large or small."""
    rows = (clause.result or {}).get("measures", [])
    return any(row["difference"]["value"] is not None for row in rows)


def locked(clause: GuidelineClause, *allowed: str) -> GuidelineClause:
    row = GuidelineClause.objects.select_for_update(of=("self",)).select_related("project").get(pk=clause.pk)
    if row.status not in allowed:
        status = Status(row.status).label
        raise Conflict(_("This is not possible any more: the clause is “%(status)s”.") % {"status": status})
    return row


def checked_text(text: str) -> str:
    text = text.replace("\r\n", "\n").strip()
    if not text:
        raise InvalidInput(_("The clause is empty."), [("text", _("Write what the guideline should say."))])
    if len(text) > CLAUSE_LIMIT:
        message = _("At most %(most)s characters.") % {"most": f"{CLAUSE_LIMIT:,}"}
        raise InvalidInput(message, [("text", message)])
    return text
