"""What a reviewer decides about an answer, and the author's reply. Each step is kept and leaves an event.

A verdict is about one version: it is refused when the author has changed the answer meanwhile, and so is the second of
two reviewers. The same verdict sent twice is one.
"""

from copy import copy
from typing import Any, NamedTuple

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from annotation.answers.exclusions import checked_reason, exclude_answer
from annotation.answers.reopening import reclaim
from annotation.answers.worktime import Spent
from annotation.core.errors import Conflict, InvalidInput
from annotation.core.events import record
from annotation.core.typed_text import checked_text
from annotation.kinds import KINDS
from annotation.models import Annotation, Assignment, Batch, Membership, Review, ReviewClaim, User
from annotation.reference import translation_memory
from annotation.reviewing.worktime import record_time, seconds_of

MAX_NOTE = 4_000
Verdict = Review.Verdict
NOTHING = Spent()


class Decided(NamedTuple):
    """The review, and whether this call wrote it: False when the same verdict was sent before."""

    review: Review
    is_new: bool


def accept(*, annotation: Annotation, reviewer: User, note: str = "", spent: Spent = NOTHING) -> Review:
    """The answer is right as it is. Raises Conflict (see `decide`)."""
    with transaction.atomic():
        return decide(annotation, reviewer, Verdict.ACCEPTED, note=optional_note(note), spent=spent).review


def correct(
    *, annotation: Annotation, reviewer: User, payload: dict[str, Any], note: str, spent: Spent = NOTHING
) -> Review:
    """The answer counts as corrected: `payload` is as the kind's `read` returned it. The answer itself stays its
    author's, in counts and in time. Raises Conflict (see `decide`), InvalidInput without a reason and where nothing is
    corrected."""
    note = checked_note(note, missing=_("Say what was wrong: the author sees it."))
    kind = KINDS[annotation.kind]
    if kind.parse(payload) == kind.parse(annotation.payload):
        message = _("Nothing is corrected: change the answer, or accept it.")
        raise InvalidInput(message, [("note", message)])
    with transaction.atomic():
        review = decide(annotation, reviewer, Verdict.CORRECTED, note=note, spent=spent, payload=payload).review
        corrected = copy(annotation)
        corrected.payload = payload
        if kind.own_text(payload) is not None:
            translation_memory.store(annotation=corrected)
        elif kind.keeps_own_text:
            translation_memory.discard(task_id=annotation.task_id, author=annotation.annotator)
    return review


def leave_out(*, annotation: Annotation, reviewer: User, reason: str, spent: Spent = NOTHING) -> Review:
    """The answer counts for nothing: it is excluded, which a manager can lift. Raises Conflict (see `decide`), also
    when it is excluded already; InvalidInput without a reason."""
    reason = checked_reason(reason)
    with transaction.atomic():
        review, is_new = decide(annotation, reviewer, Verdict.LEFT_OUT, note=reason, spent=spent)
        if is_new:
            exclude_answer(annotation=annotation, reason=reason, actor=reviewer)
    return review


def send_back(*, annotation: Annotation, reviewer: User, note: str, spent: Spent = NOTHING) -> Review:
    """The author is asked to answer again, whatever the project's window; until then the answer does not count. It is
    open at once where they hold no other task of the batch, otherwise when they open it in *My work*. Raises Conflict
    (see `decide`), also when the batch is closed or the author has left; InvalidInput without a note."""
    note = checked_note(note, missing=_("Say what to do: the author sees it."))
    batch = Batch.objects.select_related("project").get(pk=annotation.task.batch_id)
    author = annotation.annotator
    with transaction.atomic():
        review, is_new = decide(annotation, reviewer, Verdict.SENT_BACK, note=note, spent=spent)
        if not is_new:
            return review
        if batch.status != Batch.Status.OPEN:
            raise Conflict(_("This batch is closed. Reopen it before you send answers back, or correct this one."))
        if not author.is_active or not Membership.objects.filter(user=author, project=batch.project).exists():
            raise Conflict(_("The author no longer works on this project. Correct the answer, or leave it out."))
        reopen_if_idle(annotation, batch, reviewer)
    return review


