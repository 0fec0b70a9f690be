"""The review queue: one answer beside the others of its task, and what its buttons do. Each verdict answers with the
next answer in the same response."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRedirect

from annotation.answers.remarks import remarks_about
from annotation.answers.timesheets import today_of
from annotation.answers.worktime import read_spent
from annotation.core.access import STAFF, answer_reviewed, project_for, projects_of, role_in
from annotation.core.errors import Conflict, InvalidInput
from annotation.core.exclusions import InEffect
from annotation.kinds import KINDS, show
from annotation.models import Annotation, Assignment, Project, Review, Task, User
from annotation.reference.feedback import differing_json
from annotation.reviewing import verdicts
from annotation.reviewing.figures import authors_of, queue_length
from annotation.reviewing.queue import WHY, QueueFilter, batches_of, claim_next, hold, reasons_of, renew
from annotation.reviewing.undo import take_back_last
from annotation.reviewing.worktime import record_time
from annotation.web.http import SignedInRequest, signed_in
from annotation.web.parameters import row_id
from annotation.web.script_messages import page_person, script_messages
from annotation.web.task_rows import rows_of, with_answers
from annotation.web.views.work import text_feedback

FILTERS = ("why", "batch", "person", "after")


@never_cache
@signed_in
@require_GET
def review(request: SignedInRequest, slug: str) -> HttpResponse:
    """The next answer to review, as filtered by the address."""
    return next_answer(request, project_for(request.user, slug, STAFF))


@never_cache
@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def decide(request: SignedInRequest, annotation_id: int) -> HttpResponse:
    """One answer to review, whatever speaks for it; posting accepts it, leaves it out or sends it back."""
    answer = answer_reviewed(request.user, annotation_id)
    project = answer.task.batch.project
    if request.method != "POST":
        return one_answer(request, answer)
    about: dict[str, Any] = {"annotation": answer, "reviewer": request.user, "spent": read_spent(request.POST)}
    verdict = request.POST.get("verdict", "")
    try:
        if verdict == Review.Verdict.ACCEPTED:
            verdicts.accept(**about)
            announcement = _("Accepted. Here is the next answer.")
        elif verdict == Review.Verdict.LEFT_OUT:
            verdicts.leave_out(**about, reason=request.POST.get("reason", ""))
            announcement = _("Left out. Here is the next answer.")
        elif verdict == Review.Verdict.SENT_BACK:
            verdicts.send_back(**about, note=request.POST.get("note", ""))
            announcement = _("Sent back. Here is the next answer.")
        else:
            message = _("Choose what to do with this answer.")
            raise InvalidInput(message, [("verdict", message)])
    except InvalidInput as error:
        return answer_page(request, answer, error=error, opened=verdict, status=422)
    except Conflict as conflict:
        return next_answer(request, project, notice=str(conflict), status=409)
    return next_answer(request, project, announcement=announcement)


def one_answer(request: SignedInRequest, answer: Annotation, **more: Any) -> HttpResponse:
    """The page of this answer, claimed; the queue where it cannot be reviewed."""
    if not answer.is_current or answer.reviews.exists() or answer.annotator_id == request.user.pk:
        problem = _("This answer cannot be reviewed: it was changed, reviewed, or is your own.")
    elif not hold(annotation=answer, reviewer=request.user):
        problem = _("Somebody else reviews this answer now.")
    else:
        return answer_page(request, answer, **more)
    messages.warning(request, problem)
    return redirect(queue_url(request, answer.task.batch.project))


@signed_in
@require_POST
def undo(request: SignedInRequest, slug: str) -> HttpResponse:
    """Take back one's last verdict in the project, and show the answer again."""
    project = project_for(request.user, slug, STAFF)
    try:
        answer = take_back_last(project=project, reviewer=request.user)
    except Conflict as conflict:
        return next_answer(request, project, notice=str(conflict), status=409)
    if not request.htmx:
        return redirect(reverse("review_decide", args=[answer.pk]) + filters(request))
    answer = answer_reviewed(request.user, answer.pk)
    return one_answer(request, answer, announcement=_("Your verdict is taken back. Here is the answer again."))


