"""Preferences in DPO rows: which rows state one, and the numbers that the loss takes from them. Free of torch."""

import logging
import math
from collections.abc import Sequence

from training.contract.errors import DatasetError
from training.contract.wording import counted
from training.engine.data.rows import Counts, Row, row_number

log = logging.getLogger("konomi.engine")

# Required margins beyond it leave nothing of the others' gradients, and overflow where they are squared.
LARGEST_OFFSET = 1e6


def preference_positions(rows: Sequence[Row], counts: Counts, *, keep_ties: bool = False) -> list[int]:
    """Positions of the rows that state which side is better; the others are counted.

    Pairs of equal texts are always dropped, ties and even splits unless `keep_ties` (a training that learns from them).
    Raises DatasetError where no preference is left.
    """
    kept = []
    for position, row in enumerate(rows):
        if row["chosen"] == row["rejected"]:
            counts.add("dropped_equal", row_number(rows, position))
        elif not keep_ties and is_tie(row):
            counts.add("dropped_ties", row_number(rows, position))
        else:
            kept.append(position)
    if all(is_tie(rows[position]) for position in kept):
        raise DatasetError(
            f"No preference to learn in {counted(len(rows), 'row')}: "
            f"{counted(len(rows) - counts.dropped_equal, 'tie')}, {equal_texts(counts)}"
        )
    if len(kept) < len(rows):
        log.warning("%s and %s left out", counted(counts.dropped_ties, "tie"), equal_texts(counts))
    return kept


def equal_texts(counts: Counts) -> str:
    return counted(counts.dropped_equal, "pair of equal texts", "pairs of equal texts")


def is_tie(row: Row) -> bool:
    """Whether annotators state no preference: at least half of them chose "equal", or they are evenly split."""
    return float(row.get("tie") or 0) >= 0.5 or row.get("probability") == 0.5


def pair_terms(
    rows: Sequence[Row], *, soft_labels: bool, strength_offset: float, learn_ties: bool = True
) -> dict[str, list[float]]:
    """The arguments of `losses.dpo_loss` for each row: p, offset, weight (1 on average) and tie.

    `probability` counts ties half; p is the fraction among those who took a side. Without `soft_labels`, p is the
    majority's: 0 or 1 (½ for an even split). Without `learn_ties`, those who called a pair equal count for nothing.
    Raises DatasetError where no row has a weight, where they are too large to be added up, and for a strength whose
    margin is beyond `LARGEST_OFFSET`.
    """
    terms: dict[str, list[float]] = {"p": [], "offset": [], "weight": [], "tie": []}
    for position, row in enumerate(rows):
        tie = float(row.get("tie") or 0)
        probability = row.get("probability")
        wins = (1.0 if probability is None else float(probability)) - tie / 2
        p = min(1.0, max(0.0, wins / (1 - tie))) if tie < 1 else 0.5
        terms["p"].append(p if soft_labels or p == 0.5 else float(p > 0.5))
        terms["offset"].append(_offset(rows, position, strength_offset))
        weight = row.get("weight")
        terms["weight"].append(1.0 if weight is None else float(weight))
        terms["tie"].append(tie if learn_ties else 0.0)
    total = sum(terms["weight"])
    if math.isinf(total):
        raise DatasetError(f"The weights of {counted(len(rows), 'row')} are too large to be added up: divide them")
    if rows and total <= 0:
        raise DatasetError(f"The weights of {counted(len(rows), 'row')} are all 0: nothing would be learnt")
    terms["weight"] = [weight * len(rows) / total for weight in terms["weight"]]
    return terms


def _offset(rows: Sequence[Row], position: int, strength_offset: float) -> float:
    strength = float(rows[position].get("strength") or 0)
    if strength * strength_offset > LARGEST_OFFSET:
        raise DatasetError(
            f"Row {row_number(rows, position)}: its strength {strength:g} times strength_offset {strength_offset:g} is "
            f"a margin beyond {LARGEST_OFFSET:g}. Write strengths of a few points, or lower strength_offset"
        )
    return strength_offset * strength
