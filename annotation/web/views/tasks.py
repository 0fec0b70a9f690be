"""The tasks of a batch, for reviewers and managers: as a table, one by one, and as an annotator sees one. Nothing here
claims a task. Only managers see origins."""

from collections.abc import Iterable
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET
from django.views.decorators.vary import vary_on_headers

from annotation.answers.remarks import remarks_about
from annotation.answers.task_filters import ORDERS, STATES, TaskFilter, flags_of, ordered
from annotation.core.access import STAFF, batch_for, role_in, task_reviewed
from annotation.core.checks import checked_answers
from annotation.core.exclusions import InEffect
from annotation.core.reviews import waiting_by_batch
from annotation.dashboards.adaptive import batch_sentences
from annotation.kinds import KINDS, show
from annotation.models import Assignment, Batch, Membership, Role, Task, TaskCheck, User, WorkCount
from annotation.quality.run import newest
from annotation.queue.arms import selection_sentences
from annotation.queue.left_out import left_out_sentences
from annotation.queue.progress import Progress, progress_of
from annotation.queue.workforce import people_now, recorded_shortage
from annotation.reference.feedback import differing_json
from annotation.text.search import LONGEST
from annotation.web.forms.queue import BatchChangeForm
from annotation.web.http import SignedInRequest
from annotation.web.parameters import row_id
from annotation.web.script_messages import page_person, script_messages
from annotation.web.slots import batch_outcomes
from annotation.web.task_rows import members_of, rows_of, with_answers
from annotation.web.views.work import text_feedback

TASKS_A_PAGE = 25


@login_required
@require_GET
@vary_on_headers("HX-Request")
def batch(request: SignedInRequest, batch_id: int) -> HttpResponse:
    """The table of tasks, filtered and sorted by the address, and who holds what."""
    return batch_page(request, batch_for(request.user, batch_id, STAFF))


def batch_page(
    request: SignedInRequest, batch: Batch, *, form: BatchChangeForm | None = None, status: int = 200
) -> HttpResponse:
    """The page; for htmx only the table, unless it fills the page from its history."""
    role = role_in(request.user, batch.project)
    chosen = {name: request.GET.get(name, "").strip() for name in ("only", "person", "flag", "q", "sort")}
    chosen["q"] = chosen["q"][:LONGEST]
    chosen_tasks = TaskFilter(
        state=chosen["only"],
        person=row_id(chosen["person"]),
        flag=chosen["flag"],
        query=chosen["q"],
        order=chosen["sort"],
    ).tasks(batch)
    # What is counted and joined of a task is read for those of the page alone, not for all that it passes over.
    page = Paginator(chosen_tasks.values("pk"), TASKS_A_PAGE).get_page(request.GET.get("page"))
    on_page: Any = page.object_list  # a query of ids
    tasks = list(with_answers(ordered(Task.objects.filter(pk__in=on_page), chosen["sort"])))
    exclusions = InEffect(batch)
    query = request.GET.copy()
    query.pop("page", None)
    context: dict[str, Any] = {
        "project": batch.project,
        "section": "progress",
        "batch": batch,
        "kind": KINDS[batch.kind],
        "page": page,
        "query": f"{query.urlencode()}&" if query else "",
        "here": f"{reverse('batch', args=[batch.pk])}?{query.urlencode()}&page={page.number}",
        "tasks": with_checks(rows_of(batch, tasks, exclusions), batch, role),
        "manages": role == Role.MANAGER,
        "own_role": role,
        "is_filtered": any(chosen[name] for name in ("only", "person", "flag", "q")),
    }
    if request.htmx and not request.htmx.history_restore_request:
        return render(request, "annotation/batches/batch.html#tasks", context)
    (progress,) = progress_of(
        Batch.objects.filter(pk=batch.pk).select_related("project", "created_by", "qualification")
    )
    people = list(people_in(batch))
    members = {user.pk for user in people if user.is_member}  # type: ignore[attr-defined]
    context |= {
        "batch": progress.batch,
        "progress": progress,
        "left_out": left_out_sentences(progress.batch.selection),
        "selected": selection_sentences(progress.batch.selection),
        "shortage": shortage_of(progress, members),
        "adaptive": batch_sentences(progress, newest(batch.project)) if progress.batch.overlap_most else [],
        "excluded": exclusions.counted(),
        "checked": checked_answers([progress.batch]).get(batch.pk),
        "outcomes": batch_outcomes(progress.batch),
        "waiting_reviews": waiting_by_batch(batch.project, [batch])[batch.pk],
        "chosen": chosen,
        "states": STATES,
        "flags": flags_of(batch),
        "orders": ORDERS,
        "people": people,
        "claimed": [{"slot": row, "has_left": row.annotator_id not in members} for row in claimed_in(batch)],
        "form": form or BatchChangeForm(batch=progress.batch),
    }
    return render(request, "annotation/batches/batch.html", context, status=status)


