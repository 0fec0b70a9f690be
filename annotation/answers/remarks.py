"""Remarks: what annotators say about a task to its reviewers, and what they hear back."""

from datetime import timedelta

from django.db import transaction
from django.db.models import Count, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from annotation.core.access import STAFF, own_remarks, within
from annotation.core.errors import Conflict, InvalidInput
from annotation.core.events import record
from annotation.models import Project, Remark, Task, User

MAX_REMARK = 4_000
# The same words about the same task within so short a time are one remark, sent twice.
SENT_TWICE = timedelta(minutes=1)


# ---- reads ----


def remarks_in(project: Project) -> QuerySet[Remark]:
    """All remarks of the project: those that wait first, each part oldest first."""
    rows = Remark.objects.filter(task__batch__project=project)
    return rows.order_by("-answered_at", "created_at", "id").select_related(
        "author", "answered_by", "task__prompt", "task__batch__project"
    )


def open_remarks(project: Project) -> QuerySet[Remark]:
    """Those that nobody has answered or settled yet."""
    return Remark.objects.filter(task__batch__project=project, answered_at=None)


def waiting_for(reviewer: User) -> list[tuple[str, str, int]]:
    """(slug, name, how many) of each project that this person reviews and in which remarks are open. One query."""
    rows = within(Remark.objects.filter(answered_at=None), reviewer, STAFF, "task__batch__project").order_by()
    counted = rows.filter(task__batch__project__archived_at=None).values_list(
        "task__batch__project__slug", "task__batch__project__name"
    )
    return list(counted.annotate(count=Count("pk")).order_by("task__batch__project__name"))


def remarks_by(author: User, task: Task) -> QuerySet[Remark]:
    """What this person said about this task, and the answers."""
    return Remark.objects.filter(author=author, task=task).select_related("answered_by")


def unread_answers(author: User) -> QuerySet[Remark]:
    """Answers that this person has not seen, in projects that they still belong to; oldest first."""
    mine = own_remarks(author).select_related("task__prompt", "task__batch__project", "answered_by")
    return mine.filter(read_at=None).exclude(answer="")


# ---- actions ----


def add_remark(*, task: Task, author: User, kind: str, text: str) -> Remark:
    """Say something about a task. The same words twice within a minute are one remark.

    Raises InvalidInput, naming the field, for an unknown kind and for a text that is empty or too long.
    """
    text = cleaned(text, missing=_("Write what you want to say."))
    if kind not in Remark.Kind.values:
        message = _("Choose what it is: a comment, a question or a flag.")
        raise InvalidInput(message, [("kind", message)])
    with transaction.atomic():
        Task.objects.select_for_update(no_key=True).get(pk=task.pk)
        since = timezone.now() - SENT_TWICE
        same = Remark.objects.filter(task=task, author=author, kind=kind, text=text, created_at__gte=since).first()
        if same is not None:
            return same
        remark = Remark.objects.create(task=task, author=author, kind=kind, text=text)
        record(
            verb="remark.added", target=remark, actor=author, project=task.batch.project,
            after={"task": task.pk, "kind": kind, "text": text},
        )  # fmt: skip
    return remark


def answer_remark(*, remark: Remark, text: str, actor: User) -> Remark:
    """Answer a remark; its author finds the answer on their first page. What was settled in silence may still be
    answered. Raises Conflict where somebody answered before, InvalidInput for an empty or too long text."""
    text = cleaned(text, missing=_("Write an answer."))
    with transaction.atomic():
        waiting = Remark.objects.filter(pk=remark.pk, answer="")
        if not waiting.update(answer=text, answered_by=actor, answered_at=timezone.now(), read_at=None):
            raise Conflict(_("Somebody has answered this already; their answer stands."))
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
    """Put a comment or a flag aside without an answer. Raises Conflict for a question, which wants one, and where it
    was answered or settled before."""
    if remark.kind == Remark.Kind.QUESTION:
        raise Conflict(_("A question wants an answer."))
    with transaction.atomic():
        waiting = Remark.objects.filter(pk=remark.pk, answered_at=None)
        if not waiting.update(answered_by=actor, answered_at=timezone.now()):
            raise Conflict(_("Somebody has settled this already."))
        record(verb="remark.settled", target=remark, actor=actor, project=remark.task.batch.project)
    remark.refresh_from_db()
    return remark


def mark_read(*, remarks: QuerySet[Remark], author: User) -> int:
    """The author has seen the answers among these remarks; returns how many were new to them."""
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


def cleaned(text: str, *, missing: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").strip()
    if not text:
        raise InvalidInput(missing, [("text", missing)])
    if len(text) > MAX_REMARK:
        message = _("At most %(limit)s characters; this has %(length)s.") % {"limit": MAX_REMARK, "length": len(text)}
        raise InvalidInput(message, [("text", message)])
    return text
