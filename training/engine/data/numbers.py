"""Which values the columns of numbers may have. Free of torch, and of rows."""

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Any


@dataclass(frozen=True)
class Rule:
    """A column's range, [0, `maximum`]. A missing value (null) is always allowed: it means the default."""

    column: str
    maximum: float
    remedy: str
    may_be_bool: bool = False

    @property
    def expected(self) -> str:
        return "a finite number of 0 or more" if math.isinf(self.maximum) else f"a number from 0 to {self.maximum:g}"

    def accepts(self, value: Any) -> bool:
        if value is None or (self.may_be_bool and isinstance(value, bool)):
            return True
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            return False
        try:
            number = float(value)
        except OverflowError:  # a whole number beyond a float's range
            return False
        return math.isfinite(number) and 0 <= number <= self.maximum


RULES = (
    Rule("probability", 1, "Write the share of annotators who preferred chosen, or null for all of them"),
    Rule("tie", 1, "Write the share of annotators who called the sides equal, or null for none", may_be_bool=True),
    Rule("strength", math.inf, "Write how much better chosen is, or null where nobody said"),
    Rule("weight", math.inf, "Write how often the row counts, 0 to leave it out, or null for once"),
)
