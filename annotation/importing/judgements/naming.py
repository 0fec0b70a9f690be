"""What the answers of a row may call its texts: column, origin, model, letter or number by place, or the text. Pure."""

import re
import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext_noop

from annotation.core.messages import Message
from annotation.importing.judgements.cells import is_blank, shown, unpacked
from annotation.preparation.answers import ORIGIN_KEYS, TEXT_KEYS
from annotation.preparation.chats import is_chat, is_message
from annotation.preparation.mapping import CANDIDATE_COLUMN, Mapping
from annotation.preparation.parsed import ParsedCandidate
from annotation.text.normalization import folded, normal_form

EMPTY = -1  # a place of the row without a text: models say nothing at times
SEVERAL = -2  # a name that several texts of the row have
MOST_CANDIDATES = len(string.ascii_lowercase)  # a page calls them by letters
# “model_a”, “Response 2”: the place of a text among those of its row.
PLACE = re.compile(r"(?:model|response|answer|output|system|candidate|text|option|assistant|translation)[ _.-]?(\w+)")
SIDES = {"left": 0, "right": 1, "first": 0, "second": 1}
SUFFIX = re.compile(r".*?[a-z][ _.:-]?(\d{1,2})|.+[ _.:-]([a-z])", re.IGNORECASE)


class Unknown(ValueError):
    """An answer that names nothing in its row. `word` is what somebody may say the meaning of."""

    def __init__(self, word: str, names: "Names") -> None:
        known = ", ".join(names.known()[:12])
        if known:
            text = gettext_noop("“%(value)s” is none of the texts of this row (%(names)s); say what it means")
            message = Message(text, value=word[:60], names=known)
        else:
            text = gettext_noop("“%(value)s” is none of the texts of this row; say what it means")
            message = Message(text, value=word[:60])
        super().__init__(message)
        self.word = word


@dataclass(slots=True)
class Names:
    """`count` places, of which `places` says the candidate (or EMPTY); `by_name` knows them by the names that the file
    gives; `numbers` are those of them that are numbers (response_0, response_1)."""

    places: list[int]
    texts: list[str]
    by_name: dict[str, int] = field(default_factory=dict)
    letters: dict[str, int] = field(default_factory=dict)
    numbers: dict[int, int] = field(default_factory=dict)

    def find(self, word: str) -> int:
        """The candidate's index, EMPTY, or Unknown."""
        key = folded(word)
        found = self.by_name.get(key, self.letters.get(key))
        if found is None and (text := self.text_at(word)) is not None:
            return text
        if found is None and (place := PLACE.fullmatch(key)):
            number = place[1]
            found = self.letters.get(number, self.numbers.get(int(number)) if number.isdecimal() else None)
            if found is None and not self.numbers and number.isdecimal() and 0 < int(number) <= len(self.places):
                found = self.places[int(number) - 1]
        if found is None and key in SIDES and len(self.places) == 2:
            found = self.places[SIDES[key]]
        if found is None:
            raise Unknown(word.strip(), self)
        if found == SEVERAL:
            message = gettext_noop("“%(value)s” is the name of several texts of this row; write A, B … instead")
            raise ValueError(Message(message, value=word[:60]))
        return found

    def text_at(self, word: str) -> int | None:
        """The text that the word is, or that reads the same."""
        if word in self.texts:
            return self.texts.index(word)
        reading = normal_form(word)
        return next((at for at, text in enumerate(self.texts) if normal_form(text) == reading), None)

    def has(self, word: str) -> bool:
        try:
            self.find(word)
        except ValueError:
            return False
        return True

    def known(self) -> list[str]:
        return sorted({*self.by_name, *self.letters})


def names_of(
    mapping: Mapping,
    models: Sequence[tuple[str, str]],
    values: dict[str, Any],
    candidates: Sequence[ParsedCandidate] | None,
) -> Names:
    """The names of one row. `models` pairs columns of models' names with those of candidates. Without candidates (the
    texts were not read) the names of columns and places."""
    model_of = {column: shown(values[model]) for model, column in models if not is_blank(values.get(model))}
    slots: list[tuple[int, list[str], str]] = []  # candidate, names, suffix
    index = 0
    for column, origin in mapping.candidates:
        value = values.get(column)
        if type(value) is list and len(value) > 1 and not is_chat(value):
            return loose_names(candidates or ())  # a list in a column: no telling which text is at which place
        value = value[0] if type(value) is list and len(value) == 1 and not is_chat(value) else value
        names = [column, origin.removeprefix("import:"), model_of.get(column, "")]
        slots.append((EMPTY if is_blank(value) else index, names, suffix_of(column)))
        index += not is_blank(value)
    if mapping.candidate_list:
        listed = unpacked(values.get(mapping.candidate_list))
        for item in listed if type(listed) is list else []:
            if type(item) is list and not is_chat(item):
                return loose_names(candidates or ())
            blank = is_blank(text_in(item))
            slots.append((EMPTY if blank else index, own_names(item), ""))
            index += not blank
    if candidates is None:
        candidates = ()
    elif index > len(candidates):
        return loose_names(candidates)
    slots += [
        (extra, [candidates[extra].origin.removeprefix("import:")], "") for extra in range(index, len(candidates))
    ]
    result = Names([slot for slot, _, _ in slots], [candidate.text for candidate in candidates])
    for slot, names, _suffix in slots:
        add_names(result, slot, names)
    suffixes = [suffix for _, _, suffix in slots]
    if len(set(suffixes)) == len(suffixes) and all(suffix.isdecimal() for suffix in suffixes):
        result.numbers = {int(suffix): slot for (slot, _, suffix) in slots}
    name_by_letter(result)
    return result


def add_names(result: Names, slot: int, names: Iterable[str]) -> None:
    for name in {folded(name) for name in names} - {""}:
        result.by_name[name] = slot if result.by_name.get(name, slot) == slot and slot != SEVERAL else SEVERAL


def name_by_letter(result: Names) -> None:
    """Places by letter, unless columns have other letters: those called b and a, in this order, are not second and
    first."""
    letters = dict(zip(string.ascii_lowercase, result.places, strict=False))
    if all(result.by_name.get(letter, slot) == slot for letter, slot in letters.items()):
        result.letters = letters


def loose_names(candidates: Sequence[ParsedCandidate]) -> Names:
    result = Names(list(range(len(candidates))), [candidate.text for candidate in candidates])
    for index, candidate in enumerate(candidates):
        add_names(result, index, [candidate.origin.removeprefix("import:")])
    return result


def suffix_of(column: str) -> str:
    """“response_a” → “a”, “output1” → “1”, “candidate_formal” → “formal”; empty where a name has none."""
    if found := CANDIDATE_COLUMN.fullmatch(column):
        return found[1].casefold()
    found = SUFFIX.fullmatch(column)
    return (found[1] or found[2]).casefold() if found else ""


def text_in(item: Any) -> Any:
    if type(item) is dict and not is_message(item):
        return next((item[key] for key in TEXT_KEYS if key in item), None)
    return item


def own_names(item: Any) -> list[str]:
    if type(item) is not dict or is_message(item):
        return []
    return [str(item[key]).removeprefix("import:") for key in ORIGIN_KEYS if isinstance(item.get(key), str)]
