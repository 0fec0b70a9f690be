"""The drill's own arithmetic, and the clock that it sets; the drill itself is `python -m tests.benchmarks.drill`."""

import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.benchmarks import drill
from tests.benchmarks._drill_clients import Ledger
from tests.benchmarks._drill_faults import TARGETS, longest_outage, outage_after
from tests.faults.clock import NoClock, SettableClock


def test_an_outage_lasts_until_a_write_that_began_after_the_kill():
    writes = [(0.0, 1.0), (1.5, 4.0), (3.0, 3.5), (9.0, 9.1)]
    assert outage_after(1.0, writes) == 2.5, "what began before the kill says nothing"
    assert outage_after(2.0, writes) == 1.5
    assert outage_after(9.05, writes) == math.inf, "nobody was served any more"
    assert longest_outage([(1.0, "web"), (2.0, "worker"), (3.5, "database")], writes) == (5.6, "database")
    assert longest_outage([], writes) == (0.0, "nothing was killed")


def test_only_refusals_without_a_reason_are_unclear():
    ledger = Ledger()
    clear = [(503, b"<h1>The database is starting again</h1>"), (507, b"<h1>The disk is full</h1>")]
    ledger.note_refusals("ana", clear)
    assert ledger.unclear == []
    ledger.note_refusals("ana", [(500, b"Server error"), (503, b"Bad gateway"), (502, b"")])
    assert len(ledger.unclear) == 3


def test_every_part_of_a_site_is_a_target():
    assert set(TARGETS) >= {"web", "worker", "database", "database connection", "engine"}
    assert {"acknowledged", "lost", "duplicates", "stuck_assignments", "stuck_runs", "longest_outage_s"} <= set(
        drill.NOTES
    )


def test_a_site_s_clock_is_set_while_it_runs():
    with tempfile.TemporaryDirectory() as folder:
        try:
            clock = SettableClock(Path(folder))
        except NoClock as problem:
            pytest.skip(str(problem))
        program = "import time\nwhile input(): print(time.time(), time.monotonic(), flush=True)"
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            env={**os.environ, **clock.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        seen = []
        for shift in (0, 7200, -7200, 0):
            clock.set(shift)
            process.stdin.write("x\n")
            process.stdin.flush()
            seen.append(tuple(map(float, process.stdout.readline().split())))
        process.kill()
        process.communicate()
    days = [wall - monotonic for wall, monotonic in seen]
    assert [round((day - days[0]) / 3600) for day in days] == [0, 2, -2, 0]
