"""Withdrawing consent, and giving it again.

A withdrawal is one transaction: the person leaves the project, what they hold returns to the queue, their answers are
excluded or erased. A dataset that is being frozen meanwhile is either registered first, and listed, or read again
(`annotation.datasets.register`). Files are removed after the commit; a job finishes what was interrupted and erases
what a request that was on its way has left (`finish_all`).
"""

from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from annotation.answers.exclusions import people_of
from annotation.consent import registry
from annotation.consent.contributions import CORRECTED, REASON, answers_of, corrections_by, decisions_from
from annotation.consent.erasing import erase
from annotation.consent.reach import versions_with
from annotation.consent.removal import remove_exports, remove_files
from annotation.core.errors import Conflict, InvalidInput
from annotation.core.events import record
from annotation.core.locks import Lock, lock_until_commit
from annotation.members.memberships import remove_member
from annotation.models import Exclusion, Membership, Project, User, WeeklySummary, Withdrawal
from annotation.queue.manual_assignment import release_all
from annotation.reviewing.adjudication import take_back

MAX_NOTE = 300
# For so long a request that began before an erasure may still write something.
SWEPT_FOR = timedelta(hours=1)


def withdraw(
    *,
    project: Project,
    person: User,
    mode: str,
    actor: User | None,
    confirmation: str | None = None,
    note: str = "",
    named: bool = False,
) -> Withdrawal:
    """Withdraw this person's consent in the project. Raises Conflict when it is withdrawn already (excluded answers may
    still be erased), `LastManager` where the project would have no manager left, InvalidInput for somebody who has
    nothing to do with the project, for an unknown mode, and for an erasure that is not confirmed.

    `confirmation`, which an erasure needs, is the person's e-mail address. `note` says how the person asked for it.
    """
    check(project, person, mode, confirmation, note)
    with transaction.atomic():
        lock_until_commit(Lock.CONSENT, project.pk)
        withdrawal = begin(project, person, mode, actor, note.strip(), named)
        withdrawal.exclusion = exclude(withdrawal, actor)
        leave(project, person, actor)
        exclude_corrected(withdrawal, actor)
        take_back_decisions(withdrawal, actor)
        withdrawal.save()
        after = {
            "person": person.pk,
            "mode": mode,
            "answers": withdrawal.answers,
            "datasets": withdrawal.dataset_ids,
            "exclusion": withdrawal.exclusion.pk,
        }
        record(verb="consent.withdrawn", target=withdrawal, actor=actor, project=project, after=after)
        if mode == Withdrawal.Mode.ERASE:
            erase_now(withdrawal, actor)
    if mode == Withdrawal.Mode.ERASE:
        remove_from_disk(withdrawal, actor)
    return withdrawal


def check(project: Project, person: User, mode: str, confirmation: str | None, note: str) -> None:
    if mode not in Withdrawal.Mode.values:
        message = _("Choose what happens to the answers.")
        raise InvalidInput(message, [("mode", message)])
    if len(note.strip()) > MAX_NOTE:
        message = _("At most %(limit)s characters; this has %(length)s.") % {"limit": MAX_NOTE, "length": len(note)}
        raise InvalidInput(message, [("note", message)])
    if mode == Withdrawal.Mode.ERASE and (confirmation or "").strip().lower() != person.email.lower():
        message = _("Type the email address %(email)s to confirm. Erased answers cannot be restored.")
        message %= {"email": person.email}
        raise InvalidInput(message, [("confirmation", message)])
    known = Withdrawal.objects.filter(project=project, person=person).exists()
    if not known and not people_of(project).filter(pk=person.pk).exists():
        raise InvalidInput(_("%(person)s has no answers in this project.") % {"person": person})


def begin(project: Project, person: User, mode: str, actor: User | None, note: str, named: bool) -> Withdrawal:
    """The withdrawal's row; the one that is there where excluded answers are to be erased."""
    current = Withdrawal.objects.select_for_update().filter(project=project, person=person, ended_at=None).first()
    if current is not None and (current.is_erasing or mode == Withdrawal.Mode.EXCLUDE):
        raise Conflict(_("This consent is withdrawn already."))
    reached = [row.as_dict() for row in versions_with(project, person)]
    if current is None:
        answers = answers_of(project, person).filter(is_current=True).count()
        return Withdrawal.objects.create(
            project=project,
            person=person,
            mode=mode,
            recorded_by=actor,
            note=note,
            named=named,
            answers=answers,
            reached=reached,
        )
    # Versions whose files are gone since are known from the first time.
    known = {row["dataset"]: row for row in current.reached}
    current.reached = list(({row["dataset"]: row for row in reached} | known).values())
    current.mode, current.note, current.named = mode, note or current.note, named
    current.receipt = current.signature = current.public_key = ""
    current.receipted_at = None
    return current


def exclude(withdrawal: Withdrawal, actor: User | None) -> Exclusion:
    """The exclusion of the person, which may have been there before."""
    in_effect = Exclusion.objects.filter(
        project=withdrawal.project, annotator=withdrawal.person, task=None, prompt=None, lifted_at=None
    )
    if existing := in_effect.first():
        return existing
    try:
        with transaction.atomic():
            exclusion = Exclusion.objects.create(
                project=withdrawal.project, annotator=withdrawal.person, reason=REASON, created_by=actor
            )
    except IntegrityError:
        return in_effect.get()  # a manager excluded them at this moment
    after = {
        "scope": exclusion.scope,
        "task": None,
        "annotator": exclusion.annotator_id,
        "reason": REASON,
        "answers": withdrawal.answers,
    }
    record(verb="exclusion.made", target=exclusion, actor=actor, project=withdrawal.project, after=after)
    return exclusion


