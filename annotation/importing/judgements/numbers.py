"""What numbers mean as answers. Public files have all of these, and a number alone does not say which. Pure."""

from dataclasses import dataclass, field

from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from annotation.core.messages import Message
from annotation.importing.judgements.naming import Names

FROM_0, FROM_1, FIRST_IS_1, FIRST_BELOW_0, FIRST_ABOVE_0 = (
    "from-0",
    "from-1",
    "first-is-1",
    "first-below-0",
    "first-above-0",
)
SCHEMES = {
    FROM_1: _("places: 1 is the first text, 2 the second"),
    FROM_0: _("places: 0 is the first text, 1 the second"),
    FIRST_IS_1: _("1: the first text is better; 0: the second"),
    FIRST_BELOW_0: _("below 0: the first text is better; above 0: the second; 0: a tie"),
    FIRST_ABOVE_0: _("above 0: the first text is better; below 0: the second; 0: a tie"),
}
SIGNED = (FIRST_BELOW_0, FIRST_ABOVE_0)
INDEX_NAMES = ("index", "idx")
SLIGHTLY, CLEARLY = 1, 2  # see `annotation.kinds.choosing.payload`
TIE_OF_ALL = -3


@dataclass
class NumbersSeen:
    """The whole numbers that a file has as answers, with the first row of each; those that no name explains.

    `most`: places of the row that has most; `beyond`: a number equals its row's places, as it can only when counting
    from 1."""

    rows: dict[int, int] = field(default_factory=dict)
    most: int = 0
    beyond: bool = False
    unnamed: dict[int, int] = field(default_factory=dict)

    def add(self, number: int, row: int, names: Names) -> None:
        self.rows.setdefault(number, row)
        if number not in names.numbers:
            self.unnamed.setdefault(number, row)
        self.most = max(self.most, len(names.places))
        self.beyond |= number == len(names.places)

    @property
    def largest(self) -> int:
        return max(map(abs, self.rows), default=0)


def scheme_of(seen: NumbersSeen, column: str) -> str | None:
    """What the file's numbers mean where only one reading is possible, or the columns' own numbers say it (""); None
    where several are."""
    numbers = seen.rows
    if not numbers or len(seen.unnamed) < len(numbers):
        return ""  # response_1 is 1; another number is then unknown
    if min(numbers) < 0:
        return None
    if seen.beyond and 0 not in numbers:
        return FROM_1
    if 0 in numbers and not seen.beyond and (is_index(column) or max(numbers) > 1):
        return FROM_0
    return None


def is_index(column: str) -> bool:
    return column.casefold().replace(".", "_").replace("-", "_").split("_")[-1] in INDEX_NAMES


def candidates_for(seen: NumbersSeen) -> list[str]:
    """The schemes that may be meant."""
    numbers, pairs = seen.rows, seen.most <= 2
    if min(numbers) < 0:
        return list(SIGNED)
    possible = []
    if 0 not in numbers:
        possible.append(FROM_1)
    if not seen.beyond:
        possible.append(FROM_0)
    if pairs and max(numbers) <= 1:
        possible.append(FIRST_IS_1)
    return possible


def place_of(number: int, scheme: str, names: Names) -> int | None:
    """The place that a number puts first, TIE_OF_ALL, or None where it means nothing."""
    places = len(names.places)
    place: int | None = None
    if scheme == FROM_1:
        place = number - 1
    elif scheme == FROM_0:
        place = number
    elif scheme == FIRST_IS_1 and number in (0, 1):
        place = 1 - number
    elif scheme in SIGNED:
        if not number:
            return TIE_OF_ALL
        place = int((number > 0) == (scheme == FIRST_BELOW_0))
        places = min(places, 2)
    return place if place is not None and 0 <= place < places else None


def strength_of(number: int, largest: int) -> int | None:
    """−3 … 3: how much better. Half of the largest number and less is slightly, more is clearly; −1, 0, 1 say
    nothing."""
    if largest < 2 or not number:
        return None
    return SLIGHTLY if 2 * abs(number) <= largest else CLEARLY


def ambiguous(seen: NumbersSeen) -> Message:
    listed = ", ".join(str(number) for number in sorted(seen.rows)[:9]) + (" …" if len(seen.rows) > 9 else "")
    text = gettext_noop("the answers are the numbers %(numbers)s, which may mean several things; say what they mean")
    return Message(text, numbers=listed)
