"""Rules on the training rows and on how they were computed."""

from collections.abc import Mapping

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from training.reports.diagnostics.facts import ENOUGH_STEPS, Facts, Note

SMALL_BATCH = 8
FEW_ROWS, MANY_EPOCHS = 500, 3


def rows_lost(facts: Facts) -> Note | None:
    dropped = sum(int(reason.get("count", 0)) for reason in (facts.preflight.get("dropped") or {}).values())
    if not dropped:
        return None
    sentence = ngettext(
        "%(count)s row was left out: it has nothing to learn from. See the checks below for the reason.",
        "%(count)s rows were left out: they have nothing to learn from. See the checks below for the reasons.",
        dropped,
    )
    return Note("rows_dropped", "warn", sentence % {"count": f"{dropped:,}"})


def rows_cut(facts: Facts) -> Note | None:
    count = int((facts.preflight.get("truncated") or {}).get("count", 0))
    if not count:
        return None
    sentence = ngettext(
        "%(count)s row is longer than %(length)s tokens and was cut: increase the maximum length if its end matters.",
        "%(count)s rows are longer than %(length)s tokens and were cut: increase the maximum "
        "length if their ends matter.",
        count,
    )
    return Note("rows_cut", "warn", sentence % {"count": f"{count:,}", "length": facts.config.get("max_length", "")})


def few_rows(facts: Facts) -> Note | None:
    epochs = float(facts.config.get("epochs") or 1)
    rows = round(facts.rows * float(facts.config.get("share") or 1))
    if not 0 < rows < FEW_ROWS or epochs < MANY_EPOCHS:
        return None
    sentence = ngettext(
        "%(rows)s row, seen %(epochs)s times: the model may memorise it. More labels help more than more epochs.",
        "%(rows)s rows, each seen %(epochs)s times: the model may memorise them. More labels help more than more "
        "epochs.",
        rows,
    )
    return Note("few_rows", "info", sentence % {"rows": rows, "epochs": f"{epochs:g}"})


def noisy(facts: Facts) -> Note | None:
    if facts.batch >= SMALL_BATCH or len(facts.steps) < ENOUGH_STEPS or not facts.preference:
        return None
    sentence = ngettext(
        "Each step learns from %(count)s row, so single steps fluctuate: read the smoothed "
        "line, or use a larger batch.",
        "Each step learns from %(count)s rows, so single steps fluctuate: read the smoothed "
        "line, or use a larger batch.",
        facts.batch,
    )
    return Note("noisy", "info", sentence % {"count": facts.batch})


def plain_trl(facts: Facts) -> Note | None:
    method = facts.result.get("method")
    if not isinstance(method, Mapping) or method.get("packing") is not False or not facts.config.get("packing", True):
        return None
    return Note(
        "plain_trl",
        "info",
        _("The rows were computed by plain TRL, more slowly and with the same result, because: %(why)s")
        % {"why": method.get("why") or "?"},
    )
