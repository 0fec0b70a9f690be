"""Time sheets: who worked how long on what, from `TimeSpent` and the answers.

One function reads them for the person's own page, the manager's page and the file, so all three show the same figures.

Seconds belong to the day on which a task was shown (in the site's time zone), also when work continued past midnight.
An answer belongs to the day on which it was first submitted, a skip to its own day; changing an answer later adds
seconds, but no answer. Answers sent without JavaScript have no seconds.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Any

from django.db.models import Count, F, QuerySet, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone

from annotation.core.access import projects_of
from annotation.models import Annotation, Assignment, Batch, Project, TimeSpent, User


@dataclass(frozen=True)
class Figures:
    """Seconds and counts; `a + b` adds them up."""

    active: float = 0.0
    idle: float = 0.0
    answered: int = 0
    skipped: int = 0

    def __add__(self, other: "Figures") -> "Figures":
        return Figures(
            self.active + other.active,
            self.idle + other.idle,
            self.answered + other.answered,
            self.skipped + other.skipped,
        )

    @property
    def seconds_per_answer(self) -> float | None:
        """Active seconds per answer; None when there are no answers."""
        return self.active / self.answered if self.answered else None


@dataclass(frozen=True)
class Line:
    """The figures of one person, day and batch."""

    day: date
    annotator: User
    batch: Batch
    figures: Figures


def time_sheet(*, projects: Iterable[Project], since: date, until: date, annotator: User | None = None) -> list[Line]:
    """The lines of these days, both included: newest day first, then by person and batch. Five queries."""
    zone = site_zone()
    begin = datetime.combine(since, time.min, tzinfo=zone)
    end = datetime.combine(until + timedelta(days=1), time.min, tzinfo=zone)
    batches = {batch.pk: batch for batch in Batch.objects.filter(project__in=list(projects)).select_related("project")}
    sums: dict[tuple[date, int, int], Figures] = {}
    for key, figures in read(list(batches), begin, end, zone, annotator):
        sums[key] = sums.get(key, Figures()) + figures
    people = User.objects.in_bulk({person for _, person, _ in sums})
    lines = [Line(day, people[person], batches[batch], figures) for (day, person, batch), figures in sums.items()]
    return sorted(
        lines, key=lambda line: (-line.day.toordinal(), line.annotator.name, line.annotator.pk, line.batch.pk)
    )


def active_today(user: User) -> float:
    """This person's active seconds of today, as on their time sheet. One query."""
    begin = datetime.combine(today(), time.min, tzinfo=site_zone())
    batches = Batch.objects.filter(project__in=projects_of(user))
    spent = TimeSpent.objects.filter(annotator=user, batch__in=batches, began_at__gte=begin)
    return spent.aggregate(active=Sum("active_seconds"))["active"] or 0.0


Key = tuple[date, int, int]


def read(
    batches: list[int], begin: datetime, end: datetime, zone: tzinfo, annotator: User | None
) -> Iterator[tuple[Key, Figures]]:
    def grouped(rows: QuerySet, at: str, **sums: Any) -> Iterable[dict[str, Any]]:
        rows = rows.filter(**{f"{at}__gte": begin, f"{at}__lt": end})
        if annotator is not None:
            rows = rows.filter(annotator=annotator)
        by_day = rows.order_by().values("annotator_id", "in_batch", day=TruncDate(at, tzinfo=zone))
        groups: Iterable[dict[str, Any]] = by_day.annotate(**sums)
        return groups

    spent = TimeSpent.objects.filter(batch__in=batches).annotate(in_batch=F("batch_id"))
    for row in grouped(spent, "began_at", active=Sum("active_seconds"), idle=Sum("idle_seconds")):
        yield key_of(row), Figures(active=row["active"], idle=row["idle"])
    first = Annotation.objects.filter(version=1, task__batch__in=batches).annotate(in_batch=F("task__batch_id"))
    for row in grouped(first, "created_at", count=Count("pk")):
        yield key_of(row), Figures(answered=row["count"])
    skipped = Assignment.objects.filter(state=Assignment.State.SKIPPED, batch__in=batches)
    for row in grouped(skipped.annotate(in_batch=F("batch_id")), "finished_at", count=Count("pk")):
        yield key_of(row), Figures(skipped=row["count"])


def key_of(row: dict[str, Any]) -> Key:
    return row["day"], row["annotator_id"], row["in_batch"]


def totals(lines: Iterable[Line]) -> Figures:
    return sum((line.figures for line in lines), Figures())


def by_person(lines: Iterable[Line]) -> list[tuple[User, Figures]]:
    """The totals of each person, in the order of their names."""
    people: dict[int, tuple[User, Figures]] = {}
    for line in lines:
        person, figures = people.get(line.annotator.pk, (line.annotator, Figures()))
        people[line.annotator.pk] = (person, figures + line.figures)
    return sorted(people.values(), key=lambda row: (row[0].name, row[0].pk))


def site_zone() -> tzinfo:
    """Days follow the site's time zone for everybody, so that two people see the same sheet."""
    return timezone.get_default_timezone()


def today() -> date:
    return timezone.localdate(timezone=site_zone())


def month_of(day: date) -> tuple[date, date]:
    """The first and the last day of the month."""
    first = day.replace(day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    return first, following - timedelta(days=1)
