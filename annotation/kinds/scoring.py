"""Scoring: each aspect on its own scale, every point of which has a sentence that says what it means; and, where the
project names kinds of error, marks on the errors themselves. Several outputs stand side by side."""

import json
from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from annotation.core.errors import InvalidInput
from annotation.kinds.presentation import Problem, Shown, Side
from annotation.kinds.spans import SEVERITIES, ask, marked, present_spans, read_spans
from annotation.models import Aspect

HEADING = gettext_lazy("Score this text")
MAX_COMMENT = 4_000


def present(shown: Shown, payload: dict[str, Any] | None) -> dict[str, Any]:
    entered = payload or {}
    sides = [
        {
            "letter": side.letter, "text": side.text, "spans": present_spans(side, entered.get("spans", {})),
            "rows": [
                {"aspect": aspect, "field": field_of(side, aspect), "points": points_of(side, aspect, entered)}
                for aspect in shown.aspects
            ],
        }
        for side in shown.sides
    ]  # fmt: skip
    several = len(sides) > 1
    return {
        "heading": ngettext("Score this text", "Score these texts", len(sides)),
        "sides": sides, "rows": [row for side in sides for row in side["rows"]],
        "comment": entered.get("comment", ""), "several": several,
        "asks": [
            ask("category", _("What kind of error?"), {name: name for name in shown.project.error_categories}),
            ask("severity", _("How bad is it?"), SEVERITIES),
        ] if shown.project.error_categories else [],
        "show_total": shown.project.show_total,
        "weights": json.dumps(shown.weights or {}) if shown.project.show_total else "",
    }  # fmt: skip


def points_of(side: Side, aspect: Aspect, entered: dict[str, Any]) -> list[dict[str, Any]]:
    score = entered.get("scores", {}).get(str(side.candidate), {}).get(aspect.key)
    return [
        {"value": value, "anchor": anchor, "checked": score == value}
        for value, anchor in enumerate(aspect.anchors, start=1)
    ]


def read(form: QueryDict, shown: Shown, *, complete: bool = True) -> dict[str, Any]:
    scores: dict[str, dict[str, int]] = {}
    problems: list[Problem] = []
    for side in shown.sides:
        given = scores.setdefault(str(side.candidate), {})
        for aspect in shown.aspects:
            field = field_of(side, aspect)
            value = form.get(field, "")
            if value.isascii() and value.isdecimal() and len(value) < 3 and 1 <= int(value) <= aspect.points:
                given[aspect.key] = int(value)
            else:
                problems.append((field, missing(side, aspect, shown, out_of_scale=bool(value))))
    comment = form.get("comment", "").replace("\r\n", "\n").replace("\0", "")
    if len(comment) > MAX_COMMENT:
        problems.append(("comment", _("At most %(most)s characters.") % {"most": f"{MAX_COMMENT:,}"}))
    spans, faults = read_spans(form, shown, {"category": shown.project.error_categories, "severity": list(SEVERITIES)})
    problems += faults
    if problems and complete:
        message = ngettext("%(count)d thing is missing.", "%(count)d things are missing.", len(problems))
        raise InvalidInput(problems[0][1] if len(problems) == 1 else message % {"count": len(problems)}, problems)
    payload = {"scores": scores, "comment": comment.strip() if complete else comment}
    return {**payload, "spans": spans} if spans else payload


def missing(side: Side, aspect: Aspect, shown: Shown, *, out_of_scale: bool) -> str:
    several = len(shown.sides) > 1
    said = {"side": side.letter.upper(), "aspect": aspect.name, "points": aspect.points}
    if out_of_scale and several:
        return _("%(side)s, %(aspect)s: choose 1 to %(points)d.") % said
    if out_of_scale:
        return _("%(aspect)s: choose 1 to %(points)d.") % said
    if several:
        return _("%(side)s, %(aspect)s has no score yet.") % said
    return _("%(aspect)s has no score yet.") % said


def describe(payload: dict[str, Any], texts: dict[int, str], language: str) -> dict[str, Any]:
    """One text: its scores are the headline. Several: each text with its own."""
    scores, spans = payload["scores"], payload.get("spans", {})
    several = len(scores) > 1
    sides = [
        {"scores": in_words(given), "show_text": several, **marked(texts.get(int(key), ""), spans.get(key, []))}
        for key, given in scores.items()
        if several or key in spans
    ]
    count = len(scores)
    if several:
        headline = ngettext("%(count)d text scored", "%(count)d texts scored", count) % {"count": count}
    else:
        headline = in_words(next(iter(scores.values()), {})) or _("No score")
    return {
        "headline": headline, "comment": payload.get("comment", ""), "scores": scores, "sides": sides,
    }  # fmt: skip


def in_words(scores: dict[str, int]) -> str:
    return ", ".join(f"{key} {value}" for key, value in scores.items())


def field_of(side: Side, aspect: Aspect) -> str:
    return f"score-{side.letter}-{aspect.key}"
