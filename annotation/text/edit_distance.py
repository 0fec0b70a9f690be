"""How far a post-edit is from the text it started from, by words, or by characters where words have no spaces."""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from rapidfuzz.distance import Levenshtein

from annotation.text.languages import script_of
from annotation.text.moves import edits_with_moves
from annotation.text.normalization import normal_form

# Scripts without spaces between words: their tokens are characters. Japanese in Latin letters (ja-Latn) has spaces.
UNSPACED_SCRIPTS = {"Jpan", "Hrkt", "Hira", "Kana", "Hani", "Hans", "Hant", "Thai", "Laoo", "Khmr", "Mymr", "Tibt"}
UNSPACED_SCRIPTS |= {"Lana", "Tale", "Talu"}
# A vowel sign or an accent belongs to the letter before it. They lie in the first two planes, but for the last range.
MARKS = "".join(sign for sign in map(chr, range(0x300, 0x20000)) if unicodedata.category(sign).startswith("M"))
EVERY_MARK = frozenset(MARKS).union(map(chr, range(0xE0100, 0xE01F0)))
MARKS += "\U000e0100-\U000e01ef"
WORD = re.compile(rf"[\w{MARKS}]+(?:['’][\w{MARKS}]+)*|[^\w\s{MARKS}\ufeff]")
CHARACTER = re.compile(rf"[^\s\ufeff][{MARKS}]*")
# The same for texts without such a mark, which are nearly all: ten times as fast without the long classes.
UNMARKED_WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s\ufeff]")
UNMARKED_CHARACTER = re.compile(r"[^\s\ufeff]")

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


@lru_cache(maxsize=256)
def is_unspaced(language: str) -> bool:
    return script_of(language) in UNSPACED_SCRIPTS


def tokens(text: str, language: str) -> list[str]:
    """Words and punctuation marks; where words have no spaces, characters, each with its combining marks. They are
    those of the normal form: what reads the same has the same tokens."""
    text = normal_form(text)
    if EVERY_MARK.isdisjoint(text):
        return (UNMARKED_CHARACTER if is_unspaced(language) else UNMARKED_WORD).findall(text)
    return (CHARACTER if is_unspaced(language) else WORD).findall(text)


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
    # Each token as one character: strings are compared faster than lists. In Japanese nearly every token is one.
    text, goal = "".join(before), "".join(after)
    if len(text) != len(before) or len(goal) != len(after):
        signs = {token: chr(number) for number, token in enumerate(dict.fromkeys([*before, *after]))}
        text, goal = ("".join(map(signs.__getitem__, tokens)) for tokens in (before, after))
    count = edits_with_moves(text, goal) if is_ter else Levenshtein.distance(text, goal)
    return Edits(count=count, rate=count / length, is_ter=is_ter)
