"""Celery's scheduler, for a clock that may be set back.

It reckons in the time of day: after the clock went back by two hours, the next look for ended runs, expired leases and
lost imports would come two hours late, and its file carries that over a restart.
"""

import time
from datetime import timedelta
from typing import Any

from celery.beat import PersistentScheduler

LOOK_SECONDS = 10.0  # how long it sleeps at most
SET_BACK_SECONDS = 2.0  # so much less than the monotonic clock: somebody has set the clock


class Scheduler(PersistentScheduler):  # type: ignore[misc]
    """Periodic jobs go on by their intervals, whatever happens to the clock."""

    max_interval = LOOK_SECONDS
    _drift: float | None = None

    def setup_schedule(self) -> None:
        super().setup_schedule()
        self.forget_the_future()

    def tick(self, *arguments: Any, **options: Any) -> Any:
        drift = time.time() - time.monotonic()
        if self._drift is not None and drift < self._drift - SET_BACK_SECONDS:
            self.forget_the_future()
        self._drift = drift
        return super().tick(*arguments, **options)

    def forget_the_future(self) -> None:
        """Jobs that last ran at a time that is still to come are due."""
        for entry in self.schedule.values():
            now = entry.default_now()
            if entry.last_run_at > now:
                entry.last_run_at = now - getattr(entry.schedule, "run_every", timedelta())
        self._heap = None