def reopen_if_idle(annotation: Annotation, batch: Batch, reviewer: User) -> None:
    """Open the answer again for its author, unless that would take another task out of their hands."""
    author = annotation.annotator
    if Assignment.objects.filter(annotator=author, batch=batch, state=Assignment.State.HELD).exists():
        return
    slot = Assignment.objects.get(pk=annotation.assignment_id)
    try:
        reclaim(slot, instead_of=None, batch=batch, annotator=author, actor=reviewer)
    except Conflict:
        return  # they took another task at this moment


def decide(
    annotation: Annotation,
    reviewer: User,
    verdict: str,
    *,
    note: str,
    spent: Spent,
    payload: dict[str, Any] | None = None,
) -> Decided:
    """Record the verdict; the same one by the same reviewer is returned as it is. Call it in a transaction.

    Raises Conflict when the answer was reviewed before, has been changed or opened by its author, or is the reviewer's
    own.
    """
    # Whoever reopens or submits the answer waits here, or is first.
    slot = Assignment.objects.select_for_update(no_key=True).get(pk=annotation.assignment_id)
    known = Review.objects.filter(annotation=annotation).first()
    if known is not None:
        if (known.reviewer_id, known.verdict, known.note, known.payload) == (reviewer.pk, verdict, note, payload):
            return Decided(known, is_new=False)
        raise Conflict(_("This answer has been reviewed already. Your verdict was not saved."))
    if annotation.annotator_id == reviewer.pk:
        raise Conflict(_("Nobody reviews their own answer."))
    current = Annotation.objects.filter(pk=annotation.pk, is_current=True).exists()
    if not current or slot.state != Assignment.State.DONE:
        raise Conflict(
            _(
                "The author has opened or changed this answer meanwhile. Your verdict was not saved: the new version "
                "comes up for review."
            )
        )
    record_time(annotation=annotation, reviewer=reviewer, spent=spent)
    earlier = Review.objects.filter(annotation__assignment=slot)
    review = Review.objects.create(
        annotation=annotation,
        batch_id=slot.batch_id,
        reviewer=reviewer,
        verdict=verdict,
        note=note,
        payload=payload,
        first_pass=not earlier.exists(),
        active_seconds=seconds_of(annotation, reviewer),
    )
    ReviewClaim.objects.filter(annotation=annotation).delete()
    after: dict[str, Any] = {
        "annotation": annotation.pk,
        "version": annotation.version,
        "author": annotation.annotator_id,
    }
    after |= {"first_pass": review.first_pass, "note": note}
    if payload is not None:
        after["payload"] = payload
    record(verb=f"review.{verdict}", target=review, actor=reviewer, project=annotation.task.batch.project, after=after)
    return Decided(review, is_new=True)


def reply_to_review(*, review: Review, author: User, text: str) -> Review:
    """The author answers a review, once. Raises Conflict when they did before, InvalidInput for an empty or too long
    text."""
    text = checked_note(text, missing=_("Write an answer."), field="text")
    with transaction.atomic():
        unanswered = Review.objects.filter(pk=review.pk, annotation__annotator=author, reply="")
        if not unanswered.update(reply=text, replied_at=timezone.now()):
            raise Conflict(_("You have answered this review already."))
        project = review.batch.project
        record(verb="review.replied", target=review, actor=author, project=project, after={"reply": text})
    review.refresh_from_db()
    return review


def optional_note(text: str) -> str:
    return checked_note(text, missing="") if text.strip() else ""


def checked_note(text: str, *, missing: str, field: str = "note") -> str:
    return checked_text(text, field=field, limit=MAX_NOTE, missing=missing)
