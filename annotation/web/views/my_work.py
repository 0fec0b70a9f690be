"""What I submitted: found again, looked at version by version, and opened again while the project lets me."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from annotation.answers.remarks import mark_read, remarks_by
from annotation.answers.reopening import (
    changeable_until,
    decided_reason,
    first_submitted,
    locked_reason,
    reopen_submission,
    reviewed_reason,
    withdrawn_reason,
)
from annotation.core.access import first_or_404, own_answer, projects_of
from annotation.core.errors import Conflict, DomainError
from annotation.core.reviews import is_adjudicated
from annotation.kinds import KINDS
from annotation.kinds.loading import aspects_by_key
from annotation.kinds.presentation import AspectsByKey
from annotation.models import Annotation, Batch, Candidate, Exclusion, Kind, Review, User, WorkCount
from annotation.queue.progress import answers_to_show, submitted_by
from annotation.queue.withdrawn import is_withdrawn
from annotation.reviewing.own import decision_on, is_final, may_answer_again, may_reply, reviews_of
from annotation.reviewing.verdicts import MAX_NOTE, reply_to_review
from annotation.text.differences import Segment, differences
from annotation.web.http import SignedInRequest, signed_in
from annotation.web.parameters import row_id
from annotation.web.searching import search_rows

ANSWERS_A_PAGE = 25


@never_cache
@signed_in
@require_GET
def my_work(request: SignedInRequest) -> HttpResponse:
    """What this person submitted, newest first, and whether it may still be changed."""
    chosen = {name: request.GET.get(name, "").strip() for name in ("project", "batch", "kind", "day", "q")}
    rows = filtered(submitted_by(request.user), chosen)
    page = Paginator(rows.values("pk"), ANSWERS_A_PAGE).get_page(request.GET.get("page"))
    withdrawn = Exists(Exclusion.objects.filter(prompt=OuterRef("task__prompt"), lifted_at=None))
    shown = answers_to_show(request.user, page.object_list)
    answers = list(shown.annotate(first_at=first_submitted(), is_withdrawn=withdrawn, is_decided=is_adjudicated()))
    texts, reviews = texts_of(answers), reviews_of(answers)
    aspects = aspects_by_key({answer.assignment.batch.project_id for answer in answers})
    query = request.GET.copy()
    query.pop("page", None)
    context = {
        "page": page,
        "answers": [
            row_of(answer, texts, aspects[answer.assignment.batch.project_id], reviews.get(answer.pk))
            for answer in answers
        ],
        "chosen": chosen,
        "is_filtered": any(chosen.values()),
        "kinds": Kind.choices,
        "projects": projects_of(request.user).order_by("name"),
        "batches": batches_of(request.user, chosen["project"]),
        "query": f"{query.urlencode()}&" if query else "",
    }
    return render(request, "annotation/my_work/my_work.html", context)


def filtered(rows: QuerySet[Annotation], chosen: dict[str, str]) -> QuerySet[Annotation]:
    """Only those that the filters ask for; a filter that cannot be read finds nothing rather than everything."""
    if chosen["project"]:
        rows = rows.filter(task__batch__project__slug=chosen["project"])
    if chosen["batch"]:
        rows = rows.filter(task__batch=row_id(chosen["batch"]))
    if chosen["kind"]:
        rows = rows.filter(kind=chosen["kind"])
    if chosen["day"]:
        day = read_day(chosen["day"])
        rows = rows.filter(created_at__date=day) if day else rows.none()
    fields = sorted({f"payload__{key}" for kind in KINDS.values() for key in kind.searched})
    return search_rows(rows, chosen["q"], "task__prompt__text", *fields)


def read_day(text: str) -> date | None:
    try:
        return parse_date(text)
    except ValueError:
        return None


def batches_of(user: User, project: str) -> QuerySet[Batch]:
    """The batches in which this person answered, for the filter."""
    answered = WorkCount.objects.filter(annotator=user, answered__gt=0).order_by().values("batch")
    batches = Batch.objects.filter(project__in=projects_of(user), pk__in=answered)
    return (batches.filter(project__slug=project) if project else batches).order_by("name", "pk")


def texts_of(answers: Sequence[Annotation]) -> dict[int, str]:
    ids = {pk for answer in answers for pk in answer.task.candidate_ids}
    return dict(Candidate.objects.filter(pk__in=ids).order_by().values_list("pk", "text"))


def row_of(answer: Annotation, texts: dict[int, str], aspects: AspectsByKey, review: Review | None) -> dict[str, Any]:
    batch = answer.assignment.batch
    first_at = answer.first_at  # type: ignore[attr-defined]  # annotated above
    withdrawn = answer.is_withdrawn  # type: ignore[attr-defined]
    decided = answer.is_decided  # type: ignore[attr-defined]
    locked = final_reason(batch, first_at, review, withdrawn=withdrawn, decided=decided)
    return {
        "review": review and review_row(review, texts, aspects),
        "annotation": answer,
        "project": batch.project,
        "batch": batch,
        "locked": locked,
        "until": None if locked or may_answer_again(review, batch) else changeable_until(batch, first_at),
        "first_at": first_at,
        "answer": KINDS[answer.kind].describe(
            answer.payload, texts, batch.project.target_language, aspects, brief=True
        ),
    }


def final_reason(
    batch: Batch, first_at: datetime, review: Review | None, *, withdrawn: bool, decided: bool
) -> str | None:
    """Why the answer, of which this is the current version's review, can no longer be changed; None while it can.
    `withdrawn` and `decided` (adjudicated) are about its task."""
    if withdrawn:
        return withdrawn_reason()
    if decided:
        return decided_reason()
    if is_final(review):
        return reviewed_reason()
    return None if may_answer_again(review, batch) else locked_reason(batch, first_at)


def review_row(review: Review, texts: dict[int, str], aspects: AspectsByKey) -> dict[str, Any]:
    """What the author sees of a review: the correction in words, and whether a reply can be written."""
    project = review.batch.project
    kind = KINDS[review.batch.kind]
    corrected = review.payload and kind.describe(review.payload, texts, project.target_language, aspects)
    return {
        "review": review,
        "by": "" if project.review_anonymous else review.reviewer,
        "correction": corrected,
        "may_reply": may_reply(review),
    }


@never_cache
@signed_in
@require_GET
def versions(request: SignedInRequest, annotation_id: int) -> HttpResponse:
    """Every version of one answer, newest first, each with what it changed; and the remarks about the task."""
    return versions_page(request, own_answer(request.user, annotation_id))


def versions_page(
    request: SignedInRequest, requested: Annotation, *, error: str = "", entered: str = "", status: int = 200
) -> HttpResponse:
    """`error` and what was `entered` are those of a reply that was refused."""
    batch, task = requested.assignment.batch, requested.task
    rows = Annotation.objects.filter(assignment=requested.assignment_id).select_related("guideline").order_by("version")
    texts, aspects = texts_of([requested]), aspects_by_key([batch.project_id])[batch.project_id]
    shown: list[dict[str, Any]] = []
    # Of long texts, one version is shown whole and compared: the one asked for, else the last.
    whole = row_id(request.GET.get("whole", "")) or max(row.pk for row in rows)
    before: Annotation | None = None
    reviews = reviews_of(rows)

    def described(answer: Annotation, brief: bool) -> dict[str, Any]:
        language = batch.project.target_language
        return KINDS[answer.kind].describe(answer.payload, texts, language, aspects, brief=brief)

    for answer in rows:
        brief = answer.pk != whole
        row: dict[str, Any] = {"annotation": answer, "answer": described(answer, brief)}
        review = reviews.get(answer.pk)
        row["review"] = review and review_row(review, texts, aspects)
        row["whole_url"] = f"?whole={answer.pk}#version-{answer.version}"
        if before and not row["answer"].get("is_extract"):
            row |= compared(described(before, brief), row["answer"])
        before = answer
        shown.append(row)
    first_at = shown[0]["annotation"].created_at
    review = reviews.get(shown[-1]["annotation"].pk)
    decision = decision_on(task.pk)
    locked = final_reason(batch, first_at, review, withdrawn=is_withdrawn(task.pk), decided=decision is not None)
    own_remarks = remarks_by(request.user, task)
    remarks = list(own_remarks)
    mark_read(remarks=own_remarks, author=request.user)
    context = {
        "project": batch.project,
        "batch": batch,
        "task": task,
        "versions": shown[::-1],
        "decision": decision,
        "decided_by": "" if batch.project.review_anonymous else decision and decision.adjudicator,
        "decided": decision
        and decision.payload
        and KINDS[batch.kind].describe(decision.payload, texts, batch.project.target_language, aspects),
        "locked": locked,
        "until": None if locked or may_answer_again(review, batch) else changeable_until(batch, first_at),
        "limit": MAX_NOTE,
        "error": error,
        "entered": entered,
        "remarks": remarks,
        "requested": requested,
        "is_withdrawn": not any(row["annotation"].is_current for row in shown),
    }
    return render(request, "annotation/my_work/my_answer.html", context, status=status)


@signed_in
@require_POST
def reply(request: SignedInRequest, annotation_id: int) -> HttpResponse:
    """The author's answer to the review of one version."""
    answer = own_answer(request.user, annotation_id)
    review = first_or_404(answer.reviews.select_related("batch__project"))
    text = request.POST.get("text", "")
    try:
        reply_to_review(review=review, author=request.user, text=text)
    except DomainError as error:
        status = 409 if isinstance(error, Conflict) else 422
        return versions_page(request, answer, error=str(error), entered=text, status=status)
    messages.success(request, _("Sent. Reviewers see your reply."))
    return redirect("my_answer", answer.pk)


def compared(before: dict[str, Any], after: dict[str, Any]) -> dict[str, list[Segment]]:
    """What one version changed: in the text, and in the description of the answer."""
    return {
        "text_changes": changes_in(before.get("text") or "", after.get("text") or ""),
        "description_changes": changes_in(description(before), description(after)),
    }


def changes_in(old: str, new: str) -> list[Segment]:
    """Empty where nothing changed, so that the page shows nothing."""
    return differences(old, new) if old != new else []


def description(answer: dict[str, Any]) -> str:
    scores = [side["scores"] for side in answer.get("sides", []) if side.get("scores")]
    parts = (str(answer["headline"]), *scores, ", ".join(answer.get("reasons", [])), answer.get("comment", ""))
    return "\n".join(part for part in parts if part)


@signed_in
@require_POST
def reopen(request: SignedInRequest, annotation_id: int) -> HttpResponse:
    answer = own_answer(request.user, annotation_id)
    try:
        assignment = reopen_submission(annotation=answer, actor=request.user)
    except Conflict as conflict:
        messages.warning(request, str(conflict))
        return redirect("my_answer", answer.pk)
    messages.info(request, _("Your answer is open again. It stays in effect until you submit again."))
    return redirect("work", assignment.batch_id)
