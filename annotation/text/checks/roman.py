"""Roman numerals of the target answer for numbers of the source: el siglo XIX, Elizabeth II. They are never asked for:
most are names or letters."""

from collections.abc import Iterator

import regex

from annotation.text.checks.numerals import Number

VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
# With the ordinal endings of French and Russian (XIXe, XX-го). One letter is one only after a word in capitals.
NUMERAL = regex.compile(
    r"(?<![\p{L}\p{N}])(?=[IVXLCDM])M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})"
    r"(?=(?:e|er|ème|ᵉ|o|a|-\p{L}{1,3})?(?![\p{L}\p{N}]))"
)
NAME_BEFORE = regex.compile(r"\p{Lu}\p{L}*[\s\u00a0]$")


def roman_numbers(text: str) -> Iterator[Number]:
    for match in NUMERAL.finditer(text):
        numeral = match.group()
        if len(numeral) == 1 and not regex.search(
            r"\p{Lu}\p{L}*[\s\u00a0]$", text[max(0, match.start() - 40) : match.start()]
        ):
            continue
        total = 0
        for sign, following in zip(numeral, [*numeral[1:], ""], strict=True):
            value = VALUES[sign]
            total += -value if following and VALUES[following] > value else value
        yield Number(numeral, match.start(), match.end(), frozenset({float(total)}))
