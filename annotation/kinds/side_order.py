"""The order in which a task shows its candidates, which hides their origin."""

import hashlib
from collections.abc import Sequence


def presented_order(*, seed: int, task_id: int, candidate_ids: Sequence[int]) -> list[int]:
    """The candidates in the order in which a task shows them: the same at every load, and unrelated to import order,
    id or origin. Each place is equally likely for each candidate, over tasks and seeds."""
    return sorted(candidate_ids, key=lambda key: hashlib.sha256(f"{seed}:{task_id}:{key}".encode()).digest())
