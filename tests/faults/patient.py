"""An annotator's browser that asks again when it gets no answer."""

import http.client
import time
from dataclasses import dataclass, field

from tests.benchmarks.annotate import Clerk

PATIENCE_SECONDS = 60.0


@dataclass
class Patient(Clerk):
    """Asks again, and notes how long it waited at most, and which answers of the 500s it got meanwhile."""

    longest: float = 0.0
    refusals: list[tuple[int, bytes]] = field(default_factory=list)

    def again(
        self, method: str, path: str, fields: dict[str, str] | None = None, until: float | None = None
    ) -> tuple[int, bytes]:
        """Status and text of the first answer below 500. AssertionError after `until` (or a minute)."""
        begun = time.monotonic()
        while time.monotonic() < (begun + PATIENCE_SECONDS if until is None else until):
            try:
                status, content = self.ask(method, path, fields)
            except (OSError, http.client.HTTPException):
                self.connection = None
                status = 0
            if 0 < status < 500:
                self.longest = max(self.longest, time.monotonic() - begun)
                return status, content
            if status:
                self.refusals.append((status, content))
            time.sleep(0.1)
        raise AssertionError(f"no answer to {method} {path}: {self.refusals[-1:]}")
