"""Whether the target has every number of the source, with its fraction, magnitude, unit and sign."""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache

import regex

from annotation.text.checks.finding import Finding
from annotation.text.checks.number_words import NUMBER_WORDS, numbers_in
from annotation.text.checks.numerals import Number, prepared, word_pattern
from annotation.text.checks.roman import roman_numbers
from annotation.text.checks.signs import lost_signs
from annotation.text.checks.spelled import is_spelled, plain
from annotation.text.checks.units import lost_units
from annotation.text.languages import base_language, day_periods, month_names

# 24/7 is an idiom, and 1st is as well "first".
NOT_ASKED = regex.compile(r"24\s*/\s*7|(?<!\w)[123](?:st|nd|rd|th)(?!\w)")
FULL_HOUR = regex.compile(r"(?<=\d):00(?!\w)")
# English a.m. and p.m. occur in texts of many languages.
BEFORE_NOON = frozenset({"am", "morning", "midnight", "night"})
AFTER_NOON = frozenset({"pm", "noon", "afternoon", "evening", "night"})
NEAR = 12  # characters between an hour and the part of the day that it belongs to
MAX_NAME = 30  # characters of such a name
DAY_ENDS = {0.0, 12.0, 24.0}
WRITTEN_AS_NUMBER = regex.compile(r"[\d\p{Nl}\p{No}]|\p{Han}{3}")
# A 千 or 一 by itself is mostly part of a word.
LONE_HAN = regex.compile(r"\p{Han}{1,2}|[〇零一二三四五六七八九]+|[十百千万億兆]+")
SMALL = 12
WITH_SMALL = frozenset(float(value) for value in range(SMALL + 1)) | {0.5}


def missing_numbers(source: str, target: str, source_language: str, target_language: str) -> list[str]:
    """Numbers of the source that the target does not have, as written, in order and without repeats.

    Each number of the target answers for one of the source. Where the target's language has words for small numbers
    that are not known here, small numbers are not missed.
    """
    source, target = prepared(source), prepared(target)
    return missing(source, target, present_numbers(target, target_language), (source_language, target_language))


def number_findings(source: str, target: str, source_language: str, target_language: str) -> Iterator[Finding]:
    """Missing numbers, and those that are there without their unit or sign."""
    source, target = prepared(source), prepared(target)
    if not any(sign.isnumeric() for sign in source):
        return
    languages = source_language, target_language
    present = present_numbers(target, target_language)
    for number in missing(source, target, present, languages):
        yield Finding("number", {"text": number})
    for number in lost_units(source, target, present, languages):
        yield Finding("unit", {"text": number})
    for number in lost_signs(source, target, present, languages):
        yield Finding("sign", {"text": number})


def missing(source: str, target: str, found: list[Number], languages: tuple[str, str]) -> list[str]:
    """`missing_numbers` of prepared texts; `found` are the target's numbers."""
    source_language, target_language = languages
    asked = list(asked_numbers(source, source_language))
    if not asked:
        return []
    present = Present(found)
    unknown_words = base_language(target_language) not in NUMBER_WORDS
    # A number with one reading takes its counterpart before one that may be it: 03, then 3 p.m., which is 15 as well.
    left = [number for number in sorted(asked, key=lambda number: len(number.values)) if not number.is_sequence]
    left = [number for number in left if not present.take(number.values, exact=True)]
    left += [number for number in asked if number.is_sequence]
    in_words = plain(target)
    absent = set()
    for number in left:
        if number.is_sequence:
            is_present = number.text in target
        else:
            is_present = present.take(number.values) or (bool(number.parts) and present.take_all(number.parts))
        if is_present:
            continue
        if unknown_words and (number.values or set(number.parts)) <= WITH_SMALL:
            continue
        if unknown_words and any(is_spelled(value, in_words, target_language) for value in number.values):
            continue
        absent.add(number)
    return list(dict.fromkeys(number.text.strip() for number in asked if number in absent))


def asked_numbers(text: str, language: str) -> Iterator[Number]:
    text = FULL_HOUR.sub("   ", NOT_ASKED.sub(lambda match: " " * len(match.group()), text))
    for number in with_times(text, language):
        if WRITTEN_AS_NUMBER.search(number.text) and not LONE_HAN.fullmatch(number.text):
            yield number


