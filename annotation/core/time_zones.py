"""The time zones that a project may have, and the days in one."""

from datetime import date, datetime
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from django.db import connection
from django.utils import timezone

from annotation.models import Project


@cache
def known_time_zones() -> frozenset[str]:
    """The names that Python and the database both know."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM pg_timezone_names")
        return frozenset({row[0] for row in cursor.fetchall()} & available_timezones())


def time_zones() -> tuple[str, ...]:
    """Those to choose from, in the order of the alphabet: UTC first, no abbreviations and no second names."""
    left_out = ("Etc/", "posix/", "right/", "SystemV/")
    areas = {name for name in known_time_zones() if "/" in name and not name.startswith(left_out)}
    return ("UTC", *sorted(areas))


def zone_of(project: Project) -> ZoneInfo:
    return ZoneInfo(project.time_zone)


def today_in(project: Project) -> date:
    """The day that it is where the project is."""
    return timezone.localdate(timezone=zone_of(project))


def now_in(project: Project) -> datetime:
    return timezone.localtime(timezone=zone_of(project))
