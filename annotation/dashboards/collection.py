"""How collection goes: what is done by day and person, what remains, what it cost. Four queries at any size."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, Subquery, Sum
from django.db.models.functions import JSONObject
from django.utils import timezone

from annotation.core.time_zones import today_in
from annotation.dashboards.cost import Rates, rates_of
from annotation.dashboards.forecast import Day, Forecast, TooEarly, forecast
from annotation.models import Batch, Membership, PayRate, Project, User, WorkClock, WorkCount
from annotation.queue.progress import Progress, progress_of

AT_WORK = timedelta(minutes=10)  # since the last sign of somebody


@dataclass(frozen=True)
class Work:
    """Of one person on one day."""

    answered: int = 0
    skipped: int = 0
    active_seconds: float = 0.0

    def __add__(self, other: "Work") -> "Work":
        return Work(
            self.answered + other.answered,
            self.skipped + other.skipped,
            self.active_seconds + other.active_seconds,
        )


WorkByDay = dict[int, dict[date, Work]]  # {person: {day: what they did}}


@dataclass(frozen=True)
class Member:
    """The membership of somebody who still belongs to the project."""

    pk: int
    is_paused: bool


@dataclass(frozen=True)
class Person:
    """One who worked on the project; `cost` is None where a day of theirs has no rate, `membership` when they left."""

    user: User
    today: Work
    in_all: Work
    seen_at: datetime | None
    is_at_work: bool
    cost: float | None
    membership: "Member | None" = None

    @property
    def seconds_per_answer(self) -> float | None:
        return self.in_all.active_seconds / self.in_all.answered if self.in_all.answered else None


@dataclass(frozen=True)
class Collection:
    """`history` counts answers of all batches on each day; `unpriced` are answers and hours of days without a rate."""

    project: Project
    today: date
    batches: list[Progress]
    history: Mapping[date, Day]
    people: list[Person]
    rates: Rates
    unpriced: Work = field(default_factory=Work)

    @property
    def open_batches(self) -> list[Progress]:
        return [item for item in self.batches if item.is_open]

    @property
    def total(self) -> int:
        """Answers that the open batches ask for."""
        return sum(item.total for item in self.open_batches)

    @property
    def done(self) -> int:
        return sum(item.done for item in self.open_batches)

    @property
    def remaining(self) -> int:
        return self.total - self.done

    @property
    def more(self) -> int:
        """How many more answers batches with adaptive overlap may come to ask for."""
        return sum(item.more for item in self.open_batches)

    @property
    def spent(self) -> float:
        return sum(day.cost for day in self.history.values())

    @property
    def at_work(self) -> int:
        return sum(person.is_at_work for person in self.people)

    def forecast(self) -> Forecast | TooEarly:
        return forecast(self.history, self.remaining, self.today)


def collection_of(project: Project) -> Collection:
    return collections_of([project])[0]


def collections_of(projects: Sequence[Project]) -> list[Collection]:
    """Of each project, in four queries."""
    batches: dict[int, list[Progress]] = {project.pk: [] for project in projects}
    for item in progress_of(Batch.objects.filter(project__in=batches)):
        batches[item.batch.project_id].append(item)
    rates: dict[int, list[PayRate]] = {project.pk: [] for project in projects}
    for rate in PayRate.objects.filter(project__in=rates):
        rates[rate.project_id].append(rate)
    work: dict[int, WorkByDay] = {project.pk: defaultdict(dict) for project in projects}
    for row in work_by_day(projects):
        done = Work(row["answered"], row["skipped"], max(row["active_seconds"], 0.0))
        work[row["batch__project"]][row["annotator_id"]][row["day"]] = done
    people = {person for by_person in work.values() for person in by_person}
    clock = WorkClock.objects.filter(annotator=OuterRef("pk")).values("at")
    own = Membership.objects.filter(user=OuterRef("pk"), project__in=batches).order_by()
    described = JSONObject(project="project_id", pk="pk", paused_at="paused_at")
    users = User.objects.annotate(
        seen_at=Subquery(clock), own_memberships=ArraySubquery(own.values(described=described))
    ).in_bulk(list(people))
    return [
        collected(project, batches[project.pk], rates_of(rates[project.pk]), work[project.pk], users)
        for project in projects
    ]


def collected(
    project: Project,
    batches: list[Progress],
    rates: Rates,
    work: WorkByDay,
    users: Mapping[int, Any],
) -> Collection:
    """`users` have, beside their columns, `seen_at`, when there was last a sign of them, and `own_memberships`."""
    today = today_in(project)
    answers: dict[date, int] = defaultdict(int)
    cost: dict[date, float] = defaultdict(float)
    unpriced = Work()
    people = []
    for person, days in work.items():
        own_cost: float | None = 0.0 if rates.any else None
        for day, done in days.items():
            answers[day] += done.answered
            price = rates.cost(person, day, answers=done.answered, active_seconds=done.active_seconds)
            if price is None:
                unpriced += done
            else:
                cost[day] += price
                own_cost = (own_cost or 0.0) + price
        people.append(
            Person(
                user=users[person],
                today=days.get(today, Work()),
                in_all=sum(days.values(), Work()),
                seen_at=users[person].seen_at,
                is_at_work=is_recent(users[person].seen_at),
                cost=own_cost,
                membership=next(
                    (
                        Member(row["pk"], is_paused=row["paused_at"] is not None)
                        for row in users[person].own_memberships
                        if row["project"] == project.pk
                    ),
                    None,
                ),
            )
        )
    return Collection(
        project=project,
        today=today,
        batches=batches,
        history={day: Day(answers[day], cost[day]) for day in sorted(answers)},
        people=sorted(people, key=lambda person: (person.user.name.casefold(), person.user.pk)),
        rates=rates,
        unpriced=unpriced if rates.any else Work(),
    )


def work_by_day(projects: Sequence[Project]) -> list[dict[str, Any]]:
    rows = WorkCount.objects.filter(batch__project__in=projects).order_by()
    sums = {name: Sum(name) for name in ("answered", "skipped", "active_seconds")}
    return [dict(row) for row in rows.values("batch__project", "annotator_id", "day").annotate(**sums)]


def is_recent(at: datetime | None) -> bool:
    return at is not None and timezone.now() - at < AT_WORK
