"""Which tasks an adjudicator decides, worst first, and the claim that hands each to one person at a time.

The newest analysis says how doubtful a task is (`TaskDoubt`); tasks on which people came to disagree since follow in
the order of their ids. A task that was decided is in the queue no longer, nor is one that the person answered. How much
people must differ is a setting of the project (`threshold`).
"""

from collections.abc import Iterator
from datetime import datetime
from itertools import chain

from django.db import IntegrityError, transaction
from django.db.models import Count, Exists, OuterRef, QuerySet
from django.utils import timezone

from annotation.core.events import record
from annotation.core.exclusions import is_excluded
from annotation.models import Adjudication, AdjudicationClaim, Annotation, Assignment, Project, Task, TaskDoubt, User
from annotation.reviewing.queue import disagreeing_tasks, lease_end
from annotation.reviewing.threshold import answers_by_question, is_below

CLAIM_ATTEMPTS = 5
CANDIDATES = 100


def undecided(project: Project, reviewer: User, *, batch: int = 0) -> QuerySet[Task]:
    """Tasks that this person may decide: of several answers, none of them their own or open again, and nobody else at
    it."""
    current = Annotation.objects.filter(task=OuterRef("pk"), is_current=True).order_by()
    reopened = Assignment.objects.filter(task=OuterRef("pk"), state=Assignment.State.HELD, finished_at__isnull=False)
    taken = AdjudicationClaim.objects.filter(task=OuterRef("pk"), leased_until__gt=timezone.now())
    tasks = Task.objects.filter(batch__project=project).filter(
        ~Exists(Adjudication.objects.filter(task=OuterRef("pk")).order_by()),
        ~Exists(current.filter(annotator=reviewer)),
        ~Exists(reopened.order_by()),
        ~Exists(taken.exclude(reviewer=reviewer)),
    )
    return tasks.filter(batch=batch) if batch else tasks


def queue_of(project: Project, reviewer: User, *, batch: int = 0, after: int = 0) -> Iterator[int]:
    """The ids of tasks in this person's queue; `after` leaves out all up to that task, which is how one is passed
    over."""
    tasks = undecided(project, reviewer, batch=batch)
    ranked = tasks.filter(doubt__isnull=False).order_by("-doubt__doubt", "pk").values_list("pk", flat=True)
    found = ranked.iterator(chunk_size=CANDIDATES)
    answers = Annotation.objects.filter(
        task__in=tasks.filter(doubt__isnull=True).values("pk"),
        is_current=True,
        assignment__state=Assignment.State.DONE,
    ).exclude(is_excluded(project="task__batch__project"))
    waiting = chain(found, disagreeing_tasks(answers))
    if after:
        for pk in waiting:
            if pk == after:
                break
        else:  # it is decided meanwhile, or is somebody else's now
            waiting = chain(ranked.iterator(chunk_size=CANDIDATES), disagreeing_tasks(answers))
    return (pk for pk in waiting if pk != after and is_divided(pk))


def is_divided(task: int) -> bool:
    """Whether answers to the task differ, as their kind compares them, by as much as the project asks for."""
    answers = Annotation.objects.filter(task=task, is_current=True, assignment__state=Assignment.State.DONE)
    answers = answers.exclude(is_excluded(project="task__batch__project"))
    rows = list(answers.values_list("kind", "payload", "task__batch__project__adjudicate_below"))
    if not rows:
        return False
    kind, _payload, percent = rows[0]
    return is_below(answers_by_question(kind, [payload for _kind, payload, _percent in rows]), percent)


def count_doubtful(projects: list[Project]) -> dict[int, int]:
    """How many tasks wait for a decision, by project, as of the newest analysis. One query."""
    rows = TaskDoubt.objects.filter(project__in=projects).order_by().values("project").annotate(n=Count("pk"))
    return dict(rows.values_list("project", "n"))


def claim_next(*, project: Project, reviewer: User, batch: int = 0, after: int = 0) -> Task | None:
    """The task that this person decides in the project, its lease renewed, unless they pass it over (`after`);
    otherwise the next one of their queue, now claimed. None when there is none."""
    for _attempt in range(CLAIM_ATTEMPTS):
        own = AdjudicationClaim.objects.filter(project=project, reviewer=reviewer).first()
        if own is not None and own.task_id != after and may_keep(own, reviewer, batch):
            AdjudicationClaim.objects.filter(pk=own.pk).update(leased_until=lease_end(project))
            return loaded(own.task_id)
        if own is not None:
            release(own)
        for pk in queue_of(project, reviewer, batch=batch, after=after):
            if claim(pk, project, reviewer):
                return loaded(pk)
            if AdjudicationClaim.objects.filter(project=project, reviewer=reviewer).exists():
                break  # another tab of this person was first: both show what it claimed
        else:
            return None
    return None


def may_keep(own: AdjudicationClaim, reviewer: User, batch: int) -> bool:
    tasks = undecided(own.project, reviewer, batch=batch)
    return tasks.filter(pk=own.task_id).exists() and is_divided(own.task_id)


def claim(pk: int, project: Project, reviewer: User) -> bool:
    """Claim this task; False when somebody else has it, or this person another one. A claim whose lease ended counts
    as none."""
    now = timezone.now()
    try:
        with transaction.atomic():
            for old in AdjudicationClaim.objects.filter(task=pk, leased_until__lte=now):
                release(old)
            row = AdjudicationClaim.objects.create(
                task_id=pk, project=project, reviewer=reviewer, claimed_at=now, leased_until=lease_end(project)
            )
            record(verb="adjudication.claimed", target=row, actor=reviewer, project=project, after={"task": pk})
    except IntegrityError:
        return False
    return True


def hold(*, task: Task, reviewer: User) -> bool:
    """Claim this task for a reviewer who opens it by its address, or renew their claim; False when somebody else
    decides it now, or nothing is left to decide."""
    project = task.batch.project
    own = AdjudicationClaim.objects.filter(project=project, reviewer=reviewer).first()
    if own is not None and own.task_id == task.pk:
        return bool(AdjudicationClaim.objects.filter(pk=own.pk).update(leased_until=lease_end(project)))
    if not undecided(project, reviewer).filter(pk=task.pk).exists():
        return False
    if own is not None:
        release(own)
    return claim(task.pk, project, reviewer)


def renew(*, task: Task, reviewer: User) -> None:
    """Extend the lease while the reviewer reads."""
    until: datetime = lease_end(task.batch.project)
    AdjudicationClaim.objects.filter(task=task, reviewer=reviewer).update(leased_until=until)


def release(row: AdjudicationClaim) -> None:
    """Give the task back to the queue."""
    with transaction.atomic():
        deleted, _rows = AdjudicationClaim.objects.filter(pk=row.pk).delete()
        if deleted:
            before = {"task": row.task_id, "reviewer": row.reviewer_id}
            record(verb="adjudication.released", target=row, actor=None, project=row.project, before=before)


def loaded(pk: int) -> Task:
    return Task.objects.select_related("prompt", "batch__project", "batch__weight_set").get(pk=pk)
