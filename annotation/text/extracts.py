"""The beginning of a long text, for lists: what a page costs must not grow with what people wrote."""

from typing import Any

LIST_LIMIT = 2_000  # characters of one text, and of one answer with all that it quotes


def extract(text: str, limit: int = LIST_LIMIT) -> str:
    """The text, or its beginning with an ellipsis, cut between words where there are any."""
    if len(text) <= limit:
        return text
    cut = text[:limit]
    return cut[: space if (space := cut.rfind(" ", limit - 40)) > 0 else limit].rstrip() + " …"


def size_of(value: Any) -> int:
    """Characters of all the texts within dictionaries and lists."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(map(size_of, value.values()))
    return sum(map(size_of, value)) if isinstance(value, list | tuple) else 0


def shortened(value: Any, limit: int = LIST_LIMIT) -> Any:
    """The same with the texts of dictionaries and lists cut so that they have about `limit` characters in all; items of
    a list beyond that are left out."""
    return _Budget(limit).spend(value)


class _Budget:
    def __init__(self, characters: int) -> None:
        self.left = characters

    def spend(self, value: Any) -> Any:
        if isinstance(value, str):
            cut = extract(value, max(self.left, 0))
            self.left -= len(value)
            return cut
        if isinstance(value, dict):
            return {key: self.spend(item) for key, item in value.items()}
        if isinstance(value, tuple):
            return tuple(self.spend(item) for item in value)
        if isinstance(value, list):
            kept = []
            for item in value:
                if self.left <= 0 and size_of(item):
                    break
                kept.append(self.spend(item))
            return kept
        return value
