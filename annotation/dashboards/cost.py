"""What work cost: hours or answers of a day, times the rate of that day."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from annotation.models import PayRate


@dataclass(frozen=True)
class Rates:
    """A person's rates by day, and those of everybody without their own. Amounts are in the project's currency."""

    by_person: dict[int | None, list[tuple[date, str, float]]]

    @property
    def any(self) -> bool:
        return bool(self.by_person)

    def of(self, person: int, day: date) -> tuple[str, float] | None:
        """(unit, amount) on that day; None where none is set by then."""
        for key in (person, None):
            rates = self.by_person.get(key, [])
            at = bisect_right(rates, day, key=lambda rate: rate[0])
            if at:
                _, unit, amount = rates[at - 1]
                return unit, amount
        return None

    def cost(self, person: int, day: date, *, answers: int, active_seconds: float) -> float | None:
        """Of one person's day; None where no rate is set."""
        rate = self.of(person, day)
        if rate is None:
            return None
        unit, amount = rate
        return amount * (answers if unit == PayRate.Unit.ANSWER else active_seconds / 3600)


def rates_of(rows: Iterable[PayRate]) -> Rates:
    by_person: dict[int | None, list[tuple[date, str, float]]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.since):
        by_person[row.annotator_id].append((row.since, row.unit, float(row.amount)))
    return Rates(dict(by_person))
