"""Remarks: messages of annotators to the reviewers about a task, and the answers."""

from datetime import timedelta

from django.db import transaction
from django.db.models import Count, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from annotation.core.access import STAFF, own_remarks, within
from annotation.core.errors import Conflict, InvalidInput
from annotation.core.events import record
from annotation.core.typed_text import checked_text
from annotation.models import Project, Remark, Task, User

MAX_REMARK = 4_000
# The same text about the same task within this time is one remark, sent twice.
DUPLICATE_WITHIN = timedelta(minutes=1)


# ---- reads ----


def remarks_in(project: Project) -> QuerySet[Remark]:
    """All remarks of the project: open ones first, then the others, each oldest first."""
    rows = Remark.objects.filter(task__batch__project=project)
    return rows.order_by("-answered_at", "created_at", "id").select_related(
        "author", "answered_by", "task__prompt", "task__batch__project"
    )


def open_remarks(project: Project) -> QuerySet[Remark]:
    """Those that nobody has answered or settled yet."""
    return Remark.objects.filter(task__batch__project=project, answered_at=None)


def open_remark_counts(reviewer: User) -> list[tuple[str, str, int]]:
    """(slug, name, how many) of each project that this person reviews and in which remarks are open. One query."""
    rows = within(Remark.objects.filter(answered_at=None), reviewer, STAFF, "task__batch__project").order_by()
    counted = rows.filter(task__batch__project__archived_at=None).values_list(
        "task__batch__project__slug", "task__batch__project__name"
    )
    return list(counted.annotate(count=Count("pk")).order_by("task__batch__project__name"))


def remarks_by(author: User, task: Task) -> QuerySet[Remark]:
    """This person's remarks about this task, with the answers."""
    return Remark.objects.filter(author=author, task=task).select_related("answered_by")


def remarks_about(task: Task) -> QuerySet[Remark]:
    """Everybody's remarks about this task, with the answers."""
    return Remark.objects.filter(task=task).select_related("author", "answered_by")


def unread_answers(author: User) -> QuerySet[Remark]:
    """Answers that this person has not read, in projects that they still belong to; oldest first."""
    rows = own_remarks(author).select_related("task__prompt", "task__batch__project", "answered_by")
    return rows.filter(read_at=None).exclude(answer="")


# ---- actions ----


def add_remark(*, task: Task, author: User, kind: str, text: str) -> Remark:
    """Add a remark about a task. The same text twice within a minute is one remark.

    Raises InvalidInput, naming the field, for an unknown kind and for a text that is empty or too long.
    """
    text = checked_text(text, field="text", limit=MAX_REMARK, missing=_("Write a message."))
    if kind not in Remark.Kind.values:
        message = _("Choose a type: comment, question or flag.")
        raise InvalidInput(message, [("kind", message)])
    with transaction.atomic():
        Task.objects.select_for_update(no_key=True).get(pk=task.pk)
        since = timezone.now() - DUPLICATE_WITHIN
        same = Remark.objects.filter(task=task, author=author, kind=kind, text=text, created_at__gte=since).first()
        if same is not None:
            return same
        remark = Remark.objects.create(task=task, author=author, kind=kind, text=text)
        record(
            verb="remark.added",
            target=remark,
            actor=author,
            project=task.batch.project,
            after={"task": task.pk, "kind": kind, "text": text},
        )
    return remark


def answer_remark(*, remark: Remark, text: str, actor: User) -> Remark:
    """Answer a remark; its author sees the answer on their home page. A remark that was settled without an answer may
    still be answered. Raises Conflict when it was answered before, InvalidInput for an empty or too long text."""
    text = checked_text(text, field="text", limit=MAX_REMARK, missing=_("Write an answer."))
    with transaction.atomic():
        unanswered = Remark.objects.filter(pk=remark.pk, answer="")
        if not unanswered.update(answer=text, answered_by=actor, answered_at=timezone.now(), read_at=None):
            raise Conflict(_("Somebody else has already answered this."))
        record(
            verb="remark.answered",
            target=remark,
            actor=actor,
            project=remark.task.batch.project,
            after={"answer": text},
        )
    remark.refresh_from_db()
    return remark


def settle(*, remark: Remark, actor: User) -> Remark:
    """Close a comment or a flag without an answer. Raises Conflict for a question, which needs one, and when it was
    answered or settled before."""
    if remark.kind == Remark.Kind.QUESTION:
        raise Conflict(_("A question needs an answer."))
    with transaction.atomic():
        unanswered = Remark.objects.filter(pk=remark.pk, answered_at=None)
        if not unanswered.update(answered_by=actor, answered_at=timezone.now()):
            raise Conflict(_("Someone else has already resolved this."))
        record(verb="remark.settled", target=remark, actor=actor, project=remark.task.batch.project)
    remark.refresh_from_db()
    return remark


def mark_read(*, remarks: QuerySet[Remark], author: User) -> int:
    """Mark the answers among these remarks as read by the author; returns how many were unread."""
    with transaction.atomic():
        seen = list(
            remarks.filter(author=author, read_at=None)
            .exclude(answer="")
            .select_related(None)
            .select_related("task__batch__project")
            .select_for_update(of=("self",))
        )
        for remark in seen:
            record(verb="remark.read", target=remark, actor=author, project=remark.task.batch.project)
        Remark.objects.filter(pk__in=[remark.pk for remark in seen]).update(read_at=timezone.now())
    return len(seen)
