"""The form of a choice: the verdict, how clear it is, reasons, marks in the texts, and edited texts."""

from dataclasses import dataclass
from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation.core.errors import InvalidInput
from annotation.kinds.choosing.payload import ChoosingPayload, Ranking
from annotation.kinds.choosing.ranking import read_ranking
from annotation.kinds.presentation import MAX_TEXT, PresentedTask, Problem, Side, normal, posted_text, too_long
from annotation.kinds.spans import QUALITIES, ask, present_spans, read_spans
from annotation.models import Project
from annotation.models.typology import label

# Letters of the upper row, in the order of the tags; where each side has its own reasons, the sides share the letters.
REASON_KEYS = "qwertyuiop"


# ---- showing ----


def present(shown: PresentedTask, entered: ChoosingPayload | None) -> dict[str, Any]:
    answer = entered or ChoosingPayload(shown=[])
    choice = answer.choice
    if choice == "one":
        choice = next((side.letter for side in shown.sides if side.candidate == answer.chosen), None)
    by_side = shown.project.reasons_by_side
    count = len(shown.sides)
    keys = REASON_KEYS if not by_side else REASON_KEYS[: len(REASON_KEYS) // max(count, 1)]
    return {
        "heading": heading(shown),
        "choice": choice,
        "strength": answer.strength,
        "alternatives": [
            {
                "letter": side.letter,
                "text": side.text,
                "spans": present_spans(side, answer.spans),
                "rank": rank_of(side, answer.groups),
                "fix": answer.fixes.get(side.candidate),
                "original": normal(side.text),
                "reasons": (
                    reason_rows(shown, answer.reasons_by_side.get(side.candidate, []), keys, at * len(keys))
                    if by_side
                    else []
                ),
            }
            for at, side in enumerate(shown.sides)
        ],
        "reasons": [] if by_side else reason_rows(shown, answer.reasons, keys, 0),
        "fixing": bool(answer.fixes),
        "ranked": count > 2,
        "identical": count < 2,
        "places": range(1, count + 1),
        "keys": {"tie": count + 1, "both_bad": count + 2},
        "asks": [ask("quality", _("What is it?"), QUALITIES)],
    }


def heading(shown: PresentedTask) -> str:
    translation = shown.project.goal == Project.Goal.TRANSLATION
    if len(shown.sides) < 2:
        return _("These outputs are the same")
    if len(shown.sides) > 2:
        if translation:
            return _("Rank the translations, the best first")
        return _("Rank the answers, the best first")
    return _("Which translation is better?") if translation else _("Which answer is better?")


def reason_rows(shown: PresentedTask, checked: list[str], keys: str, first: int) -> list[dict[str, Any]]:
    letters = REASON_KEYS[first : first + len(keys)]
    return [
        {
            "name": tag.name,
            "label": label(tag.name),
            "key": letters[at] if at < len(letters) else "",
            "checked": tag.name in checked,
            "at": first + at + 1,
        }
        for at, tag in enumerate(shown.tags)
    ]


def rank_of(side: Side, groups: Ranking) -> int | None:
    return next((place for place, group in enumerate(groups, start=1) if side.candidate in group), None)


# ---- reading ----


@dataclass(frozen=True, slots=True)
class Verdict:
    choice: str | None
    chosen: int | None = None
    strength: int | None = None
    ranking: Ranking | None = None


def read(form: QueryDict, shown: PresentedTask, *, complete: bool) -> ChoosingPayload:
    problems: list[Problem] = []
    verdict = read_verdict(form, shown, problems)
    known = {tag.name for tag in [*shown.tags, *shown.retired]}
    reasons = read_reasons(form, "reasons", known, problems)
    by_side = {side.candidate: read_reasons(form, f"reasons-{side.letter}", known, problems) for side in shown.sides}
    spans, span_problems = read_spans(form, shown, {"quality": list(QUALITIES)})
    fixes = read_fixes(form, shown, verdict, problems, complete=complete)
    problems += span_problems
    if problems and complete:
        message = ngettext("%(count)d thing is missing.", "%(count)d things are missing.", len(problems))
        raise InvalidInput(problems[0][1] if len(problems) == 1 else message % {"count": len(problems)}, problems)
    return ChoosingPayload(
        shown=[side.candidate for side in shown.sides],
        choice=verdict.choice,
        chosen=verdict.chosen,
        strength=verdict.strength,
        ranking=verdict.ranking,
        reasons=reasons,
        reasons_by_side={candidate: names for candidate, names in by_side.items() if names},
        spans=spans,
        fixes=fixes,
    )


def read_verdict(form: QueryDict, shown: PresentedTask, problems: list[Problem]) -> Verdict:
    choice, strength = form.get("choice", ""), form.get("strength", "")
    if len(shown.sides) > 2:
        return read_order(form, shown, problems)
    by_letter = {side.letter: side.candidate for side in shown.sides}
    chosen = by_letter.get(choice) if len(shown.sides) == 2 else None
    if chosen is None and choice not in ("tie", "both_bad"):
        problems.append(("choice", _("Nothing is chosen yet: A, B, equally good or both bad?")))
        choice = ""
    if strength not in ("", "1", "2"):
        problems.append(("strength", _("Choose slightly or clearly, or neither.")))
        strength = ""
    # How much better one is means nothing for two that are equal.
    how_much = int(strength) if strength and choice not in ("tie", "both_bad") else None
    return Verdict(choice="one" if chosen is not None else choice or None, chosen=chosen, strength=how_much)


def read_order(form: QueryDict, shown: PresentedTask, problems: list[Problem]) -> Verdict:
    """The verdict on more than two: a ranking, or all bad."""
    groups, unplaced = read_ranking(form, shown)
    if form.get("choice") == "both_bad":
        if groups:
            problems.append(("choice", _("Either all are bad, or they have places: not both.")))
        return Verdict("both_bad")
    problems += unplaced
    return Verdict(None if unplaced else "ranking", ranking=groups)


def read_reasons(form: QueryDict, field: str, known: set[str], problems: list[Problem]) -> list[str]:
    reasons = list(dict.fromkeys(form.getlist(field)))
    if unknown := [name for name in reasons if name not in known]:
        problems.append((field, _("This project has no reason “%(name)s”.") % {"name": unknown[0][:60]}))
    return [name for name in reasons if name in known]


def read_fixes(
    form: QueryDict, shown: PresentedTask, verdict: Verdict, problems: list[Problem], *, complete: bool
) -> dict[int, str]:
    """The edited texts, by candidate. A finished answer keeps a fix of what it calls best, or of anything where it
    prefers nothing; a draft keeps them all. An unchanged or emptied text is not a fix."""
    if complete and verdict.choice == "one":
        fixable = {verdict.chosen}
    elif complete and verdict.choice == "ranking" and verdict.ranking:
        fixable = set(verdict.ranking[0])
    else:
        fixable = {side.candidate for side in shown.sides}
    fixes = {}
    for side in shown.sides:
        field = f"fix-{side.letter}"
        text = posted_text(form, field)
        if side.candidate not in fixable or not text.strip() or text.strip() == normal(side.text).strip():
            continue
        if complete and (problem := too_long(text)):
            problems.append((field, problem))
        fixes[side.candidate] = text.strip() if complete else text[:MAX_TEXT]
    return fixes
