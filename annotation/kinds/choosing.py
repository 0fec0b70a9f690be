"""Choosing: A, B, equally good, or both bad; how clearly, and why."""

from typing import Any

from django.http import QueryDict

from annotation.errors import InvalidInput
from annotation.kinds.shown import Shown
from annotation.models import Project

HEADING = "Which is better?"
# Letters of the upper row, in the order of the tags.
REASON_KEYS = "qwertyuiop"


def present(shown: Shown, payload: dict[str, Any] | None) -> dict[str, Any]:
    entered = payload or {}
    given = entered.get("reasons", [])
    choice = entered.get("choice")
    if choice == "one":
        choice = next((side.letter for side in shown.sides if side.candidate == entered.get("chosen")), None)
    translation = shown.project.goal == Project.Goal.TRANSLATION
    return {
        "heading": "Which translation is better?" if translation else "Which answer is better?",
        "choice": choice,
        "strength": entered.get("strength"),
        "reasons": [
            {"name": tag.name, "key": REASON_KEYS[at] if at < len(REASON_KEYS) else "", "checked": tag.name in given}
            for at, tag in enumerate(shown.tags)
        ],
    }


def read(form: QueryDict, shown: Shown, *, complete: bool = True) -> dict[str, Any]:
    by_letter = {side.letter: side.candidate for side in shown.sides}
    choice, strength = form.get("choice", ""), form.get("strength", "")
    known = {tag.name for tag in [*shown.tags, *shown.retired]}
    reasons = list(dict.fromkeys(form.getlist("reasons")))
    problems = []
    if choice not in (*by_letter, "tie", "both_bad"):
        problems.append(("choice", "Nothing is chosen yet: A, B, equally good or both bad?"))
        choice = ""
    if unknown := [name for name in reasons if name not in known]:
        problems.append(("reasons", f"This project has no reason {unknown[0]!r}."))
        reasons = [name for name in reasons if name in known]
    if strength not in ("", "1", "2"):
        problems.append(("strength", "Choose slightly or clearly, or neither."))
        strength = ""
    if problems and complete:
        raise InvalidInput(problems[0][1], problems)
    chosen = by_letter.get(choice)
    return {
        "choice": "one" if chosen is not None else choice or None,
        "chosen": chosen,
        "shown": [side.candidate for side in shown.sides],
        # How clearly one is better says nothing of two that are equal.
        "strength": int(strength) if strength and choice not in ("tie", "both_bad") else None,
        "reasons": reasons,
    }


def describe(payload: dict[str, Any], texts: dict[int, str], language: str) -> dict[str, Any]:
    reasons = payload.get("reasons", [])
    if payload["choice"] == "one":
        how = {1: "Slightly better", 2: "Clearly better"}.get(payload.get("strength") or 0, "Better")
        return {"headline": how, "text": texts.get(payload["chosen"], ""), "reasons": reasons}
    return {"headline": {"tie": "Equally good", "both_bad": "Both bad"}[payload["choice"]], "reasons": reasons}
