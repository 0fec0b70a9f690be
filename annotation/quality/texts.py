"""How alike two people's texts are, and their marks in the same text. Pure.

Two good texts are seldom identical, so identity is never asked: chrF (Popović 2015; sacrebleu) and the edit rate with
moved blocks (TER, Snover et al. 2006; `annotation.text.edit_distance`, whose figures are sacrebleu's at a fraction of
the time). Neither text is the reference, so each is taken in turn and the mean counts.
"""

from collections.abc import Iterable
from functools import cache

from sacrebleu.metrics import CHRF

from annotation.text.edit_distance import edits_between
from annotation.text.normalization import normal_form

MOST_CHARACTERS = 4_000  # of a text that is compared; what comes after is not looked at
Stretch = tuple[int, int]  # first code point, the one after the last


@cache
def chrf_metric() -> CHRF:
    return CHRF()


def chrf(one: str, other: str) -> float:
    """chrF2 of two texts as a share, 0 to 1, the mean of both directions."""
    one, other = (normal_form(text)[:MOST_CHARACTERS] for text in (one, other))
    if one == other:
        return 1.0
    metric = chrf_metric()
    return float(metric.sentence_score(one, [other]).score + metric.sentence_score(other, [one]).score) / 200


def edit_rate(one: str, other: str, language: str) -> float:
    """Edits for each word (character, where words have no spaces) from one text to the other, the mean of both
    directions."""
    one, other = (text[:MOST_CHARACTERS] for text in (one, other))
    return (edits_between(one, other, language).rate + edits_between(other, one, language).rate) / 2


def covered(stretches: Iterable[Stretch]) -> set[int]:
    """The code points that marks cover; marks may overlap."""
    return {at for start, end in stretches for at in range(start, end)}


def shared_characters(one: Iterable[Stretch], other: Iterable[Stretch]) -> tuple[int, int]:
    """(2 × characters that both marked, characters that each marked, added up): F1 is the sum of the first over the sum
    of the second, of however many texts. Both are 0 where nobody marked anything."""
    first, second = covered(one), covered(other)
    return 2 * len(first & second), len(first) + len(second)
