"""Deletes what a person wrote and answered from every table. Rows that others count on stay, without their content.

Slots, times, counts and who did what stay as they were. An erased answer is not current: no dataset, no agreement and
no result reads it. Doing it again does no harm, and takes what arrived meanwhile.
"""

import hashlib
from collections import Counter
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext as _

from annotation.consent.contributions import (
    OWN_REASONS,
    answers_of,
    candidates_by,
    corrections_by,
    decisions_about,
    events_with_texts,
    exclusions_about,
    gold_of,
    reviews_about,
)
from annotation.core.redaction import ERASED, redact_events
from annotation.kinds import KINDS
from annotation.kinds.base import ERASED_ANSWER
from annotation.models import (
    Assignment,
    Candidate,
    CheckProposal,
    DatasetVersion,
    Draft,
    Event,
    Gold,
    Import,
    MemoryEntry,
    Message,
    Project,
    QualificationAttempt,
    QualificationItem,
    Remark,
    Task,
    User,
    Withdrawal,
)
from annotation.queue.claims import return_to_queue
from annotation.text.formatting import comma_list

# Waits for everybody who submits one of the person's tasks at this moment.
LOCK_SLOTS = """SELECT id FROM annotation_assignment WHERE annotator_id = %s AND batch_id IN (
    SELECT id FROM annotation_batch WHERE project_id = %s) ORDER BY id FOR UPDATE"""


def erase(withdrawal: Withdrawal, actor: User | None) -> Counter[str]:
    """Erase the person's contributions to the project; returns how many rows of each kind. Call it in a transaction."""
    project, person = withdrawal.project, withdrawal.person
    counts: Counter[str] = Counter()
    with connection.cursor() as cursor:
        cursor.execute(LOCK_SLOTS, [person.pk, project.pk])
    tests = test_items(withdrawal)
    answers = answers_of(project, person).exclude(payload=ERASED_ANSWER)
    counts["test_items"] = strip_test_items(tests)
    counts["answers"] = answers.update(payload=ERASED_ANSWER, is_current=False)
    of_person = {"task__batch__project": project}
    counts["drafts"] = Draft.objects.filter(annotator=person, **of_person).delete()[0]
    counts["memory_entries"] = MemoryEntry.objects.filter(project=project, author=person).delete()[0]
    counts["skip_comments"] = (
        Assignment.objects.filter(annotator=person, batch__project=project)
        .exclude(skip_comment="")
        .update(skip_comment="")
    )
    remarks = Remark.objects.filter(author=person, **of_person).exclude(text=ERASED)
    counts["remarks"] = remarks.update(text=ERASED)
    Remark.objects.filter(author=person, **of_person).exclude(answer="").update(answer=ERASED)
    replies = Remark.objects.filter(answered_by=person, **of_person).exclude(answer="").exclude(answer=ERASED)
    counts["remark_answers"] = replies.update(answer=ERASED)
    counts["messages"] = Message.objects.filter(project=project, member=person).delete()[0]
    reasons = exclusions_about(project, person).exclude(reason=ERASED)
    counts["exclusion_reasons"] = reasons.update(reason=ERASED)
    counts["reviews"] = erase_reviews(project, person)
    noted = decisions_about(project, person).exclude(note="").exclude(note=ERASED)
    counts["decision_notes"] = noted.update(note=ERASED)
    attempts = QualificationAttempt.objects.filter(user=person, qualification__project=project).exclude(answers={})
    counts["test_answers"] = attempts.update(answers={})
    gold = Gold.objects.filter(pk__in=[row.pk for row in gold_of(project, person)]).exclude(explanation="")
    counts["gold_explanations"] = gold.update(explanation="")
    proposals = CheckProposal.objects.filter(project=project, annotator=person, decided_at=None)
    counts["check_proposals"] = proposals.delete()[0]
    counts["candidates"] = erase_candidates(withdrawal, actor)
    counts["events"] = redact_events(events=events_with_texts(project, person), withdrawal=withdrawal, actor=actor)
    return +counts


