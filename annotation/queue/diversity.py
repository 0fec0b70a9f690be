"""Which texts are least alike: farthest-first over their characters. Pure.

A text is the TF-IDF vector of its character trigrams, hashed into `DIMENSIONS` places, of length 1: no list of words is
needed, so that it works in every language. Farthest-first takes, again and again, the text whose nearest one among
those taken is farthest away. It likes odd texts: one in another language, or a broken one, is far from all others.
"""

import re
from collections.abc import Sequence

import numpy as np

DIMENSIONS = 512
MOST_CHARACTERS = 1_000  # of a text; what follows is not looked at
SPACES = re.compile(r"\s+")
MIX = np.array([0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D], dtype=np.uint64)
SHIFT = np.uint64(17)


def vectors(texts: Sequence[str]) -> np.ndarray:
    """(texts, DIMENSIONS) float32, each of length 1; 0 for an empty text."""
    counts = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
    for row, text in zip(counts, texts, strict=True):
        shown = f"  {SPACES.sub(' ', text[:MOST_CHARACTERS]).strip().casefold()} "
        if shown.strip():
            characters = np.frombuffer(shown.encode("utf-32-le", "replace"), dtype=np.uint32).astype(np.uint64)
            grams = characters[:-2] * MIX[0] + characters[1:-1] * MIX[1] + characters[2:] * MIX[2]
            row += np.bincount((grams >> SHIFT) % np.uint64(DIMENSIONS), minlength=DIMENSIONS)
    rarity = np.log((1 + len(texts)) / (1 + (counts > 0).sum(axis=0))) + 1
    weighted = np.log1p(counts) * rarity.astype(np.float32)
    return np.asarray(weighted / np.maximum(np.linalg.norm(weighted, axis=1, keepdims=True), 1e-12))


def farthest_first(rows: np.ndarray, count: int, taken: Sequence[int] = ()) -> list[int]:
    """The places of `count` rows (fewer where there are no more), in the order in which they are taken, beside those of
    `taken`. Without any taken, the first row is the first. Of rows equally far away the first counts."""
    nearest = np.full(len(rows), -np.inf, dtype=np.float32)  # similarity to the most similar row that is taken
    free = np.ones(len(rows), dtype=bool)
    picked: list[int] = []
    for place in taken:
        free[place] = False
        np.maximum(nearest, rows @ rows[place], out=nearest)
    while len(picked) < count and free.any():
        place = int(np.argmin(np.where(free, nearest, np.inf)))
        free[place] = False
        picked.append(place)
        np.maximum(nearest, rows @ rows[place], out=nearest)
    return picked
