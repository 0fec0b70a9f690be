"""How rows are cut into micro-batches of little padding. Free of torch; 100,000 rows take a fraction of a second."""

from collections.abc import Sequence


def cut(lengths: Sequence[int], budget: int, overhead: int = 0, one_line: bool = False) -> list[list[int]]:
    """Positions of `lengths` in micro-batches of at most `budget` tokens with their padding, the longest first.

    Sorted by length, then cut where the padding and `overhead` (what a further micro-batch costs, in tokens) are
    least in sum. A row longer than the budget is a micro-batch of its own. With `one_line` nothing is padded, and
    lines are filled by first fit.
    """
    order = sorted(range(len(lengths)), key=lambda position: (-lengths[position], position))
    sizes = [lengths[position] for position in order]
    if one_line:
        return [[order[place] for place in line] for line in _fill(sizes, budget)]
    last = _cheapest(sizes, budget, overhead)
    cuts: list[list[int]] = []
    end = len(order)
    while end:
        cuts.append(order[last[end] : end])
        end = last[end]
    return cuts[::-1]


def _cheapest(sizes: Sequence[int], budget: int, overhead: int) -> list[int]:
    """Where the last micro-batch of the first n rows begins, for each n; of several places the first.

    Dynamic programming: cost[end] = min over start of cost[start] + (end - start) · sizes[start] + overhead. As sizes
    fall, a later start gains on an earlier one with every row more, and it can also reach further within the budget.
    So each start is the best of all for a range of ends, and the ranges follow one another in the order of starts:
    `starts` and `since` hold them, and each start enters and leaves once (Galil and Park 1992).
    """
    count = len(sizes)
    cost = [0] * (count + 1)
    last = [0] * (count + 1)
    reach = [start + max(1, budget // size) if size else count for start, size in enumerate(sizes)]

    def overtakes(start: int, earlier: int) -> int:
        """The first end for which `start` costs less than `earlier`, or which only `start` can reach."""
        beyond = reach[earlier] + 1
        lead = cost[start] - start * sizes[start] - cost[earlier] + earlier * sizes[earlier]
        gain = sizes[earlier] - sizes[start]
        if not gain:
            return 0 if lead < 0 else beyond
        return min(beyond, lead // gain + 1)

    starts, since = [0], [1]
    first = 0
    for end in range(1, count + 1):
        while first + 1 < len(starts) and since[first + 1] <= end:
            first += 1
        start = starts[first]
        last[end] = start
        cost[end] = cost[start] + (end - start) * sizes[start] + overhead
        if end == count:
            break
        while len(starts) > first and overtakes(end, starts[-1]) <= max(since[-1], end + 1):
            starts.pop()
            since.pop()
        begin = overtakes(end, starts[-1]) if len(starts) > first else end + 1
        if begin <= count:
            starts.append(end)
            since.append(begin)
    return last


def _fill(sizes: Sequence[int], budget: int) -> list[list[int]]:
    """First fit: each into the first line that has room for it. A tree of the most room finds that line."""
    width = 1 << max(0, len(sizes) - 1).bit_length()
    room = [budget] * (2 * width)  # room[1]: the most of all lines; lines begin at `width`; unused ones are empty
    lines: list[list[int]] = []
    for place, size in enumerate(sizes):
        node = 1
        if room[1] >= size:
            while node < width:
                node *= 2
                node += room[node] < size
            line = node - width
        else:
            line = len(lines)  # it is longer than the budget
        if line == len(lines):
            lines.append([])
        lines[line].append(place)
        node = line + width
        room[node] -= size
        while node > 1:
            node //= 2
            room[node] = max(room[2 * node], room[2 * node + 1])
    return lines
