"""Which answers are exported, and how people are named."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from annotation.core.errors import InvalidInput
from annotation.core.time_zones import zone_of
from annotation.models import Batch, Kind, Project, User


@dataclass(frozen=True, kw_only=True)
class Selection:
    """None means all. `people` are ids of accounts; `since` (included) and `until` (not included) are about the time at
    which a version was submitted or a task skipped. `current_only` leaves out versions that were replaced or
    withdrawn, `without_skips` skipped tasks. With `pseudonyms` no name, address or id of an account is written."""

    batches: tuple[int, ...] | None = None
    kinds: tuple[str, ...] | None = None
    people: tuple[int, ...] | None = None
    since: datetime | None = None
    until: datetime | None = None
    current_only: bool = False
    without_skips: bool = False
    pseudonyms: bool = False

    def as_dict(self) -> dict[str, Any]:
        """As `AnswerExport.selection` and events keep it."""
        times = {name: value.isoformat() if value else None for name, value in self.times().items()}
        return asdict(self) | {name: list(value) if value else None for name, value in self.lists().items()} | times

    def times(self) -> dict[str, datetime | None]:
        return {"since": self.since, "until": self.until}

    def lists(self) -> dict[str, tuple[Any, ...] | None]:
        return {"batches": self.batches, "kinds": self.kinds, "people": self.people}

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> "Selection":
        values = dict(stored)
        for name in ("batches", "kinds", "people"):
            values[name] = tuple(values[name]) if values[name] else None
        for name in ("since", "until"):
            values[name] = parse_datetime(values[name]) if values[name] else None
        return cls(**values)


def checked_selection(
    project: Project,
    *,
    batches: Iterable[int] | None = None,
    kinds: Iterable[str] | None = None,
    people: Iterable[str] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    **flags: bool,
) -> Selection:
    """The selection in canonical order; `people` by e-mail address.

    Raises:
        InvalidInput: a batch or kind does not exist, a person has nothing to do with the project, or the times leave
            nothing between them; it names the field.
    """
    selection = Selection(
        batches=known_batches(project, batches),
        kinds=known_kinds(kinds),
        people=known_people(project, people),
        since=since,
        until=until,
        **flags,
    )
    if since and until and since >= until:
        message = _("The time until which answers are exported must be after the time since which they are.")
        raise InvalidInput(message, [("until", message)])
    return selection


def known_batches(project: Project, batches: Iterable[int] | None) -> tuple[int, ...] | None:
    wanted = set(batches or ())
    known = Batch.objects.filter(project=project, pk__in=wanted).values_list("pk", flat=True)
    if unknown := sorted(wanted - set(known)):
        values = {"project": project.slug, "batch": unknown[0]}
        message = _("The project %(project)s has no batch %(batch)s.") % values
        raise InvalidInput(message, [("batches", message)])
    return tuple(sorted(wanted)) or None


def known_kinds(kinds: Iterable[str] | None) -> tuple[str, ...] | None:
    wanted = set(kinds or ())
    if unknown := sorted(wanted - set(Kind.values)):
        values = {"kind": unknown[0], "kinds": ", ".join(Kind.values)}
        message = _("There is no kind of annotation “%(kind)s”. Kinds: %(kinds)s.") % values
        raise InvalidInput(message, [("kinds", message)])
    return tuple(kind for kind in Kind.values if kind in wanted) or None


def known_people(project: Project, people: Iterable[str] | None) -> tuple[int, ...] | None:
    wanted = {address.strip().lower() for address in people or ()}
    if not wanted:
        return None
    known = {email.lower(): pk for pk, email in people_of(project).filter(email__in=wanted).values_list("pk", "email")}
    if unknown := sorted(wanted - set(known)):
        values = {"project": project.slug, "person": unknown[0]}
        message = _("Nobody with the address %(person)s has a task of the project %(project)s.") % values
        raise InvalidInput(message, [("people", message)])
    return tuple(sorted(known.values()))


def people_of(project: Project) -> Any:
    """The accounts that have or had a slot of a task of the project, members or not."""
    return User.objects.filter(
        pk__in=project.batches.values("assignments__annotator").filter(assignments__annotator__isnull=False)
    ).order_by("name", "pk")


def start_of_day(day: date, project: Project) -> datetime:
    """Midnight in the project's time zone."""
    return datetime.combine(day, time.min, tzinfo=zone_of(project))


def end_of_day(day: date, project: Project) -> datetime:
    """The end of that day, which is the midnight after it."""
    return start_of_day(day + timedelta(days=1), project)
