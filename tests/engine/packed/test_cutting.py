"""Micro-batches: no row lost, none cheaper, and fast."""

import itertools
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.engine.packed.cutting import cut

row_lengths = st.lists(st.integers(1, 60), min_size=1, max_size=24)


@given(row_lengths, st.integers(1, 200), st.integers(0, 50), st.booleans())
def test_a_cut_keeps_every_row_once_and_the_budget(lengths, budget, overhead, one_line):
    cuts = cut(lengths, budget, overhead, one_line)
    assert sorted(itertools.chain(*cuts)) == list(range(len(lengths)))
    for part in cuts:
        held = [lengths[position] for position in part]
        tokens = sum(held) if one_line else len(part) * max(held)
        assert tokens <= budget or len(part) == 1


@given(st.lists(st.integers(1, 30), min_size=1, max_size=9), st.integers(20, 90), st.integers(0, 20))
def test_no_cut_of_the_sorted_rows_is_cheaper(lengths, budget, overhead):
    def cost(cuts):
        return sum(len(cut) * max(cut) + overhead for cut in cuts)

    ordered = sorted(lengths, reverse=True)
    found = cost([[lengths[position] for position in part] for part in cut(lengths, budget, overhead)])
    for places in itertools.product([False, True], repeat=len(ordered) - 1):
        ends = [n + 1 for n, here in enumerate(places) if here] + [len(ordered)]
        cuts = [ordered[start:end] for start, end in zip([0, *ends], ends, strict=False)]
        if all(len(cut) == 1 or len(cut) * max(cut) <= budget for cut in cuts):
            assert found <= cost(cuts)


def plainly(lengths, budget, overhead):
    """The same by comparing every start with every end."""
    order = sorted(range(len(lengths)), key=lambda position: (-lengths[position], position))
    best, last = [0], [0]
    for end in range(1, len(order) + 1):
        costs = [
            (best[start] + (end - start) * lengths[order[start]] + overhead, start)
            for start in range(end)
            if end - start == 1 or (end - start) * lengths[order[start]] <= budget
        ]
        cost, start = min(costs)
        best.append(cost)
        last.append(start)
    cuts, end = [], len(order)
    while end:
        cuts.append(order[last[end] : end])
        end = last[end]
    return cuts[::-1]


@given(row_lengths, st.integers(1, 400), st.integers(0, 60))
def test_of_equally_cheap_cuts_it_is_the_same_one_as_ever(lengths, budget, overhead):
    """A resumed run must compute the same micro-batches."""
    assert cut(lengths, budget, overhead) == plainly(lengths, budget, overhead)


@given(row_lengths, st.integers(1, 200))
def test_lines_are_filled_by_first_fit(lengths, budget):
    lines, room = [], []
    for position in sorted(range(len(lengths)), key=lambda position: (-lengths[position], position)):
        line = next((n for n, left in enumerate(room) if left >= lengths[position]), len(lines))
        if line == len(lines):
            lines.append([])
            room.append(budget)
        lines[line].append(position)
        room[line] -= lengths[position]
    assert cut(lengths, budget, one_line=True) == lines


def test_nothing_is_cut_into_nothing():
    assert cut([], 100) == cut([], 100, one_line=True) == []


@pytest.mark.parametrize("one_line", [False, True])
@pytest.mark.parametrize("longest", [30, 4000])
def test_a_hundred_thousand_rows_take_a_second(one_line, longest):
    draw = random.Random(longest)
    lengths = [draw.randint(1, longest) for _ in range(100_000)]
    started = time.process_time()
    cuts = cut(lengths, 16_384, 64, one_line)
    assert time.process_time() - started < 5  # about one on a quiet machine
    assert sorted(itertools.chain(*cuts)) == list(range(100_000))