@never_cache
@signed_in
@require_http_methods(["GET", "POST"])
def correct(request: SignedInRequest, annotation_id: int) -> HttpResponse:
    """The form of the answer's kind, filled with the answer; posting makes what was entered the correction."""
    answer = answer_reviewed(request.user, annotation_id)
    queue = queue_url(request, answer.task.batch.project)
    if request.method != "POST":
        if not answer.is_current or answer.reviews.exists() or answer.annotator_id == request.user.pk:
            messages.warning(request, _("This answer cannot be corrected: it was changed, reviewed, or is your own."))
            return redirect(queue)
        if not hold(annotation=answer, reviewer=request.user):
            messages.warning(request, _("Somebody else reviews this answer now."))
            return redirect(queue)
        return correct_page(request, answer, answer.payload, queue)
    shown = show(presented(answer))
    kind = KINDS[answer.task.batch.kind]
    try:
        verdicts.correct(
            annotation=answer,
            reviewer=request.user,
            payload=kind.read(request.POST, shown),
            note=request.POST.get("note", ""),
            spent=read_spent(request.POST),
        )
    except InvalidInput as error:
        entered = kind.read(request.POST, shown, complete=False)
        return correct_page(request, answer, entered, queue, error=error, status=422)
    except Conflict as conflict:
        messages.warning(request, str(conflict))
    else:
        messages.success(request, _("Corrected. Here is the next answer."))
    return HttpResponseClientRedirect(queue) if request.htmx else redirect(queue)


@signed_in
@require_POST
def time(request: SignedInRequest, annotation_id: int) -> HttpResponse:
    """The seconds of a showing so far; the claim is renewed."""
    answer = answer_reviewed(request.user, annotation_id)
    renew(annotation=answer, reviewer=request.user)
    record_time(annotation=answer, reviewer=request.user, spent=read_spent(request.POST))
    return HttpResponse(status=204)


def chosen(request: SignedInRequest) -> dict[str, str]:
    """The filters: of the address, or of the form that a page sends along."""
    source = request.POST if request.method == "POST" else request.GET
    return {name: source.get(name, "").strip() for name in FILTERS}


def filter_of(request: SignedInRequest, project: Project) -> QueueFilter:
    values = chosen(request)
    person = 0 if project.review_anonymous else row_id(values["person"])
    return QueueFilter(why=values["why"], batch=row_id(values["batch"]), person=person, after=row_id(values["after"]))


def filters(request: SignedInRequest, **changed: str) -> str:
    """The filters as the end of an address, with what is `changed`."""
    values = {name: value for name, value in (chosen(request) | changed).items() if value}
    return f"?{urlencode(values)}" if values else ""


def queue_url(request: SignedInRequest, project: Project, **changed: str) -> str:
    return reverse("review", args=[project.slug]) + filters(request, **changed)


def next_answer(
    request: SignedInRequest, project: Project, *, notice: str = "", announcement: str = "", status: int = 200
) -> HttpResponse:
    """The next answer: the partial for htmx, else the page itself on GET and a redirect to it on POST."""
    if request.method == "POST" and not request.htmx:
        if notice:
            messages.warning(request, notice)
        return redirect(queue_url(request, project))
    answer = claim_next(project=project, reviewer=request.user, only=filter_of(request, project))
    if answer is None:
        return respond(request, project, {"notice": notice, "announcement": announcement}, status)
    return answer_page(request, answer, notice=notice, announcement=announcement, status=status)


