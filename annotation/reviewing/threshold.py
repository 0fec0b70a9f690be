"""When a task comes up for adjudication: below which share of the most common answer. Pure."""

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from annotation.kinds import KINDS

ANY_DIFFERENCE = 100  # percent


def is_below(questions: Iterable[Sequence[Hashable]], percent: int = ANY_DIFFERENCE) -> bool:
    """Whether on some question fewer than so many percent of those who answered it gave the most common answer."""
    return any(100 * max(Counter(values).values()) < percent * len(values) for values in questions if values)


def answers_by_question(kind: str, payloads: Iterable[dict[str, Any]]) -> list[list[Hashable]]:
    """What annotators of one task answered to each of its questions, as their kind compares them."""
    found: dict[Any, list[Hashable]] = {}
    for payload in payloads:
        for question, value in KINDS[kind].comparable(KINDS[kind].parse(payload)):
            found.setdefault(question, []).append(value)
    return list(found.values())
