"""What of a project is a person's: their answers, the corrections they made of others' answers, texts they wrote."""

from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from annotation.models import Adjudication, Annotation, Candidate, Event, Exclusion, Gold, Project, Review, User

# Of exclusions that a withdrawal makes.
REASON = "Consent was withdrawn"
CORRECTED = "Corrected by somebody who withdrew consent"
OWN_REASONS = (REASON, CORRECTED)
DECISION_VERBS = ("task.adjudicated", "task.kept_divided", "task.decision_taken_back")


def answers_of(project: Project, person: User) -> QuerySet[Annotation]:
    """All versions of their answers."""
    return Annotation.objects.filter(annotator=person, task__batch__project=project).order_by()


def corrections_by(project: Project, person: User) -> QuerySet[Review]:
    """Reviews by which others' answers count as this person corrected them."""
    rows = Review.objects.filter(reviewer=person, batch__project=project, verdict=Review.Verdict.CORRECTED)
    return rows.order_by()


def decisions_from(project: Project, person: User) -> QuerySet[Adjudication]:
    """Decisions that this person made, and those by which their answer counts for all of its task."""
    rows = Adjudication.objects.filter(batch__project=project)
    return rows.filter(Q(adjudicator=person) | Q(chosen__annotator=person)).order_by("pk")


def decisions_about(project: Project, person: User) -> QuerySet[Adjudication]:
    """Decisions on tasks that this person answered: their notes may quote them."""
    own = answers_of(project, person).filter(task=OuterRef("task"))
    return Adjudication.objects.filter(Exists(own), batch__project=project).order_by()


def reviews_about(project: Project, person: User) -> QuerySet[Review]:
    """Reviews of their answers, and those that they gave."""
    rows = Review.objects.filter(batch__project=project)
    return rows.filter(Q(annotation__annotator=person) | Q(reviewer=person)).order_by()


def gold_of(project: Project, person: User) -> list[Gold]:
    """Gold that this person entered, or that was made of their answer or decision: its explanation may quote them."""
    rows = list(Gold.objects.filter(project=project))
    answers = {int(gold.source.partition(":")[2]) for gold in rows if gold.source.startswith("annotation:")}
    own = set(answers_of(project, person).filter(pk__in=answers).values_list("pk", flat=True))
    sources = {f"annotation:{pk}" for pk in own}
    sources |= {f"adjudication:{pk}" for pk in decisions_from(project, person).values_list("pk", flat=True)}
    return [gold for gold in rows if gold.created_by_id == person.pk or gold.source in sources]


def candidates_by(project: Project, person: User) -> QuerySet[Candidate]:
    """Texts of theirs that others judge."""
    return Candidate.objects.filter(prompt__project=project, origin=f"human:{person.pk}").order_by()


def row_ids(project: Project, person: User) -> tuple[set[int], set[int]]:
    """The ids of annotations and of candidates that make a dataset's row contain something of this person."""
    annotations = set(answers_of(project, person).values_list("pk", flat=True))
    annotations |= set(corrections_by(project, person).values_list("annotation", flat=True))
    decided = decisions_from(project, person).filter(payload__isnull=False).values("task")
    annotations |= set(Annotation.objects.filter(task__in=decided, is_current=True).values_list("pk", flat=True))
    return annotations, set(candidates_by(project, person).values_list("pk", flat=True))


def events_with_texts(project: Project, person: User) -> QuerySet[Event]:
    """Recorded events that quote what the person wrote, or what a reviewer or manager wrote about it or about them."""
    rows = Event.objects.filter(project=project)
    own = Q(actor=person, verb__in=["remark.added", "remark.answered", "assignment.skipped", "review.replied"])
    remarks: Any = Event.objects.filter(project=project, actor=person, verb="remark.added").values("object_id")
    answered = Q(verb="remark.answered", object_type="remark", object_id__in=remarks)
    verdicts = [*(f"review.{verdict}" for verdict in Review.Verdict.values), "review.taken_back"]
    reviews = Q(verb__in=verdicts) & (Q(actor=person) | Q(after__author=person.pk))
    left_out: Any = exclusions_about(project, person).values("pk")
    exclusions = Q(object_type="exclusion", object_id__in=left_out)
    pauses = Q(verb="member.paused", after__user=person.pk)
    return rows.filter(own | answered | reviews | exclusions | pauses | Q(pk__in=events_of_decisions(project, person)))


def events_of_decisions(project: Project, person: User) -> list[int]:
    """Decisions by this person, and on tasks that they answered, also those that were taken back."""
    tasks = set(answers_of(project, person).values_list("task", flat=True))
    rows = Event.objects.filter(project=project, verb__in=DECISION_VERBS)
    return [
        pk
        for pk, actor, before, after in rows.values_list("pk", "actor", "before", "after")
        if actor == person.pk or (before or after or {}).get("task") in tasks
    ]


def exclusions_about(project: Project, person: User) -> QuerySet[Exclusion]:
    """Exclusions of this person, or of an answer of theirs, whose reasons people wrote: they may quote or describe
    them."""
    return Exclusion.objects.filter(project=project, annotator=person).exclude(reason__in=OWN_REASONS).order_by()
