"""What keeps collection from going on, each with where to act on it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Count, DateTimeField, Exists, F, Min, OuterRef, Q, Value
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation.core.reviews import waiting_in
from annotation.dashboards.collection import Collection
from annotation.dashboards.forecast import Forecast, TooEarly
from annotation.dashboards.wording import budget_warning, number
from annotation.models import Assignment, CheckProposal, Project, Remark, TaskDoubt, WorkClock

AWAY = timedelta(hours=1)  # without a sign, holding a task


@dataclass(frozen=True)
class Blocker:
    """A sentence, and the page on which to act, with what one does there."""

    sentence: str
    url: str
    action: str
    is_urgent: bool = False
    for_managers: bool = True


Ahead = Forecast | TooEarly


def blockers(found: Collection, ahead: Ahead) -> list[Blocker]:
    """Urgent ones first. Two queries, and a third where a batch requires review."""
    return blockers_of([(found, ahead)])[0]


def blockers_of(projects: Sequence[tuple[Collection, Ahead]]) -> list[list[Blocker]]:
    """Of each project, urgent ones first. Two queries, and a third where a batch requires review."""
    reviews = waiting_in([item.batch for found, _ahead in projects for item in found.batches])
    held = held_by_absent([found.project for found, _ahead in projects])
    remarks, doubtful, proposed = waiting_for_words([found.project for found, _ahead in projects])
    rows = [
        [
            *running_dry(found, ahead),
            *budget(found, ahead),
            *away(held.get(found.project.pk, [])),
            *unanswered_remarks(found.project, remarks.get(found.project.pk)),
            *check_proposals(found.project, proposed.get(found.project.pk, 0)),
            *disagreements(found.project, doubtful.get(found.project.pk, 0)),
            *waiting_reviews(found.project, sum(reviews[item.batch.pk] for item in found.batches)),
        ]
        for found, ahead in projects
    ]
    return [sorted(own, key=lambda row: not row.is_urgent) for own in rows]


def running_dry(found: Collection, ahead: Ahead) -> list[Blocker]:
    """Nothing is left to claim, or less than an average working day's answers."""
    free = sum(item.free for item in found.open_batches)
    url = reverse("batch_new", args=[found.project.slug])
    if not free:
        sentence = _("No task is left to start.") if found.open_batches else _("No batch is open.")
        return [Blocker(sentence, url, _("Open a batch"), is_urgent=True)]
    if isinstance(ahead, Forecast) and free < ahead.pace:
        sentence = ngettext(
            "%(count)s answer is left to give, less than a day's work.",
            "%(count)s answers are left to give, less than a day's work.",
            free,
        ) % {"count": number(free)}
        return [Blocker(sentence, url, _("Open a batch"))]
    return []


def budget(found: Collection, ahead: Ahead) -> list[Blocker]:
    sentence = budget_warning(found, ahead)
    url = reverse("settings_pay", args=[found.project.slug])
    return [Blocker(sentence, url, _("Rates and budget"), is_urgent=True)] if sentence else []


def held_by_absent(projects: Sequence[Project]) -> dict[int, list[dict[str, Any]]]:
    """{project: who holds how many tasks of which batch}, of people of whom there has been no sign for an hour."""
    since = timezone.now() - AWAY
    seen = WorkClock.objects.filter(annotator=OuterRef("annotator"), at__gte=since)
    held = Assignment.objects.filter(
        batch__project__in=projects, state=Assignment.State.HELD, finished_at=None, claimed_at__lt=since
    )
    rows = held.filter(~Exists(seen)).order_by("batch", "annotator__name")
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in rows.values("batch__project", "annotator__name", "batch").annotate(tasks=Count("pk")):
        found[row["batch__project"]].append(dict(row))
    return found


