"""Years that are counted from another year than the common era's: 令和6年 and พ.ศ. 2567 are 2024."""

from dataclasses import replace

import regex

from annotation.text.checks.numerals import Number
from annotation.text.languages import base_language

# The year before each era's first one.
YEAR_BEFORE = {
    "明治": 1867,
    "大正": 1911,
    "昭和": 1925,
    "平成": 1988,
    "令和": 2018,
    "民國": 1911,
    "民国": 1911,
    "พ.ศ.": -543,
    "พุทธศักราช": -543,
}
ERA = regex.compile("|".join(map(regex.escape, YEAR_BEFORE)))
ERA_BEFORE = regex.compile(rf"(?P<era>{ERA.pattern})\s?$")
FIRST_YEAR = regex.compile(rf"(?P<era>{ERA.pattern})元年")
THAI_YEARS = range(2400, 2600)  # in Thai also without the era's name
LONGEST_ERA = max(map(len, YEAR_BEFORE)) + 1


def with_eras(text: str, language: str, numbers: list[Number]) -> list[Number]:
    """Numbers behind the name of an era also as years of the common era, and each 元年, which is the first year."""
    is_thai = base_language(language) == "th"
    if not is_thai and not ERA.search(text):
        return numbers
    result = []
    for number in numbers:
        found = ERA_BEFORE.search(text, max(0, number.start - LONGEST_ERA), number.start)
        if found:
            number = replace(
                number, values=number.values | {year + YEAR_BEFORE[found["era"]] for year in number.values}
            )
        elif is_thai:
            years = {year - 543 for year in number.values if year in THAI_YEARS}
            number = replace(number, values=number.values | years)
        result.append(number)
    for match in FIRST_YEAR.finditer(text):
        values = frozenset({1.0, float(YEAR_BEFORE[match["era"]] + 1)})
        result.append(Number(match.group(), match.start(), match.end(), values))
    return sorted(result, key=lambda number: number.start)
