"""Taking back a verdict: the answer is unreviewed again, as if nobody had decided. The event keeps verdict and note."""

from django.db import transaction
from django.utils.translation import gettext as _

from annotation.answers.exclusions import lift_exclusion
from annotation.core.errors import Conflict
from annotation.core.events import record
from annotation.kinds import KINDS
from annotation.models import Annotation, Assignment, Draft, Exclusion, Project, Review, User
from annotation.queue.claims import release
from annotation.reference import translation_memory

Verdict = Review.Verdict


def take_back_last(*, project: Project, reviewer: User) -> Annotation:
    """Take back this person's newest verdict in the project; returns the answer that it was about. Raises Conflict when
    there is none, and as `take_back` does."""
    reviews = Review.objects.filter(batch__project=project, reviewer=reviewer).order_by("-created_at", "-pk")
    newest = reviews.select_related("annotation__task__batch__project", "annotation__annotator").first()
    if newest is None:
        raise Conflict(_("You have given no verdict in this project."))
    take_back(review=newest, actor=reviewer)
    return newest.annotation


def take_back(*, review: Review, actor: User) -> None:
    """Undo a verdict and what it did: an exclusion is lifted, an answer that was sent back is its author's no longer.

    Raises Conflict when the author has replied, or has opened or changed the answer since.
    """
    answer = review.annotation
    with transaction.atomic():
        slot = Assignment.objects.select_for_update(no_key=True).get(pk=answer.assignment_id)
        known = Review.objects.filter(pk=review.pk).first()
        if known is None:
            raise Conflict(_("This verdict was taken back already."))
        if known.reply:
            raise Conflict(_("The author has replied to this verdict. It stays."))
        # Opening an answer again makes a draft of it.
        begun = Draft.objects.filter(task=answer.task_id, annotator=answer.annotator_id).exclude(payload=answer.payload)
        if not Annotation.objects.filter(pk=answer.pk, is_current=True).exists() or begun.exists():
            raise Conflict(_("The author has changed this answer since. Your verdict stays."))
        if slot.state == Assignment.State.HELD:
            release(assignment=slot, actor=actor)
        if known.verdict == Verdict.LEFT_OUT:
            lift(answer, actor)
        if known.verdict == Verdict.CORRECTED:
            restore_memory(answer)
        before = {"annotation": answer.pk, "verdict": known.verdict, "reviewer": known.reviewer_id, "note": known.note}
        after = {"author": answer.annotator_id}
        project = answer.task.batch.project
        record(verb="review.taken_back", target=known, actor=actor, project=project, before=before, after=after)
        known.delete()


def lift(answer: Annotation, actor: User) -> None:
    """The exclusion of this answer, unless a manager lifted it before."""
    own = Exclusion.objects.filter(task=answer.task_id, annotator=answer.annotator_id, lifted_at=None)
    if found := own.select_related("project", "prompt").first():
        lift_exclusion(exclusion=found, actor=actor)


def restore_memory(answer: Annotation) -> None:
    """The author's own text is found again among similar texts, where it was."""
    kind = KINDS[answer.kind]
    if kind.own_text(answer.payload) is not None:
        translation_memory.store(annotation=answer)
    elif kind.keeps_own_text:
        translation_memory.discard(task_id=answer.task_id, author=answer.annotator)
