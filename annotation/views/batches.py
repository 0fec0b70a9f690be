"""Opening, closing and looking into batches: for managers, and for reviewers to read."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Prefetch
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from annotation import queries
from annotation.access import MANAGERS, STAFF, batch_for, project_for, role_in
from annotation.batches import close_batch, open_batch, reopen_batch
from annotation.differences import differences
from annotation.errors import DomainError, InvalidInput
from annotation.forms_work import BatchForm
from annotation.kinds import KINDS
from annotation.models import Annotation, Assignment, Batch, Candidate, Kind, Role, Task
from annotation.submission import SKIP_REASONS
from annotation.views.requests import SignedInRequest

TASKS_A_PAGE = 25


@login_required
@require_http_methods(["GET", "POST"])
def new(request: SignedInRequest, slug: str) -> HttpResponse:
    project = project_for(request.user, slug, MANAGERS)
    form = BatchForm(request.POST or None, project=project)
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            given = form.cleaned_data
            try:
                batch = open_batch(
                    project=project, kind=given["kind"], name=given["name"], actor=request.user,
                    overlap=given["overlap"], prompts=form.prompts(), origins=given["origins"] or None,
                    priority=given["priority"],
                )  # fmt: skip
            except InvalidInput as error:
                field = next((name for name, _ in error.problems if name in form.fields and name != "prompts"), None)
                form.add_error(field, str(error))
            else:
                left_out = batch.selection["left_out"]
                messages.success(
                    request,
                    f"{batch.name} is open with {batch.selection['tasks']:,} tasks."
                    + (f" {left_out:,} prompts could not make a task and were left out." if left_out else ""),
                )
                return redirect("project", project.slug)
    context = {"project": project, "section": "progress", "form": form}
    return render(request, "annotation/batch_new.html", context, status=status)


@login_required
@require_GET
def detail(request: SignedInRequest, batch_id: int) -> HttpResponse:
    """Each task with its answers and who has it in hand. Origins are for managers' eyes."""
    batch = batch_for(request.user, batch_id, STAFF)
    (progress,) = queries.progress_of(Batch.objects.filter(pk=batch.pk))
    manages = role_in(request.user, batch.project) == Role.MANAGER
    only = request.GET.get("only", "")
    page = Paginator(tasks_of(batch, only), TASKS_A_PAGE).get_page(request.GET.get("page"))
    ids = {pk for task in page for pk in task.candidate_ids}
    candidates = {candidate.pk: candidate for candidate in Candidate.objects.filter(pk__in=ids).order_by()}
    tasks = [
        {
            "task": task,
            "candidates": [candidates[pk] for pk in task.candidate_ids],
            "waiting": sum(slot.state == Assignment.State.FREE for slot in task.assignments.all()),
            "slots": [slot_of(slot, batch, candidates) for slot in task.assignments.all()],
        }
        for task in page
    ]
    context = {
        "project": batch.project, "section": "progress", "batch": batch, "progress": progress, "page": page,
        "tasks": tasks, "manages": manages, "only": only, "filters": FILTERS,
    }  # fmt: skip
    return render(request, "annotation/batch.html", context)


FILTERS = {
    "": "All tasks",
    "done": "Answered",
    "held": "In hand",
    "skipped": "Skipped by somebody",
    "free": "Waiting",
}


def tasks_of(batch: Batch, only: str) -> Any:
    slots = Assignment.objects.select_related("annotator").order_by("slot")
    answers = Annotation.objects.filter(is_current=True)
    tasks = (
        Task.objects.filter(batch=batch)
        .select_related("prompt")
        .prefetch_related(Prefetch("assignments", slots), Prefetch("assignments__annotations", answers))
        .order_by("position")
    )
    if only in FILTERS and only:
        states = Assignment.objects.filter(batch=batch, state=only)
        tasks = tasks.filter(pk__in=states.values("task"))
    return tasks


def slot_of(slot: Assignment, batch: Batch, candidates: dict[int, Candidate]) -> dict[str, Any]:
    """One slot for the page: who, how far, and the answer in words."""
    row: dict[str, Any] = {"slot": slot, "skip_reason": SKIP_REASONS.get(slot.skip_reason, slot.skip_reason)}
    current = list(slot.annotations.all())
    if current:
        texts = {pk: candidate.text for pk, candidate in candidates.items()}
        answer = KINDS[batch.kind].describe(current[0].payload, texts, batch.project.target_language)
        row |= {"annotation": current[0], "answer": answer}
        if batch.kind == Kind.CHOOSING:
            row["chosen"] = candidates.get(current[0].payload["chosen"] or 0)
        if "original" in answer:
            row["changes"] = differences(answer["original"], answer["text"])
    return row


@login_required
@require_POST
def close(request: SignedInRequest, batch_id: int) -> HttpResponse:
    batch = batch_for(request.user, batch_id, MANAGERS)
    return changed(request, batch, close_batch, f"{batch.name} is closed: no task is handed out any more.")


@login_required
@require_POST
def reopen(request: SignedInRequest, batch_id: int) -> HttpResponse:
    batch = batch_for(request.user, batch_id, MANAGERS)
    return changed(request, batch, reopen_batch, f"{batch.name} is open again.")


def changed(request: SignedInRequest, batch: Batch, action: Any, said: str) -> HttpResponse:
    try:
        action(batch=batch, actor=request.user)
        messages.success(request, said)
    except DomainError as error:
        messages.warning(request, str(error))
    return redirect("project", batch.project.slug)
