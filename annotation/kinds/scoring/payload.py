"""What is stored of scores."""

from dataclasses import dataclass, field
from typing import Any

from annotation.kinds.spans import Spans, spans_from_json, spans_to_json


@dataclass(frozen=True, slots=True)
class ScoringPayload:
    """`scores` by candidate id, then by aspect key: points from 1."""

    scores: dict[int, dict[str, int]]
    comment: str = ""
    spans: Spans = field(default_factory=dict)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "ScoringPayload":
        return cls(
            scores={int(candidate): points for candidate, points in stored.get("scores", {}).items()},
            comment=stored.get("comment", ""),
            spans=spans_from_json(stored),
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "scores": {str(candidate): points for candidate, points in self.scores.items()},
            "comment": self.comment,
            **spans_to_json(self.spans),
        }
