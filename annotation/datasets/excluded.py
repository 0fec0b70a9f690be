"""The answers that a dataset version leaves out, what review came to, and what its probabilities are, in words."""

from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext as _

from annotation.models import User


def excluded_lines(manifest: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """What was excluded, with the reason where there is one, and how many answers, as the manifest says it."""
    facts = manifest.get("excluded")
    if not facts:
        return
    people = {row["annotator"] for row in facts["exclusions"]} - {None}
    people |= {int(part.partition(":")[2]) for part in facts["without"] if part.startswith("person:")}
    names = {user.pk: str(user) for user in User.objects.filter(pk__in=people)}
    for row in facts["exclusions"]:
        values = {
            "person": names.get(row["annotator"], ""),
            "prompt": row.get("prompt"),
            "task": row["task"],
            "reason": row["reason"],
        }
        if row["scope"] == "prompt":
            yield _("withdrawn prompt %(prompt)s (%(reason)s)") % values, row["annotations"]
        elif row["scope"] == "simulated":
            yield _("simulated annotators (%(reason)s)") % values, row["annotations"]
        elif row["scope"] == "person":
            yield _("%(person)s (%(reason)s)") % values, row["annotations"]
        else:
            yield _("one answer of %(person)s (%(reason)s)") % values, row["annotations"]
    for part, count in facts["without"].items():
        what, _colon, key = part.partition(":")
        if what == "simulated":
            yield _("simulated annotators, in this dataset"), count
        elif what == "person":
            yield _("%(person)s, in this dataset") % {"person": names.get(int(key), key)}, count
        else:
            yield _("answer %(number)s, in this dataset") % {"number": key}, count


def review_lines(manifest: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Answers that checked people or tried a guideline, and what review came to, and how many answers, as the
    manifest says it; nothing where there is neither."""
    if checks := manifest.get("checks", {}).get("annotations"):
        yield _("left out: of tasks that check people"), checks
    if trials := manifest.get("trials", {}).get("annotations"):
        yield _("left out: of trials of the guideline"), trials
    facts = manifest.get("review", {})
    sentences = {
        "waiting": _("left out: waiting for review"),
        "sent_back": _("left out: sent back to the author"),
        "accepted": _("accepted by a reviewer"),
        "corrected": _("as corrected by a reviewer"),
    }
    yield from ((sentence, facts[name]) for name, sentence in sentences.items() if facts.get(name))
    decided = manifest.get("adjudication", {})
    tasks = {"decided": _("tasks decided by a reviewer"), "kept_divided": _("tasks kept as divided by a reviewer")}
    yield from ((sentence, decided[name]) for name, sentence in tasks.items() if decided.get(name))


def label_lines(manifest: dict[str, Any]) -> Iterator[str]:
    """What the probabilities are and how far gold bears them out; nothing where they are shares of votes."""
    facts = manifest.get("labels")
    if not facts:
        return
    values = {name: f"{facts[name]:,}" for name in ("pairs", "by_votes", "turned", "annotators", "gold")}
    kind = {
        "posterior": _("posteriors of a model of who errs how, not calibrated"),
        "calibrated": _("posteriors of a model of who errs how, calibrated on gold"),
    }[facts["are"]]
    yield _("%(kind)s, of %(pairs)s pairs by %(annotators)s annotators") % {**values, "kind": kind}
    if facts["by_votes"]:
        yield _("%(by_votes)s pairs keep the share of their votes: scores, edits, decided tasks") % values
    if facts["turned"]:
        yield _("%(turned)s pairs prefer the text that most votes are against") % values
    if not facts["converged"]:
        yield _("the model did not converge: take votes")
    calibration = facts["calibration"]
    if calibration is None:
        yield _("no calibration: %(gold)s gold items have answers, 50 are needed") % values
        return
    before, after = calibration["before"], calibration["after"]
    yield _(
        "calibration error on %(gold)s gold items: %(before).3f before, %(after).3f after "
        "(95 %% interval %(low).3f to %(high).3f)"
    ) % {**values, "before": before["value"], "after": after["value"], "low": after["low"], "high": after["high"]}
