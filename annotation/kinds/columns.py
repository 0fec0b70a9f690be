"""What the kinds share to write an answer into the columns of an export (`annotation.exchange.columns` names them)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from annotation.kinds.presentation import AspectsByKey
from annotation.kinds.spans import Spans
from annotation.text.edit_distance import edits_between


@dataclass(frozen=True, slots=True)
class AnswerContext:
    """What an answer refers to. `texts` are the task's candidates by id, `aspects` the project's by key (retired ones
    too), `weights` those of the answer's version, `language` that of the answers."""

    texts: Mapping[int, str]
    language: str
    aspects: AspectsByKey
    weights: dict[str, float] | None = None


def mark_columns(spans: Spans, texts: Mapping[int, str]) -> list[dict[str, Any]]:
    """Each mark with the passage that it covers."""
    return [
        {
            "candidate_id": candidate,
            "start": span["start"],
            "end": span["end"],
            "quote": texts[candidate][span["start"] : span["end"]] if candidate in texts else None,
            "category": span.get("category"),
            "severity": span.get("severity"),
            "quality": span.get("quality"),
        }
        for candidate, spans_of_text in spans.items()
        for span in spans_of_text
    ]


def edit_columns(original: str | None, edited: str, language: str) -> dict[str, Any]:
    """How far an edited text is from its original; nothing where the original is unknown. `hter` is the rate where
    moved blocks were looked for."""
    if original is None:
        return {"edit_count": None, "edit_rate": None, "hter": None}
    edits = edits_between(original, edited, language)
    return {"edit_count": edits.count, "edit_rate": edits.rate, "hter": edits.rate if edits.is_ter else None}


def by_candidate(values: Mapping[int, Any], name: str) -> Iterator[dict[str, Any]]:
    for candidate, value in values.items():
        yield {"candidate_id": candidate, name: value}
