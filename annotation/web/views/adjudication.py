"""Adjudication: a task on which annotators disagree, their answers side by side, and the decision.

Each decision answers with the next task in the same response.
"""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRedirect

from annotation.answers.remarks import remarks_about
from annotation.answers.worktime import read_spent
from annotation.core.access import STAFF, project_for, role_in, task_reviewed
from annotation.core.errors import Conflict, InvalidInput
from annotation.core.exclusions import InEffect
from annotation.kinds import KINDS, show
from annotation.models import Adjudication, Assignment, Project, Task
from annotation.reference.feedback import differing_json
from annotation.reviewing.adjudication import adjudicate as decide_task
from annotation.reviewing.adjudication import answers_to, take_back_last
from annotation.reviewing.disagreements import claim_next, count_doubtful, hold, renew
from annotation.reviewing.queue import batches_of
from annotation.reviewing.worktime import first_slot, record_time_on_task
from annotation.web.http import SignedInRequest, signed_in
from annotation.web.parameters import row_id
from annotation.web.task_rows import rows_of, with_answers
from annotation.web.views.reviews import frame, name_of
from annotation.web.views.work import text_feedback

DIVIDED = "divided"


@never_cache
@signed_in
@require_GET
def adjudicate(request: SignedInRequest, slug: str) -> HttpResponse:
    """The next task to decide, the most doubtful first."""
    return next_task(request, project_for(request.user, slug, STAFF))


@never_cache
@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def decide(request: SignedInRequest, task_id: int) -> HttpResponse:
    """One task; posting decides it for one of its answers, or keeps it as divided."""
    task = task_reviewed(request.user, task_id)
    project = task.batch.project
    if request.method != "POST":
        return one_task(request, task)
    decision = request.POST.get("decision", "")
    try:
        if decision != DIVIDED and not row_id(decision):
            message = _("Choose the answer that is right, decide yourself, or keep the task as divided.")
            raise InvalidInput(message, [("decision", message)])
        decide_task(
            task=task,
            adjudicator=request.user,
            chosen=None if decision == DIVIDED else row_id(decision),
            cause=request.POST.get("cause", ""),
            note=request.POST.get("note", ""),
            spent=read_spent(request.POST),
        )
    except InvalidInput as error:
        return task_page(request, task, error=error, status=422)
    except Conflict as conflict:
        return next_task(request, project, notice=str(conflict), status=409)
    done = _("Kept as divided. Here is the next task.") if decision == DIVIDED else _("Decided. Here is the next task.")
    return next_task(request, project, announcement=done)


@signed_in
@require_POST
def undo(request: SignedInRequest, slug: str) -> HttpResponse:
    """Take back one's last decision in the project, and show the task again."""
    project = project_for(request.user, slug, STAFF)
    try:
        task = take_back_last(project=project, adjudicator=request.user)
    except Conflict as conflict:
        return next_task(request, project, notice=str(conflict), status=409)
    if not request.htmx:
        return redirect("adjudicate_task", task.pk)
    announcement = _("Your decision is taken back. Here is the task again.")
    return one_task(request, task_reviewed(request.user, task.pk), announcement=announcement)


@never_cache
@signed_in
@require_http_methods(["GET", "POST"])
def own_decision(request: SignedInRequest, task_id: int) -> HttpResponse:
    """The form of the task's kind, empty; posting makes what was entered the answer that counts."""
    task = task_reviewed(request.user, task_id)
    queue = reverse("adjudicate", args=[task.batch.project.slug])
    slot = first_slot(task)
    if slot is None or (request.method != "POST" and not can_decide(request, task)):
        messages.warning(request, not_decidable())
        return redirect(queue)
    slot.task, slot.batch = task, task.batch
    shown, kind = show(slot), KINDS[task.batch.kind]
    if request.method != "POST":
        return own_page(request, task, slot, None)
    try:
        decide_task(
            task=task,
            adjudicator=request.user,
            payload=kind.read(request.POST, shown),
            cause=request.POST.get("cause", ""),
            note=request.POST.get("note", ""),
            spent=read_spent(request.POST),
        )
    except InvalidInput as error:
        entered = kind.read(request.POST, shown, complete=False)
        return own_page(request, task, slot, entered, error=error, status=422)
    except Conflict as conflict:
        messages.warning(request, str(conflict))
    else:
        messages.success(request, _("Decided. Here is the next task."))
    return HttpResponseClientRedirect(queue) if request.htmx else redirect(queue)


@signed_in
@require_POST
def time(request: SignedInRequest, task_id: int) -> HttpResponse:
    """The seconds of a showing so far; the claim is renewed."""
    task = task_reviewed(request.user, task_id)
    renew(task=task, reviewer=request.user)
    record_time_on_task(task=task, reviewer=request.user, spent=read_spent(request.POST))
    return HttpResponse(status=204)


