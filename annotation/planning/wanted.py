"""What is wanted of a collection, its limits, and the alternatives that are shown beside it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from typing import Any

from django.utils.translation import gettext as _

from annotation.core.errors import InvalidInput

MOST_TASKS, MOST_OVERLAP, MOST_PEOPLE = 1_000_000, 50, 500
FEWEST_HOURS, MOST_HOURS = 0.1, 168.0  # a week
LATEST = timedelta(days=3_650)  # from today, and before


@dataclass(frozen=True)
class Wanted:
    """`hours` a week of each person; None: as in the pilot. `start` is the first day."""

    tasks: int
    overlap: int
    people: int
    hours: float | None
    start: date

    @property
    def answers(self) -> int:
        return self.tasks * self.overlap

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "start": self.start.isoformat()}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Wanted":
        return cls(**{**stored, "start": date.fromisoformat(stored["start"])})


def check_wanted(wanted: Wanted, today: date) -> None:
    """Raises `InvalidInput` by field."""
    problems = []
    for field, most in (("tasks", MOST_TASKS), ("overlap", MOST_OVERLAP), ("people", MOST_PEOPLE)):
        if not 1 <= getattr(wanted, field) <= most:
            problems.append((field, _("Give a number from 1 to %(most)s.") % {"most": f"{most:,}"}))
    if not problems and wanted.people < wanted.overlap:
        problems.append(("people", _("Nobody gets a task twice: it takes as many people as annotators per task.")))
    if wanted.hours is not None and not FEWEST_HOURS <= wanted.hours <= MOST_HOURS:
        problems.append(("hours", _("Give hours from 0.1 to 168 a week.")))
    if abs(wanted.start - today) > LATEST:
        problems.append(("start", _("Choose a day within ten years from today.")))
    if problems:
        raise InvalidInput(" ".join(message for _field, message in problems), problems)


def alternatives(wanted: Wanted) -> list[Wanted]:
    """What is wanted, first; then as many answers with overlap 1, 2 and 3, and twice the tasks: those that can be asked
    for themselves."""
    rows = [
        replace(wanted, tasks=max(round(wanted.answers / overlap), 1), overlap=overlap)
        for overlap in (1, 2, 3)
        if overlap != wanted.overlap and overlap <= wanted.people
    ]
    rows.append(replace(wanted, tasks=2 * wanted.tasks))
    return [wanted, *(row for row in rows if row.tasks <= MOST_TASKS)]
