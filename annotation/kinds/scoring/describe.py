"""Scores in words. Of one text, its scores are the headline; of several, each text has its own."""

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation.kinds.scoring.payload import ScoringPayload
from annotation.kinds.spans import marked


def describe(answer: ScoringPayload, texts: dict[int, str]) -> dict[str, Any]:
    count = len(answer.scores)
    several = count > 1
    sides = [
        {
            "scores": describe_points(points),
            "show_text": several,
            **marked(texts.get(candidate, ""), answer.spans.get(candidate, [])),
        }
        for candidate, points in answer.scores.items()
        if several or candidate in answer.spans
    ]
    if several:
        headline = ngettext("%(count)d text scored", "%(count)d texts scored", count) % {"count": count}
    else:
        headline = describe_points(next(iter(answer.scores.values()), {})) or _("No score")
    return {"headline": headline, "comment": answer.comment, "scores": answer.scores, "sides": sides}


def describe_points(points: dict[str, int]) -> str:
    return ", ".join(f"{aspect} {value}" for aspect, value in points.items())
