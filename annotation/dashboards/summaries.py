"""A project's figures by e-mail, each Monday, to the managers and reviewers who asked for them."""

import logging
from datetime import date, timedelta

from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.db.models import Q
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation.core.access import STAFF
from annotation.core.events import record
from annotation.core.time_zones import now_in
from annotation.dashboards.attention import blockers
from annotation.dashboards.collection import Collection, collection_of
from annotation.dashboards.wording import cost_sentence, finish_sentence, number, progress_sentence
from annotation.models import Membership, Project, Role, User, WeeklySummary

HOUR = 7  # of Monday morning, where the project is

log = logging.getLogger(__name__)


def summaries_for(user: User) -> set[int]:
    """The projects of which this person gets summaries."""
    return set(WeeklySummary.objects.filter(user=user).values_list("project", flat=True))


def ask_for_summary(*, project: Project, user: User, address: str, language: str) -> None:
    """From next Monday on. Asking again changes the address and the language."""
    with transaction.atomic():
        _row, is_new = WeeklySummary.objects.update_or_create(
            project=project,
            user=user,
            defaults={"address": address, "language": language},
            create_defaults={"address": address, "language": language, "sent_for": monday_of(now_in(project).date())},
        )
        if is_new:
            record(verb="weekly_summary.asked", target=project, actor=user, project=project)


def stop_summary(*, project: Project, user: User) -> None:
    with transaction.atomic():
        stopped, _rows = WeeklySummary.objects.filter(project=project, user=user).delete()
        if stopped:
            record(verb="weekly_summary.stopped", target=project, actor=user, project=project)


def monday_of(day: date) -> date:
    return day - timedelta(days=day.weekday())


def send_summaries() -> int:
    """Send what is due; returns how many were sent. `manage.py send_summaries` is its command.

    Each is claimed before it is sent, so that two workers do not send it twice, and due again if that fails.
    """
    sent = 0
    wishes = WeeklySummary.objects.filter(project__archived_at=None, user__is_active=True)
    for wish in wishes.select_related("project", "user"):
        now = now_in(wish.project)
        monday = monday_of(now.date())
        if now.date() == monday and now.hour < HOUR:
            continue
        before = wish.sent_for
        is_due = Q(sent_for=None) | Q(sent_for__lt=monday)
        if not WeeklySummary.objects.filter(is_due, pk=wish.pk).update(sent_for=monday):
            continue
        role = role_of(wish)
        if role is None:
            continue
        try:
            send(wish, manages=role == Role.MANAGER)
            sent += 1
        except OSError as error:  # SMTP errors are OSErrors
            log.warning("weekly summary of %s for %s: %s; tried again in an hour", wish.project, wish.user.email, error)
            WeeklySummary.objects.filter(pk=wish.pk).update(sent_for=before)
    return sent


def role_of(wish: WeeklySummary) -> Role | None:
    """None for whoever may not see the dashboard any more."""
    if wish.user.is_superuser:
        return Role.MANAGER
    membership = Membership.objects.filter(project=wish.project, user=wish.user, role__in=STAFF).first()
    return Role(membership.role) if membership else None


def send(wish: WeeklySummary, *, manages: bool) -> None:
    with translation.override(wish.user.language or wish.language):
        found = collection_of(wish.project)
        # Not of what the project's people wrote: a line break would be another header.
        subject = " ".join(f"{wish.project.name}: {progress_sentence(found)}".split())
        send_mail(
            subject, summary_of(found, wish.address, manages=manages), settings.DEFAULT_FROM_EMAIL, [wish.user.email]
        )


def summary_of(found: Collection, address: str, *, manages: bool) -> str:
    """The e-mail's text, in the language that is active."""
    ahead = found.forecast()
    monday = monday_of(found.today)
    weeks = [answers_between(found, monday - timedelta(days=7 * back)) for back in (1, 2)]
    last_week = ngettext(
        "%(count)s answer last week; %(before)s the week before.",
        "%(count)s answers last week; %(before)s the week before.",
        weeks[0],
    ) % {"count": number(weeks[0]), "before": number(weeks[1])}
    sentences = [progress_sentence(found), last_week, finish_sentence(found, ahead)]
    if manages:
        sentences.append(cost_sentence(found, ahead))
    waiting = [item.sentence for item in blockers(found, ahead) if manages or not item.for_managers]
    lines = [*filter(None, sentences)]
    if waiting:
        lines += ["", _("What is blocking?"), *[f"- {sentence}" for sentence in waiting]]
    lines += ["", address, "", _("You asked for this summary; “All projects” has a button to stop it.")]
    return "\n".join(lines) + "\n"


def answers_between(found: Collection, monday: date) -> int:
    days = [monday + timedelta(days=n) for n in range(7)]
    return sum(found.history[day].answers for day in days if day in found.history)
