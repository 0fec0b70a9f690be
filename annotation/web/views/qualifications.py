"""Taking a test: what it is, its items one by one, and how it went. What is expected is read from the database only
for the page that comes after the end."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import HttpResponseClientRedirect

from annotation.core.access import first_or_404
from annotation.core.errors import Conflict, InvalidInput
from annotation.kinds import KINDS
from annotation.kinds.loading import aspects_by_key
from annotation.kinds.presentation import AspectsByKey
from annotation.kinds.side_order import presented_order
from annotation.models import Candidate, Qualification, QualificationAttempt, QualificationItem
from annotation.qualification.attempts import (
    answer_item,
    items_in_order,
    next_item,
    shown_item,
    side_seed,
    standing,
    start_attempt,
)
from annotation.qualification.tests import asking, grade, qualification_for
from annotation.reference.feedback import differing_json
from annotation.text.formatting import percentage
from annotation.web.http import SignedInRequest, signed_in
from annotation.web.script_messages import page_person, script_messages


@never_cache
@signed_in
@require_GET
def detail(request: SignedInRequest, qualification_id: int) -> HttpResponse:
    """Before: what the test is. After: how it went, and, once it is passed, what was wrong."""
    test = qualification_for(request.user, qualification_id)
    now = standing(request.user, test)
    context: dict[str, Any] = {
        "project": test.project,
        "test": test,
        "standing": now,
        "count": test.items.count(),
        "kind": KINDS[test.kind],
        "opens": asking(test),
        "bar": percentage(test.pass_share),
        "may_begin": not now.passed and not now.running and now.left and (not test.retired_at or asking(test).exists()),
    }
    if now.last is not None:
        now.last.qualification = test
        # After a failure the same items are asked again, at once or when a manager grants another attempt.
        context |= {"share": percentage(now.last.share or 0), **verdict_on(test, now.last, show_wrong=now.passed)}
    return render(request, "annotation/qualifications/qualification.html", context)


def verdict_on(test: Qualification, attempt: QualificationAttempt, *, show_wrong: bool) -> dict[str, Any]:
    """How many were right, and the wrong ones with both answers in words: not while they may be asked again."""
    items = list(test.items.select_related("prompt"))
    right = grade(test, items, attempt.answers)
    wrong = [item for item in items if not right[item.pk]]
    context: dict[str, Any] = {"right": len(items) - len(wrong), "wrong": []}
    if show_wrong:
        ids = {pk for item in wrong for pk in item.candidate_ids}
        texts = dict(Candidate.objects.filter(pk__in=ids).order_by().values_list("pk", "text"))
        aspects = aspects_by_key([test.project_id])[test.project_id]
        context["wrong"] = [
            {
                "item": item,
                "texts": [texts[pk] for pk in order_of(item, attempt)],
                "given": describe_answer(test, attempt.answers.get(str(item.pk)), texts, aspects),
                "expected": describe_answer(test, item.expected, texts, aspects),
            }
            for item in wrong
        ]
    return context


def order_of(item: QualificationItem, attempt: QualificationAttempt) -> list[int]:
    """The order of the sides in the attempt: the order of import would show who wrote what."""
    seed = side_seed(attempt.qualification, attempt)
    return presented_order(seed=seed, task_id=-item.pk, candidate_ids=item.candidate_ids)


def describe_answer(
    test: Qualification, payload: dict[str, Any] | None, texts: dict[int, str], aspects: AspectsByKey
) -> dict[str, Any] | None:
    if not payload:
        return None
    kind = KINDS[test.kind]
    return kind.describe(kind.judged_part(payload), texts, test.project.target_language, aspects)


@signed_in
@require_POST
def start(request: SignedInRequest, qualification_id: int) -> HttpResponse:
    test = qualification_for(request.user, qualification_id)
    try:
        start_attempt(qualification=test, user=request.user)
    except Conflict as conflict:
        messages.warning(request, str(conflict))
        return redirect("qualification", test.pk)
    return redirect("qualification_item", test.pk)


@never_cache
@signed_in
@require_GET
def item(request: SignedInRequest, qualification_id: int) -> HttpResponse:
    """The first item of the attempt that has no answer yet."""
    test = qualification_for(request.user, qualification_id)
    running = standing(request.user, test).running
    return next_page(request, test, running)


@signed_in
@require_POST
def answer(request: SignedInRequest, qualification_id: int, number: int, item_id: int) -> HttpResponse:
    """Keep the answer to one item, and show the next. Twice, late, or from another tab: the first answer stays."""
    test = qualification_for(request.user, qualification_id)
    attempts = QualificationAttempt.objects.filter(qualification=test, user=request.user, number=number)
    attempt = first_or_404(attempts)
    attempt.qualification = test
    items = items_in_order(attempt)
    current = next((one for one in items if one.pk == item_id), None)
    if current is None:
        raise Http404
    if attempt.finished_at is not None or str(current.pk) in attempt.answers:
        # What is on the page now is an older one's: no word about what it lacks.
        running = attempt if attempt.finished_at is None else None
        return next_page(request, test, running, notice=_("You already answered that item; your answer was kept."))
    shown = shown_item(attempt, current)
    try:
        payload = KINDS[test.kind].read(request.POST, shown)
    except InvalidInput as error:
        return item_page(request, attempt, items, current, error=error)
    answer_item(attempt=attempt, item=current, payload=payload)
    running = attempt if attempt.finished_at is None else None
    return next_page(request, test, running, announcement=_("Saved. Here is the next item."))


def next_page(
    request: SignedInRequest,
    test: Qualification,
    running: QualificationAttempt | None,
    *,
    announcement: str = "",
    notice: str = "",
) -> HttpResponse:
    """The next item: the partial for htmx, a redirect after a plain form. The test's own page when there is none."""
    if running is not None:
        running.qualification = test
        items = items_in_order(running)
        following = next_item(running, items)
        if following is not None and (request.method != "POST" or request.htmx):
            return item_page(request, running, items, following, announcement=announcement, notice=notice)
        if following is not None:
            if notice:
                messages.info(request, notice)
            return redirect("qualification_item", test.pk)
    back = reverse("qualification", args=[test.pk])
    return HttpResponseClientRedirect(back) if request.htmx else HttpResponseRedirect(back)


def item_page(
    request: SignedInRequest,
    attempt: QualificationAttempt,
    items: list[QualificationItem],
    current: QualificationItem,
    *,
    error: InvalidInput | None = None,
    announcement: str = "",
    notice: str = "",
) -> HttpResponse:
    """The page of a task with an item in it; refilled with what was sent when something is missing."""
    test, shown = attempt.qualification, shown_item(attempt, current)
    kind = KINDS[test.kind]
    place = len(attempt.answers) + 1
    action = reverse("qualification_answer", args=[test.pk, attempt.number, current.pk])
    context = {
        "trial": {"action": action, "note": _("Test: %(n)d of %(total)d") % {"n": place, "total": len(items)}},
        "batch": shown.assignment.batch,
        "project": test.project,
        "shown": shown,
        "prompt": current.prompt,
        "problems": error.problems if error else [],
        "faulty": [field for field, _m in error.problems] if error else [],
        "kind": kind,
        **kind.present(shown, kind.read(request.POST, shown, complete=False) if error else None),
        "announcement": announcement,
        "notice": notice,
    }
    if kind.compares:
        context["differing"] = differing_json(shown)
    status = 422 if error else 200
    if request.htmx:
        return render(request, "annotation/work/work.html#task", context, status=status)
    context |= {"script_messages": script_messages(), "person": page_person(request.user)}
    return render(request, "annotation/work/work.html", context, status=status)
