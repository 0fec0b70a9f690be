"""The faults of the drill: kills, clock jumps, a full disk."""

import contextlib
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults import kills
from tests.faults.clock import SettableClock
from tests.faults.disk import fill
from tests.site import Site

JUMPS = (2 * 3600, -1800, 26 * 3600, 0, -5 * 3600)  # seconds by which the site's clock differs, one after the other
JUMP_EVERY_SECONDS = 12.0
KILL_EVERY_SECONDS = (3.0, 7.0)
DISK_FULL_SECONDS = 15.0
SETTLING_SECONDS = 5.0
TARGETS: dict[str, Callable[[Site], list]] = {
    "web": lambda site: kills.service(site, "gunicorn"),
    "web process": lambda site: kills.service_children(site, "gunicorn"),
    "worker": lambda site: kills.service(site, "celery"),
    "worker process": lambda site: kills.service_children(site, "celery"),
    "database": kills.database,
    "database connection": kills.database_connections,
    "engine": kills.engines,
}


@dataclass
class Faults:
    """What was done to the site, and when (monotonic)."""

    site: Site
    seed: int
    clock: SettableClock | None = None
    kills: list[tuple[float, str]] = field(default_factory=list)
    jumps: int = 0
    disk_full: float | None = None
    disk_freed: float | None = None
    over: threading.Event = field(default_factory=threading.Event)
    failures: list[str] = field(default_factory=list)

    def guarded(self, work: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            try:
                work()
            except BaseException as error:
                self.failures.append(repr(error))

        return run

    def kill_again_and_again(self) -> None:
        """Each of the targets in a random order, then all of them again."""
        chance = random.Random(self.seed)
        waiting: list[str] = []
        while not self.over.wait(chance.uniform(*KILL_EVERY_SECONDS)):
            living = {name: TARGETS[name](self.site) for name in TARGETS}
            # Who is not there at the moment (an engine) keeps its place while the others have another turn.
            if not any(living[name] for name in waiting):
                waiting += chance.sample([name for name in TARGETS if name not in waiting], len(TARGETS) - len(waiting))
            name = next((name for name in waiting if living[name]), None)
            if name is None:
                continue
            waiting.remove(name)
            if kills.kill(chance.choice(living[name])):
                self.kills.append((time.monotonic(), name))
                print(f"  killed: {name}", flush=True)

    def jump_again_and_again(self) -> None:
        assert self.clock is not None
        try:
            while not self.over.wait(JUMP_EVERY_SECONDS):
                shift = JUMPS[self.jumps % len(JUMPS)]
                self.clock.set(shift)
                self.jumps += 1
                print(f"  clock: {shift / 3600:+.1f} h", flush=True)
        finally:
            self.clock.set(0)

    def fill_disk(self, disk: Path) -> None:
        """Full for some seconds, whatever is freed meanwhile; there are kills meanwhile, too."""
        self.disk_full = time.monotonic()
        print("  disk: full", flush=True)
        end = time.monotonic() + DISK_FULL_SECONDS
        number = 0
        try:
            while time.monotonic() < end:
                fill(disk / f"ballast-{number}")
                number += 1
                time.sleep(0.1)
        finally:
            for path in disk.glob("ballast-*"):
                with contextlib.suppress(OSError):
                    path.unlink()
            self.disk_freed = time.monotonic()
            print("  disk: has space again", flush=True)

    def outages_from(self) -> list[tuple[float, str]]:
        """From when on each kill's outage counts: on a full disk nothing can be written, killed or not."""
        full, freed = self.disk_full, self.disk_freed
        if full is None or freed is None:
            return self.kills
        return [
            (freed, f"{name}, on a full disk") if full - SETTLING_SECONDS < at < freed else (at, name)
            for at, name in self.kills
        ]


def outage_after(at: float, acknowledged: list[tuple[float, float]]) -> float:
    """Seconds from a fault to the first acknowledgement of a write that began after it; infinite if there was none.

    `acknowledged` are (begin, end) of writes.
    """
    return min((end - at for begin, end in acknowledged if begin >= at), default=float("inf"))


def longest_outage(faults: list[tuple[float, str]], acknowledged: list[tuple[float, float]]) -> tuple[float, str]:
    """The longest of the outages after these faults, and the name of its fault."""
    return max(((outage_after(at, acknowledged), name) for at, name in faults), default=(0.0, "nothing was killed"))