def away(held: list[dict[str, Any]]) -> list[Blocker]:
    """Their leases may last longer than people stay away."""
    return [
        Blocker(
            ngettext(
                "%(name)s holds a task and has not been active for an hour.",
                "%(name)s holds %(count)s tasks and has not been active for an hour.",
                row["tasks"],
            )
            % {"name": row["annotator__name"], "count": number(row["tasks"])},
            reverse("batch", args=[row["batch"]]),
            _("Return to the queue"),
        )
        for row in held[:5]
    ]


def waiting_for_words(projects: Sequence[Project]) -> tuple[dict[int, dict[str, Any]], dict[int, int], dict[int, int]]:
    """By project: remarks without an answer (`count`, `flags` among them, the `oldest`), how many tasks wait for a
    decision, and how many people a rule on checks asks to decide about. One query."""
    remarks = Remark.objects.filter(task__batch__project__in=projects, answered_at=None).order_by()
    by_project = remarks.values(what=Value("remarks"), of=F("task__batch__project")).annotate(
        count=Count("pk"), flags=Count("pk", filter=Q(kind=Remark.Kind.FLAG)), oldest=Min("created_at")
    )
    nothing = {"flags": Value(0), "oldest": Value(None, DateTimeField())}
    doubts = TaskDoubt.objects.filter(project__in=projects).order_by().values(what=Value("doubts"), of=F("project"))
    open_proposals = CheckProposal.objects.filter(project__in=projects, decided_at=None).order_by()
    proposals = open_proposals.values(what=Value("proposals"), of=F("project"))
    proposals = proposals.annotate(count=Count("annotator", distinct=True), **nothing)
    rows = list(by_project.union(doubts.annotate(count=Count("pk"), **nothing), proposals, all=True))
    return (
        {row["of"]: dict(row) for row in rows if row["what"] == "remarks"},
        {row["of"]: row["count"] for row in rows if row["what"] == "doubts"},
        {row["of"]: row["count"] for row in rows if row["what"] == "proposals"},
    )


def unanswered_remarks(project: Project, waiting: dict[str, Any] | None) -> list[Blocker]:
    if not waiting:
        return []
    days = (timezone.now() - waiting["oldest"]).days
    sentence = ngettext(
        "%(count)s remark waits for an answer (%(flags)s flagged).",
        "%(count)s remarks wait for an answer (%(flags)s flagged).",
        waiting["count"],
    ) % {"count": number(waiting["count"]), "flags": number(waiting["flags"])}
    if days:
        sentence += " " + ngettext("The oldest is %(days)s day old.", "The oldest is %(days)s days old.", days) % {
            "days": number(days)
        }
    url = reverse("remarks", args=[project.slug])
    return [Blocker(sentence, url, _("Answer"), is_urgent=days >= 1, for_managers=False)]


def check_proposals(project: Project, people: int) -> list[Blocker]:
    if not people:
        return []
    sentence = ngettext(
        "Checks say that the answers of %(count)s person need a decision.",
        "Checks say that the answers of %(count)s people need a decision.",
        people,
    ) % {"count": number(people)}
    return [Blocker(sentence, reverse("checks", args=[project.slug]), _("Decide"))]


def disagreements(project: Project, waiting: int) -> list[Blocker]:
    """Tasks on which the newest analysis found that annotators disagree."""
    if not waiting:
        return []
    sentence = ngettext(
        "Annotators disagree on %(count)s task that nobody has decided.",
        "Annotators disagree on %(count)s tasks that nobody has decided.",
        waiting,
    ) % {"count": number(waiting)}
    return [Blocker(sentence, reverse("adjudicate", args=[project.slug]), _("Decide"), for_managers=False)]


def waiting_reviews(project: Project, waiting: int) -> list[Blocker]:
    """Answers that do not count before somebody reviewed them."""
    if not waiting:
        return []
    sentence = ngettext(
        "%(count)s answer waits for review and does not count before it.",
        "%(count)s answers wait for review and do not count before it.",
        waiting,
    ) % {"count": number(waiting)}
    url = reverse("review", args=[project.slug])
    return [Blocker(sentence, f"{url}?why=required", _("Review"), for_managers=False)]
