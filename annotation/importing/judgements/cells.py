"""The cells of a recorded answer: who, when, how long, whether it was a tie. Pure."""

import json
import math
import re
from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext_noop

from annotation.core.messages import Message
from annotation.text.normalization import folded, has_ink, normal_form

WORKER_LIMIT = 150
LONGEST_SECONDS = 86_400.0
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
MILLISECONDS_FROM = 1e11  # as seconds, the year 5138
TRUE, FALSE = {"true", "yes", "1"}, {"false", "no", "0", ""}
ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
EMPTY_ANSWER = Message(gettext_noop("the answer is empty; fill it in or delete the row"))


class Unusable(Exception):
    """What is wrong, and with which column ("": that of the answer)."""

    def __init__(self, message: Message, column: str = "") -> None:
        super().__init__(message)
        self.message, self.column = message, column


def worker_of(value: Any, column: str) -> str:
    """The name in the form that names have in common which read the same: one person, however it is typed."""
    name = normal_form(shown(value)) if not is_blank(value) else ""
    if ADDRESS.fullmatch(name):
        name = name.lower()
    if not name:
        raise Unusable(
            Message(gettext_noop("nobody is named as the one who answered; fill it in or delete the row")), column
        )
    if len(name) > WORKER_LIMIT or not name.isprintable():
        message = gettext_noop(
            "the name “%(name)s” has more than %(limit)s characters, or one that is not text; correct it"
        )
        raise Unusable(Message(message, name=name[:40], limit=WORKER_LIMIT), column)
    return name


def time_of(value: Any, column: str, now: datetime) -> tuple[datetime | None, bool]:
    """When it was answered, and whether the file leaves the time zone open (it counts as UTC)."""
    if is_blank(value):
        return None, False
    at: datetime | None = None
    number = number_of(value)
    try:
        if isinstance(value, datetime):
            at = value
        elif number is not None:
            at = datetime.fromtimestamp(number / 1000 if number >= MILLISECONDS_FROM else number, UTC)
        elif isinstance(value, str):
            at = datetime.fromisoformat(value.strip())
    except (ValueError, OverflowError, OSError):
        at = None
    if at is None:
        message = gettext_noop("“%(value)s” is not a time; write 2026-05-31T14:03:00Z, or seconds since 1970")
        raise Unusable(Message(message, value=shown(value)[:40]), column)
    zone_unknown = at.tzinfo is None
    if zone_unknown:
        at = at.replace(tzinfo=UTC)
    if not EARLIEST <= at <= now:
        message = gettext_noop("the time %(time)s is before 1990 or in the future; correct it, or leave it empty")
        raise Unusable(Message(message, time=at.isoformat()), column)
    return at, zone_unknown


def duration(value: Any, column: str) -> tuple[float, bool]:
    """Seconds of work, and whether they were too many to be true (and are not kept)."""
    if is_blank(value):
        return 0.0, False
    seconds = number_of(value)
    if seconds is None or seconds < 0:
        message = gettext_noop("“%(value)s” is not a number of seconds; correct it, or leave it empty")
        raise Unusable(Message(message, value=shown(value)[:40]), column)
    return (0.0, True) if seconds > LONGEST_SECONDS else (seconds, False)


def truth(value: Any, column: str) -> bool:
    word = "" if is_blank(value) else folded(shown(value))
    if word not in TRUE | FALSE:
        message = gettext_noop("“%(value)s” is neither true nor false; write one of them")
        raise Unusable(Message(message, value=word[:40]), column)
    return word in TRUE


def unpacked(value: Any) -> Any:
    """A cell of CSV may hold a list or an object as JSON."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def is_blank(value: Any) -> bool:
    return value is None or value != value or (isinstance(value, str) and not has_ink(value))


def number_of(value: Any) -> float | None:
    """A finite number, or a text that is one."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def whole_number(word: str) -> int | None:
    return int(float(word)) if re.fullmatch(r"[-+]?\d{1,9}(\.0+)?", word) else None


def shown(value: Any) -> str:
    """A cell as people write it: 1.0 is 1."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    word = str(value).strip()
    number = whole_number(word)
    return word if number is None or re.fullmatch(r"[-+]?0\d+.*", word) else str(number)
