"""An answer that compares the texts of a row → which of them is better. Pure."""

import re
import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.utils.translation import gettext_noop

from annotation.core.messages import Message
from annotation.importing.judgements.cells import EMPTY_ANSWER, is_blank, number_of, shown, unpacked, whole_number
from annotation.importing.judgements.naming import EMPTY, Names, Unknown
from annotation.importing.judgements.numbers import CLEARLY, SIGNED, TIE_OF_ALL, place_of, strength_of
from annotation.text.normalization import folded, normal_form

TIE, ALL_BAD, SKIP = "tie", "both_bad", "skip"
WORDS = {
    **dict.fromkeys(("tie", "tied", "draw", "equal", "equally good", "same", "="), TIE),
    **dict.fromkeys(("both_bad", "both bad", "bothbad", "tie (bothbad)", "all_bad", "all bad"), ALL_BAD),
}


class LeftOut(Exception):
    """An answer that cannot become a judgement, and is no fault: `reason` is a note of `report`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """`groups` of equally good candidates, by their place in the row, best first; empty where all are bad. With
    `is_best_only`, the first is better than each of the others, of which nothing else is said."""

    groups: tuple[tuple[int, ...], ...] = ()
    strength: int | None = None
    is_best_only: bool = False

    @property
    def is_tie(self) -> bool:
        return len(self.groups) == 1

    def over(self, readings: Sequence[str]) -> tuple["Verdict", list[int]]:
        """The verdict on the candidates that read differently, and which those are: of several that read the same, the
        one with the best place stays."""
        first: dict[str, int] = {}
        for group in self.groups or [range(len(readings))]:
            for index in group:
                first.setdefault(readings[index], index)
        kept = sorted(first.values())
        groups = tuple(group for every in self.groups if (group := tuple(i for i in every if i in kept)))
        return replace(self, groups=groups), kept


@dataclass(frozen=True)
class VerdictReader:
    """`meanings` are what somebody said that answers mean, by the answer without case; `scheme` and `largest` what
    numbers do (see `numbers`)."""

    meanings: dict[str, str]
    scheme: str = ""
    largest: int = 0

    def read(self, value: Any, names: Names) -> Verdict:
        """Raises ValueError with what is wrong, Unknown for a name that the row does not have, LeftOut."""
        value = unpacked(value)
        if is_blank(value):
            raise ValueError(EMPTY_ANSWER)
        if type(value) is dict:
            return ranking(by_place(value, names), names)
        if type(value) is list:
            return ranking(self.in_order(value, names), names)
        word = shown(value)
        key = folded(word)
        meaning = self.meanings.get(key) or ("" if names.has(key) else WORDS.get(key, ""))
        if meaning == SKIP:
            raise LeftOut("answers to skip")
        if meaning == TIE:
            return tie(names)
        if meaning == ALL_BAD:
            return Verdict()
        if not meaning and (number := whole_number(word)) is not None and names.text_at(word) is None:
            return self.of_number(number, word, names)
        if not meaning and not names.has(word) and re.search("[<>=~]", plain := normal_form(word)):
            return self.inequality(plain, names)
        return best_of(self.candidate(meaning or word, names), names)

    def candidate(self, word: str, names: Names) -> int:
        return names.find(self.meanings.get(folded(word), word))

    def of_number(self, number: int, word: str, names: Names) -> Verdict:
        if self.scheme:
            place = place_of(number, self.scheme, names)
            if place == TIE_OF_ALL:
                return tie(names)
            if place is None:
                raise Unknown(word, names)
            found = best_of(names.places[place], names)
            return replace(found, strength=strength_of(number, self.largest)) if self.scheme in SIGNED else found
        if folded(word) in names.by_name:
            return best_of(names.find(word), names)
        if number not in names.numbers:
            raise Unknown(word, names)
        return best_of(names.numbers[number], names)

    def inequality(self, word: str, names: Names) -> Verdict:
        """“A>B=C”, “B<A”, and “A>>B” for a clear preference."""
        if "<" in word and ">" in word:
            text = gettext_noop("“%(value)s” ranks in both directions; write the best first, A>B=C")
            raise ValueError(Message(text, value=word[:60]))
        groups = [re.split("[=~]", part) for part in re.split("<+|>+", word)]
        if "<" in word:
            groups.reverse()
        found = ranking([[self.candidate(name, names) for name in group] for group in groups], names)
        clearly = len(names.places) == 2 and len(found.groups) == 2 and (">>" in word or "<<" in word)
        return replace(found, strength=CLEARLY) if clearly else found

    def in_order(self, listed: list[Any], names: Names) -> list[list[int]]:
        """Names, best first; a list among them holds equally good ones."""
        groups = [item if type(item) is list else [item] for item in listed]
        if any(type(name) is not str for group in groups for name in group):
            text = gettext_noop(
                "a list of numbers may be places or an order; write places by name, {“A”: 1, “B”: 2}, or names, best "
                "first"
            )
            raise ValueError(Message(text))
        return [[self.candidate(name, names) for name in group] for group in groups]


def tie(names: Names) -> Verdict:
    found = tuple(index for index in names.places if index != EMPTY)
    if len(found) < len(names.places):
        raise LeftOut("answers about empty texts")
    return Verdict(groups=(found,))


def best_of(best: int, names: Names) -> Verdict:
    if best == EMPTY:
        raise LeftOut("answers about empty texts")
    others = tuple(index for index in names.places if index not in (EMPTY, best))
    if not others:
        raise LeftOut("answers about empty texts")
    return Verdict(groups=((best,), others), is_best_only=len(others) > 1)


def ranking(groups: Iterable[Sequence[int]], names: Names) -> Verdict:
    """Of the texts that are there. Raises ValueError unless each of them has one place."""
    found = [tuple(sorted(index for index in group if index != EMPTY)) for group in groups]
    found = [group for group in found if group]
    placed = [index for group in found for index in group]
    if len(set(placed)) < len(placed):
        raise ValueError(Message(gettext_noop("the ranking names a text twice; correct it")))
    expected = [index for index in names.places if index != EMPTY]
    if missing := sorted(set(expected) - set(placed)):
        letters = ", ".join(string.ascii_uppercase[names.places.index(index)] for index in missing)
        text = gettext_noop("the ranking leaves out text %(letters)s; it needs a place for each")
        raise ValueError(Message(text, letters=letters))
    if len(expected) < 2:
        raise LeftOut("answers about empty texts")
    return Verdict(groups=tuple(found))


def by_place(value: dict[str, Any], names: Names) -> list[list[int]]:
    """{name: place} → groups, the smallest place first. A name without a place is left out."""
    places: dict[float, list[int]] = {}
    for name, place in value.items():
        if is_blank(place):
            continue
        number = number_of(place)
        if number is None:
            text = gettext_noop("“%(value)s” is not a place; write a number, 1 for the best")
            raise ValueError(Message(text, value=shown(place)[:40]))
        if not 1 <= number <= len(names.places):
            text = gettext_noop(
                "%(value)s is not a place among %(count)s texts, 1 for the best; if these are scores, say so"
            )
            raise ValueError(Message(text, value=shown(place)[:40], count=len(names.places)))
        places.setdefault(number, []).append(names.find(str(name)))
    if not places:
        raise ValueError(EMPTY_ANSWER)
    return [places[place] for place in sorted(places)]
