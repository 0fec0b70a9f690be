"""The time zones that a project may have, and the days in one."""

from datetime import date, datetime
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from django.db import connection
from django.utils import timezone

from annotation.models import Project


@cache
def time_zones() -> tuple[str, ...]:
    """The names that Python and the database both know, in the order of the alphabet: UTC first, no abbreviations."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM pg_timezone_names")
        known = {row[0] for row in cursor.fetchall()} & available_timezones()
    areas = {name for name in known if "/" in name and not name.startswith(("Etc/", "posix/", "right/", "SystemV/"))}
    return ("UTC", *sorted(areas))


def zone_of(project: Project) -> ZoneInfo:
    return ZoneInfo(project.time_zone)


def today_in(project: Project) -> date:
    """The day that it is where the project is."""
    return timezone.localdate(timezone=zone_of(project))


def now_in(project: Project) -> datetime:
    return timezone.localtime(timezone=zone_of(project))
