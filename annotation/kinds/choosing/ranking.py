"""A ranking as the form has it: a place for each alternative, 1 the best; the same place means equally good."""

from django.http import QueryDict
from django.utils.translation import gettext as _

from annotation.kinds.choosing.payload import Ranking
from annotation.kinds.presentation import PresentedTask, Problem


def read_ranking(form: QueryDict, shown: PresentedTask) -> tuple[Ranking, list[Problem]]:
    """Groups of candidate ids, best first, each in the order shown; and which alternatives have no place yet. Only the
    order of the places counts: 1, 1, 3 means the same as 1, 1, 2."""
    places: dict[int, list[int]] = {}
    problems: list[Problem] = []
    for side in shown.sides:
        field = f"rank-{side.letter}"
        value = form.get(field, "")
        if value.isascii() and value.isdecimal() and len(value) == 1 and 1 <= int(value) <= len(shown.sides):
            places.setdefault(int(value), []).append(side.candidate)
        else:
            problems.append((field, _("%(letter)s has no place yet.") % {"letter": side.letter.upper()}))
    return [places[place] for place in sorted(places)], problems