def answer_page(
    request: SignedInRequest,
    answer: Annotation,
    *,
    error: InvalidInput | None = None,
    opened: str = "",
    status: int = 200,
    **more: Any,
) -> HttpResponse:
    """The answer under review first, then the other answers to the task."""
    task, batch = answer.task, answer.task.batch
    (row,) = rows_of(batch, list(with_answers(Task.objects.filter(pk=task.pk))), InEffect(batch), brief=False)
    slots = [slot for slot in row["slots"] if "annotation" in slot]
    for slot in slots:
        slot["is_reviewed"] = slot["annotation"].pk == answer.pk
        slot["name"] = name_of(slot["slot"], batch.project)
    names = {slot["slot"].annotator_id: slot["name"] for slot in slots}
    context = {
        "answer": answer,
        "task": task,
        "batch": batch,
        "kind": KINDS[batch.kind],
        "row": row,
        "slots": sorted(slots, key=lambda slot: not slot["is_reviewed"]),
        "reasons": [(key, WHY[key]) for key in reasons_of(answer, batch.project)],
        "remarks": [(remark, names.get(remark.author_id, _("Somebody else"))) for remark in remarks_about(task)],
        "earlier": Review.objects.filter(annotation__assignment=answer.assignment_id).select_related("annotation"),
        "problem": error.problems[0][1] if error else "",
        "opened": opened,
        "entered": {name: request.POST.get(name, "") for name in ("reason", "note")} if error else {},
        "skip_url": queue_url(request, batch.project, after=str(answer.pk)),
        **more,
    }
    return respond(request, batch.project, context, status)


def name_of(slot: Assignment, project: Project) -> str:
    """Of whoever answered; a number where review is anonymous."""
    if project.review_anonymous:
        return _("Annotator %(n)d") % {"n": slot.slot}
    return str(slot.annotator)


def respond(request: SignedInRequest, project: Project, context: dict[str, Any], status: int) -> HttpResponse:
    context |= {"project": project, "section": "progress", "chosen": chosen(request), "is_review": True}
    context["filters"] = filters(request)
    if request.htmx:
        return render(request, "annotation/reviewing/review.html#task", context, status=status)
    only = filter_of(request, project)
    context |= {
        "why": WHY,
        "batches": batches_of(project),
        "people": authors_of(project) if not project.review_anonymous else [],
        "length": queue_length(project, request.user, only),
        "own_role": role_in(request.user, project),
        **frame(request.user, request),
    }
    return render(request, "annotation/reviewing/review.html", context, status=status)


def frame(user: User, request: SignedInRequest) -> dict[str, Any]:
    """What the scripts of the page need."""
    return {
        "script_messages": script_messages(),
        "person": page_person(user),
        "today_seconds": round(today_of(user, projects_of(request.user)).active),
    }


def presented(answer: Annotation) -> Assignment:
    assignment = answer.assignment
    assignment.task, assignment.batch = answer.task, answer.task.batch
    return assignment


def correct_page(
    request: SignedInRequest,
    answer: Annotation,
    entered: dict[str, Any],
    queue: str,
    *,
    error: InvalidInput | None = None,
    status: int = 200,
) -> HttpResponse:
    shown = show(presented(answer))
    kind = KINDS[answer.task.batch.kind]
    context: dict[str, Any] = {
        "answer": answer,
        "batch": answer.task.batch,
        "project": shown.project,
        "section": "progress",
        "shown": shown,
        "prompt": shown.prompt,
        "kind": kind,
        "queue": queue,
        "chosen": chosen(request),
        "note": request.POST.get("note", ""),
        "problems": error.problems if error else [],
        "faulty": [field for field, _message in error.problems] if error else [],
        **kind.present(shown, entered),
    }
    if kind.has_editor:
        context["feedback"] = text_feedback(shown, context)
    if kind.compares:
        context["differing"] = differing_json(shown)
    if request.htmx:
        return render(request, "annotation/reviewing/correct.html#task", context, status=status)
    return render(request, "annotation/reviewing/correct.html", context | frame(request.user, request), status=status)
