"""Some of many items, the same at every look: those whose keys have the smallest digests. Pure."""

import hashlib
import heapq
from typing import Generic, TypeVar

T = TypeVar("T")


class Sample(Generic[T]):
    """Keeps `most` items at most of all that are added; `seen` counts them."""

    def __init__(self, most: int) -> None:
        self.most, self.seen = most, 0
        self.heap: list[tuple[int, str, T]] = []

    def add(self, key: str, item: T) -> None:
        """Keys are unique."""
        self.seen += 1
        rank = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest())
        if len(self.heap) < self.most:
            heapq.heappush(self.heap, (-rank, key, item))
        elif -rank > self.heap[0][0]:
            heapq.heapreplace(self.heap, (-rank, key, item))

    def kept(self) -> list[T]:
        return [item for _rank, _key, item in sorted(self.heap, key=lambda row: row[:2])]

    def __len__(self) -> int:
        return len(self.heap)
