"""Remarks: written beside a task, answered on the project's page, found again on the author's first page."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from annotation.answers.remarks import (
    MAX_REMARK,
    add_remark,
    answer_remark,
    mark_read,
    open_remarks,
    remarks_by,
    remarks_in,
    settle,
)
from annotation.core.access import STAFF, assignment_once_of, first_or_404, own_remarks, project_for, remark_for
from annotation.core.errors import DomainError, InvalidInput
from annotation.kinds import KINDS
from annotation.kinds.loading import aspects_by_key
from annotation.kinds.side_order import presented_order
from annotation.models import Annotation, Assignment, Candidate, Project, Remark
from annotation.web.http import SignedInRequest, redirect_back, signed_in

REMARKS_A_PAGE = 20
SENT = {
    Remark.Kind.COMMENT: gettext_lazy("Your comment is with the reviewers."),
    Remark.Kind.QUESTION: gettext_lazy("Your question is with the reviewers. The answer appears on your home page."),
    Remark.Kind.FLAG: gettext_lazy("The task is flagged for the reviewers. You can still answer it, or skip it."),
}


# ---- beside a task ----


@never_cache
@signed_in
@require_http_methods(["GET", "POST"])
def beside(request: SignedInRequest, assignment_id: int) -> HttpResponse:
    """One's own remarks on a task, with the answers, and a form for another: a panel for htmx, else a page."""
    assignment = assignment_once_of(request.user, assignment_id)
    if request.method == "GET":
        kind = request.GET.get("kind", "")
        return beside_page(request, assignment, kind=kind if kind in Remark.Kind.values else "")
    kind, text = request.POST.get("kind", ""), request.POST.get("text", "")
    try:
        remark = add_remark(task=assignment.task, author=request.user, kind=kind, text=text)
    except InvalidInput as error:
        return beside_page(request, assignment, kind=kind, text=text, error=error)
    message = str(SENT[Remark.Kind(remark.kind)])
    if not request.htmx:
        messages.success(request, message)
        return redirect("assignment_remarks", assignment.pk)
    return beside_page(request, assignment, message=message)


def beside_page(
    request: SignedInRequest,
    assignment: Assignment,
    *,
    kind: str = "",
    text: str = "",
    message: str = "",
    error: InvalidInput | None = None,
) -> HttpResponse:
    rows = remarks_by(request.user, assignment.task)
    shown = list(rows)
    if any(remark.answer and remark.read_at is None for remark in shown):
        mark_read(remarks=rows, author=request.user)
    context = {
        "assignment": assignment,
        "batch": assignment.batch,
        "project": assignment.batch.project,
        "remarks": shown,
        "kind": kind or Remark.Kind.QUESTION,
        "kinds": kinds(),
        "text": text,
        "message": message,
        "limit": MAX_REMARK,
        "problems": dict(error.problems) if error else {},
    }
    template = "annotation/task_panels/remarks.html#panel" if request.htmx else "annotation/task_panels/remarks.html"
    return render(request, template, context, status=422 if error else 200)


def kinds() -> list[tuple[str, str, str]]:
    """(value, name, what it is for) of each kind, as the form offers them."""
    return [
        (Remark.Kind.QUESTION, _("Question"), _("You get an answer.")),
        (Remark.Kind.COMMENT, _("Comment"), _("For the reviewer to know.")),
        (Remark.Kind.FLAG, _("Flag"), _("Something is wrong with this task.")),
    ]


@signed_in
@require_POST
def read(request: SignedInRequest, remark_id: int) -> HttpResponse:
    """The author has seen the answer to their remark."""
    rows = own_remarks(request.user).filter(pk=remark_id)
    first_or_404(rows)
    mark_read(remarks=rows, author=request.user)
    return redirect("home")


# ---- for reviewers ----


@signed_in
@require_GET
def remarks(request: SignedInRequest, slug: str) -> HttpResponse:
    """What annotators said, open first; each with the task's texts and what its author answered there."""
    return remarks_page(request, project_for(request.user, slug, STAFF))


