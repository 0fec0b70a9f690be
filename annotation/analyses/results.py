"""Results as JSON, and the slots behind their numbers. Pure.

An estimate is {"value", "low", "high", "n", "hits"}, or null below `FEWEST` answers. Keys of rows: "first", "longer",
"fast", "run", "origin:<origin>", "confused:<kind>:<group>", and of one person "<id>:first", "<id>:fast", "<id>:pace",
"<id>:run", "<id>:skips".

trust: answers; first, longer, fast (estimates) with first_n, longer_n and fast_n, the numbers that they would rest on;
untimed (answers without a recorded time); origins [{origin, share}]; confused [{kind, group, share, labels, times}];
runs [{person, kind, length, n}]; flags [flagged tasks, of these open];
pending: answers left out until they are reviewed.
people: one row for each person, see `annotation.analyses.people`.
"""

from typing import Any

import numpy as np

from annotation.analyses import bias, pace, people, runs
from annotation.analyses.disagreement import KEPT
from annotation.analyses.intervals import Estimate, share_of
from annotation.analyses.source import KIND_NAMES, Material

VERSION = 2
MOST_CONFUSED = 20
Result = dict[str, Any]


class Rows:
    """The slots behind numbers: key → (how many, the newest `KEPT`)."""

    def __init__(self) -> None:
        self.by_key: dict[str, tuple[int, list[int]]] = {}

    def add(self, key: str, slots: Any, *, count: int | None = None) -> None:
        """`slots` in any order, perhaps several times the same; a later slot has a higher id."""
        values = np.unique(np.asarray(slots, dtype=np.int64))[::-1]
        if len(values):
            self.by_key[key] = (len(values) if count is None else count, values[:KEPT].tolist())


def results_of(material: Material) -> tuple[dict[str, Result], Rows]:
    """Each analysis's result by name, and the rows of both."""
    rows = Rows()
    answers, pairs = material.answers, material.pairs
    use = pace.timed(answers)
    clock = people.Clock.of(answers, use)
    lines = runs.straight_lines(answers)
    for line in lines:
        rows.add(f"{line.person}:run", line.slots)
    rows.add("run", [slot for line in lines for slot in line.slots])
    first, longer = bias.known(pairs.first_won, pairs), bias.known(pairs.longer_won, pairs)
    rows.add("first", first[2][first[0]])
    rows.add("longer", longer[2][longer[0]])
    rows.add("fast", clock.slot[clock.is_fast])
    origins = []
    for origin, share in sorted(bias.origin_shares(pairs), key=lambda row: material.origins[row[0]]):
        name = material.origins[origin]
        origins.append({"origin": name, "share": as_json(share)})
        rows.add(f"origin:{name}", pairs.slot[(pairs.winner == origin) & (pairs.loser != origin)])
    confused = []
    for item in material.disagreement.most()[:MOST_CONFUSED]:
        kind = str(KIND_NAMES[item.kind])
        confused.append(
            {
                "kind": kind,
                "group": item.group,
                "share": as_json(item.share),
                "labels": item.labels,
                "times": item.times,
            }
        )
        rows.add(f"confused:{kind}:{item.group}", item.slots)
    trust = {
        "answers": len(answers.slot),
        "untimed": int((~use).sum()),
        "first": as_json(bias.first_share(pairs)),
        "first_n": len(first[0]),
        "longer": as_json(bias.longer_share(pairs)),
        "longer_n": len(longer[0]),
        "fast": as_json(share_of(clock.is_fast[clock.is_judged])),
        "fast_n": int(clock.is_judged.sum()),
        "origins": origins,
        "confused": confused,
        "runs": [
            {"person": line.person, "kind": str(KIND_NAMES[line.kind]), "length": line.length, "n": line.n}
            for line in sorted(lines, key=lambda line: -line.length)
        ],
        "flags": list(material.flags),
        "pending": material.pending,
    }
    found = people.people_of(answers, pairs, clock, lines, material.skips)
    for person in found:
        for key, slots in person.rows.items():
            rows.add(f"{person.person}:{key}", slots, count=person.skipped if key == "skips" else None)
    return {"trust": trust, "people": {"people": [person.as_dict() for person in found]}}, rows


def as_json(estimate: Estimate | None) -> dict[str, Any] | None:
    return estimate.as_dict() if estimate else None