def not_decidable() -> str:
    return _("This task cannot be decided by you now: it is decided, somebody else is at it, or you answered it.")


def can_decide(request: SignedInRequest, task: Task) -> bool:
    """Whether it is this person's to decide; then they hold it."""
    slots = list(Assignment.objects.filter(task=task))
    try:
        answers_to(task, request.user, slots)
    except Conflict:
        return False
    return hold(task=task, reviewer=request.user)


def one_task(request: SignedInRequest, task: Task, **more: Any) -> HttpResponse:
    """The page of this task, claimed; the queue where it cannot be decided."""
    if can_decide(request, task):
        return task_page(request, task, **more)
    messages.warning(request, not_decidable())
    return redirect("adjudicate", task.batch.project.slug)


def next_task(
    request: SignedInRequest, project: Project, *, notice: str = "", announcement: str = "", status: int = 200
) -> HttpResponse:
    """The next task: the partial for htmx, else the page itself on GET and a redirect to it on POST."""
    if request.method == "POST" and not request.htmx:
        if notice:
            messages.warning(request, notice)
        return redirect("adjudicate", project.slug)
    batch, after = row_id(request.GET.get("batch", "")), row_id(request.GET.get("after", ""))
    task = claim_next(project=project, reviewer=request.user, batch=batch, after=after)
    if task is None:
        return respond(request, project, {"notice": notice, "announcement": announcement}, status)
    return task_page(request, task, notice=notice, announcement=announcement, status=status)


def task_page(
    request: SignedInRequest, task: Task, *, error: InvalidInput | None = None, status: int = 200, **more: Any
) -> HttpResponse:
    batch = task.batch
    (row,) = rows_of(batch, list(with_answers(Task.objects.filter(pk=task.pk))), InEffect(batch), brief=False)
    slots = [slot for slot in row["slots"] if "annotation" in slot]
    for slot in slots:
        slot["name"] = name_of(slot["slot"], batch.project)
    names = {slot["slot"].annotator_id: slot["name"] for slot in slots}
    context = {
        "task": task,
        "batch": batch,
        "kind": KINDS[batch.kind],
        "row": row,
        "slots": slots,
        "causes": causes(),
        "remarks": [(remark, names.get(remark.author_id, _("Somebody else"))) for remark in remarks_about(task)],
        "problems": error.problems if error else [],
        "entered": {name: request.POST.get(name, "") for name in ("decision", "cause", "note")} if error else {},
        "skip_url": f"{reverse('adjudicate', args=[batch.project.slug])}?after={task.pk}",
        **more,
    }
    return respond(request, batch.project, context, status)


def causes() -> list[tuple[str, str, str, str]]:
    """(value, label, key, what it means) of each cause."""
    about = {
        Adjudication.Cause.UNDERSPECIFIED: ("u", _("the prompt or the guideline leaves it open")),
        Adjudication.Cause.STYLE: ("t", _("both are right; people like different things")),
        Adjudication.Cause.REFUSAL: ("f", _("whether to answer at all, and how carefully")),
        Adjudication.Cause.ERROR: ("m", _("an answer is simply wrong")),
    }
    return [(cause.value, str(cause.label), *about[cause]) for cause in Adjudication.Cause]


def respond(request: SignedInRequest, project: Project, context: dict[str, Any], status: int) -> HttpResponse:
    context |= {"project": project, "section": "progress", "is_review": True, "divided": DIVIDED}
    if request.htmx:
        return render(request, "annotation/reviewing/adjudicate.html#task", context, status=status)
    context |= {
        "batches": batches_of(project),
        "chosen_batch": row_id(request.GET.get("batch", "")),
        "length": count_doubtful([project]).get(project.pk, 0),
        "own_role": role_in(request.user, project),
        **frame(request.user, request),
    }
    return render(request, "annotation/reviewing/adjudicate.html", context, status=status)


def own_page(
    request: SignedInRequest,
    task: Task,
    slot: Assignment,
    entered: dict[str, Any] | None,
    *,
    error: InvalidInput | None = None,
    status: int = 200,
) -> HttpResponse:
    shown, kind = show(slot), KINDS[task.batch.kind]
    context: dict[str, Any] = {
        "task": task,
        "batch": task.batch,
        "project": shown.project,
        "section": "progress",
        "shown": shown,
        "prompt": shown.prompt,
        "kind": kind,
        "causes": causes(),
        "cause": request.POST.get("cause", ""),
        "note": request.POST.get("note", ""),
        "problems": error.problems if error else [],
        "faulty": [field for field, _message in error.problems] if error else [],
        **kind.present(shown, entered),
    }
    if kind.has_editor:
        context["feedback"] = text_feedback(shown, context)
    if kind.compares:
        context["differing"] = differing_json(shown)
    name = "annotation/reviewing/adjudicate_own.html"
    if request.htmx:
        return render(request, f"{name}#task", context, status=status)
    return render(request, name, context | frame(request.user, request), status=status)
