"""Notes on a run in plain language: the usual problems of these trainers, recognised in its figures.

One function for each rule, tried in order of weight. A rule makes a note only where the figures show the problem, and
the note says what to do.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from training.reports.diagnostics.facts import Facts, Note
from training.reports.diagnostics.preference import (
    accuracy_of_chance,
    chosen_falls,
    easy_accuracy,
    exploded_margin,
    first_loss,
    hardly_moved,
)
from training.reports.diagnostics.rows import few_rows, noisy, plain_trl, rows_cut, rows_lost
from training.reports.diagnostics.steps import always_clipped, loss_not_falling

RULES: tuple[Callable[[Facts], Note | None], ...] = (
    first_loss,
    chosen_falls,
    easy_accuracy,
    accuracy_of_chance,
    exploded_margin,
    hardly_moved,
    loss_not_falling,
    always_clipped,
    rows_lost,
    rows_cut,
    few_rows,
    noisy,
    plain_trl,
)
# A note is left out where one of these says the same, better.
OVERRULED = {
    "loss_not_falling": {"hardly_moved", "accuracy_of_chance"},
    "accuracy_of_chance": {"hardly_moved"},
}


def notes_of(
    steps: Sequence[Mapping[str, Any]],
    *,
    config: Mapping[str, Any] | None = None,
    result: Mapping[str, Any] | None = None,
    preflight: Mapping[str, Any] | None = None,
    rows: int = 0,
) -> list[Note]:
    """Notes on a run, the weightiest first: from its steps (of `steps_of`, or of a history, where a line may stand for
    several), run.json, result.json, preflight.json and the number of its training rows. Pure; says nothing where there
    is nothing to say."""
    facts = Facts(steps, config or {}, result or {}, preflight or {}, rows)
    notes = [note for rule in RULES if (note := rule(facts)) is not None]
    keys = {note.key for note in notes}
    notes = [note for note in notes if not (keys & OVERRULED.get(note.key, set()))]
    return sorted(notes, key=lambda note: ("bad", "warn", "info").index(note.tone))
