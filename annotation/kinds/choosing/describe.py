"""A choice in words."""

from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext as _

from annotation.kinds.choosing.payload import ChoosingPayload
from annotation.kinds.spans import marked
from annotation.models.typology import label
from annotation.text.differences import differences
from annotation.text.extracts import LIST_LIMIT, extract


def describe(answer: ChoosingPayload, texts: dict[int, str], *, compared: bool = True) -> dict[str, Any]:
    """`compared`: whether edited texts show what was changed."""
    described: dict[str, Any] = {
        "headline": headline(answer),
        "reasons": labels(answer.reasons),
        "alternatives": [] if answer.is_ranking else alternatives(answer, texts, brief=not compared),
    }
    if answer.choice == "one" and answer.chosen is not None:
        described["text"] = texts.get(answer.chosen, "")
    if answer.is_ranking:
        described["ranking"] = [[texts.get(key, "") for key in group] for group in answer.groups]
    described["sides"] = [
        {
            "reasons": labels(answer.reasons_by_side.get(key, [])),
            **marked(texts.get(key, ""), answer.spans.get(key, [])),
        }
        for key in answer.shown
        if key in answer.reasons_by_side or key in answer.spans
    ]
    described["fixes"] = [
        {"text": text, "changes": differences(texts.get(key, ""), text) if compared else [("same", text)]}
        for key, text in answer.fixes.items()
    ]
    return described


def alternatives(answer: ChoosingPayload, texts: dict[int, str], *, brief: bool) -> list[dict[str, Any]]:
    """What was chosen between, in the order in which it was shown; with `brief`, the beginning of each."""
    limit = LIST_LIMIT // (len(answer.shown) + 1) if brief else None
    rows = []
    for key in answer.shown:
        text, spans = texts.get(key, ""), answer.spans.get(key, [])
        if limit is not None:
            text, spans = extract(text, limit), [span for span in spans if span["end"] <= limit]
        side = marked(text, spans)
        rows.append(
            {
                "is_chosen": answer.choice == "one" and key == answer.chosen,
                "reasons": labels(answer.reasons_by_side.get(key, [])),
                "pieces": side["pieces"],
                "marks": side["marks"],
            }
        )
    return rows


def labels(names: Iterable[str]) -> list[str]:
    return [label(name) for name in names]


def headline(answer: ChoosingPayload) -> str:
    match answer.choice:
        case "one" if len(answer.shown) > 2:
            return _("Best of %(count)s") % {"count": len(answer.shown)}
        case "one":
            return {1: _("Slightly better"), 2: _("Clearly better")}.get(answer.strength or 0, _("Better"))
        case "tie":
            return _("Equally good")
        case "both_bad":
            return _("All bad") if len(answer.shown) > 2 else _("Both bad")
    return _("All equally good") if len(answer.groups) == 1 else _("Ranked")
