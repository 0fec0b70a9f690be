"""Scores in words. Of one text, its scores are the headline; of several, each text has its own."""

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation.kinds.presentation import AspectsByKey
from annotation.kinds.scoring.payload import ScoringPayload
from annotation.kinds.spans import marked
from annotation.text.languages import isolate


def describe(answer: ScoringPayload, texts: dict[int, str], aspects: AspectsByKey) -> dict[str, Any]:
    count = len(answer.scores)
    several = count > 1
    known = {key for points in answer.scores.values() for key in points}
    names = {key: isolate(aspect.name) for key, aspect in aspects.items()} | {
        key: key for key in sorted(known - set(aspects))
    }
    sides = [
        {
            "scores": describe_points(points, aspects) if several else "",
            "short": " · ".join(f"{name} {points[key]}" for key, name in names.items() if key in points),
            "show_text": several,
            **marked(texts.get(candidate, ""), answer.spans.get(candidate, [])),
        }
        for candidate, points in answer.scores.items()
        if several or candidate in answer.spans
    ]
    if several:
        headline = ngettext("%(count)d text scored", "%(count)d texts scored", count) % {"count": count}
    else:
        headline = describe_points(next(iter(answer.scores.values()), {}), aspects) or _("No score")
    return {"headline": headline, "comment": answer.comment, "sides": sides}


def describe_points(points: dict[str, int], aspects: AspectsByKey) -> str:
    """Each score with the name that its aspect has now and the words of its point, in the order of the aspects."""
    order = {key: at for at, key in enumerate(aspects)}
    keys = sorted(points, key=lambda key: order.get(key, len(order)))
    return " · ".join(describe_point(aspects, key, points[key]) for key in keys)


def is_number(anchor: str) -> bool:
    return anchor.lstrip("-").replace(".", "", 1).isdecimal()


def describe_point(aspects: AspectsByKey, key: str, score: int) -> str:
    aspect = aspects.get(key)
    if aspect is None:
        return f"{key} {score}"
    anchor = aspect.anchors[score - 1].strip() if 0 < score <= aspect.points else ""
    name = isolate(aspect.name)
    if is_number(anchor):  # a file's own scale
        return _("{aspect} {score} ({worst} to {best})").format(
            aspect=name, score=anchor, worst=aspect.anchors[0], best=aspect.anchors[-1]
        )
    if not anchor:
        return f"{name} {score}"
    return _("{aspect} {score}: {anchor}").format(aspect=name, score=score, anchor=isolate(anchor))
