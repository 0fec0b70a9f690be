"""Whether a unit or a currency of the source is lost while its number stays: 25 m → 25, €20 → 20."""

from collections.abc import Iterator, Sequence

import regex

from annotation.text.checks.number_words import HALF, numbers_in
from annotation.text.checks.numerals import Number
from annotation.text.measures import MONEY, SYMBOLS, WORD_END, measures

MONEY_BEFORE = regex.compile(r"(?:(?<!\p{L})[A-Z]{1,3})?\p{Sc}\s?$")
LOOSE = regex.compile(r"(?<=\p{L})\s(?=[/²³])|(?<=\p{L}\s?/)\s(?=\p{L})|(?<=°)\s(?=[CF])")  # km / h, km ²
MONEY_SIGN_BEFORE = regex.compile(r"(\p{Sc})\s?$")
# Two ways of writing one.
SAME = {"lbs": "lb", "KM": "km", "CM": "cm", "MM": "mm", "KG": "kg", "MG": "mg", "kmh": "km/h", "KB": "kB", "μm": "µm"}
SAME |= {"м": "m", "км": "km", "см": "cm", "мм": "mm", "г": "g", "кг": "kg", "мг": "mg", "л": "l"}
ANY_SYMBOL = "|".join(map(regex.escape, sorted(SYMBOLS | SAME.keys(), key=len, reverse=True)))
SYMBOL_AFTER = regex.compile(rf"[\u00a0\u202f\u2009 ]?({ANY_SYMBOL}|\p{{Sc}}){WORD_END}(?![\d²³^/])")
CODE_BEFORE = regex.compile(r"(?<!\p{L})([A-Z]{3})\s?$")


def lost_units(source: str, target: str, present: Sequence[Number], languages: tuple[str, str]) -> Iterator[str]:
    """Numbers with their units, as the source writes them, of which the target has the number and no such unit.

    Both texts are `prepared`; `present` are the numbers of the target. A unit is not lost while the target has any
    unit of its kind: miles beside kilometres, a price named once for two numbers. Where both have international
    symbols, the same number has the same one.
    """
    here, there = measures(languages[0]), measures(languages[1])
    if here is None or there is None:
        return
    target = LOOSE.sub("", target)
    known = {value for number in present for value in (*number.values, *number.parts)}
    for number in numbers_in(source, languages[0]):
        if not number.values & known or not any(sign.isdecimal() for sign in number.text):
            continue
        start, end = number.start, number.end
        kinds: set[str] = set()
        before = MONEY_BEFORE.search(source, max(0, start - 6), start)
        if before or (
            (code := CODE_BEFORE.search(source, max(0, start - 6), start)) and code[1].casefold() in here.kinds
        ):
            start = (before or code).start()
            kinds = {MONEY}
        elif match := here.asked.match(source, end):
            end = match.end()
            kinds = set(here.kinds.get(match["form"].casefold(), {MONEY}))
        if kinds and not any(there.present[kind].search(target) for kind in kinds):
            if "share" in kinds and HALF.search(target):
                continue
            yield source[start:end].strip()
        elif kinds and is_other(symbol_at(source, number), [n for n in present if n.values & number.values], target):
            yield source[start:end].strip()


def symbol_at(text: str, number: Number) -> str:
    """The international symbol behind a number, or the sign of money before or behind it; else empty."""
    if before := MONEY_SIGN_BEFORE.search(text, max(0, number.start - 3), number.start):
        return str(before[1])
    found = SYMBOL_AFTER.match(text, number.end)
    symbol = str(found[1]) if found else ""
    return SAME.get(symbol, symbol)


def is_other(symbol: str, numbers: Sequence[Number], target: str) -> bool:
    """Whether all of the target's numbers that may be the source's have other symbols: 5 km is not 5 m."""
    others = [symbol_at(target, number) for number in numbers]
    return bool(symbol and others) and all(other not in ("", symbol) for other in others)
