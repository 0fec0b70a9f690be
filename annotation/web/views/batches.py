"""Opening, closing and changing batches, and giving their tasks to people: for managers."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST

from annotation.checks.shares import (
    Amounts,
    amounts_for,
    check_sentences,
    open_checked_batch,
    set_checks,
)
from annotation.core.access import MANAGERS, batch_for, first_or_404, project_for, within
from annotation.core.checks import made_checks
from annotation.core.errors import Conflict, DomainError, InvalidInput
from annotation.models import Assignment, Batch, Task, User
from annotation.queue.batch_changes import change_batch
from annotation.queue.batches import close_batch, reopen_batch
from annotation.queue.left_out import left_out_sentences
from annotation.queue.manual_assignment import assign, release_all
from annotation.queue.preview import Preview, preview_batch
from annotation.queue.workforce import TooFewPeople
from annotation.web.forms.actions import attempt
from annotation.web.forms.queue import AssignForm, BatchChangeForm, BatchForm
from annotation.web.http import SignedInRequest
from annotation.web.parameters import row_id
from annotation.web.views.tasks import batch_page


@login_required
@require_http_methods(["GET", "POST"])
def new(request: SignedInRequest, slug: str) -> HttpResponse:
    """The form with its preview: tasks, answers, hours, and a warning where there are too few people.

    A batch with such a warning opens only after its tick. `action=preview` opens nothing."""
    project = project_for(request.user, slug, MANAGERS)
    form = BatchForm(request.POST or None, project=project)
    preview, amounts, status = None, None, 200
    if request.method == "POST" and request.POST.get("action") == "preview":
        form.fields["name"].required = False
        preview, amounts = previewed(form)
        # What the script asks for is no submission: the preview itself says what is wrong.
        status = 200 if preview or request.htmx else 422
    elif request.method == "POST":
        if form.is_valid() and (batch := opened(form, request.user)):
            tasks = batch.selection["tasks"]
            message = ngettext("%(name)s is open with %(count)s task.", "%(name)s is open with %(count)s tasks.", tasks)
            messages.success(request, message % {"name": batch.name, "count": f"{tasks:,}"})
            for sentence in left_out_sentences(batch.selection):
                messages.info(request, f"{sentence}.")
            for sentence in check_sentences(made_checks(batch)) if batch.checks else []:
                messages.info(request, sentence)
            return redirect("project", project.slug)
        (preview, amounts), status = previewed(form), 422
    context = {"project": project, "section": "progress", "form": form, "preview": preview}
    context["checks"] = amounts.sentences() if amounts else []
    return render(request, "annotation/batches/batch_new.html", context, status=status)


def opened(form: BatchForm, actor: User) -> Batch | None:
    """The batch of a valid form; None when it was refused, which the form then says."""
    cleaned = form.cleaned_data
    try:
        return open_checked_batch(
            **form.options(),
            shares=form.shares(),
            name=cleaned["name"],
            actor=actor,
            priority=cleaned["priority"],
            requires_review=cleaned["requires_review"],
            accept_missing=cleaned["accept_missing"] or 0,
            once=cleaned["seed"] is not None,
        )
    except TooFewPeople:
        form.add_error(None, _("Not opened yet: there are too few people for it. Change it, or confirm it below."))
    except InvalidInput as error:
        add_to_field(form, error)
    return None


def previewed(form: BatchForm) -> tuple[Preview | None, Amounts | None]:
    """What the form would open, with its checks; None when it cannot be, which the form then says."""
    if not form.describes_a_batch:
        return None, None
    try:
        preview = preview_batch(**form.options())
        return preview, amounts_for(preview.batch, form.shares())
    except InvalidInput as error:
        # Where opening was refused, the form says so already.
        if not form.errors:
            add_to_field(form, error)
        return None, None


def add_to_field(form: BatchForm, error: InvalidInput) -> None:
    field = next((name for name, _message in error.problems if name in form.fields), None)
    form.add_error(field, str(error))


@login_required
@require_POST
def change(request: SignedInRequest, batch_id: int) -> HttpResponse:
    batch = batch_for(request.user, batch_id, MANAGERS)
    form = BatchChangeForm(request.POST, batch=batch)
    done = attempt(form, lambda: change_checked_batch(batch, form, request.user))
    if not done.error:
        messages.success(request, _("Saved."))
        for sentence in done.result.sentences():
            messages.info(request, sentence)
        return redirect("batch", batch.pk)
    return batch_page(request, batch, form=form, status=422)


def change_checked_batch(batch: Batch, form: BatchChangeForm, actor: User) -> Amounts:
    """Both changes or none; returns the checks that were put in."""
    with transaction.atomic():
        changed_batch = change_batch(batch=batch, actor=actor, **form.settings())
        if not form.shares() and not batch.checks:
            return Amounts()
        return set_checks(batch=changed_batch, shares=form.shares(), actor=actor)


@login_required
@require_POST
def give(request: SignedInRequest, task_id: int) -> HttpResponse:
    """A manager gives a task to a member of the project."""
    task = task_managed(request.user, task_id)
    form = AssignForm(request.POST)
    person = None
    if form.is_valid():
        person = User.objects.filter(
            memberships__project=task.batch.project_id, pk=form.cleaned_data["annotator"]
        ).first()
    if person is None:
        messages.warning(request, _("Choose a member of the project."))
    else:
        try:
            assign(task=task, annotator=person, actor=request.user, instead=form.cleaned_data["instead"])
        except Conflict as conflict:
            messages.warning(request, str(conflict))
        else:
            message = gettext(
                "Task %(n)d is the next that %(person)s gets in this batch; it is kept for them for a day."
            )
            messages.success(request, message % {"n": task.position, "person": person})
    return redirect(f"{reverse('batch', args=[task.batch_id])}#task-{task.pk}")


@login_required
@require_POST
def release_person(request: SignedInRequest, batch_id: int) -> HttpResponse:
    """Release all tasks that a person holds in the batch's project: they left, or are ill."""
    batch = batch_for(request.user, batch_id, MANAGERS)
    held = Assignment.objects.filter(batch__project=batch.project_id, state=Assignment.State.HELD)
    holders = User.objects.filter(pk__in=held.values("annotator"))
    person = holders.filter(pk=row_id(request.POST.get("annotator", ""))).first()
    count = release_all(project=batch.project, annotator=person, actor=request.user) if person else 0
    if count:
        message = ngettext(
            "%(count)d task of %(person)s is back in the queue.",
            "%(count)d tasks of %(person)s are back in the queue.",
            count,
        )
        messages.success(request, message % {"count": count, "person": person})
    else:
        messages.warning(request, _("This person no longer holds any task."))
    return redirect("batch", batch.pk)


def task_managed(user: User, task_id: int) -> Task:
    """A task of a project that this person manages, or 404."""
    rows = Task.objects.select_related("batch__project")
    return first_or_404(within(rows, user, MANAGERS, "batch__project").filter(pk=task_id))


@login_required
@require_POST
def close(request: SignedInRequest, batch_id: int) -> HttpResponse:
    batch = batch_for(request.user, batch_id, MANAGERS)
    return changed(request, batch, close_batch, _("%(name)s is closed: no more tasks are assigned."))


@login_required
@require_POST
def reopen(request: SignedInRequest, batch_id: int) -> HttpResponse:
    batch = batch_for(request.user, batch_id, MANAGERS)
    return changed(request, batch, reopen_batch, _("%(name)s is open again."))


def changed(request: SignedInRequest, batch: Batch, action: Any, message: Any) -> HttpResponse:
    try:
        action(batch=batch, actor=request.user)
        messages.success(request, message % {"name": batch.name})
    except DomainError as error:
        messages.warning(request, str(error))
    return redirect("project", batch.project.slug)