def exclude_corrected(withdrawal: Withdrawal, actor: User | None) -> None:
    """Exclude others' answers that count as this person corrected them, one by one."""
    project = withdrawal.project
    corrected = corrections_by(project, withdrawal.person).filter(annotation__is_current=True)
    for task, annotator in corrected.values_list("annotation__task", "annotation__annotator"):
        try:
            with transaction.atomic():
                exclusion = Exclusion.objects.create(
                    project=project, task_id=task, annotator_id=annotator, reason=CORRECTED, created_by=actor
                )
        except IntegrityError:
            continue  # excluded already
        after = {"scope": "answer", "task": task, "annotator": annotator, "reason": CORRECTED, "answers": 1}
        record(verb="exclusion.made", target=exclusion, actor=actor, project=project, after=after)


def take_back_decisions(withdrawal: Withdrawal, actor: User | None) -> None:
    """Others' answers count no longer as this person decided, or as this person answered."""
    rows = decisions_from(withdrawal.project, withdrawal.person).select_related("task__batch__project")
    for decision in rows:
        take_back(adjudication=decision, actor=actor)


def leave(project: Project, person: User, actor: User | None) -> None:
    """End the membership, and return what the person holds to the queue. Site administrators have no membership."""
    membership = Membership.objects.filter(project=project, user=person).select_related("project", "user").first()
    if membership is not None:
        remove_member(membership=membership, actor=actor)
    else:
        release_all(project=project, annotator=person, actor=actor)
    WeeklySummary.objects.filter(project=project, user=person).delete()


def erase_now(withdrawal: Withdrawal, actor: User | None) -> int:
    """Erase, and add up what was erased. Call it in a transaction; returns how many rows this call erased."""
    counts = erase(withdrawal, actor)
    if not counts and withdrawal.erased_at:
        return 0
    known = withdrawal.erased
    withdrawal.erased = {key: known.get(key, 0) + counts[key] for key in sorted({*known, *counts})}
    withdrawal.erased_at = withdrawal.erased_at or timezone.now()
    withdrawal.save(update_fields=["erased", "erased_at"])
    record(
        verb="consent.erased",
        target=withdrawal,
        actor=actor,
        project=withdrawal.project,
        after={"counts": dict(counts)},
    )
    return counts.total()


def remove_from_disk(withdrawal: Withdrawal, actor: User | None) -> int:
    """Delete the files that hold erased texts: of dataset versions, exports, and what engines copied; how many."""
    files = remove_files(withdrawal, actor)
    exports = remove_exports(withdrawal, actor)
    again = withdrawal.files_removed_at is not None
    copies = registry.remove_copies(withdrawal.project, withdrawal.dataset_ids, again=again)
    with transaction.atomic():
        counts = {"dataset_files": files, "exports": exports, "copies": copies}
        known = withdrawal.erased
        withdrawal.erased = {**known, **{key: known.get(key, 0) + n for key, n in counts.items() if n}}
        withdrawal.files_removed_at = timezone.now()
        withdrawal.save(update_fields=["erased", "files_removed_at"])
        if any(counts.values()):
            record(
                verb="consent.files_removed", target=withdrawal, actor=actor, project=withdrawal.project, after=counts
            )
    return sum(counts.values())


def finish_all() -> int:
    """Finish erasures that were interrupted, and erase what arrived late; returns how many withdrawals had any."""
    due = Withdrawal.objects.filter(mode=Withdrawal.Mode.ERASE, ended_at=None)
    due = due.filter(Q(files_removed_at=None) | Q(erased_at__gt=timezone.now() - SWEPT_FOR))
    return sum(finish(withdrawal) for withdrawal in due.select_related("project", "person"))


def finish(withdrawal: Withdrawal) -> bool:
    """Whether anything was left of this erasure."""
    with transaction.atomic():
        lock_until_commit(Lock.CONSENT, withdrawal.project_id)
        withdrawal.refresh_from_db()
        erased = erase_now(withdrawal, actor=None)
    # Engines that were asked to stop may have written since.
    return bool(remove_from_disk(withdrawal, actor=None) or erased)


def consent_again(*, withdrawal: Withdrawal, actor: User) -> Withdrawal:
    """The person gives consent again: managers may lift the exclusion and let them join. What was erased stays erased.
    Raises Conflict for anybody else, and when they did so before."""
    if actor.pk != withdrawal.person_id:
        raise Conflict(_("Only the person themselves can consent again."))
    if withdrawal.is_erasing and withdrawal.files_removed_at is None:
        raise Conflict(_("Files are still being removed. Try again in a minute."))
    with transaction.atomic():
        lock_until_commit(Lock.CONSENT, withdrawal.project_id)
        if not Withdrawal.objects.filter(pk=withdrawal.pk, ended_at=None).update(ended_at=timezone.now()):
            raise Conflict(_("You have consented again already."))
        record(verb="consent.given_again", target=withdrawal, actor=actor, project=withdrawal.project)
    withdrawal.refresh_from_db()
    return withdrawal
