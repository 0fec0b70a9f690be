"""Whether a unit or a currency of the source is lost while its number stays: 25 m → 25, €20 → 20."""

from collections.abc import Iterator, Sequence

import regex

from annotation.text.checks.number_words import HALF, numbers_in
from annotation.text.checks.numerals import Number
from annotation.text.measures import MONEY, measures

MONEY_BEFORE = regex.compile(r"(?:(?<!\p{L})[A-Z]{1,3})?\p{Sc}\s?$")
LOOSE = regex.compile(r"(?<=\p{L})\s(?=[/²³])|(?<=\p{L}\s?/)\s(?=\p{L})|(?<=°)\s(?=[CF])")  # km / h, km ²
CODE_BEFORE = regex.compile(r"(?<!\p{L})([A-Z]{3})\s?$")


def lost_units(source: str, target: str, present: Sequence[Number], languages: tuple[str, str]) -> Iterator[str]:
    """Numbers with their units, as the source writes them, of which the target has the number and no such unit.

    Both texts are `prepared`; `present` are the numbers of the target. A unit is not lost while the target has any
    unit of its kind: miles beside kilometres, a price named once for two numbers.
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
