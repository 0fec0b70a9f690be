"""Annotating: the page of a task, and what its buttons do. Each answers with the next task in the same response."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import HttpResponseClientRedirect

from annotation.answers import submission
from annotation.answers.submission import SKIP_REASONS
from annotation.answers.timesheets import today_of
from annotation.answers.worktime import read_spent, record_time
from annotation.checks.feedback import Feedback as PracticeFeedback
from annotation.checks.feedback import feedback_on as practice_feedback
from annotation.checks.feedback import is_practice
from annotation.core.access import assignment_for, assignment_managed, assignment_once_of, batch_for, projects_of
from annotation.core.errors import Conflict, InvalidInput
from annotation.kinds import KINDS, PresentedTask, show
from annotation.members.messages import has_unread
from annotation.members.pausing import pause_of
from annotation.models import Assignment, Batch
from annotation.projects.guidelines import guideline_news
from annotation.queue.claims import claim_next, renew_lease
from annotation.queue.claims import release as release_assignment
from annotation.queue.progress import done_by, left_for, open_to, progress_of, test_due, work_for
from annotation.queue.withdrawn import lost_notice
from annotation.reference.feedback import Feedback, differing_json, feedback_on
from annotation.reviewing.own import sent_back_note
from annotation.web.http import SignedInRequest, signed_in
from annotation.web.script_messages import page_person, script_messages


@never_cache
@signed_in
@require_GET
def work(request: SignedInRequest, batch_id: int) -> HttpResponse:
    return next_task(request, batch_for(request.user, batch_id))


@signed_in
@require_POST
def submit(request: SignedInRequest, assignment_id: int) -> HttpResponse:
    assignment = assignment_once_of(request.user, assignment_id)
    shown = show(assignment)
    try:
        payload = KINDS[shown.kind].read(request.POST, shown)
    except InvalidInput as error:
        if assignment.annotator_id == request.user.pk and assignment.state == Assignment.State.HELD:
            return task_page(request, shown, status=422, error=error)
        return next_task(request, assignment.batch, notice=lost_notice(assignment.task_id), status=409)
    try:
        annotation, is_new = submission.submit(
            assignment=assignment, payload=payload, spent=read_spent(request.POST), annotator=request.user
        )
    except Conflict as conflict:
        return next_task(request, assignment.batch, notice=str(conflict), status=409)
    if not is_new and annotation.payload != payload:
        notice = _("You already submitted that task; your answer was kept. “Undo last” opens it again.")
        return next_task(request, assignment.batch, notice=notice)
    announcement = _("Submitted. Here is the next task.")
    return next_task(
        request,
        assignment.batch,
        announcement=announcement,
        submitted=annotation.version == 1,
        like=shown,
        practised=practice_feedback(assignment, annotation),
    )


@signed_in
@require_POST
def draft(request: SignedInRequest, assignment_id: int) -> HttpResponse:
    """204 once it is saved. A page that asks for feedback on the text gets it with 200; one without JavaScript sends
    `then=page` and gets its task back."""
    assignment = assignment_once_of(request.user, assignment_id)
    shown = show(assignment)
    payload = KINDS[shown.kind].read(request.POST, shown, complete=False)
    submission.save_draft(
        assignment=assignment, payload=payload, annotator=request.user, spent=read_spent(request.POST)
    )
    if request.POST.get("then") == "page":
        messages.success(request, _("Saved as a draft. You can continue here later."))
        return redirect("work", assignment.batch_id)
    kind, wanted = KINDS[shown.kind], request.POST.get("feedback")
    if wanted and kind.has_editor:
        feedback = text_feedback(shown, kind.present(shown, payload), resting=wanted != "typing")
        return render(request, "annotation/kinds/feedback.html", {"project": shown.project, "feedback": feedback})
    return HttpResponse(status=204)


def text_feedback(shown: PresentedTask, context: dict[str, Any], *, resting: bool = True) -> Feedback:
    """Feedback on the text that a kind presents in its editor."""
    return feedback_on(
        project=shown.project,
        source=shown.prompt.text,
        text=context["text"],
        original=context.get("original"),
        resting=resting,
    )


@signed_in
@require_POST
def time(request: SignedInRequest, assignment_id: int) -> HttpResponse:
    """The seconds of a showing so far, sent after each minute with work in it and when the page is left. Who reads a
    long text keeps it: the lease is renewed."""
    assignment = assignment_once_of(request.user, assignment_id)
    renew_lease(assignment=assignment, annotator=request.user)
    record_time(assignment=assignment, annotator=request.user, spent=read_spent(request.POST))
    return HttpResponse(status=204)


@signed_in
@require_POST
def skip(request: SignedInRequest, assignment_id: int) -> HttpResponse:
    assignment = assignment_once_of(request.user, assignment_id)
    if assignment.annotator_id != request.user.pk:
        return next_task(request, assignment.batch, notice=lost_notice(assignment.task_id), status=409)
    assignment.annotator = request.user
    try:
        submission.skip(
            assignment=assignment,
            reason=request.POST.get("reason", ""),
            comment=request.POST.get("comment", ""),
            spent=read_spent(request.POST),
        )
    except InvalidInput as error:
        return task_page(request, show(assignment), status=422, skip_error=error)
    except Conflict as conflict:
        return next_task(request, assignment.batch, notice=str(conflict), status=409)
    return next_task(
        request, assignment.batch, announcement=_("Skipped. Another annotator gets it. Here is the next task.")
    )


@signed_in
@require_POST
def undo(request: SignedInRequest, batch_id: int) -> HttpResponse:
    batch = batch_for(request.user, batch_id)
    try:
        reopened = submission.undo_last(annotator=request.user, batch=batch)
    except Conflict as conflict:
        return next_task(request, batch, notice=str(conflict), status=409)
    if reopened is None:
        return next_task(request, batch, notice=_("There is nothing to undo in this batch."))
    announcement = _("Your last answer is open again. It stays in effect until you submit again.")
    return next_task(request, batch, announcement=announcement)


@signed_in
@require_POST
def release(request: SignedInRequest, assignment_id: int) -> HttpResponse:
    """An annotator returns their own task and leaves; a manager releases one that somebody holds."""
    try:
        assignment = assignment_for(request.user, assignment_id)
        back = reverse("home")
    except Http404:
        assignment = assignment_managed(request.user, assignment_id)
        back = reverse("batch", args=[assignment.batch_id])
    try:
        record_time(assignment=assignment, annotator=request.user, spent=read_spent(request.POST))
        release_assignment(assignment=assignment, actor=request.user)
        messages.success(request, _("The task is back in the queue."))
    except Conflict as conflict:
        messages.warning(request, str(conflict))
    return HttpResponseRedirect(back)


def next_task(
    request: SignedInRequest,
    batch: Batch,
    *,
    notice: str = "",
    announcement: str = "",
    submitted: bool = False,
    status: int = 200,
    like: PresentedTask | None = None,
    practised: PracticeFeedback | None = None,
) -> HttpResponse:
    """The next task of the batch: the partial for htmx, else the page itself on GET and a redirect to it on POST.

    `announcement` goes to the live region; `notice` is shown as well. `like` is the task before it, `practised` the
    feedback on it where it was a practice item: then the page answers a plain form, too.
    """
    if request.method == "POST" and not request.htmx and practised is None:
        if notice:
            messages.warning(request, notice)
        return redirect("work", batch.pk)
    assignment = claim_next(batch=batch, annotator=request.user)
    if assignment is None:
        return nothing_left(request, batch, notice=notice, submitted=submitted, status=status, practised=practised)
    return task_page(
        request,
        show(assignment, like=like),
        notice=notice,
        announcement=announcement,
        submitted=submitted,
        status=status,
        practised=practised,
    )


def task_page(
    request: SignedInRequest,
    shown: PresentedTask,
    *,
    error: InvalidInput | None = None,
    skip_error: InvalidInput | None = None,
    status: int = 200,
    **more: Any,
) -> HttpResponse:
    """The page of one task, refilled from what was just sent, or from the draft."""
    assignment, kind = shown.assignment, KINDS[shown.kind]
    saved_at = None
    if error is not None:
        entered: dict[str, Any] | None = kind.read(request.POST, shown, complete=False)
    else:
        draft = submission.draft_of(assignment=assignment, annotator=request.user)
        entered, saved_at = (draft.payload, draft.saved_at) if draft else (None, None)
    context = {
        "assignment": assignment,
        "batch": assignment.batch,
        "project": shown.project,
        "shown": shown,
        "prompt": shown.prompt,
        "problems": error.problems if error else [],
        "faulty": [field for field, _ in error.problems] if error else [],
        "skip_problem": skip_error.problems[0][1] if skip_error else "",
        "skip_reasons": SKIP_REASONS,
        "has_draft": entered is not None and error is None and assignment.finished_at is None,
        "saved_at": int(saved_at.timestamp() * 1000) if saved_at else "",
        "guideline_news": None if assignment.batch.trial_id else guideline_news(request.user, shown.project),
        "sent_back": sent_back_note(assignment) if assignment.finished_at else "",
        "has_message": has_unread(request.user, shown.project),
        "is_practice": is_practice(assignment),
        **kind.present(shown, entered),
        **more,
    }
    if kind.has_editor:
        context["feedback"] = text_feedback(shown, context)
    if kind.compares:
        context["differing"] = differing_json(shown)
    return respond(request, assignment.batch, context, status)


def nothing_left(
    request: SignedInRequest,
    batch: Batch,
    *,
    notice: str,
    submitted: bool,
    status: int,
    practised: PracticeFeedback | None = None,
) -> HttpResponse:
    """Why there is no task, and where else there is one: in this project first."""
    if test_due(batch, request.user):
        messages.info(request, _("This batch requires a test first."))
        test = reverse("qualification", args=[batch.qualification_id])
        return HttpResponseClientRedirect(test) if request.htmx else redirect(test)
    (standing,) = progress_of(Batch.objects.filter(pk=batch.pk).select_related("project"))
    elsewhere = [item for item in work_for(request.user) if item.available and item.batch.pk != batch.pk]
    elsewhere.sort(key=lambda item: item.project.pk != batch.project_id)
    context = {
        "batch": standing.batch,
        "project": batch.project,
        "standing": standing,
        # A slot that another claim had locked, or that came back just now, is theirs to ask for again.
        "may_come": bool(standing.free) and open_to(request.user, batch).exists(),
        "notice": notice,
        "practised": practised,
        "submitted": submitted,
        "announcement": _("Submitted. No task is left here.") if submitted else "",
        "elsewhere": elsewhere[:3],
        "pause": pause_of(request.user, batch.project),
    }
    return respond(request, batch, context, status)


def respond(request: SignedInRequest, batch: Batch, context: dict[str, Any], status: int) -> HttpResponse:
    context["kind"] = KINDS[batch.kind]
    if request.htmx:
        return render(request, "annotation/work/work.html#task", context, status=status)
    # Counted for a whole page only: at a million slots a count costs more than all else that a submission does.
    context["done_by_me"] = done_by(request.user, batch)
    left, all_counted = left_for(request.user, batch)
    context["mine"] = context["done_by_me"] + left if all_counted else None  # more than are worth counting
    context |= {"script_messages": script_messages(), "person": page_person(request.user)}
    context["today_seconds"] = round(today_of(request.user, projects_of(request.user)).active)
    context.setdefault("standing_bar", progress_of(Batch.objects.filter(pk=batch.pk))[0])
    return render(request, "annotation/work/work.html", context, status=status)
