"""Fractions of the training prompts: nested, never splitting a prompt, independent of the order of the rows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.engine.data.subsets import nested_subset, prompt_key


def labelled(prompts: list[int]) -> list[dict]:
    return [{"prompt": f"text {prompt}", "prompt_id": prompt, "n": n} for n, prompt in enumerate(prompts)]


shares = st.floats(0.001, 1)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=80), shares, shares, st.integers(0, 5), st.randoms())
def test_smaller_shares_lie_within_larger_ones(prompts, one, other, seed, random):
    rows = labelled(prompts)
    small, large = (nested_subset(rows, share, seed) for share in sorted((one, other)))
    assert small
    assert {row["n"] for row in small} <= {row["n"] for row in large}
    taken = {row["prompt_id"] for row in large}
    assert large == [row for row in rows if row["prompt_id"] in taken]  # whole prompts, in the order given
    assert len(taken) == pytest.approx(max(1, max(one, other) * len(set(prompts))), abs=0.5)
    mixed = random.sample(rows, len(rows))
    assert {row["n"] for row in nested_subset(mixed, max(one, other), seed)} == {row["n"] for row in large}


def test_the_whole_share_is_every_row_and_another_seed_takes_others():
    rows = labelled(list(range(200)))
    assert nested_subset(rows, 1.0, 17) == rows
    half, again, others = (nested_subset(rows, 0.5, seed) for seed in (17, 17, 18))
    assert half == again
    assert len(half) == len(others) == 100
    assert half != others


def test_prompts_without_an_id_are_told_apart_by_their_text():
    rows = [{"prompt": [{"role": "user", "content": text}]} for text in ("a", "b", "a")]
    assert prompt_key(rows[0]) == prompt_key(rows[2]) != prompt_key(rows[1])
    assert len(nested_subset(rows, 0.5, 1)) in (1, 2)


def test_shares_out_of_range_are_refused():
    for share in (0, -1, 1.5):
        with pytest.raises(ValueError, match="share must lie"):
            nested_subset(labelled([1]), share, 1)
