"""Scoring: each aspect on its own scale, every point of which has a sentence that says what it means."""

from typing import Any

from django.http import QueryDict

from annotation.errors import InvalidInput
from annotation.kinds.shown import Shown, Side
from annotation.models import Aspect

HEADING = "Score this text"
MAX_COMMENT = 4_000


def present(shown: Shown, payload: dict[str, Any] | None) -> dict[str, Any]:
    entered = payload or {}
    rows = []
    for side in shown.sides:
        scores = entered.get("scores", {}).get(str(side.candidate), {})
        for aspect in shown.aspects:
            points = [
                {"value": value, "anchor": anchor, "checked": scores.get(aspect.key) == value}
                for value, anchor in enumerate(aspect.anchors, start=1)
            ]
            rows.append({"aspect": aspect, "field": field_of(side, aspect), "side": side.letter, "points": points})
    return {
        "heading": HEADING, "rows": rows, "comment": entered.get("comment", ""), "several": len(shown.sides) > 1,
    }  # fmt: skip


def read(form: QueryDict, shown: Shown, *, complete: bool = True) -> dict[str, Any]:
    scores: dict[str, dict[str, int]] = {}
    problems = []
    for side in shown.sides:
        given = scores.setdefault(str(side.candidate), {})
        for aspect in shown.aspects:
            value = form.get(field_of(side, aspect), "")
            if value.isascii() and value.isdecimal() and len(value) < 3 and 1 <= int(value) <= aspect.points:
                given[aspect.key] = int(value)
            elif value and complete:
                problems.append((field_of(side, aspect), f"{aspect.name}: choose 1 to {aspect.points}."))
            elif complete:
                problems.append((field_of(side, aspect), f"{aspect.name} has no score yet."))
    comment = form.get("comment", "").replace("\r\n", "\n").replace("\0", "")
    if complete and len(comment) > MAX_COMMENT:
        problems.append(("comment", f"At most {MAX_COMMENT:,} characters."))
    if problems:
        raise InvalidInput(problems[0][1] if len(problems) == 1 else f"{len(problems)} things are missing.", problems)
    return {"scores": scores, "comment": comment.strip() if complete else comment}


def describe(payload: dict[str, Any], texts: dict[int, str], language: str) -> dict[str, Any]:
    (given,) = list(payload["scores"].values())[:1] or [{}]
    headline = ", ".join(f"{key} {value}" for key, value in given.items())
    return {"headline": headline or "No score", "comment": payload.get("comment", ""), "scores": payload["scores"]}


def field_of(side: Side, aspect: Aspect) -> str:
    return f"score-{side.letter}-{aspect.key}"
