"""Marks in a text: where an error is and how bad (scoring), or what is good and what is bad (choosing).

A mark counts Unicode code points of the stored text of the candidate. The page counts them in the text that it shows,
where the browser has made one character of each CR LF; `Positions` converts between the two.
"""

import json
from bisect import bisect_left
from collections.abc import Collection, Mapping
from itertools import pairwise
from typing import Any, NotRequired, TypedDict, cast

from django.http import QueryDict
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotation.kinds.presentation import PresentedTask, Problem, Side
from annotation.models.typology import label

# The severities of MQM, from the least severe.
SEVERITIES: dict[str, str | Promise] = {
    "neutral": gettext_lazy("Neutral"),
    "minor": gettext_lazy("Minor"),
    "major": gettext_lazy("Major"),
    "critical": gettext_lazy("Critical"),
}
QUALITIES: dict[str, str | Promise] = {"good": gettext_lazy("Good"), "bad": gettext_lazy("Bad")}
MAX_SPANS = 200  # in one text
MAX_JSON = 100_000


class Span(TypedDict):
    """`start` is the first code point, `end` the one after the last. Scoring adds category and severity, choosing
    quality."""

    start: int
    end: int
    category: NotRequired[str]
    severity: NotRequired[str]
    quality: NotRequired[str]


Spans = dict[int, list[Span]]  # by candidate id


def spans_from_json(stored: dict[str, Any]) -> Spans:
    spans = stored.get("spans")
    return {int(candidate): of_text for candidate, of_text in spans.items()} if spans else {}


def spans_to_json(spans: Spans) -> dict[str, Any]:
    """The payload's part, which is absent where there are no marks."""
    return {"spans": {str(candidate): marks for candidate, marks in spans.items()}} if spans else {}


class Positions:
    """Positions in a text as it is stored, and as a browser shows it."""

    def __init__(self, text: str) -> None:
        self.length = len(text)
        self.stored: list[int] | None = None
        if "\r\n" in text:
            kept = [at for at in range(len(text)) if not (at and text.startswith("\r\n", at - 1))]
            self.stored = [*kept, len(text)]
            self.length = len(kept)

    def to_stored(self, at: int) -> int:
        return at if self.stored is None else self.stored[at]

    def to_shown(self, at: int) -> int:
        return at if self.stored is None else bisect_left(self.stored, at)


def read_spans(
    form: QueryDict, shown: PresentedTask, allowed: Mapping[str, Collection[str]]
) -> tuple[Spans, list[Problem]]:
    """The marks of each side, in reading order, and what is wrong with the others. `allowed` names the attributes of a
    mark besides its position, and the values that each may take. Marks may overlap: a word can have two errors."""
    spans: Spans = {}
    problems: list[Problem] = []
    for side in shown.sides:
        field = f"spans-{side.letter}"
        raw = form.get(field, "")
        try:
            marks = json.loads(raw) if raw and len(raw) <= MAX_JSON else []
        except (ValueError, RecursionError):
            marks = None
        if not isinstance(marks, list) or len(raw) > MAX_JSON:
            problems.append((field, _("The marks in text %(side)s cannot be read.") % {"side": side.letter.upper()}))
            continue
        kept, messages = read_marks(marks, side, allowed)
        problems += [(field, message) for message in messages]
        if len(kept) > MAX_SPANS:
            message = _("Text %(side)s has more than %(most)d marks.")
            problems.append((field, message % {"side": side.letter.upper(), "most": MAX_SPANS}))
        if kept:
            spans[side.candidate] = kept[:MAX_SPANS]
    return spans, problems


def read_marks(marks: list[Any], side: Side, allowed: Mapping[str, Collection[str]]) -> tuple[list[Span], list[str]]:
    positions = Positions(side.text)
    kept: dict[tuple[Any, ...], Span] = {}
    problems = []
    for mark in marks:
        mark = mark if isinstance(mark, dict) else {}
        start, end = mark.get("start"), mark.get("end")
        if type(start) is not int or type(end) is not int or not 0 <= start < end <= positions.length:
            problems.append(_("A mark in text %(side)s lies outside it.") % {"side": side.letter.upper()})
            continue
        values = {name: mark.get(name) for name in allowed}
        if unknown := next((name for name, value in values.items() if value not in list(allowed[name])), None):
            message = _("A mark in text %(side)s says “%(value)s”, which this project does not know: remove it.")
            problems.append(message % {"side": side.letter.upper(), "value": str(values[unknown] or "")[:60]})
            continue
        span = {"start": positions.to_stored(start), "end": positions.to_stored(end), **values}
        kept[tuple(span.values())] = cast(Span, span)
    return [kept[key] for key in sorted(kept)], problems


def ask(name: str, legend: str, options: Mapping[str, str | Promise]) -> dict[str, Any]:
    """One question about a mark, for the page: each option has a key, until the keys run out."""
    keys = "1234567890qwertyuiop"
    return {
        "name": name,
        "legend": legend,
        "options": [
            {"value": value, "label": label, "key": keys[at] if at < len(keys) else ""}
            for at, (value, label) in enumerate(options.items())
        ],
    }


def present_spans(side: Side, spans: Spans) -> str:
    """The marks of a side as the page's script reads them."""
    positions = Positions(side.text)
    return json.dumps(
        [
            {**span, "start": positions.to_shown(span["start"]), "end": positions.to_shown(span["end"])}
            for span in spans.get(side.candidate, [])
        ],
        ensure_ascii=False,
    )


def marked(text: str, spans: list[Span]) -> dict[str, Any]:
    """A text with its marks for people to read: its `pieces`, each with the marks that cover it and those that end
    there, and the numbered `marks`."""
    marks = [
        {
            "number": number,
            "quote": text[span["start"] : span["end"]],
            "severity": SEVERITIES.get(span.get("severity", ""), ""),
            "quality": QUALITIES.get(span.get("quality", ""), ""),
            "category": label(span.get("category", "")),
            "tone": "good" if span.get("quality") == "good" else "bad",
        }
        for number, span in enumerate(spans, start=1)
    ]
    cuts = sorted({0, len(text), *(span["start"] for span in spans), *(span["end"] for span in spans)})
    pieces = []
    for start, end in pairwise(cuts):
        over = [mark for span, mark in zip(spans, marks, strict=True) if span["start"] < end and span["end"] > start]
        ends = [mark for span, mark in zip(spans, marks, strict=True) if span["end"] == end]
        pieces.append({"text": text[start:end], "marks": over, "ends": ends})
    return {"text": text, "pieces": pieces, "marks": marks}
