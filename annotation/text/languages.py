"""What CLDR and Unicode know of the language of a text: its script, direction, separators and names of time."""

import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Literal

import regex
from babel import Locale, UnknownLocaleError
from babel.core import get_global

from annotation.text.language_tags import right_tag

Direction = Literal["ltr", "rtl", "auto"]


@lru_cache(maxsize=1024)
def meant(tag: str) -> str:
    """The tag as CLDR knows it: with a macrolanguage where it has data of that (`zh` for cmn, `ar` for arb), and the
    right one where a project has a wrong one from before tags were checked (`ja` for jp)."""
    first, *rest = tag.split("-")
    if first.lower() in get_global("likely_subtags"):
        return tag
    if known := get_global("language_aliases").get(first.lower()):
        return "-".join([*known.split("_"), *rest])
    return right_tag(tag) or tag


def base_language(tag: str) -> str:
    """`pt` of `pt-BR`."""
    return meant(tag).split("-")[0].lower()


@lru_cache(maxsize=256)
def locale_of(tag: str) -> Locale | None:
    """CLDR's data of the tag, or else of its language; None where CLDR has none."""
    for wish in (meant(tag), base_language(tag)):
        try:
            return Locale.parse(wish, sep="-")
        except (ValueError, UnknownLocaleError):
            continue
    return None


@lru_cache(maxsize=256)
def script_of(tag: str) -> str | None:
    """`Arab` of `ar`, `Latn` of `sr-Latn`: the script that the tag names, or else the usual one of its language."""
    subtags = meant(tag).split("-")
    if named := next((part for part in subtags[1:] if len(part) == 4 and part.isalpha()), None):
        return named.title()
    language = subtags[0].lower()
    if language == "und":
        return None
    likely = get_global("likely_subtags")
    regions = [f"{language}_{part.upper()}" for part in subtags[1:] if len(part) == 2]
    usual: str = next((likely[key] for key in (*regions, language) if key in likely), "")
    return next((part for part in usual.split("_") if len(part) == 4), None)


@cache
def right_to_left_letters() -> str:
    return "".join(sign for sign in map(chr, range(0x590, 0x1F000)) if unicodedata.bidirectional(sign) in ("R", "AL"))


@lru_cache(maxsize=256)
def direction(tag: str) -> Direction:
    """How texts in the language are laid out; "auto", by the text's first letter, where the language is unknown."""
    script = script_of(tag)
    if script is None:
        return "auto"
    try:
        return "rtl" if regex.search(rf"\p{{Script={script}}}", right_to_left_letters()) else "ltr"
    except regex.error:
        return "ltr"  # a script of several, such as Jpan or Kore: Unicode has none of this name, and all run rightwards


def isolate(text: str) -> str:
    """A name inside a plain sentence: with isolating characters around it where it has right-to-left letters, which
    would reorder the sentence. In HTML, `<bdi>` does the same."""
    return f"\u2068{text}\u2069" if any(unicodedata.bidirectional(sign) in ("R", "AL") for sign in text) else text


@dataclass(frozen=True)
class Separators:
    decimal: frozenset[str]
    group: frozenset[str]


@lru_cache(maxsize=256)
def separators(tag: str) -> Separators:
    """Decimal and grouping signs in all the digits of the language. A language without a region also has those of its
    world region: Spanish writes 1.200,5 in Spain and 1,200.5 in Latin America (es-419)."""
    locales = [locale_of(tag)]
    if locales[0] is not None and "-" not in meant(tag):
        locales += [locale_of(f"{base_language(tag)}-{region}") for region in ("419", "001")]
    decimal: set[str] = set()
    group: set[str] = set()
    for locale in locales:
        for symbols in locale.number_symbols.values() if locale else ():
            if hasattr(symbols, "get") and "decimal" in symbols:  # others are an alias of these
                decimal.add(symbols["decimal"])
                group.add(symbols["group"])
    return Separators(frozenset(decimal), frozenset(group))


@lru_cache(maxsize=256)
def magnitudes(tag: str) -> dict[str, float]:
    """“Million”, “Millionen” and “Mio.” of German, लाख of Hindi, 万 of Japanese, each with its value."""
    locale = locale_of(tag)
    words: dict[str, float] = {}
    if locale is None:
        return words
    for length in ("short", "long"):
        for plurals in locale.compact_decimal_formats.get(length, {}).values():
            for count, pattern in plurals.items():
                text = pattern.pattern.split(";")[0]
                word = unicodedata.normalize("NFC", text.replace("0", "").replace("'", "").strip("\u200f\u200e \u00a0"))
                if word and "¤" not in word:
                    words[word] = float(count) / 10 ** (text.count("0") - 1)
    return words


@lru_cache(maxsize=256)
def day_periods(tag: str) -> dict[str, frozenset[str]]:
    """The words of each part of the day by CLDR's names without their numbers: am, pm, noon, midnight, morning …"""
    locale = locale_of(tag)
    words: dict[str, set[str]] = {}
    for context in locale.day_periods.values() if locale else ():
        for periods in context.values():
            for name, word in periods.items():
                # One letter is a part of the day in Chinese writing only: English "n" is noon.
                if len(word) > 1 or regex.match(r"\p{Han}", word):
                    words.setdefault(name.rstrip("0123456789"), set()).add(unicodedata.normalize("NFC", word))
    return {name: frozenset(found) for name, found in words.items()}


@lru_cache(maxsize=256)
def month_names(tag: str) -> dict[str, int]:
    """Names of the months, where they are words: 5月 is a number."""
    locale = locale_of(tag)
    names: dict[str, int] = {}
    for context in locale.months.values() if locale else ():
        for width in ("wide", "abbreviated"):
            for number, name in context.get(width, {}).items():
                if len(name) > 2 and not any(sign.isdecimal() for sign in name):
                    names[unicodedata.normalize("NFC", name)] = number
    return names


@lru_cache(maxsize=256)
def puts_percent_first(tag: str) -> bool:
    """Turkish and Basque write %50."""
    locale = locale_of(tag)
    return locale is not None and locale.percent_formats[None].pattern.startswith("%")