def erase_reviews(project: Project, person: User) -> int:
    """Notes, corrections and replies. An answer of somebody else that this person corrected is excluded: see
    `withdraw`."""
    reviews = reviews_about(project, person)
    noted = reviews.exclude(note="").exclude(note=ERASED)
    corrected = reviews.filter(payload__isnull=False).exclude(payload=ERASED_ANSWER)
    replied = reviews.exclude(reply="").exclude(reply=ERASED)
    count = (noted | corrected | replied).distinct().count()
    # What a correction put into the translation memory is in the name of the answer's author.
    of_entry = {"annotation__task": OuterRef("task"), "annotation__annotator": OuterRef("author")}
    MemoryEntry.objects.filter(Exists(corrections_by(project, person).filter(**of_entry))).delete()
    noted.update(note=ERASED)
    corrected.update(payload=ERASED_ANSWER)
    replied.update(reply=ERASED)
    return count


def erase_candidates(withdrawal: Withdrawal, actor: User | None) -> int:
    """Blank the texts that the person wrote for others to judge, and take the tasks that show them out of the queue."""
    due = list(candidates_by(withdrawal.project, withdrawal.person).exclude(text=""))
    for candidate in due:
        digest = hashlib.sha256(f"erased candidate {candidate.pk}".encode()).hexdigest()
        Candidate.objects.filter(pk=candidate.pk).update(text="", generation={}, digest=digest)
    if due:
        shown = Task.objects.filter(candidate_ids__overlap=[candidate.pk for candidate in due])
        for task in shown.order_by("pk").values_list("pk", flat=True):
            return_to_queue(which="task_id = %(task)s", verb="assignment.released", actor=actor, task=task)
            Assignment.objects.filter(task=task, state=Assignment.State.FREE).update(state=Assignment.State.WITHDRAWN)
            Draft.objects.filter(task=task).delete()
    return len(due)


def test_items(withdrawal: Withdrawal) -> list[QualificationItem]:
    """Items of tests whose right answer was made from one of the person's: a test's event names its answers."""
    answers = dict(answers_of(withdrawal.project, withdrawal.person).values_list("pk", "task__prompt"))
    made = Event.objects.filter(project=withdrawal.project, verb="qualification.created")
    found: list[QualificationItem] = []
    for test, after in made.values_list("object_id", "after"):
        own = [answers[pk] for pk in (after or {}).get("annotations", []) if pk in answers]
        if own:
            found += QualificationItem.objects.filter(qualification=test, prompt__in=own).select_related(
                "qualification"
            )
    return found


def strip_test_items(items: list[QualificationItem]) -> int:
    """Keep what a test grades by, without comments, marks and texts; returns how many had any."""
    count = 0
    for item in items:
        kind = KINDS[item.qualification.kind]
        expected = kind.without_texts(item.expected)
        if expected != item.expected:
            item.expected = expected
            item.save(update_fields=["expected"])
            count += 1
    return count


def remaining_in(withdrawal: Withdrawal) -> list[str]:
    """What an erasure leaves, in sentences."""
    sentences = []
    if items := test_items(withdrawal):
        sentences.append(
            _("Tests still grade by the person's choices or scores, without texts: %(count)s items. Retire the test.")
            % {"count": len(items)}
        )
    if gold := [row for row in gold_of(withdrawal.project, withdrawal.person) if row.retired_at is None]:
        sentences.append(
            _("Gold still grades by the person's choices or scores, without texts: %(count)s items. Retire them.")
            % {"count": len(gold)}
        )
    if quoting := manifests_with_reasons(withdrawal):
        numbers = comma_list(quoting)
        sentences.append(
            _("Frozen manifests never change: those of datasets %(numbers)s quote why this person was excluded.")
            % {"numbers": numbers}
        )
    for record in Import.objects.filter(project=withdrawal.project, mapping__has_key="judgements").exclude(path=""):
        if (Path(settings.UPLOADS_DIR) / record.path).is_file():
            values = {"file": record.filename, "number": record.pk}
            sentences.append(_("The file of recorded judgements %(file)s (import %(number)s) is kept.") % values)
    return sentences


def manifests_with_reasons(withdrawal: Withdrawal) -> list[int]:
    """Dataset versions whose manifest has a reason that somebody wrote about excluding this person or an answer of
    theirs."""
    rows = DatasetVersion.objects.filter(project=withdrawal.project, manifest__has_key="excluded").order_by("pk")
    return [
        key
        for key, excluded in rows.values_list("pk", "manifest__excluded")
        if any(
            row["annotator"] == withdrawal.person_id and row["reason"] not in (*OWN_REASONS, ERASED)
            for row in excluded["exclusions"]
        )
    ]
