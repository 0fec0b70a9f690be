"""What is stored of a choice."""

from dataclasses import dataclass, field
from typing import Any

from annotation.kinds.spans import Spans, spans_from_json, spans_to_json

Ranking = list[list[int]]  # groups of equally good candidates, best first


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoosingPayload:
    """`shown` are the ids of the candidates, in the order of their sides.

    choice: "one" (`chosen` is better than each of the others, of which a recorded answer may have several), "tie",
    "both_bad" (all bad), or "ranking" (of more than two); None in a draft.
    strength: 1 slightly, 2 clearly better; None where the annotator did not say.
    ranking: None where nothing was ranked; a draft's may lack candidates.
    fixes: by candidate, its text as edited along with the choice.
    """

    shown: list[int]
    choice: str | None = None
    chosen: int | None = None
    strength: int | None = None
    reasons: list[str] = field(default_factory=list)
    reasons_by_side: dict[int, list[str]] = field(default_factory=dict)
    ranking: Ranking | None = None
    fixes: dict[int, str] = field(default_factory=dict)
    spans: Spans = field(default_factory=dict)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "ChoosingPayload":
        by_side, fixes = stored.get("reasons_by_side"), stored.get("fixes")
        return cls(
            shown=stored.get("shown", []),
            choice=stored.get("choice"),
            chosen=stored.get("chosen"),
            strength=stored.get("strength"),
            reasons=stored.get("reasons", []),
            reasons_by_side={int(key): names for key, names in by_side.items()} if by_side else {},
            ranking=stored.get("ranking"),
            fixes={int(key): text for key, text in fixes.items()} if fixes else {},
            spans=spans_from_json(stored),
        )

    def to_json(self) -> dict[str, Any]:
        """Parts that were added to the form later are absent where they are empty, as in answers from before them."""
        stored: dict[str, Any] = {
            "choice": self.choice,
            "chosen": self.chosen,
            "shown": self.shown,
            "strength": self.strength,
            "reasons": self.reasons,
        }
        if self.ranking is not None:
            stored["ranking"] = self.ranking
        if self.reasons_by_side:
            stored["reasons_by_side"] = {str(key): names for key, names in self.reasons_by_side.items()}
        if self.fixes:
            stored["fixes"] = {str(key): text for key, text in self.fixes.items()}
        return stored | spans_to_json(self.spans)

    @property
    def is_ranking(self) -> bool:
        return self.choice == "ranking"

    @property
    def is_bad(self) -> bool:
        return self.choice == "both_bad"

    @property
    def groups(self) -> Ranking:
        return self.ranking or []
