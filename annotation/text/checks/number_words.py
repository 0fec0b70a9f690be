"""Numbers in words and as shares; `numbers_in` reads all the numbers of a text."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import regex

from annotation.text.checks.eras import with_eras
from annotation.text.checks.numerals import HAN_VALUES, Number, compounds, tokens_of, units_after
from annotation.text.languages import base_language

# Each line has its value, the next one 1 more.
ENGLISH_FROM_ZERO = """\
zero
one
two twice both couple
three thrice triple
four
five
six
seven
eight
nine
ten
eleven
twelve
thirteen
fourteen
fifteen
sixteen
seventeen
eighteen
nineteen"""
ENGLISH = {word: float(value) for value, line in enumerate(ENGLISH_FROM_ZERO.splitlines()) for word in line.split()}
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
ENGLISH |= {name: 10.0 * ten for ten, name in enumerate(TENS, start=2)}
ENGLISH |= {"once": 1.0, "first": 1.0, "second": 2.0, "third": 3.0, "fifth": 5.0, "eighth": 8.0, "ninth": 9.0}
ENGLISH |= {"twelfth": 12.0, "pair": 2.0, "double": 2.0, "single": 1.0}
ENGLISH |= {f"{name}th": value for name, value in list(ENGLISH.items()) if value >= 4 and not name.endswith("y")}
ENGLISH |= {f"{name[:-1]}ieth": value for name, value in list(ENGLISH.items()) if name.endswith("ty")}
ENGLISH_UNITS = {"hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12, "dozen": 12.0}
JAPANESE = {
    "ひとつ": 1,
    "ふたつ": 2,
    "みっつ": 3,
    "よっつ": 4,
    "いつつ": 5,
    "むっつ": 6,
    "ななつ": 7,
    "やっつ": 8,
    "ここのつ": 9,
}
JAPANESE |= {"ひとり": 1, "ふたり": 2}
SHARES = ("分の", "分之")
# Languages whose small numbers are known here as words; in others they are not missed.
NUMBER_WORDS = {"en", "ja", "zh", "yue"}

ANY = "|".join(sorted([*ENGLISH, *ENGLISH_UNITS], key=len, reverse=True))
ENGLISH_RUN = regex.compile(
    rf"(?<!\p{{L}})(?:{ANY})s?(?:(?:-|\s|\sand\s|,\s)(?:a\s)?(?:{ANY}|half))*"
    r"(?!\p{L})",
    regex.IGNORECASE,
)
ENGLISH_ONE = regex.compile(r"\b(?:an?|each|every|per)\b", regex.IGNORECASE)  # 1泊につき is "per night"
HALF = regex.compile(
    r"半|(?<!\p{L})(?:half|halb\p{L}*|demie?s?|medi[ao]s?|mezz[aoe]|полов\p{L}+|polovin\p{L}+)(?!\p{L})|반(?!\p{L})"
)


def english_words(text: str) -> Iterator[Number]:
    """twenty-five, two hundred and fifty, half a dozen."""
    for match in ENGLISH_RUN.finditer(text):
        total = part = 0.0
        for word in regex.findall(r"\p{L}+", match.group().lower()):
            if word == "half":
                part += 0.5
            elif (unit := ENGLISH_UNITS.get(word) or ENGLISH_UNITS.get(word.removesuffix("s"))) is not None:
                if unit >= 1e3:
                    total, part = total + (part or 1) * unit, 0.0
                else:
                    part = (part or 1) * unit
            elif word in ENGLISH or word.removesuffix("s") in ENGLISH:
                part += ENGLISH.get(word, ENGLISH.get(word.removesuffix("s"), 0.0))
        words = [ENGLISH[word] for word in regex.findall(r"\p{L}+", match.group().lower()) if word in ENGLISH]
        parts = tuple(words) if len(words) > 1 else ()
        yield Number(match.group(), match.start(), match.end(), frozenset({total + part}), parts)
    for match in ENGLISH_ONE.finditer(text):
        yield Number(match.group(), match.start(), match.end(), frozenset({1.0}))


def numbers_in(text: str, language: str, *, words: bool = False) -> list[Number]:
    """The numbers of a `prepared` text in reading order; with `words`, also those that are written out."""
    found = list(compounds(text, list(units_after(text, list(tokens_of(text, language)), language))))
    base = base_language(language)
    if words and base == "en":
        found += english_words(text)
    if words and base == "ja":
        for match in regex.finditer("|".join(JAPANESE), text):
            found.append(Number(match.group(), match.start(), match.end(), frozenset({float(JAPANESE[match.group()])})))
    found.sort(key=lambda number: number.start)
    return with_eras(text, language, with_ranges(text, mixed(text, with_shares(text, with_halves(text, found)))))


def mixed(text: str, numbers: list[Number]) -> list[Number]:
    """1 1/2 is one and a half; it may as well be two numbers, or three."""
    result: list[Number] = []
    for number in numbers:
        before = result[-1] if result else None
        if (
            before
            and before.text.isdecimal()
            and regex.fullmatch(r"\d{1,2}\s?[/⁄]\s?\d{1,2}", number.text)
            and text[before.end : number.start] in (" ", "\u00a0", "-")
            and (fraction := min(number.values, default=1)) < 1
        ):
            whole = min(before.values)
            written = text[before.start : number.end]
            result[-1] = Number(
                written, before.start, number.end, frozenset({whole + fraction}), (whole, *number.parts)
            )
        else:
            result.append(number)
    return result


def with_ranges(text: str, numbers: list[Number]) -> list[Number]:
    """The end of a range whose first digits are left out: 20 of 2019–20 is 2020 as well."""
    result = numbers[:1]
    for before, number in pairwise(numbers):
        if (
            before.text.isdecimal()
            and number.text.isdecimal()
            and len(number.text) < len(before.text)
            and text[before.end : number.start] in ("-", "–", "—", "/", "~", "〜")
            and (full := before.text[: -len(number.text)] + number.text) > before.text
        ):
            number = replace(number, values=number.values | {float(full)})
        result.append(number)
    return result


def with_halves(text: str, numbers: list[Number]) -> list[Number]:
    """A half after a number is part of it: 2年半 and “2 and a half” are 2.5. By itself it is 0.5, 30 or 50 %."""
    numbers = sorted(numbers, key=lambda number: number.end)
    ends = [number.end for number in numbers]
    halves = []
    for match in HALF.finditer(text):
        at = bisect_right(ends, match.start()) - 1
        if at >= 0 and match.start() - ends[at] <= 8 and not regex.search(r"[.,;。、]", text[ends[at] : match.start()]):
            number = numbers[at]
            numbers[at] = replace(number, values=number.values | {value + 0.5 for value in number.values})
        halves.append(Number(match.group(), match.start(), match.end(), frozenset({0.5, 30.0, 50.0})))
    return sorted([*numbers, *halves], key=lambda number: number.start)


def with_shares(text: str, numbers: list[Number]) -> list[Number]:
    """1/2, 2分の1, 3割5分 and 百分之三点五 as shares; 7折 is the price after 30 % off. Each may also be two
    numbers, so both are its parts."""
    numbers = with_points(text, numbers)
    result: list[Number] = []
    at = 0
    while at < len(numbers):
        one, other = numbers[at], numbers[at + 1] if at + 1 < len(numbers) else None
        value = share(text, one, other) if other and one.values and other.values else None
        if other and value is not None:
            parts = (*(one.parts or (min(one.values),)), *(other.parts or (min(other.values),)))
            values = frozenset({value})
            if 100.0 in one.values and text[one.end : other.start] in SHARES:  # 百分之三 is 3 per cent
                values |= other.values
            result.append(Number(text[one.start : other.end], one.start, other.end, values, parts))
            at += 2
            continue
        after = text[one.end : one.end + 1]
        if after == "割":
            one = replace(one, values=one.values | {10 * value for value in one.values})
        elif after == "折":
            one = replace(one, values=one.values.union(*({10 * value, 100 - 10 * value} for value in one.values)))
        result.append(one)
        at += 1
    return result


def with_points(text: str, numbers: list[Number]) -> list[Number]:
    """三点一四 is 3.14; it may as well be two numbers."""
    result: list[Number] = []
    for number in numbers:
        before = result[-1] if result else None
        if (
            before
            and not before.parts
            and text[before.end : number.start] in ("点", "點", "・")
            and all(regex.fullmatch(r"[〇零一二三四五六七八九十百]+", each.text) for each in (before, number))
            and regex.fullmatch(r"[〇零一二三四五六七八九]+", number.text)
        ):
            digits = "".join(f"{HAN_VALUES[sign]:.0f}" for sign in number.text)
            written, parts = text[before.start : number.end], (min(before.values), min(number.values))
            values = frozenset({float(f"{min(before.values):.0f}.{digits}")})
            result[-1] = Number(written, before.start, number.end, values, parts)
        else:
            result.append(number)
    return result


def share(text: str, one: Number, other: Number) -> float | None:
    """The value of two numbers that are one share or fraction."""
    gap, first, second = text[one.end : other.start], min(one.values), min(other.values)
    if regex.fullmatch(r"\s?[/⁄]\s?", gap) and second:
        before, after = text[max(0, one.start - 4) : one.start], text[other.end : other.end + 4]
        is_date = regex.search(r"\d\s?/\s?$", before) or regex.match(r"\s?/\s?\d", after)
        return None if is_date else first / second
    if gap in SHARES and first:
        return second / first
    if gap == "割" and text[other.end : other.end + 1] == "分":
        return 10 * first + second
    return None