def people_in(batch: Batch) -> QuerySet[User]:
    """Who may work in the batch, or has; `is_member` tells those who may."""
    members = Membership.objects.filter(user=OuterRef("pk"), project=batch.project_id, user__is_active=True)
    # By the counts: looking for one slot of the batch among all of somebody's reads them all where there is none.
    worked = WorkCount.objects.filter(batch=batch).filter(Q(answered__gt=0) | Q(changed__gt=0) | Q(skipped__gt=0))
    held = Assignment.objects.filter(batch=batch, state=Assignment.State.HELD)
    has_worked = Q(pk__in=worked.values("annotator")) | Q(pk__in=held.values("annotator"))
    people = User.objects.annotate(is_member=Exists(members)).filter(Q(is_member=True) | has_worked)
    return people.order_by("name", "email")


def claimed_in(batch: Batch) -> QuerySet[Assignment]:
    held = Assignment.objects.filter(batch=batch, state=Assignment.State.HELD)
    return held.select_related("annotator", "task").order_by("claimed_at", "pk")


def shortage_of(progress: Progress, members: Iterable[int]) -> str | None:
    """What an open batch was short of, and how many people there are now."""
    recorded = None if progress.is_complete else recorded_shortage(progress.batch)
    return f"{recorded} {people_now(progress.batch, members)}" if recorded else None


@login_required
@require_GET
def task(request: SignedInRequest, task_id: int) -> HttpResponse:
    """One task with its whole texts and answers, and what may be done about it."""
    seen = task_reviewed(request.user, task_id)
    batch = seen.batch
    role = role_in(request.user, batch.project)
    manages = role == Role.MANAGER
    (row,) = rows_of(batch, list(with_answers(Task.objects.filter(pk=seen.pk))), InEffect(batch), brief=False)
    beside = dict(
        Task.objects.filter(batch=batch, position__in=[seen.position - 1, seen.position + 1]).values_list(
            "position", "pk"
        )
    )
    context = {
        "project": batch.project,
        "section": "progress",
        "batch": batch,
        "row": row,
        "task": row["task"],
        "previous": beside.get(seen.position - 1),
        "next": beside.get(seen.position + 1),
        "manages": manages,
        "own_role": role,
        "remarks": remarks_about(seen),
        "people": people_free(batch) if manages and row["waiting"] else [],
        "is_open": batch.status == Batch.Status.OPEN,
        "can_be_gold": manages and KINDS[batch.kind].is_testable,
    }
    with_checks([row], batch, role)
    return render(request, "annotation/batches/task.html", context)


def with_checks(rows: list[dict[str, Any]], batch: Batch, role: Role | None) -> list[dict[str, Any]]:
    """The rows of tasks, for managers with what each checks: reviewers may get the tasks themselves."""
    if batch.checks and role == Role.MANAGER:
        known = {check.task_id: check for check in TaskCheck.objects.filter(task__in=[row["task"].pk for row in rows])}
        for row in rows:
            row["check"] = known.get(row["task"].pk)
    return rows


def people_free(batch: Batch) -> list[dict[str, Any]]:
    """Who may be given a task, each with the number of the one that they hold."""
    busy = dict(claimed_in(batch).values_list("annotator", "task__position"))
    return [{"user": row.user, "busy": busy.get(row.user_id)} for row in members_of(batch)]


@login_required
@require_GET
def preview(request: SignedInRequest, task_id: int) -> HttpResponse:
    """The page of the task as its annotators see it. It is claimed by nobody, and what is entered goes nowhere."""
    seen = task_reviewed(request.user, task_id)
    shown = show(Assignment(task=seen, batch=seen.batch))
    kind = KINDS[seen.batch.kind]
    context: dict[str, Any] = {
        "trial": {"note": _("Preview of task %(n)d: nothing is claimed or saved") % {"n": seen.position}},
        "is_preview": True,
        "task_seen": seen,
        "batch": seen.batch,
        "project": shown.project,
        "own_role": role_in(request.user, shown.project),
        "shown": shown,
        "prompt": shown.prompt,
        "kind": kind,
        **kind.present(shown, None),
        "script_messages": script_messages(),
        "person": page_person(request.user),
    }
    if kind.has_editor:
        context["feedback"] = text_feedback(shown, context)
    if kind.compares:
        context["differing"] = differing_json(shown)
    return render(request, "annotation/work/work.html", context)
