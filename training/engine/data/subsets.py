"""Nested subsets of the training rows, split by prompt, for the points of a learning curve. Free of torch."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any, TypeVar

RowT = TypeVar("RowT", bound=dict[str, Any])


def nested_subset(rows: Sequence[RowT], share: float, seed: int) -> list[RowT]:
    """The rows of a fraction `share` (0 < share ≤ 1) of the prompts, in their order; of one prompt at least.

    A prompt's rows stay together. The order of the prompts depends on the seed and on their content only, and a
    subset takes the first of them: smaller subsets lie within larger ones of the same seed, however rows are ordered.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share must lie in (0, 1], got {share}")
    keys = [prompt_key(row) for row in rows]
    ranked = sorted(set(keys), key=lambda key: hashlib.sha256(f"{seed} {key}".encode()).digest())
    selected = set(ranked[: subset_size(len(ranked), share)])
    return [row for row, key in zip(rows, keys, strict=True) if key in selected]


def subset_size(prompts: int, share: float) -> int:
    """The number of prompts in a subset: the nearest whole number, but one at least where there are any."""
    return min(prompts, max(1, int(prompts * share + 0.5)))


def prompt_key(row: dict[str, Any]) -> str:
    """The identity of a row's prompt: its id where the row has one, else its text or messages."""
    if row.get("prompt_id") is not None:
        return f"id {row['prompt_id']}"
    return f"text {json.dumps(row.get('prompt'), sort_keys=True, ensure_ascii=False)}"
