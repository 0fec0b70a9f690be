"""What keeps collection from going on, each with where to act on it."""

from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Count, Exists, Min, OuterRef, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation.core.reviews import waiting_by_batch
from annotation.dashboards.collection import Collection
from annotation.dashboards.forecast import Forecast, TooEarly
from annotation.dashboards.wording import budget_warning, number
from annotation.models import Assignment, Remark, WorkClock

AWAY = timedelta(hours=1)  # without a sign, holding a task


@dataclass(frozen=True)
class Blocker:
    """A sentence, and the page on which to act, with what one does there."""

    sentence: str
    url: str
    action: str
    is_urgent: bool = False
    for_managers: bool = True


def blockers(found: Collection, ahead: Forecast | TooEarly) -> list[Blocker]:
    """Urgent ones first. Two queries, and a third where a batch requires review."""
    rows = [
        *running_dry(found, ahead),
        *budget(found, ahead),
        *away(found),
        *unanswered_remarks(found),
        *waiting_reviews(found),
    ]
    return sorted(rows, key=lambda row: not row.is_urgent)


def running_dry(found: Collection, ahead: Forecast | TooEarly) -> list[Blocker]:
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


def budget(found: Collection, ahead: Forecast | TooEarly) -> list[Blocker]:
    sentence = budget_warning(found, ahead)
    url = reverse("settings_pay", args=[found.project.slug])
    return [Blocker(sentence, url, _("Rates and budget"), is_urgent=True)] if sentence else []


def away(found: Collection) -> list[Blocker]:
    """Tasks held by people of whom there has been no sign for an hour; their leases may last longer."""
    since = timezone.now() - AWAY
    seen = WorkClock.objects.filter(annotator=OuterRef("annotator"), at__gte=since)
    held = Assignment.objects.filter(
        batch__project=found.project, state=Assignment.State.HELD, finished_at=None, claimed_at__lt=since
    )
    rows = held.filter(~Exists(seen)).order_by().values("annotator__name", "batch").annotate(tasks=Count("pk"))
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
        for row in rows[:5]
    ]


def unanswered_remarks(found: Collection) -> list[Blocker]:
    waiting = Remark.objects.filter(task__batch__project=found.project, answered_at=None).aggregate(
        count=Count("pk"), flags=Count("pk", filter=Q(kind=Remark.Kind.FLAG)), oldest=Min("created_at")
    )
    if not waiting["count"]:
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
    url = reverse("remarks", args=[found.project.slug])
    return [Blocker(sentence, url, _("Answer"), is_urgent=days >= 1, for_managers=False)]


def waiting_reviews(found: Collection) -> list[Blocker]:
    """Answers that do not count before somebody reviewed them."""
    waiting = waiting_by_batch(found.project, [item.batch for item in found.batches])
    if not waiting.total():
        return []
    sentence = ngettext(
        "%(count)s answer waits for review and does not count before it.",
        "%(count)s answers wait for review and do not count before it.",
        waiting.total(),
    ) % {"count": number(waiting.total())}
    url = reverse("review", args=[found.project.slug])
    return [Blocker(sentence, f"{url}?why=required", _("Review"), for_managers=False)]