def present_numbers(text: str, language: str) -> list[Number]:
    numbers = [*with_times(text, language, words=True), *roman_numbers(text)]
    for month, number in month_names(language).items():
        for match in regex.finditer(rf"(?<!\p{{L}}){regex.escape(month)}(?!\p{{L}})", text):
            numbers.append(Number(month, match.start(), match.end(), frozenset({float(number)})))
    return numbers


class Present:
    """The numbers of the target, each of which is taken once."""

    def __init__(self, numbers: Sequence[Number]) -> None:
        self.taken = [False] * len(numbers)
        self.plain: dict[float, list[int]] = defaultdict(list)  # numbers that can mean nothing else, last one first
        self.possible: dict[float, list[int]] = defaultdict(list)
        self.parts = Counter(value for number in numbers for value in number.parts)
        for at in reversed(range(len(numbers))):
            for value in numbers[at].values:
                self.possible[value].append(at)
                if len(numbers[at].values) == 1:
                    self.plain[value].append(at)

    def take(self, values: Iterable[float], *, exact: bool = False) -> bool:
        """Take a number with one of the values; with `exact`, only one that can mean nothing else."""
        by_value = self.plain if exact else self.possible
        for value in sorted(values):
            places = by_value.get(value, [])
            while places:
                at = places.pop()
                if not self.taken[at]:
                    self.taken[at] = True
                    return True
        return not exact and any(self.take_part(value) for value in sorted(values))

    def take_part(self, value: float) -> bool:
        if not self.parts[value]:
            return False
        self.parts[value] -= 1
        return True

    def take_all(self, values: Iterable[float]) -> bool:
        return all(self.take({value}) for value in values)


# ---- times of day ----


@lru_cache(maxsize=64)
def period_pattern(language: str, names: frozenset[str]) -> regex.Pattern[str]:
    words = sorted({word for name in names for word in day_periods(language).get(name, ())}, key=len, reverse=True)
    english = rf"(?i:(?<!\p{{L}}){'a' if 'am' in names else 'p'}\.?\s?m(?!\p{{L}}))"
    return regex.compile("|".join([*map(word_pattern, words), english]))


def with_times(text: str, language: str, *, words: bool = False) -> list[Number]:
    """The numbers of the text; hours near a part of the day also as hours of 24, 3 p.m. as 15 and 12 a.m. as 0, and
    noon and midnight as numbers."""
    numbers = numbers_in(text, language, words=words)
    before = Periods(text, period_pattern(language, BEFORE_NOON))
    after = Periods(text, period_pattern(language, AFTER_NOON))
    if not before.spans and not after.spans:
        return numbers
    timed = []
    for number in numbers:
        values = set(number.values)
        hours = [value for value in number.values if 0 <= value <= 24 and value == int(value)]
        if hours and after.is_near(number):
            values |= {hour + 12 for hour in hours if hour < 12}
        if DAY_ENDS & set(hours) and before.is_near(number):
            values |= DAY_ENDS
        timed.append(replace(number, values=frozenset(values)))
    if words:
        for name, values in (("noon", {12.0}), ("midnight", DAY_ENDS)):
            for word in day_periods(language).get(name, ()):
                for match in regex.finditer(regex.escape(word), text, regex.IGNORECASE):
                    timed.append(Number(word, match.start(), match.end(), frozenset(values)))
    return timed


class Periods:
    """The parts of the day that a text names."""

    def __init__(self, text: str, pattern: "regex.Pattern[str]") -> None:
        self.text = text
        self.spans = [match.span() for match in pattern.finditer(text)]
        self.starts = [start for start, _end in self.spans]

    def is_near(self, number: Number) -> bool:
        """Whether one is beside the number, within the sentence."""
        first = bisect_left(self.starts, number.start - NEAR - MAX_NAME)
        last = bisect_right(self.starts, number.end + NEAR)
        for start, end in self.spans[first:last]:
            gap = self.text[number.end : start] if number.end <= start else self.text[end : number.start]
            if len(gap) <= NEAR and not regex.search(r"[.。!?！？;]\s", gap):
                return True
        return False
