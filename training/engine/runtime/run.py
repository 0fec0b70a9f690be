"""Run and Outcome: what an engine program receives, and what it returns."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from training.contract.errors import Cancelled
from training.contract.run_directory import RunDirectory
from training.engine.runtime import distributed


@dataclass
class Run:
    """A program's run directory and configuration, and whether somebody asked it to stop."""

    directory: RunDirectory
    config: Any
    started: float = field(default_factory=time.monotonic)
    listeners: list[Callable[[dict[str, Any]], None]] = field(default_factory=list)
    stop_signal: bool = False
    before_the_end: Callable[[], None] = lambda: None  # frees memory that is kept for the last steps

    def cancelled(self) -> bool:
        """Whether the site (file `cancel`) or the system (SIGTERM, SIGINT) asked for an end. Cheap; call it often."""
        return self.stop_signal or self.directory.cancel_requested()

    def stop_if_cancelled(self) -> None:
        """Raises Cancelled after a request to stop."""
        if self.cancelled():
            raise Cancelled

    def elapsed(self) -> float:
        """Seconds since the run started."""
        return time.monotonic() - self.started

    def record(self, **values: Any) -> None:
        """Append a line to metrics.jsonl, with the current time. Of several processes only the main one writes."""
        if distributed.is_main_process():
            self.directory.append_metric(**values, at=round(time.time(), 3))
            for listener in self.listeners:
                listener(values)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of a program that did not fail."""

    metrics: dict[str, Any]
    tokens: int = 0
    cancelled: bool = False
    details: dict[str, Any] = field(default_factory=dict)
