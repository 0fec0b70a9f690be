"""How far a post-edit is from the text it started from, by words, or by characters where words have no spaces."""

import re
import unicodedata
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

# Languages written without spaces between words: their tokens are characters.
UNSPACED = {"ja", "zh", "th", "lo", "km", "my", "bo", "yue", "wuu", "dz"}
# A vowel sign or an accent belongs to the letter before it. They lie in the first two planes, but for the last range.
MARKS = "".join(sign for sign in map(chr, range(0x300, 0x20000)) if unicodedata.category(sign).startswith("M"))
MARKS += "\U000e0100-\U000e01ef"
WORD = re.compile(rf"[\w{MARKS}]+(?:['’][\w{MARKS}]+)*|[^\w\s{MARKS}\ufeff]")
CHARACTER = re.compile(rf"[^\s\ufeff][{MARKS}]*")


@dataclass(frozen=True)
class Edits:
    """`count` tokens inserted, deleted or replaced; `rate` is HTER, the count per token of the edited text."""

    count: int
    rate: float


def is_unspaced(language: str) -> bool:
    return re.split("[-_]", language)[0].lower() in UNSPACED


def tokens(text: str, language: str) -> list[str]:
    """Words and punctuation marks; where words have no spaces, characters, each with its combining marks."""
    return (CHARACTER if is_unspaced(language) else WORD).findall(unicodedata.normalize("NFC", text))


def edits_between(original: str, edited: str, language: str) -> Edits:
    """HTER as in Snover et al. (2006), with the post-edit as the reference and no shifts."""
    before, after = tokens(original, language), tokens(edited, language)
    count = Levenshtein.distance(before, after)
    return Edits(count=count, rate=count / max(len(after), 1))
