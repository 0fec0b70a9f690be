"""The cells of a recorded answer: who, how long, whether it was a tie. Pure."""

import json
import math
import re
from typing import Any

WORKER_LIMIT = 150
LONGEST_SECONDS = 86_400.0
TRUE, FALSE = {"true", "yes", "1"}, {"false", "no", "0", ""}


class Unusable(Exception):
    """What is wrong, and with which column."""

    def __init__(self, column: str, message: str) -> None:
        super().__init__(message)
        self.column = column


def worker_of(value: Any, column: str) -> str:
    name = " ".join(shown(value).split()) if not is_blank(value) else ""
    if not name:
        raise Unusable(column, "nobody is named as the one who answered; fill it in or delete the row")
    if len(name) > WORKER_LIMIT or not name.isprintable():
        raise Unusable(
            column, f"the name {name[:40]!r} has more than {WORKER_LIMIT} characters, or one that is not text"
        )
    return name


def duration(value: Any, column: str) -> tuple[float, bool]:
    """Seconds of work, and whether they were too many to be true (and are not kept)."""
    if is_blank(value):
        return 0.0, False
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = math.nan
    if not math.isfinite(seconds) or seconds < 0:
        raise Unusable(column, f"{shown(value)[:40]!r} is no number of seconds; correct it, or leave it empty")
    return (0.0, True) if seconds > LONGEST_SECONDS else (seconds, False)


def truth(value: Any, column: str) -> bool:
    word = "" if is_blank(value) else shown(value).casefold()
    if word not in TRUE | FALSE:
        raise Unusable(column, f"{word[:40]!r} does not say whether it is a tie; write true or false")
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
    return value is None or (isinstance(value, str) and not value.strip())


def is_number(word: str) -> bool:
    return bool(re.fullmatch(r"-?\d+(\.0+)?", word))


def shown(value: Any) -> str:
    """A cell as people write it: 1.0 is 1."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    word = str(value).strip()
    return word.removesuffix(".0") if is_number(word) else word
