"""Time sheets: who worked how long on what, from the counts of `TimeSpent`, answers and skips.

One function reads them for the person's own page, the manager's page and the file, so all three show the same figures.

Seconds belong to the day on which a task was shown, also when work continued past midnight; days are those of the
project's time zone. An answer belongs to the day on which it was first submitted, a skip to its own day; changing an
answer later adds seconds, but no answer. Answers sent without JavaScript have no seconds.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.db.models import Q, QuerySet, Sum
from django.utils import timezone

from annotation.core.time_zones import today_in
from annotation.models import Batch, Project, User, WorkCount


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
    def lead(self) -> float:
        """Seconds with a task open, active or not."""
        return self.active + self.idle

    @property
    def seconds_per_answer(self) -> float | None:
        """All active seconds, those of skipped tasks and of reviewing too, per answer; None when there are no
        answers."""
        return self.active / self.answered if self.answered else None


@dataclass(frozen=True)
class Line:
    """The figures of one person, day and batch."""

    day: date
    annotator: User
    batch: Batch
    figures: Figures


def time_sheet(*, projects: Iterable[Project], since: date, until: date, annotator: User | None = None) -> list[Line]:
    """The lines of these days, both included: newest day first, then by person and batch. Three queries.

    Days are those of each project's time zone.
    """
    batches = {batch.pk: batch for batch in Batch.objects.filter(project__in=list(projects)).select_related("project")}
    rows = WorkCount.objects.filter(batch__in=batches, day__gte=since, day__lte=until)
    if annotator is not None:
        rows = rows.filter(annotator=annotator)
    groups = list(summed(rows, "day", "annotator_id", "batch_id"))
    people = User.objects.in_bulk({group["annotator_id"] for group in groups})
    lines = [
        Line(group["day"], people[group["annotator_id"]], batches[group["batch_id"]], figures)
        for group in groups
        if (figures := figures_of(group)) != Figures()
    ]
    return sorted(
        lines, key=lambda line: (-line.day.toordinal(), line.annotator.name, line.annotator.pk, line.batch.pk)
    )


def today_of(user: User, projects: Iterable[Project]) -> Figures:
    """What this person did in these projects today, as on their time sheet. One query."""
    own = list(projects)
    today = Q(pk__in=[])
    for project in {project.time_zone: project for project in own}.values():
        today |= Q(batch__project__time_zone=project.time_zone, day=today_in(project))
    rows = WorkCount.objects.filter(today, annotator=user, batch__project__in=own)
    return sum(map(figures_of, summed(rows, "annotator_id")), Figures())


def summed(rows: QuerySet[WorkCount], *keys: str) -> Iterable[dict[str, Any]]:
    sums = {name: Sum(name) for name in ("active_seconds", "idle_seconds", "answered", "skipped")}
    groups: Iterable[dict[str, Any]] = rows.order_by().values(*keys).annotate(**sums)
    return groups


def figures_of(group: dict[str, Any]) -> Figures:
    # Seconds that cancel out leave a trace of rounding.
    active, idle = (max(round(group[name], 6), 0.0) for name in ("active_seconds", "idle_seconds"))
    return Figures(active=active, idle=idle, answered=group["answered"], skipped=group["skipped"])


def totals(lines: Iterable[Line]) -> Figures:
    return sum((line.figures for line in lines), Figures())


def by_person(lines: Iterable[Line]) -> list[tuple[User, Figures]]:
    """The totals of each person, in the order of their names."""
    people: dict[int, tuple[User, Figures]] = {}
    for line in lines:
        person, figures = people.get(line.annotator.pk, (line.annotator, Figures()))
        people[line.annotator.pk] = (person, figures + line.figures)
    return sorted(people.values(), key=lambda row: (row[0].name, row[0].pk))


def today() -> date:
    """The site's day, for pages over several projects."""
    return timezone.localdate(timezone=timezone.get_default_timezone())


def month_of(day: date) -> tuple[date, date]:
    """The first and the last day of the month."""
    first = day.replace(day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    return first, following - timedelta(days=1)
