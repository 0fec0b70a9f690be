"""How numbers, durations and lists are written for people: one implementation for all pages and commands.

Nothing here reads the database; the only state is the active language.
"""

from collections.abc import Iterable

from django.utils.formats import number_format
from django.utils.translation import gettext as _


def duration(seconds: float | None) -> str:
    """3725 → “1 h 02 min”, 200 → “3 min 20 s”, 7.6 → “8 s”; nothing for None."""
    if seconds is None:
        return ""
    whole = round(seconds)
    if whole < 60:
        return _("%(seconds)d s") % {"seconds": whole}
    if whole < 3600:
        return _("%(minutes)d min %(seconds)02d s") % {"minutes": whole // 60, "seconds": whole % 60}
    minutes = round(seconds / 60)
    return _("%(hours)d h %(minutes)02d min") % {"hours": minutes // 60, "minutes": minutes % 60}


def rough_duration(seconds: float) -> str:
    """An estimate: 45 → “1 min”, 1500 → “25 min”, 9000 → “2.5 h”, 100000 → “28 h”."""
    if seconds < 3570:
        return _("%(minutes)d min") % {"minutes": max(1, round(seconds / 60))}
    hours = seconds / 3600
    return _("%(hours)s h") % {
        "hours": number_format(round(hours, 1 if hours < 9.95 else None), 0 if hours >= 9.95 else 1)
    }


def percentage(share: float, decimals: int | None = None) -> str:
    """A share from 0 to 1: 0.8 → “80 %”, and 2/3 → “66.7 %” where a whole number would hide the difference.

    Figures in one column, or that change while they are read, take the same `decimals`.
    """
    value = round(100 * share, 1 if decimals is None else decimals)
    if decimals is None:
        decimals = 0 if value == int(value) else 1
    return f"{number_format(value, decimals)} %"


def comma_list(items: Iterable[object]) -> str:
    """["en", 3] → “en, 3”."""
    return ", ".join(map(str, items))


def parse_comma_list(text: str) -> tuple[str, ...]:
    """“en, ja,” → ("en", "ja"): the inverse of `comma_list`; empty parts do not count."""
    return tuple(part.strip() for part in text.split(",") if part.strip())
