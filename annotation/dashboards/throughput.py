"""When a project's answers were given: by day and hour, and by batch, of the people, batches and days asked for.

Read from the counts that triggers keep, so the cost grows with days and people and not with answers.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from django.db.models import Count, QuerySet
from django.utils.translation import gettext as _

from annotation.answers.submission import SKIP_REASONS
from annotation.answers.timesheets import Figures, figures_of, summed
from annotation.core.time_zones import today_in, zone_of
from annotation.dashboards.charts import Chart, Line, days_since_1970, line_chart
from annotation.dashboards.wording import day_range, number
from annotation.models import Assignment, Batch, Project, User, WorkCount
from annotation.text.formatting import duration

SHOWN_DAYS = 14  # where no days are asked for
MOST_DAYS = 366
LEVELS = 4  # shades of an hour, beside none


@dataclass(frozen=True)
class Asked:
    """Days, both included; None and empty are all of them."""

    first: date
    last: date
    batch: Batch | None = None
    kind: str = ""
    person: User | None = None


@dataclass(frozen=True)
class Hour:
    """`level` from 0 (no answer) to `LEVELS`, by how many of the busiest hour's answers there are."""

    answered: int
    level: int


@dataclass(frozen=True)
class DayOfWork:
    day: date
    figures: Figures
    hours: list[Hour]


@dataclass(frozen=True)
class Throughput:
    """`days` are those with work, newest first; `skips` are (reason in words, how many), most frequent first."""

    asked: Asked
    days: list[DayOfWork]
    batches: list[tuple[Batch, Figures]]
    people: list[tuple[User, Figures]]
    skips: list[tuple[str, int]]

    @property
    def total(self) -> Figures:
        return sum((day.figures for day in self.days), Figures())

    @property
    def charts(self) -> list[Chart]:
        """Answers and active time per answer, by day; days without work are 0 answers."""
        if not self.days:
            return []
        by_day = {row.day: row.figures for row in self.days}
        begin, end = self.days[-1].day, self.days[0].day
        all_days = [begin + timedelta(days=n) for n in range((end - begin).days + 1)]
        answers = Line(
            _("Answers"),
            [days_since_1970(day) for day in all_days],
            [by_day[day].answered if day in by_day else 0 for day in all_days],
        )
        timed = [(day, by_day[day].seconds_per_answer) for day in all_days if day in by_day]
        pace = Line(
            _("Active seconds per answer"),
            [days_since_1970(day) for day, seconds in timed if seconds],
            [seconds for _day, seconds in timed if seconds],
        )
        days = day_range(begin, end, end)
        sentence = _("%(answers)s on %(days)s.") % {"answers": number(self.total.answered), "days": days}
        charts = [line_chart([answers], key="answers", title=_("Answers by day"), sentence=sentence, days=True)]
        if pace.y:
            mean = _("%(time)s on average.") % {"time": duration(self.total.seconds_per_answer)}
            title = _("Active seconds per answer")
            charts.append(line_chart([pace], key="pace", title=title, sentence=mean, markers=True, days=True))
        return charts


def usual_days(project: Project) -> tuple[date, date]:
    today = today_in(project)
    return today - timedelta(days=SHOWN_DAYS - 1), today


def throughput(project: Project, asked: Asked) -> Throughput:
    """Five queries at most."""
    rows = WorkCount.objects.filter(batch__project=project, day__gte=asked.first, day__lte=asked.last)
    slots = Assignment.objects.filter(batch__project=project, state=Assignment.State.SKIPPED)
    if asked.batch:
        rows, slots = rows.filter(batch=asked.batch), slots.filter(batch=asked.batch)
    if asked.kind:
        rows, slots = rows.filter(batch__kind=asked.kind), slots.filter(batch__kind=asked.kind)
    if asked.person:
        rows, slots = rows.filter(annotator=asked.person), slots.filter(annotator=asked.person)
    by_hour: dict[date, dict[int, Figures]] = defaultdict(dict)
    by_batch: dict[int, Figures] = defaultdict(Figures)
    by_person: dict[int, Figures] = defaultdict(Figures)
    for row in summed(rows, "day", "hour", "batch", "annotator"):
        figures = figures_of(row)
        hours = by_hour[row["day"]]
        hours[row["hour"]] = hours.get(row["hour"], Figures()) + figures
        by_batch[row["batch"]] += figures
        by_person[row["annotator"]] += figures
    batches = Batch.objects.in_bulk([pk for pk, figures in by_batch.items() if figures != Figures()])
    people = User.objects.in_bulk([pk for pk, figures in by_person.items() if figures != Figures()])
    return Throughput(
        asked=asked,
        days=days_of(by_hour),
        batches=[(batches[pk], by_batch[pk]) for pk in sorted(batches, reverse=True)],
        people=sorted([(people[pk], by_person[pk]) for pk in people], key=by_name),
        skips=skips_in(slots, project, asked),
    )


def by_name(row: tuple[User, Figures]) -> tuple[str, int]:
    return row[0].name.casefold(), row[0].pk


def days_of(by_hour: dict[date, dict[int, Figures]]) -> list[DayOfWork]:
    most = max((figures.answered for hours in by_hour.values() for figures in hours.values()), default=0)
    days = []
    for day in sorted(by_hour, reverse=True):
        hours = by_hour[day]
        total = sum(hours.values(), Figures())
        if total != Figures():
            days.append(DayOfWork(day, total, [hour_of(hours.get(n, Figures()).answered, most) for n in range(24)]))
    return days


def hour_of(answered: int, most: int) -> Hour:
    return Hour(answered, -(-answered * LEVELS // most) if answered > 0 else 0)


def skips_in(slots: QuerySet[Assignment], project: Project, asked: Asked) -> list[tuple[str, int]]:
    """(reason in words, how many), most frequent first."""
    zone = zone_of(project)
    since, until = (datetime.combine(day, time(), zone) for day in (asked.first, asked.last + timedelta(days=1)))
    found = slots.filter(finished_at__gte=since, finished_at__lt=until).order_by().values("skip_reason")
    rows = found.annotate(tasks=Count("pk")).order_by("-tasks", "skip_reason")
    return [(str(SKIP_REASONS.get(row["skip_reason"], row["skip_reason"])), row["tasks"]) for row in rows]
