"""How far a post-edit is from the text it started from, by words, or by characters where words have no spaces."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

from annotation.text.languages import base_language
from annotation.text.normalization import normal_form

# Languages written without spaces between words: their tokens are characters.
UNSPACED = {"ja", "zh", "th", "lo", "km", "my", "bo", "yue", "wuu", "dz"}
# A vowel sign or an accent belongs to the letter before it. They lie in the first two planes, but for the last range.
MARKS = "".join(sign for sign in map(chr, range(0x300, 0x20000)) if unicodedata.category(sign).startswith("M"))
MARKS += "\U000e0100-\U000e01ef"
WORD = re.compile(rf"[\w{MARKS}]+(?:['’][\w{MARKS}]+)*|[^\w\s{MARKS}\ufeff]")
CHARACTER = re.compile(rf"[^\s\ufeff][{MARKS}]*")


# The search for moved blocks takes time and memory by the square of the length (1,000 tokens: up to 0.4 s, while
# somebody types): in longer texts they are not looked for.
MAX_TOKENS = 1_000


@dataclass(frozen=True)
class Edits:
    """`count` tokens inserted, deleted or replaced, and blocks of tokens moved; `rate` is the count per token of the
    edited text, which is HTER if `is_ter`: if moved blocks were looked for."""

    count: int
    rate: float
    is_ter: bool = True


def is_unspaced(language: str) -> bool:
    return base_language(language) in UNSPACED


def tokens(text: str, language: str) -> list[str]:
    """Words and punctuation marks; where words have no spaces, characters, each with its combining marks. They are
    those of the normal form: what reads the same has the same tokens."""
    return (CHARACTER if is_unspaced(language) else WORD).findall(normal_form(text))


def is_edited(original: str, edited: str, language: str) -> bool:
    """Whether `edits_between` counts anything, without counting."""
    return original != edited and tokens(original, language) != tokens(edited, language)


def edits_between(original: str, edited: str, language: str) -> Edits:
    """HTER as in Snover et al. (2006), with the post-edit as the reference; moving a block is one edit."""
    before, after = tokens(original, language), tokens(edited, language)
    length = max(len(after), 1)
    if before == after:
        return Edits(count=0, rate=0.0)
    is_ter = max(len(before), len(after)) <= MAX_TOKENS
    count = edits_with_moves(before, after) if is_ter else Levenshtein.distance(before, after)
    return Edits(count=count, rate=count / length, is_ter=is_ter)


def edits_with_moves(before: list[str], after: list[str]) -> int:
    """sacrebleu's TER, with its own search for moved blocks, which takes minutes for a page of text because it measures
    a thousand moves in Python: here rapidfuzz measures them, and sacrebleu aligns the texts once a move."""
    # A tenth of a second to import, and not needed to serve pages.
    from sacrebleu.metrics import lib_ter

    if not before or not after:
        return max(len(before), len(after))

    class Measured:
        """What sacrebleu gets for a text: its distance as [0], and (distance, alignment) when it unpacks it."""

        def __init__(self, words: list[str]) -> None:
            self.words = words

        def __getitem__(self, _: int) -> int:
            return int(Levenshtein.distance(self.words, after))

        def __iter__(self) -> Iterator[int | str]:
            yield self[0]
            yield align(self.words)[1]

    align = lib_ter.BeamEditDistance(after)
    moves = measured = 0
    words = before
    while True:
        gain, moved, measured = lib_ter._shift(words, after, Measured, measured)
        if gain <= 0 or measured >= lib_ter._MAX_SHIFT_CANDIDATES:
            return moves + int(Levenshtein.distance(words, after))
        moves, words = moves + 1, moved
