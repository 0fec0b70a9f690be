"""What review came to, counted: how many wait, and how often answers are accepted at first and in the end."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from annotation.models import Adjudication, Assignment, Project, Review, User
from annotation.reviewing.queue import QueueFilter, conditions, open_answers

COUNTED = 1_000


@dataclass(frozen=True)
class Acceptance:
    """Of one person's answers, or of all: `first` were accepted at their first review, of `answers` that were reviewed;
    `final` are those whose last review accepted them, `corrected`, `left_out` and `sent_back` those where it did that.
    """

    author: User | None
    answers: int = 0
    first: int = 0
    final: int = 0
    corrected: int = 0
    left_out: int = 0
    sent_back: int = 0

    @property
    def first_share(self) -> float | None:
        return self.first / self.answers if self.answers else None

    @property
    def final_share(self) -> float | None:
        return self.final / self.answers if self.answers else None


def acceptance(project: Project) -> list[Acceptance]:
    """By author, in the order of their names. Two queries."""
    later = Review.objects.filter(annotation__assignment=OuterRef("annotation__assignment"), pk__gt=OuterRef("pk"))
    rows = Review.objects.filter(batch__project=project).order_by().annotate(is_last=~Exists(later.order_by()))
    last = Q(is_last=True)
    groups: list[dict[str, Any]] = [
        dict(group)
        for group in rows.values("annotation__annotator").annotate(
            answers=Count("pk", filter=Q(first_pass=True)),
            first=Count("pk", filter=Q(first_pass=True, verdict=Review.Verdict.ACCEPTED)),
            final=Count("pk", filter=last & Q(verdict=Review.Verdict.ACCEPTED)),
            corrected=Count("pk", filter=last & Q(verdict=Review.Verdict.CORRECTED)),
            left_out=Count("pk", filter=last & Q(verdict=Review.Verdict.LEFT_OUT)),
            sent_back=Count("pk", filter=last & Q(verdict=Review.Verdict.SENT_BACK)),
        )
    ]
    people = User.objects.in_bulk([group["annotation__annotator"] for group in groups])
    found = [Acceptance(people[group.pop("annotation__annotator")], **group) for group in groups]
    return sorted(found, key=lambda row: (row.author.name, row.author.pk) if row.author else ("", 0))


def in_all(rows: Iterable[Acceptance]) -> Acceptance:
    listed = list(rows)
    names = ("answers", "first", "final", "corrected", "left_out", "sent_back")
    return Acceptance(None, **{name: sum(getattr(row, name) for row in listed) for name in names})


@dataclass(frozen=True)
class Causes:
    """Why annotators disagreed on the tasks that reviewers decided: (label, decided, kept as divided) by cause."""

    rows: list[tuple[str, int, int]]

    @property
    def total(self) -> int:
        return sum(decided + divided for _label, decided, divided in self.rows)


def causes_of(project: Project) -> Causes:
    """One query."""
    rows = Adjudication.objects.filter(batch__project=project).order_by().values_list("cause")
    divided = Q(payload__isnull=True)
    counted = rows.annotate(decided=Count("pk", filter=~divided), kept=Count("pk", filter=divided))
    found = {cause: (decided, kept) for cause, decided, kept in counted}
    return Causes([(str(cause.label), *found.get(cause.value, (0, 0))) for cause in Adjudication.Cause])


def replies_in(project: Project) -> QuerySet[Review]:
    """What authors replied, newest first."""
    rows = Review.objects.filter(batch__project=project).exclude(reply="")
    return rows.order_by("-replied_at").select_related("annotation__annotator", "annotation__task", "reviewer", "batch")


def queue_length(project: Project, reviewer: User, only: QueueFilter) -> int | None:
    """How many answers are in this person's queue, up to `COUNTED`; without disagreements, which are not counted: None
    where the filter asks for them alone."""
    if only.why == "disagreement":
        return None
    known = conditions(project)
    wanted = Q(pk__in=[])
    for condition in [known[only.why]] if only.why in known else known.values():
        wanted |= condition
    return open_answers(project, reviewer, only).filter(wanted, pk__gt=only.after)[:COUNTED].count()


def authors_of(project: Project) -> QuerySet[User]:
    """Who has answers in the project that could be reviewed."""
    answers = Assignment.objects.filter(
        annotator=OuterRef("pk"), batch__project=project, state=Assignment.State.DONE
    ).order_by()
    return User.objects.filter(Exists(answers)).order_by("name", "email")
