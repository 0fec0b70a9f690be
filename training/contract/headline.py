"""The headline figure of a training metric: the same in result.json, on pages and on the command line.

A step's figure is that of one batch, and the last batch is as noisy as any. The headline is the mean over the last
tenth of the steps: at least 10 and at most 100 of them, and never more than half of the run.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from training.contract.metrics import METRICS

Lines = Sequence[Mapping[str, Any]]

FEWEST, MOST = 10, 100
# What a step sets and no batch draws: the newest value stands for it.
AS_IT_IS = frozenset(metric.key for metric in METRICS if not metric.smooth) | {"epoch"}


def is_step(line: Mapping[str, Any]) -> bool:
    """Events (saved, resumed) name the step at which they happened; that makes them no step."""
    return isinstance(line.get("step"), int) and "event" not in line


def steps_of(lines: Lines) -> list[Mapping[str, Any]]:
    """The step lines in order. A step done twice (killed, resumed) counts as it was last done, and what the run had
    done beyond it before is forgotten."""
    steps: list[Mapping[str, Any]] = []
    for line in lines:
        if not is_step(line):
            continue
        while steps and steps[-1]["step"] >= line["step"]:
            steps.pop()
        steps.append(line)
    return steps


def window(steps: int) -> int:
    """How many steps a headline is the mean of, after this many."""
    return max(1, min(steps // 2, max(FEWEST, steps // 10), MOST))


def headline(steps: Lines, key: str) -> float | None:
    """A metric at the end: of `steps_of`, of which the last 100 are enough. None where the last ones lack it."""
    values = _values(steps, key, last=True)
    if not values:
        return None
    return values[-1] if key in AS_IT_IS else fmean(values)


def beginning(steps: Lines, key: str) -> float | None:
    """The same at the start, of as many steps: the first batch alone is no baseline."""
    values = _values(steps, key, last=False)
    if not values:
        return None
    return values[0] if key in AS_IT_IS else fmean(values)


def _values(steps: Lines, key: str, *, last: bool) -> list[float]:
    if not steps:
        return []
    first_step, last_step = steps[0]["step"], steps[-1]["step"]
    size = window(last_step)
    part = (
        (line for line in steps if line["step"] > last_step - size)
        if last
        else (line for line in steps if line["step"] < first_step + size)
    )
    return [float(line[key]) for line in part if isinstance(line.get(key), int | float)]
