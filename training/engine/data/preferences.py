"""Preferences in DPO rows: which rows state one, and the numbers that the loss takes from them. Free of torch."""

import logging
from collections.abc import Sequence

from training.contract.errors import DatasetError
from training.engine.data.rows import Counts, Row

log = logging.getLogger("konomi.engine")


def preference_positions(rows: Sequence[Row], counts: Counts, *, keep_ties: bool = False) -> list[int]:
    """Positions of the rows that say which side is better: without ties and even splits (unless kept, as a training
    that learns from them does), and without pairs of equal texts. What is left out is counted."""
    kept = []
    for position, row in enumerate(rows):
        if row["chosen"] == row["rejected"]:
            counts.add("dropped_equal", position)
        elif not keep_ties and is_tie(row):
            counts.add("dropped_ties", position)
        else:
            kept.append(position)
    if all(is_tie(rows[position]) for position in kept):
        raise DatasetError(
            f"no preference to learn in {len(rows)} rows: {len(rows) - counts.dropped_equal} ties, "
            f"{counts.dropped_equal} pairs of equal texts"
        )
    if len(kept) < len(rows):
        log.warning("%d ties and %d pairs of equal texts left out", counts.dropped_ties, counts.dropped_equal)
    return kept


def is_tie(row: Row) -> bool:
    """Whether the annotators name no better side: half of them or more said "equal", or they are evenly split."""
    return float(row.get("tie") or 0) >= 0.5 or row.get("probability") == 0.5


def pair_terms(rows: Sequence[Row], *, soft_labels: bool, strength_offset: float) -> dict[str, list[float]]:
    """What `losses.dpo_loss` is given of each row: p, offset, weight (1 on average) and tie.

    `probability` counts ties half; p is the share of those who took a side. Without `soft_labels` p is the majority's.
    Raises DatasetError where no row has a weight.
    """
    found: dict[str, list[float]] = {"p": [], "offset": [], "weight": [], "tie": []}
    for row in rows:
        tie = float(row.get("tie") or 0)
        probability = row.get("probability")
        wins = (1.0 if probability is None else float(probability)) - tie / 2
        p = min(1.0, max(0.0, wins / (1 - tie))) if tie < 1 else 0.5
        found["p"].append(p if soft_labels or p == 0.5 else float(p > 0.5))
        found["offset"].append(strength_offset * float(row.get("strength") or 0))
        weight = row.get("weight")
        found["weight"].append(1.0 if weight is None else float(weight))
        found["tie"].append(tie)
    total = sum(found["weight"])
    if rows and total <= 0:
        raise DatasetError(f"the weights of all {len(rows)} rows are 0: nothing would be learnt")
    found["weight"] = [weight * len(rows) / total for weight in found["weight"]]
    return found
