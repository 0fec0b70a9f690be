"""What is stored of a post-edit."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class PosteditingPayload:
    """`candidate` is the id of the original."""

    candidate: int
    text: str
    unchanged: bool

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "PosteditingPayload":
        return cls(
            candidate=stored.get("candidate", 0),
            text=stored.get("text", ""),
            unchanged=stored.get("unchanged", False),
        )

    def to_json(self) -> dict[str, Any]:
        return {"candidate": self.candidate, "text": self.text, "unchanged": self.unchanged}
