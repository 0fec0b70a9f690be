"""Which examples make a step: shuffled, a prompt's examples together, each once in an epoch, without filling up."""

import heapq
import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, pairwise
from typing import Any

import torch
from torch.utils.data import Dataset, Sampler


class Examples(Dataset[Any]):  # type: ignore[misc]
    """Columns of equal length as a dataset, kept as they are: token lists of a large dataset are not copied."""

    def __init__(self, columns: Mapping[str, Sequence[Any]]) -> None:
        self.columns = columns

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, position: int | str) -> Any:
        """The example at a position, or a column by its name."""
        if isinstance(position, str):
            return self.columns[position]
        return {name: column[position] for name, column in self.columns.items()}


def groups_of(keys: Iterable[Hashable]) -> list[list[int]]:
    """Positions with equal keys, in the order of their first occurrence."""
    groups: dict[Hashable, list[int]] = {}
    for position, key in enumerate(keys):
        groups.setdefault(key, []).append(position)
    return list(groups.values())


class StepSampler(Sampler[list[int]]):  # type: ignore[misc]
    """One process's examples of each step of an epoch, as a batch sampler.

    `groups` are the positions that stay together. A step has at most `most` examples of all processes together; a
    group of more is split. Where each group is one position, steps are runs of a seeded permutation, as those of
    accelerate's sampler are. Larger groups are spread so that steps are as equal as they can be. An example occurs once
    in an epoch; a process may have none of a small step.
    """

    def __init__(
        self, groups: Sequence[Sequence[int]], *, most: int, seed: int, processes: int = 1, rank: int = 0
    ) -> None:
        self.groups = [piece for group in groups for piece in _pieces(group, most)]
        self.most, self.seed, self.processes, self.rank = most, seed, processes, rank
        self.epoch = 0
        self.single = all(len(group) == 1 for group in self.groups)
        self.count = len(self.groups)
        if not self.single:
            self.count = len(_fill(self.groups, range(len(self.groups)), most))
        else:
            self.count = math.ceil(len(self.groups) / most)

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        """Steps of an epoch: the same for every epoch and process."""
        return self.count

    def __iter__(self) -> Iterator[list[int]]:
        for step in self.steps(self.epoch):
            yield self.share(step)

    def steps(self, epoch: int) -> list[list[Sequence[int]]]:
        """The groups of each step."""
        draw = torch.Generator().manual_seed(self.seed + epoch)
        order = torch.randperm(len(self.groups), generator=draw).tolist()
        if self.single:
            steps = [order[start : start + self.most] for start in range(0, len(order), self.most)]
        else:
            drawn = _fill(self.groups, order, self.most)
            steps = [drawn[at] for at in torch.randperm(len(drawn), generator=draw).tolist()]
        return [[self.groups[at] for at in step] for step in steps]

    def share(self, step: Sequence[Sequence[int]]) -> list[int]:
        """What this process computes of a step: whole groups, where there are enough of them."""
        if self.processes == 1:
            return list(chain(*step))
        if self.single or len(step) < self.processes:
            positions = list(chain(*step))
            each = math.ceil(len(positions) / self.processes)
            return positions[self.rank * each : (self.rank + 1) * each]
        shares = _evenly(step, range(len(step)), self.processes)
        return list(chain(*(step[at] for at in shares[self.rank])))

    def visited(self, steps: int, epochs: float) -> list[int]:
        """The positions that so many steps come to (those of `epochs`, where `steps` is not positive), sorted."""
        left = steps if steps > 0 else math.ceil(epochs * len(self))
        if left >= len(self):
            return sorted(chain(*self.groups))
        return sorted(chain(*(chain(*step) for step in self.steps(0)[:left])))


def _pieces(group: Sequence[int], most: int) -> list[Sequence[int]]:
    if len(group) <= most:
        return [group]
    count = math.ceil(len(group) / most)
    ends = [round(len(group) * number / count) for number in range(count + 1)]
    return [group[start:end] for start, end in pairwise(ends)]


def _fill(groups: Sequence[Sequence[int]], order: Sequence[int], most: int) -> list[list[int]]:
    """Groups in as few steps of at most `most` examples as best fit finds, the largest first; then evened out.

    How many steps there are depends on the sizes only, not on `order`.
    """
    largest_first = sorted(order, key=lambda at: -len(groups[at]))
    steps: list[list[int]] = []
    by_room: list[list[int]] = [[] for _ in range(most + 1)]  # steps with so much room
    for at in largest_first:
        size = len(groups[at])
        room = next((room for room in range(size, most) if by_room[room]), most)
        if room == most:
            steps.append([])
        step = by_room[room].pop() if room < most else len(steps) - 1
        steps[step].append(at)
        by_room[room - size].append(step)
    even = _evenly(groups, largest_first, len(steps))
    return even if all(sum(len(groups[at]) for at in step) <= most for step in even) else steps


def _evenly(groups: Sequence[Sequence[int]], order: Sequence[int], parts: int) -> list[list[int]]:
    """Each group into the part that has least, the largest first."""
    result: list[list[int]] = [[] for _ in range(parts)]
    loads = [(0, part) for part in range(parts)]
    for at in sorted(order, key=lambda at: -len(groups[at])):
        load, part = heapq.heappop(loads)
        result[part].append(at)
        heapq.heappush(loads, (load + len(groups[at]), part))
    return result
