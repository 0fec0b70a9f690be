"""Shared-prefix rows: nothing computed twice, no attention across tails, nothing lost when steps are cut."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.engine.packed import layout, masks
from training.engine.packed.trie import common_start, make_row_of_texts

token = st.integers(1, 4)  # few, so that texts begin alike
texts = st.lists(token, min_size=1, max_size=9)
prompted = st.tuples(texts, texts)
tries = st.lists(prompted, min_size=1, max_size=6)  # any prompts and completions, some of them twice
two_answers = st.tuples(texts, st.lists(texts, min_size=2, max_size=2))


def rows_of(drawn):
    return [make_row_of_texts(number, texts) for number, texts in enumerate(drawn)]


def beginnings(texts):
    return {tuple(text[:end]) for text in texts for end in range(1, len(text) + 1)}


@given(tries)
def test_a_row_computes_and_scores_each_beginning_once(drawn):
    (row,) = rows_of([drawn])
    whole = [prompt + completion for prompt, completion in drawn]
    computed = {beginning for text in whole for beginning in beginnings([text[:-1]])}
    scored = {tuple(prompt + answer[:end]) for prompt, answer in drawn for end in range(1, len(answer) + 1)}
    assert row.computed == len(row.trie.ids) == len(computed)
    assert row.scored == len(scored)
    assert row.completion_tokens == [len(completion) for _, completion in drawn]
    assert row.is_one_text == (len(drawn) == 1)


@given(texts, texts)
def test_common_starts_are_found_by_halves(one, other):
    expected = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    assert common_start(one, other) == expected


@given(st.lists(tries, min_size=1, max_size=3), st.booleans())
def test_every_token_is_predicted_where_a_plain_text_would_predict_it(drawn, one_line):
    """A stand-in for a model: a place's state is the list of tokens that it sees, in the order of their positions."""
    batch = layout.lay_out(rows_of(drawn), pad_id=0, one_line=one_line, multiple=8 if one_line else 1)
    seen = masks.dense_mask(batch, torch.float32)[:, 0] == 0
    states = []
    for line, query in itertools.product(*map(range, batch.input_ids.shape)):
        keys = torch.nonzero(seen[line, query])[:, 0].tolist()
        context = sorted((int(batch.position_ids[line, key]), int(batch.input_ids[line, key])) for key in keys)
        states.append([token for _, token in context])
    sequences = [text for texts in drawn for text in texts]
    assert batch.sequences == len(sequences)
    for number, (prompt, completion) in enumerate(sequences):
        mine = batch.sum_targets[batch.sum_sequences == number].tolist()
        assert [int(batch.target_ids[target]) for target in mine] == completion
        for step, target in enumerate(mine):
            assert states[int(batch.target_positions[target])] == prompt + completion[:step]


@given(st.lists(tries, min_size=1, max_size=3), st.integers(1, 9))
def test_flex_attention_s_mask_function_sees_what_the_dense_mask_sees(drawn, window):
    batch = layout.lay_out(rows_of(drawn), pad_id=0, one_line=True, multiple=16)
    width = batch.input_ids.shape[1]
    place = torch.arange(width)
    for size in (None, window):
        function = masks.mask_function(batch, size)
        zero = torch.tensor(0)
        seen = torch.stack([function(zero, zero, torch.full_like(place, query), place) for query in range(width)])
        assert torch.equal(seen, masks.dense_mask(batch, torch.float32, size)[0, 0] == 0)


def test_the_block_mask_of_flex_attention_is_built_from_it():
    rows = rows_of([[([1, 2, 3], [4, 5]), ([1, 2, 3], [4, 6, 7])], [([1], [2]), ([1], [3])]])
    batch = layout.lay_out(rows, pad_id=0, one_line=True, multiple=128)
    mask = masks.block_mask(batch)
    assert mask.shape == (1, 1, 128, 128)
    dense = masks.dense_mask(batch, torch.float32)[0, 0] == 0
    found = torch.stack(
        [mask.mask_mod(torch.tensor(0), torch.tensor(0), torch.full((128,), q), torch.arange(128)) for q in range(128)]
    )
    assert torch.equal(found, dense)


def test_an_answer_sees_its_beginning_and_itself_only():
    row = layout.make_row(0, [1, 2], [[3, 4, 5, 6], [3, 7, 8]])
    assert row.completion_tokens == [4, 3]
    batch = layout.lay_out([row], pad_id=0)
    assert batch.input_ids.tolist() == [[1, 2, 3, 4, 5, 7]]
    assert batch.position_ids.tolist() == [[0, 1, 2, 3, 4, 3]]
    seen = masks.dense_mask(batch, torch.float32)[0, 0] == 0
    assert seen[-1].tolist() == [True, True, True, False, False, True]
    assert seen[4].tolist() == [True, True, True, True, True, False]


def test_a_ranking_of_answers_is_one_line_and_an_end_may_be_another_s_middle():
    row = layout.make_row(0, [1], [[2, 3], [2, 3, 4, 5], [2, 6, 7], [2, 3]])
    batch = layout.lay_out([row], pad_id=0)
    assert batch.input_ids.tolist() == [[1, 2, 3, 4, 6]]
    assert batch.position_ids.tolist() == [[0, 1, 2, 3, 2]]
    assert batch.ends.tolist() == [[5, 5, 4, 4, 5]]
    logps = torch.arange(1.0, row.scored + 1)
    assert row.scored == 6  # 2, 3, 4, 5, 6 and 7
    by_text = [values.tolist() for values in batch.by_sequence(logps)]
    assert by_text == [[1, 2], [1, 2, 3, 4], [1, 5, 6], [1, 2]]
    assert batch.sums(logps).tolist() == [3, 10, 12, 3]


def test_later_turns_of_a_conversation_go_on_after_the_earlier_ones():
    """The second prompt holds the first one's answer: scored for the first text, context for the second."""
    row = make_row_of_texts(0, [([1, 2], [3, 9]), ([1, 2, 3, 9, 4], [5, 6])])
    batch = layout.lay_out([row], pad_id=0)
    assert batch.input_ids.tolist() == [[1, 2, 3, 9, 4, 5]]
    assert batch.target_ids.tolist() == [3, 9, 5, 6]
    assert [len(own) for own in batch.by_sequence(torch.zeros(4))] == [2, 2]


def test_a_prompt_without_tokens_is_refused():
    with pytest.raises(ValueError, match="row 8"):
        layout.make_row(7, [], [[1], [2]])
