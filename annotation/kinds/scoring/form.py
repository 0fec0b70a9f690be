"""The form of scores: each aspect on its own scale; several texts stand side by side."""

import json
from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation.core.errors import InvalidInput
from annotation.kinds.presentation import PresentedTask, Problem, Side, posted_text
from annotation.kinds.scoring.payload import ScoringPayload
from annotation.kinds.spans import SEVERITIES, ask, present_spans, read_spans
from annotation.models import Aspect
from annotation.models.typology import label

MAX_COMMENT = 4_000


def present(shown: PresentedTask, entered: ScoringPayload | None) -> dict[str, Any]:
    answer = entered or ScoringPayload(scores={})
    sides = [
        {
            "letter": side.letter,
            "text": side.text,
            "spans": present_spans(side, answer.spans),
            "rows": [
                {"aspect": aspect, "field": field_of(side, aspect), "points": points_of(side, aspect, answer)}
                for aspect in shown.aspects
            ],
        }
        for side in shown.sides
    ]
    categories = shown.project.error_categories
    return {
        "heading": ngettext("Score this text", "Score these texts", len(sides)),
        "sides": sides,
        "rows": [row for side in sides for row in side["rows"]],
        "comment": answer.comment,
        "several": len(sides) > 1,
        "asks": questions_of_marks(categories) if categories else [],
        "show_total": shown.project.show_total,
        "weights": json.dumps(shown.weights or {}) if shown.project.show_total else "",
    }


def questions_of_marks(categories: list[str]) -> list[dict[str, Any]]:
    return [
        ask("category", _("What kind of error?"), {name: label(name) for name in categories}),
        ask("severity", _("How bad is it?"), SEVERITIES),
    ]


def points_of(side: Side, aspect: Aspect, answer: ScoringPayload) -> list[dict[str, Any]]:
    score = answer.scores.get(side.candidate, {}).get(aspect.key)
    return [
        {"value": value, "anchor": anchor, "checked": score == value}
        for value, anchor in enumerate(aspect.anchors, start=1)
    ]


def read(form: QueryDict, shown: PresentedTask, *, complete: bool) -> ScoringPayload:
    scores: dict[int, dict[str, int]] = {}
    problems: list[Problem] = []
    for side in shown.sides:
        points = scores.setdefault(side.candidate, {})
        for aspect in shown.aspects:
            field = field_of(side, aspect)
            value = form.get(field, "")
            if value.isascii() and value.isdecimal() and len(value) < 3 and 1 <= int(value) <= aspect.points:
                points[aspect.key] = int(value)
            else:
                problems.append((field, missing(side, aspect, shown, out_of_scale=bool(value))))
    comment = posted_text(form, "comment")
    if len(comment) > MAX_COMMENT:
        problems.append(("comment", _("At most %(most)s characters.") % {"most": f"{MAX_COMMENT:,}"}))
    allowed = {"category": shown.project.error_categories, "severity": list(SEVERITIES)}
    spans, span_problems = read_spans(form, shown, allowed)
    problems += span_problems
    if problems and complete:
        message = ngettext("%(count)d thing is missing.", "%(count)d things are missing.", len(problems))
        raise InvalidInput(problems[0][1] if len(problems) == 1 else message % {"count": len(problems)}, problems)
    return ScoringPayload(scores=scores, comment=comment.strip() if complete else comment, spans=spans)


def missing(side: Side, aspect: Aspect, shown: PresentedTask, *, out_of_scale: bool) -> str:
    several = len(shown.sides) > 1
    values = {"side": side.letter.upper(), "aspect": aspect.name, "points": aspect.points}
    if out_of_scale and several:
        return _("%(side)s, %(aspect)s: choose 1 to %(points)d.") % values
    if out_of_scale:
        return _("%(aspect)s: choose 1 to %(points)d.") % values
    if several:
        return _("%(side)s, %(aspect)s has no score yet.") % values
    return _("%(aspect)s has no score yet.") % values


def field_of(side: Side, aspect: Aspect) -> str:
    return f"score-{side.letter}-{aspect.key}"
