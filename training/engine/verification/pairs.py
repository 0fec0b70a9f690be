"""Pairs of texts for the checks: of very different lengths, some with shared beginnings. The same in every run."""

import random
from dataclasses import replace

from training.engine.verification.jobs import Labels, Pair

LETTERS = "abcdefghijklmnopqrstuvwxyz     "


def make_pairs(
    count: int, *, seed: int = 3, prompt: tuple[int, int] = (4, 30), chosen: int = 0, rejected: int = 0
) -> tuple[Pair, ...]:
    """`count` different pairs; `prompt` is the range of the prompts' lengths.

    `chosen` and `rejected` are lengths for all of these sides; otherwise they differ. Every third pair's sides begin
    alike.
    """
    lots = random.Random(seed)

    def text(low: int, high: int) -> str:
        return "x" + "".join(lots.choice(LETTERS) for _ in range(lots.randint(low, high) - 2)) + "y"

    pairs = []
    for number in range(count):
        start = text(6, 6) if number % 3 == 0 else ""
        lengths = [(side - len(start),) * 2 if side else (3, 28) for side in (chosen, rejected)]
        question, preferred, other = text(*prompt), text(*lengths[0]), text(*lengths[1])
        pairs.append(Pair(question, start + preferred, start + other[:-1] + "z"))
    return tuple(pairs)


def labelled(pairs: tuple[Pair, ...], *labels: Labels) -> tuple[Pair, ...]:
    """The pairs with these labels in turn."""
    return tuple(replace(pair, labels=labels[number % len(labels)]) for number, pair in enumerate(pairs))
