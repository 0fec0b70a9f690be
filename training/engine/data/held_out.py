"""Held-out rows as an evaluation reads them: which of their columns are scored, and what is refused. Free of torch."""

from training.contract.errors import DatasetError
from training.engine.data.rows import Row, check_columns, check_labels


def scored_columns(rows: list[Row]) -> tuple[str, ...]:
    """`chosen` and `rejected` of pairs, `completion` of the others. Raises DatasetError for anything else."""
    present = set(rows[0])
    if {"prompt", "chosen", "rejected"} <= present:
        return ("chosen", "rejected")
    if {"prompt", "completion"} <= present:
        return ("completion",)
    raise DatasetError(
        f"held_out.parquet has the columns {', '.join(sorted(present))}: prompt with completion, or with chosen and "
        "rejected, is needed"
    )


def check_rows(rows: list[Row], columns: tuple[str, ...]) -> None:
    """Raises DatasetError for rows that a training would refuse: their numbers, labels and texts are figures here."""
    labelled = columns == ("completion",) and "label" in rows[0]
    check_columns(rows, "kto" if labelled else "sft" if columns == ("completion",) else "dpo", "held_out.parquet")
    if labelled:
        check_labels(rows, "held_out.parquet")


def desirable_positions(rows: list[Row]) -> list[int]:
    """Of KTO rows those whose label is true; all rows where there is no label."""
    kept = [position for position, row in enumerate(rows) if row.get("label", True)]
    if not kept:
        raise DatasetError(f"None of the {len(rows)} held-out rows is desirable: nothing to measure the model against")
    return kept
