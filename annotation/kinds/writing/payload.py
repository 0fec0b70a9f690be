"""What is stored of a written answer."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class WritingPayload:
    text: str

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "WritingPayload":
        return cls(text=stored.get("text", ""))

    def to_json(self) -> dict[str, Any]:
        return {"text": self.text}
