"""How far a post-edit is from the text it started from, by words, or by characters where words have no spaces."""

import re
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

# Languages written without spaces between words: their tokens are characters.
UNSPACED = {"ja", "zh", "th", "lo", "km", "my", "bo", "yue"}
WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")
CHARACTER = re.compile(r"\S")


@dataclass(frozen=True)
class Edits:
    """`count` tokens inserted, deleted or replaced; `rate` is HTER, the count per token of the edited text."""

    count: int
    rate: float


def is_unspaced(language: str) -> bool:
    return language.split("-")[0].lower() in UNSPACED


def tokens(text: str, language: str) -> list[str]:
    return (CHARACTER if is_unspaced(language) else WORD).findall(text)


def edits_between(original: str, edited: str, language: str) -> Edits:
    """HTER as in Snover et al. (2006), with the post-edit as the reference and no shifts."""
    before, after = tokens(original, language), tokens(edited, language)
    count = Levenshtein.distance(before, after)
    return Edits(count=count, rate=count / max(len(after), 1))
