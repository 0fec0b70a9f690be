"""What a rule of the diagnostics reads (`Facts`) and what it returns (`Note`)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, variance
from typing import Any, Literal

from training.reports.curves import points_of

Tone = Literal["bad", "warn", "info"]

ENOUGH_STEPS = 30


@dataclass(frozen=True)
class Note:
    """`key` is stable, `tone` is bad, warn or info, `sentence` is for people."""

    key: str
    tone: Tone
    sentence: str


@dataclass(frozen=True)
class Facts:
    """What the rules read."""

    steps: Sequence[Mapping[str, Any]]
    config: Mapping[str, Any] = field(default_factory=dict)
    result: Mapping[str, Any] = field(default_factory=dict)
    preflight: Mapping[str, Any] = field(default_factory=dict)
    rows: int = 0

    @property
    def preference(self) -> bool:
        return self.config.get("program") in ("train_dpo", "train_kto")

    @property
    def sft_term(self) -> bool:
        return "sft" in (self.config.get("losses") or ())

    @property
    def total(self) -> int:
        return int(self.steps[-1].get("total_steps") or len(self.steps)) if self.steps else 0

    @property
    def done(self) -> int:
        """The last step; a line may stand for several."""
        return int(self.steps[-1]["step"]) if self.steps else 0

    @property
    def batch(self) -> int:
        """Rows of one optimizer step."""
        factors = (self.config.get(name) or 1 for name in ("batch_size", "gradient_accumulation", "processes"))
        return math.prod(factors)

    def values(self, key: str, *, until: float = math.inf) -> list[float]:
        """The metric's finite values, up to this step."""
        points = zip(*points_of(self.steps, key), strict=True)
        return [value for step, value in points if step <= until and math.isfinite(value)]

    def ends(self, key: str) -> tuple[float, float] | None:
        """The means of the first and the last fifth; None of fewer than ENOUGH_STEPS."""
        values = self.values(key)
        fifth = len(values) // 5
        return (fmean(values[:fifth]), fmean(values[-fifth:])) if len(values) >= ENOUGH_STEPS else None

    def noise(self, key: str) -> tuple[float, float]:
        """Two standard errors: of the change between the two means of `ends`, and of the last one alone.

        What is smaller may be the batches' chance. Steps are taken as independent.
        """
        values = self.values(key)
        fifth = len(values) // 5
        first, last = (variance(part) / fifth for part in (values[:fifth], values[-fifth:]))
        return 2 * math.sqrt(first + last), 2 * math.sqrt(last)
