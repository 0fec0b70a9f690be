"""Numbers in words of the languages that CLDR has spelling rules for: 25 is fünfundzwanzig, vingt-cinq, veinticinco."""

from functools import lru_cache

import regex
from unicode_rbnf import FormatPurpose, RbnfEngine
from unicode_rbnf.engine import RbnfError

from annotation.text.languages import base_language, meant

INVISIBLE = regex.compile(r"\p{Cf}")
UNSPACED = regex.compile(r"[\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Hangul}]")
LARGEST = 10**12
# What people leave out and CLDR writes: einhundert is as well hundert, mille neuf cents is as well neuf cents.
ONES = "ein|eine|een|en|ett|um|uma|un|una|uno|один|одна|одно|одну|jeden|jedna|egy|bir|satu|một|एक"
LEADING_ONE = regex.compile(rf"^(?:{ONES})[ -]?(?=\p{{L}}{{2}})")


@lru_cache(maxsize=64)
def engine_of(language: str) -> RbnfEngine | None:
    for name in (meant(language).replace("-", "_"), base_language(language)):
        name = {"nb": "no"}.get(name, name)
        if name in RbnfEngine.get_supported_languages():
            return RbnfEngine.for_language(name)
    return None


@lru_cache(maxsize=4096)
def spellings(value: float, language: str) -> frozenset[str]:
    """How the language writes a whole number in words, in all genders and cases that CLDR has, as `plain`."""
    engine = engine_of(language)
    if engine is None or value != int(value) or not 0 <= value < LARGEST:
        return frozenset()
    found: set[str] = set()
    for purpose in (FormatPurpose.CARDINAL, FormatPurpose.ORDINAL, FormatPurpose.YEAR):
        try:
            found.update(engine.format_number(int(value), purpose).text_by_ruleset.values())
        except (RbnfError, ValueError, RecursionError):
            continue  # the language has no rules for this purpose
    found |= {LEADING_ONE.sub("", text) for text in found}
    return frozenset(plain(text) for text in found if not any(sign.isdecimal() for sign in text))


def plain(text: str) -> str:
    """In lower case, hyphens as spaces, without signs that have no ink."""
    return " ".join(INVISIBLE.sub("", text.casefold()).replace("-", " ").split())


def is_spelled(value: float, text: str, language: str) -> bool:
    """Whether the text, as `plain`, has the number in words. An ending may follow: fünfundzwanzigjährig."""
    return any(
        words in text if UNSPACED.match(words) else regex.search(rf"(?<![\p{{L}}\p{{M}}]){regex.escape(words)}", text)
        for words in spellings(value, language)
        if len(words) > 1
    )
