"""Which examples share a row: those of one prompt, and those whose prompts begin alike, where a longer line pays.

A pair's two sides, the pairs of a ranking and the later turns of a conversation repeat each other. One row computes
what they share once. Where attention is dense a longer line costs more for each of its tokens, so that rows are joined
only as far as that is cheaper, and never beyond a micro-batch's budget.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from training.engine.packed.trie import Row, common_start, make_row_of_texts

Example = dict[str, Any]

# Prompts that share fewer tokens stay apart: a chat template's first words are no conversation.
LEAST_SHARED = 24


@dataclass(frozen=True)
class Member:
    """An example, and which of its row's texts are its completions."""

    example: Example
    texts: tuple[int, ...]


@dataclass(frozen=True)
class Group:
    """A row and the examples in it; each of the row's texts occurs in one of them at least."""

    row: Row
    members: tuple[Member, ...]


@dataclass(frozen=True)
class Costs:
    """Costs of a line in tokens: its tokens, and `place_cost` for each place of its mask. `budget`: most tokens."""

    budget: int
    place_cost: float = 0.0

    def of(self, row: Row) -> float:
        return row.computed * (1 + self.place_cost * row.computed)

    def join(self, joint: Row, one: Row, other: Row) -> bool:
        """Whether both rows in one are cheaper than one after the other."""
        return joint.computed <= self.budget and self.of(joint) < self.of(one) + self.of(other)


def grouped(examples: Sequence[Example], completions: Sequence[str], costs: Costs) -> list[Group]:
    """The examples in rows, in the order of the first example of each. Raises ValueError for an empty prompt.

    `completions` names the columns of an example's completions; its prompt is `prompt_ids`, and `row` (if it has one)
    its number for errors.
    """
    by_prompt: dict[tuple[int, ...], list[int]] = {}
    for number, example in enumerate(examples):
        by_prompt.setdefault(tuple(example["prompt_ids"]), []).append(number)
    bundles = [part for numbers in by_prompt.values() for part in _split(examples, numbers, completions, costs)]
    bundles = _joined(examples, bundles, completions, costs)
    return [_group(examples, numbers, completions) for numbers in sorted(bundles)]


def _split(examples: Sequence[Example], numbers: list[int], columns: Sequence[str], costs: Costs) -> list[list[int]]:
    """The examples of one prompt in one row; in several, whose answers are computed again, beyond the budget only."""
    if len(numbers) == 1 or _row(examples, numbers, columns).computed <= costs.budget:
        return [numbers]
    parts = [numbers[:1]]
    for number in numbers[1:]:
        if _row(examples, [*parts[-1], number], columns).computed <= costs.budget:
            parts[-1].append(number)
        else:
            parts.append([number])
    return parts


def _joined(
    examples: Sequence[Example], bundles: list[list[int]], columns: Sequence[str], costs: Costs
) -> list[list[int]]:
    """Bundles whose prompts begin alike, joined where that is cheaper: neighbours in the order of their tokens."""
    if len(bundles) < 2:
        return bundles
    prompts = [examples[numbers[0]]["prompt_ids"] for numbers in bundles]
    order = sorted(range(len(bundles)), key=lambda at: (prompts[at], at))
    result: list[list[int]] = []
    row = None
    for place, at in enumerate(order):
        numbers = bundles[at]
        near = place and common_start(prompts[order[place - 1]], prompts[at]) >= LEAST_SHARED
        if near:
            single = _row(examples, numbers, columns)
            row = row or _row(examples, result[-1], columns)
            joint = _row(examples, [*result[-1], *numbers], columns)
            if prompts[order[place - 1]] != prompts[at] and costs.join(joint, row, single):
                result[-1] = [*result[-1], *numbers]
                row = joint
                continue
        result.append(numbers)
        row = None
    return result


def _row(examples: Sequence[Example], numbers: Sequence[int], columns: Sequence[str]) -> Row:
    return _group(examples, sorted(numbers), columns).row


def _group(examples: Sequence[Example], numbers: Sequence[int], columns: Sequence[str]) -> Group:
    texts: dict[tuple[tuple[int, ...], tuple[int, ...]], int] = {}
    members = []
    for number in sorted(numbers):
        example = examples[number]
        prompt = tuple(example["prompt_ids"])
        own = tuple(texts.setdefault((prompt, tuple(example[column])), len(texts)) for column in columns)
        members.append(Member(example, own))
    first = examples[min(numbers)]
    row = make_row_of_texts(
        first.get("row", min(numbers)), [(list(prompt), list(completion)) for prompt, completion in texts]
    )
    return Group(row, tuple(members))
