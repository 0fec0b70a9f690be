"""Which parts of people's labels the loss of a DPO run counts, in one line for the log, result.json and preflight."""

from collections.abc import Mapping, Sequence
from typing import Any

from training.contract.config import TrainingConfig
from training.contract.wording import counted
from training.engine.data.preferences import pair_terms
from training.engine.data.rows import Row


def describe(
    config: TrainingConfig, rows: Sequence[Row], terms: Mapping[str, Sequence[float]] | None
) -> dict[str, Any]:
    """`words`, and the number of rows for which each term counts.

    `terms` are those that the loss gets (see `pair_terms`); None for plain TRL, which takes each pair for its chosen
    side and has no place for them. `rows` are those that are trained on.
    """
    wanted = terms or pair_terms(rows, soft_labels=True, strength_offset=1.0)
    numbers = {
        "soft": sum(0 < p < 1 for p in wanted["p"]),
        "reversed": sum(p == 0 for p in wanted["p"]),
        "ties": sum(tie > 0 for tie in wanted["tie"]),
        "weights": sum(abs(weight - 1) > 1e-9 for weight in wanted["weight"]),
        "offset": sum(offset != 0 for offset in wanted["offset"]),
    }
    if terms is None:
        lost = [
            f"{name} of {counted(numbers[key], 'row')}"
            for key, name in (
                ("soft", "split votes"),
                ("ties", "ties"),
                ("weights", "weights"),
                ("offset", "strengths"),
            )
            if numbers[key]
        ]
        words = "Labels: plain TRL counts each pair once, for its chosen side"
        words += f"; {', '.join(lost)} count for nothing." if lost else "."
        return {"words": words, "terms": dict.fromkeys(numbers, 0)}
    total = counted(len(rows), "row")
    parts = [
        f"soft labels on ({numbers['soft']:,} of {total} split)" if config.soft_labels else "soft labels off",
        f"ties learnt from ({numbers['ties']:,})" if config.ties == "learn" else "ties dropped, as a minority too",
        f"weights on ({numbers['weights']:,} differ from the mean)" if numbers["weights"] else "weights all equal",
        f"strength offset {config.strength_offset:g} ({numbers['offset']:,})" if numbers["offset"] else "no offset",
    ]
    if numbers["reversed"]:
        parts.append(f"{counted(numbers['reversed'], 'row')} whose rejected side won")
    plain = not any(numbers.values())
    return {"words": f"Labels: {', '.join(parts)}{': this is plain DPO' if plain else ''}.", "terms": numbers}
