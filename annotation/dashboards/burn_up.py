"""A burn-up chart as the points of an SVG: what was done until today, and the fan of what is to come.

Drawn on the server, so that it is there without scripts. Coordinates are those of `WIDTH` × `HEIGHT`.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from itertools import accumulate

from annotation.dashboards.collection import Collection
from annotation.dashboards.forecast import Forecast, TooEarly

WIDTH, HEIGHT = 640, 120
LEFT, RIGHT, TOP, BOTTOM = 8, 8, 14, 22
SHOWN_DAYS = 60  # of the past, at most


@dataclass(frozen=True)
class BurnUp:
    """Polylines as `points` attributes; `rows` are the same figures as a table: day, answers, low and high."""

    done: str
    fan: str
    middle: str
    goal: int
    so_far: int
    goal_y: float
    today_x: float
    first: date
    last: date
    rows: list[tuple[date, int, int | None, int | None]]


def burn_up(found: Collection, ahead: Forecast | TooEarly) -> BurnUp | None:
    """None before the first answer."""
    if not any(day.answers for day in found.history.values()):
        return None
    days = sorted(day for day, done in found.history.items() if done.answers and day <= found.today)
    if not days:
        return None
    first = max(days[0], found.today - timedelta(days=SHOWN_DAYS))
    before = sum(found.history[day].answers for day in days if day < first)
    past = [first + timedelta(days=n) for n in range((found.today - first).days + 1)]
    daily = [found.history[day].answers if day in found.history else 0 for day in past]
    sums = list(accumulate(daily, initial=before))[1:]
    goal = sums[-1] + found.remaining
    fan = [(day, left) for day, left in ahead.fan if day >= found.today] if isinstance(ahead, Forecast) else []
    # To the day on which nine trials in ten have ended: the slowest would squeeze all else to the left.
    ended = next((place for place, (_day, left) in enumerate(fan) if left.high <= 0), len(fan))
    fan = fan[: ended + 1]
    last = max([found.today, *(day for day, _left in fan)])
    span = max((last - first).days, 1)

    def x(day: date) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * (day - first).days / span, 1)

    def y(answers: float) -> float:
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * answers / max(goal, 1), 1)

    def line(points: list[tuple[date, float]]) -> str:
        return " ".join(f"{x(day)},{y(answers)}" for day, answers in points)

    start = [(found.today, float(sums[-1]))]
    high = start + [(day, goal - left.low) for day, left in fan]
    low = start + [(day, goal - left.high) for day, left in fan]
    rows: list[tuple[date, int, int | None, int | None]] = [
        (day, answers, None, None) for day, answers in zip(past, sums, strict=True)
    ]
    rows += [
        (day, round(goal - left.middle), round(goal - left.high), round(goal - left.low))
        for day, left in fan
        if day > found.today
    ]
    return BurnUp(
        done=line(list(zip(past, map(float, sums), strict=True))),
        fan=line(high + low[::-1]) if fan else "",
        middle=line(start + [(day, goal - left.middle) for day, left in fan]) if fan else "",
        goal=goal,
        so_far=sums[-1],
        goal_y=y(goal),
        today_x=x(found.today),
        first=first,
        last=last,
        rows=rows,
    )
