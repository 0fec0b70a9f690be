"""Shared-prefix rows: nothing computed twice, no attention across tails, nothing lost when steps are cut."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.engine.packed import layout

token = st.integers(1, 9)
texts = st.lists(token, min_size=1, max_size=12)
pairs = st.tuples(texts, st.lists(texts, min_size=1, max_size=3))
two_answers = st.tuples(texts, st.lists(texts, min_size=2, max_size=2))


def rows_of(drawn):
    return [layout.make_row(number, prompt, completions) for number, (prompt, completions) in enumerate(drawn)]


@given(pairs)
def test_a_row_reproduces_its_texts(drawn):
    prompt, completions = drawn
    row = layout.make_row(0, prompt, completions)
    for completion, tail, tokens in zip(completions, row.tails, row.completion_tokens, strict=True):
        assert row.shared + tail == prompt + completion
        assert tokens == len(completion)
    assert row.computed <= len(prompt) + sum(map(len, completions))
    if len(completions) > 1:
        assert len({tuple(tail[:1]) for tail in row.tails}) > 1 or not all(row.tails)


@given(st.lists(two_answers, min_size=1, max_size=4), st.booleans())
def test_every_token_is_predicted_where_a_plain_text_would_predict_it(drawn, one_line):
    """A stand-in for a model: a place's state is the list of tokens that it sees, in the order of their positions."""
    rows = rows_of(drawn)
    batch = layout.lay_out(rows, pad_id=0, one_line=one_line, multiple=8 if one_line else 1)
    seen = layout.dense_mask(batch, torch.float32)[:, 0] == 0
    states = []
    for line, query in itertools.product(*map(range, batch.input_ids.shape)):
        keys = torch.nonzero(seen[line, query])[:, 0].tolist()
        context = sorted((int(batch.position_ids[line, key]), int(batch.input_ids[line, key])) for key in keys)
        states.append([token for _, token in context])
    sequences = [
        (row, prompt, completion)
        for row, (prompt, completions) in zip(rows, drawn, strict=True)
        for completion in completions
    ]
    for number, (_, prompt, completion) in enumerate(sequences):
        mine = batch.sum_targets[batch.sum_sequences == number].tolist()
        assert [int(batch.target_ids[target]) for target in mine] == completion
        for step, target in enumerate(mine):
            assert states[int(batch.target_positions[target])] == prompt + completion[:step]


@given(st.lists(two_answers, min_size=1, max_size=4), st.integers(1, 9))
def test_flex_attention_s_mask_function_sees_what_the_dense_mask_sees(drawn, window):
    batch = layout.lay_out(rows_of(drawn), pad_id=0, one_line=True, multiple=16)
    width = batch.input_ids.shape[1]
    place = torch.arange(width)
    for size in (None, window):
        function = layout.mask_function(batch, size)
        zero = torch.tensor(0)
        seen = torch.stack([function(zero, zero, torch.full_like(place, query), place) for query in range(width)])
        assert torch.equal(seen, layout.dense_mask(batch, torch.float32, size)[0, 0] == 0)


def test_the_block_mask_of_flex_attention_is_built_from_it():
    rows = rows_of([([1, 2, 3], [[4, 5], [4, 6, 7]]), ([1], [[2], [3]])])
    batch = layout.lay_out(rows, pad_id=0, one_line=True, multiple=128)
    mask = layout.block_mask(batch)
    assert mask.shape == (1, 1, 128, 128)
    dense = layout.dense_mask(batch, torch.float32)[0, 0] == 0
    found = torch.stack(
        [mask.mask_mod(torch.tensor(0), torch.tensor(0), torch.full((128,), q), torch.arange(128)) for q in range(128)]
    )
    assert torch.equal(found, dense)


def test_a_tail_sees_the_shared_part_and_itself_only():
    row = layout.make_row(0, [1, 2], [[3, 4, 5, 6], [3, 7, 8]])
    assert (row.shared, row.tails, row.completion_tokens) == ([1, 2, 3], [[4, 5, 6], [7, 8]], [4, 3])
    batch = layout.lay_out([row], pad_id=0)
    assert batch.input_ids.tolist() == [[1, 2, 3, 4, 5, 7]]
    assert batch.position_ids.tolist() == [[0, 1, 2, 3, 4, 3]]
    seen = layout.dense_mask(batch, torch.float32)[0, 0] == 0
    assert seen[-1].tolist() == [True, True, True, False, False, True]
    assert seen[4].tolist() == [True, True, True, True, True, False]


@given(st.lists(st.integers(1, 60), min_size=1, max_size=24), st.integers(1, 200), st.integers(0, 50), st.booleans())
def test_a_cut_keeps_every_row_once_and_the_budget(lengths, budget, overhead, one_line):
    cuts = layout.cut(lengths, budget, overhead, one_line)
    assert sorted(itertools.chain(*cuts)) == list(range(len(lengths)))
    for cut in cuts:
        held = [lengths[position] for position in cut]
        tokens = sum(held) if one_line else len(cut) * max(held)
        assert tokens <= budget or len(cut) == 1


@given(st.lists(st.integers(1, 30), min_size=1, max_size=9), st.integers(20, 90), st.integers(0, 20))
def test_no_cut_of_the_sorted_rows_is_cheaper(lengths, budget, overhead):
    def cost(cuts):
        return sum(len(cut) * max(cut) + overhead for cut in cuts)

    ordered = sorted(lengths, reverse=True)
    found = cost([[lengths[position] for position in cut] for cut in layout.cut(lengths, budget, overhead)])
    for places in itertools.product([False, True], repeat=len(ordered) - 1):
        ends = [n + 1 for n, here in enumerate(places) if here] + [len(ordered)]
        cuts = [ordered[start:end] for start, end in zip([0, *ends], ends, strict=False)]
        if all(len(cut) == 1 or len(cut) * max(cut) <= budget for cut in cuts):
            assert found <= cost(cuts)


def test_a_prompt_without_tokens_is_refused():
    with pytest.raises(ValueError, match="row 8"):
        layout.make_row(7, [], [[1], [2]])
