"""Texts that begin alike as one line of tokens: a trie in preorder, in which each token is computed once.

A `Row` has any number of texts, each a prompt and its completion: two answers to one prompt, a ranking of many, or
later turns of one conversation. Sorted, each text adds to the line what it does not share with the one before it. A
token's subtree (all that continues after it) then lies between its own place and its `end`, so that a query sees
exactly its ancestors and itself where `place[key] <= place[query] < end[key]`. Where texts share their prompt only,
this is
[prompt | tail 1 | tail 2 | …].

The last token of a text predicts nothing and is left out, unless another text goes on after it. A token that is part of
several completions is scored once, and counts for each of them.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Trie:
    """The n computed tokens of a row in preorder, and its N scored tokens.

    ids, positions (in the text), ends (first place after the subtree): n each. target_places, target_ids: N each, where
    in the line a token is predicted, and which. targets: for each text the scored tokens of its completion, in order.
    """

    ids: list[int]
    positions: list[int]
    ends: list[int]
    target_places: list[int]
    target_ids: list[int]
    targets: list[list[int]]


@dataclass(frozen=True)
class Row:
    """Texts (token ids of prompt and completion) that are laid out together; `prompt_tokens` of each are its prompt.

    `index` is the caller's own number for the row.
    """

    index: int
    texts: tuple[list[int], ...]
    prompt_tokens: tuple[int, ...]

    @property
    def completion_tokens(self) -> list[int]:
        """Tokens of each completion."""
        return [len(text) - prompt for text, prompt in zip(self.texts, self.prompt_tokens, strict=True)]

    @property
    def text_tokens(self) -> int:
        """Tokens of all texts, each with its prompt, as if nothing were shared."""
        return sum(map(len, self.texts))

    @property
    def is_one_text(self) -> bool:
        """Whether causal attention is all that the row needs."""
        return len(self.texts) == 1

    @property
    def computed(self) -> int:
        """Tokens that pass through the model."""
        lengths, shared = self._sorted_lengths
        return sum(lengths) - sum(shared) - self._leaves

    @property
    def scored(self) -> int:
        """Tokens whose log-probability is computed."""
        return len(self.trie.target_ids)

    @cached_property
    def _order(self) -> list[int]:
        """The texts in lexicographic order, each once."""
        order = sorted(range(len(self.texts)), key=lambda number: self.texts[number])
        return [n for at, n in enumerate(order) if not at or self.texts[n] != self.texts[order[at - 1]]]

    @cached_property
    def _sorted_lengths(self) -> tuple[list[int], list[int]]:
        """Lengths of the texts in order, and how many tokens each shares with the one before it."""
        texts = [self.texts[number] for number in self._order]
        shared = [0, *(common_start(one, other) for one, other in itertools.pairwise(texts))]
        return [len(text) for text in texts], shared

    @property
    def _leaves(self) -> int:
        """Texts that no other text goes on after."""
        lengths, shared = self._sorted_lengths
        return sum(length != following for length, following in zip(lengths, [*shared[1:], -1], strict=True))

    @cached_property
    def trie(self) -> Trie:
        lengths, shared = self._sorted_lengths
        same: dict[int, list[int]] = {}  # texts by the place of their tokens in `_order`
        places_of = {tuple(self.texts[number]): at for at, number in enumerate(self._order)}
        for number, text in enumerate(self.texts):
            same.setdefault(places_of[tuple(text)], []).append(number)

        ids: list[int] = []
        positions: list[int] = []
        ends: list[int] = []
        target_places: list[int] = []
        target_ids: list[int] = []
        targets: list[list[int]] = [[] for _ in self.texts]
        path: list[int] = []  # place of each token of the current text
        path_targets: list[int] = []  # and its number among the scored ones, -1 where nobody scored it yet
        edges: list[tuple[int, int, int]] = []  # (depth, first place, tokens) of the runs that the path is made of

        def close(depth: int) -> None:
            """End the subtrees of the path's tokens at `depth` and below."""
            while edges and edges[-1][0] + edges[-1][2] > depth:
                start, place, count = edges.pop()
                kept = max(0, depth - start)
                ends[place + kept : place + count] = [len(ids)] * (count - kept)
                if kept:
                    edges.append((start, place, kept))

        for at, number in enumerate(self._order):
            text, common = self.texts[number], shared[at]
            goes_on = at + 1 < len(lengths) and shared[at + 1] == len(text)
            count = len(text) - common - (not goes_on)
            close(common)
            del path[common:], path_targets[common:]
            edges.append((common, len(ids), count))
            path += range(len(ids), len(ids) + len(text) - common)
            path_targets += [-1] * (len(text) - common)
            ids += text[common : common + count]
            positions += range(common, common + count)
            ends += [0] * count
            for depth in range(min(self.prompt_tokens[n] for n in same[at]), len(text)):
                if path_targets[depth] < 0:
                    path_targets[depth] = len(target_ids)
                    target_places.append(path[depth - 1])
                    target_ids.append(text[depth])
            for n in same[at]:
                targets[n] = path_targets[self.prompt_tokens[n] :]
        close(0)
        return Trie(ids, positions, ends, target_places, target_ids, targets)


def make_row(index: int, prompt_ids: list[int], completions: Sequence[list[int]]) -> Row:
    """The row of a prompt (one token at least) and its completions. Raises ValueError for an empty prompt."""
    return make_row_of_texts(index, [(prompt_ids, completion) for completion in completions])


def make_row_of_texts(index: int, texts: Sequence[tuple[list[int], list[int]]]) -> Row:
    """The row of (prompt, completion) pairs, prompts of one token at least. Raises ValueError for an empty prompt."""
    if not all(prompt for prompt, _ in texts):
        raise ValueError(f"row {index + 1}: a prompt without a token predicts nothing")
    return Row(
        index, tuple(prompt + completion for prompt, completion in texts), tuple(len(prompt) for prompt, _ in texts)
    )


def common_start(one: Sequence[int], other: Sequence[int]) -> int:
    """The length of the longest common prefix, in tokens: by halves, since lists are compared faster than tokens."""
    low, high = 0, min(len(one), len(other))
    if one[:high] == other[:high]:
        return high
    while high - low > 1:
        middle = (low + high) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle
    return low
