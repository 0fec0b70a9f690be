"""Which rows are computed both ways before a training: short and long ones, and few where the training is short."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.conftest import training
from training.contract.config import ModelSource

pytestmark = pytest.mark.engine


def rows_of(lengths, **changes):
    from training.engine.data.tokenization import Sequences
    from training.engine.trainers.checked_rows import rows_to_check

    sequences = [Sequences(n, [1] * length, [[2], [3, 2]]) for n, length in enumerate(lengths)]
    config = training("train_dpo", ModelSource(base="x"), **{"max_steps": -1, **changes})
    return rows_to_check(config, sequences)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=90))
def test_the_longest_is_always_among_them_and_the_shortest_where_there_are_two(lengths):
    rows = rows_of(lengths, epochs=1)
    found = [row.prompt_tokens[0] for row in rows]
    assert found == sorted(found)
    assert found[-1] == max(lengths)
    assert len(lengths) == 1 or found[0] == min(lengths)
    assert len({row.index for row in rows}) == len(rows) == min(len(lengths), max(2, len(lengths) // 16))


@pytest.mark.parametrize(
    ("rows", "changes", "count"),
    [
        (4, {"epochs": 1}, 2),
        (4, {"epochs": 9}, 2),
        (4, {"epochs": 20}, 4),
        (90, {"epochs": 1}, 5),
        (5_000, {"epochs": 1}, 64),
        (5_000, {"max_steps": 4, "batch_size": 8}, 2),
        (5_000, {"max_steps": 4, "batch_size": 8, "gradient_accumulation": 2}, 4),
        (5_000, {"max_steps": 100, "batch_size": 8}, 50),
    ],
)
def test_a_short_training_compares_few(rows, changes, count):
    found = rows_of([1 + n % 300 for n in range(rows)], **changes)
    assert len(found) == count
    assert found[-1].prompt_tokens[0] == min(rows, 300)
