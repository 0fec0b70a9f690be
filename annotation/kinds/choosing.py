"""Choosing: A, B, equally good, or both bad; how clearly, and why. More than two are ranked, best first.

Beside the choice there may be marks in the texts, and a mended form of what was chosen (of any text where none was).
"""

from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from annotation.core.errors import InvalidInput
from annotation.kinds.presentation import MAX_TEXT, Problem, Shown, Side, normal
from annotation.kinds.ranking import read_ranking
from annotation.kinds.spans import QUALITIES, ask, marked, present_spans, read_spans
from annotation.models import Project
from annotation.text.differences import differences
from annotation.text.edit_distance import is_unspaced

HEADING = gettext_lazy("Which is better?")
# Letters of the upper row, in the order of the tags; where each side has its own, the sides share them.
REASON_KEYS = "qwertyuiop"


def present(shown: Shown, payload: dict[str, Any] | None) -> dict[str, Any]:
    entered = payload or {}
    choice = entered.get("choice")
    if choice == "one":
        choice = next((side.letter for side in shown.sides if side.candidate == entered.get("chosen")), None)
    by_side = shown.project.reasons_by_side
    keys = REASON_KEYS if not by_side else REASON_KEYS[: len(REASON_KEYS) // max(len(shown.sides), 1)]
    count = len(shown.sides)
    return {
        "heading": heading(shown),
        "choice": choice,
        "strength": entered.get("strength"),
        "alternatives": [
            {
                "letter": side.letter, "text": side.text, "spans": present_spans(side, entered.get("spans", {})),
                "rank": rank_of(side, entered), "fix": entered.get("fixes", {}).get(str(side.candidate)),
                "original": normal(side.text),
                "reasons": reason_rows(
                    shown, entered.get("reasons_by_side", {}).get(str(side.candidate), []), keys, at * len(keys)
                ) if by_side else [],
            }
            for at, side in enumerate(shown.sides)
        ],
        "reasons": [] if by_side else reason_rows(shown, entered.get("reasons", []), keys, 0),
        "fixing": bool(entered.get("fixes")),
        "ranked": count > 2,
        "identical": count < 2,
        "places": range(1, count + 1),
        "keys": {"tie": count + 1, "both_bad": count + 2},
        "asks": [ask("quality", _("What is it?"), QUALITIES)],
        "tokens": "characters" if is_unspaced(shown.project.target_language) else "words",
    }  # fmt: skip


def heading(shown: Shown) -> str:
    translation = shown.project.goal == Project.Goal.TRANSLATION
    if len(shown.sides) < 2:
        return _("These outputs are the same")
    if len(shown.sides) > 2:
        if translation:
            return _("Rank the translations, the best first")
        return _("Rank the answers, the best first")
    return _("Which translation is better?") if translation else _("Which answer is better?")


def reason_rows(shown: Shown, given: list[str], keys: str, first: int) -> list[dict[str, Any]]:
    letters = REASON_KEYS[first : first + len(keys)]
    return [
        {
            "name": tag.name,
            "key": letters[at] if at < len(letters) else "",
            "checked": tag.name in given,
            "at": first + at + 1,
        }
        for at, tag in enumerate(shown.tags)
    ]


def rank_of(side: Side, entered: dict[str, Any]) -> int | None:
    groups = entered.get("ranking") or []
    return next((place for place, group in enumerate(groups, start=1) if side.candidate in group), None)


def read(form: QueryDict, shown: Shown, *, complete: bool = True) -> dict[str, Any]:
    problems: list[Problem] = []
    answer = read_choice(form, shown, problems)
    known = {tag.name for tag in [*shown.tags, *shown.retired]}
    answer["reasons"] = read_reasons(form, "reasons", known, problems)
    by_side = {
        str(side.candidate): given
        for side in shown.sides
        if (given := read_reasons(form, f"reasons-{side.letter}", known, problems))
    }
    spans, faults = read_spans(form, shown, {"quality": list(QUALITIES)})
    fixes = read_fixes(form, shown, answer, problems, complete=complete)
    problems += faults
    if problems and complete:
        message = ngettext("%(count)d thing is missing.", "%(count)d things are missing.", len(problems))
        raise InvalidInput(
            problems[0][1] if len(problems) == 1 else message % {"count": len(problems)}, problems
        )  # fmt: skip
    later = {"reasons_by_side": by_side, "spans": spans, "fixes": fixes}
    return answer | {name: value for name, value in later.items() if value}


def read_choice(form: QueryDict, shown: Shown, problems: list[Problem]) -> dict[str, Any]:
    choice, strength = form.get("choice", ""), form.get("strength", "")
    by_letter = {side.letter: side.candidate for side in shown.sides}
    answer: dict[str, Any] = {
        "choice": None, "chosen": None, "shown": [side.candidate for side in shown.sides], "strength": None,
    }  # fmt: skip
    if len(shown.sides) > 2:
        groups, missing = read_ranking(form, shown)
        if choice == "both_bad":
            if groups:
                problems.append(("choice", _("Either all are bad, or they have places: not both.")))
            return answer | {"choice": "both_bad"}
        problems += missing
        return answer | {"choice": None if missing else "ranking", "ranking": groups}
    chosen = by_letter.get(choice) if len(shown.sides) == 2 else None
    if chosen is None and choice not in ("tie", "both_bad"):
        problems.append(("choice", _("Nothing is chosen yet: A, B, equally good or both bad?")))
        choice = ""
    if strength not in ("", "1", "2"):
        problems.append(("strength", _("Choose slightly or clearly, or neither.")))
        strength = ""
    # How clearly one is better says nothing of two that are equal.
    clearly = int(strength) if strength and choice not in ("tie", "both_bad") else None
    return answer | {
        "choice": "one" if chosen is not None else choice or None, "chosen": chosen, "strength": clearly,
    }  # fmt: skip


def read_reasons(form: QueryDict, field: str, known: set[str], problems: list[Problem]) -> list[str]:
    reasons = list(dict.fromkeys(form.getlist(field)))
    if unknown := [name for name in reasons if name not in known]:
        problems.append((field, _("This project has no reason “%(name)s”.") % {"name": unknown[0][:60]}))
    return [name for name in reasons if name in known]


def read_fixes(
    form: QueryDict, shown: Shown, answer: dict[str, Any], problems: list[Problem], *, complete: bool
) -> dict[str, str]:
    """What was mended, by candidate. A finished answer keeps a fix of what it calls best, or of anything where it
    prefers nothing; a draft keeps them all. An unchanged or emptied text is no fix."""
    if complete and answer["choice"] == "one":
        mended = {answer["chosen"]}
    elif complete and answer["choice"] == "ranking":
        mended = set(answer["ranking"][0])
    else:
        mended = {side.candidate for side in shown.sides}
    fixes = {}
    for side in shown.sides:
        field = f"fix-{side.letter}"
        text = normal(form.get(field, "")).replace("\0", "")
        if side.candidate not in mended or not text.strip() or text.strip() == normal(side.text).strip():
            continue
        if complete and len(text) > MAX_TEXT:
            said = _("At most %(most)s characters; this has %(count)s.")
            problems.append((field, said % {"most": f"{MAX_TEXT:,}", "count": f"{len(text):,}"}))
        fixes[str(side.candidate)] = text.strip() if complete else text[:MAX_TEXT]
    return fixes


def describe(payload: dict[str, Any], texts: dict[int, str], language: str) -> dict[str, Any]:
    answer: dict[str, Any] = {"headline": headline(payload), "reasons": payload.get("reasons", [])}
    by_side, spans = payload.get("reasons_by_side", {}), payload.get("spans", {})
    if payload["choice"] == "one":
        answer["text"] = texts.get(payload["chosen"], "")
    if payload["choice"] == "ranking":
        answer["ranking"] = [[texts.get(key, "") for key in group] for group in payload["ranking"]]
    answer["sides"] = [
        {"reasons": by_side.get(str(key), []), **marked(texts.get(key, ""), spans.get(str(key), []))}
        for key in payload["shown"]
        if str(key) in by_side or str(key) in spans
    ]
    answer["fixes"] = [
        {"text": text, "changes": differences(texts.get(int(key), ""), text)}
        for key, text in payload.get("fixes", {}).items()
    ]
    return answer


def headline(payload: dict[str, Any]) -> str:
    several = len(payload["shown"]) > 2
    match payload["choice"]:
        case "one":
            how = {1: _("Slightly better"), 2: _("Clearly better")}
            return how.get(payload.get("strength") or 0, _("Better"))
        case "tie":
            return _("Equally good")
        case "both_bad":
            return _("All bad") if several else _("Both bad")
    if len(payload["ranking"]) == 1:
        return _("All equally good")
    return _("Ranked")