def remarks_page(
    request: SignedInRequest, project: Project, *, at: Remark | None = None, error: DomainError | None = None
) -> HttpResponse:
    """`at` is the remark whose form was refused with `error`; what was typed is shown again."""
    parameters = request.POST if request.method == "POST" else request.GET
    only, kind = parameters.get("only", "open"), parameters.get("kind", "")
    rows = remarks_in(project)
    if only != "all":
        only = "open"
        rows = rows.filter(answered_at=None)
    if kind in Remark.Kind.values:
        rows = rows.filter(kind=kind)
    else:
        kind = ""
    page = Paginator(rows, REMARKS_A_PAGE).get_page(parameters.get("page"))
    shown = list(page)
    if at is not None and at.pk not in {remark.pk for remark in shown}:
        shown.insert(0, at)
    filters = [("", _("All types")), *((value, name) for value, name, _for in kinds())]
    context = {
        "project": project,
        "section": "progress",
        "page": page,
        "rows": with_texts(shown),
        "only": only,
        "kind": kind,
        "filters": filters,
        "waiting": open_remarks(project).count(),
        "at": at.pk if at else None,
        "error": str(error) if error else "",
        "text": request.POST.get("text", "") if at else "",
        "limit": MAX_REMARK,
        "query": f"only={only}&kind={kind}&",
    }
    return render(request, "annotation/remarks/remarks.html", context, status=status_of(error))


def status_of(error: DomainError | None) -> int:
    if error is None:
        return 200
    return 422 if isinstance(error, InvalidInput) else 409


def with_texts(shown: list[Remark]) -> list[dict[str, Any]]:
    """Each remark with the task's candidates, in the order and by the letters that its author saw, and their answer."""
    ids = {pk for remark in shown for pk in remark.task.candidate_ids}
    texts = dict(Candidate.objects.filter(pk__in=ids).order_by().values_list("pk", "text"))
    answers = {
        (answer.task_id, answer.annotator_id): answer
        for answer in Annotation.objects.filter(task__in={remark.task_id for remark in shown}, is_current=True)
    }
    aspects = aspects_by_key({remark.task.batch.project_id for remark in shown})
    rows = []
    for remark in shown:
        task, batch = remark.task, remark.task.batch
        order = presented_order(seed=batch.seed, task_id=task.pk, candidate_ids=task.candidate_ids)
        answer = answers.get((task.pk, remark.author_id))
        described = None
        if answer:
            known = texts, batch.project.target_language, aspects[batch.project_id]
            described = KINDS[answer.kind].describe(answer.payload, *known, brief=True)
        rows.append(
            {
                "remark": remark,
                "candidates": [(chr(ord("A") + at), texts[pk]) for at, pk in enumerate(order)],
                "answer": described,
            }
        )
    return rows


@signed_in
@require_POST
def answer(request: SignedInRequest, remark_id: int) -> HttpResponse:
    remark = remark_for(request.user, remark_id)
    try:
        answer_remark(remark=remark, text=request.POST.get("text", ""), actor=request.user)
    except DomainError as error:
        return remarks_page(request, remark.task.batch.project, at=remark, error=error)
    messages.success(request, _("Answered: %(name)s sees it on their home page.") % {"name": remark.author})
    return back(request, remark)


@signed_in
@require_POST
def settle_remark(request: SignedInRequest, remark_id: int) -> HttpResponse:
    remark = remark_for(request.user, remark_id)
    try:
        settle(remark=remark, actor=request.user)
        messages.success(request, _("Resolved without an answer."))
    except DomainError as error:
        messages.warning(request, str(error))
    return back(request, remark)


def back(request: SignedInRequest, remark: Remark) -> HttpResponse:
    """To the list as it was filtered."""
    return redirect_back(request, reverse("remarks", args=[remark.task.batch.project.slug]))
