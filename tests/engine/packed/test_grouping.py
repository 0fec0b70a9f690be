"""Which examples share a row and a step: a prompt's pairs together, each once in an epoch, in all processes."""

import itertools
import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from training.engine.packed.grouping import Costs, grouped
from training.engine.packed.sampling import StepSampler, groups_of
from training.engine.packed.step import Layout
from training.engine.trainers import preference

SIDES = ("chosen_ids", "rejected_ids")
token = st.integers(1, 3)
texts = st.lists(token, min_size=1, max_size=5)
sizes = st.lists(st.integers(1, 9), min_size=1, max_size=20)


def example(prompt, chosen, rejected, **numbers):
    terms = dict.fromkeys(preference.TERMS, 0.5)
    return {"prompt_ids": prompt, "chosen_ids": chosen, "rejected_ids": rejected, **terms, **numbers}


def ranking(prompt, answers):
    return [example(prompt, one, other) for one, other in itertools.combinations(answers, 2)]


@given(st.lists(st.tuples(texts, texts, texts), min_size=1, max_size=8), st.integers(1, 40), st.sampled_from([0, 0.3]))
def test_every_example_finds_its_own_texts_in_its_row(drawn, budget, place_cost):
    examples = [example(*texts) for texts in drawn]
    groups = grouped(examples, SIDES, Costs(budget, place_cost))
    members = [(group, member) for group in groups for member in group.members]
    assert sorted(id(member.example) for _, member in members) == sorted(map(id, examples))
    for group, member in members:
        for column, text in zip(SIDES, member.texts, strict=True):
            assert group.row.texts[text] == member.example["prompt_ids"] + member.example[column]
            assert group.row.prompt_tokens[text] == len(member.example["prompt_ids"])
    for group in groups:
        assert len(
            {(tuple(text), at) for text, at in zip(group.row.texts, group.row.prompt_tokens, strict=True)}
        ) == len(group.row.texts)
        assert group.row.computed <= budget or len(group.members) == 1


def test_a_ranking_of_four_is_one_row_of_four_texts():
    prompt, answers = list(range(1, 31)), [[40 + n] * (5 + n) + [2] for n in range(4)]
    (group,) = grouped(ranking(prompt, answers), SIDES, Costs(1000))
    assert [len(text) for text in group.row.texts] == [36, 37, 38, 39]
    assert group.row.computed == 30 + 5 + 6 + 7 + 8
    assert [member.texts for member in group.members] == list(itertools.combinations(range(4), 2))


def test_a_ranking_that_is_too_long_for_a_line_is_split_and_loses_no_pair():
    answers = [[40 + n] * 100 for n in range(5)]
    groups = grouped(ranking([1] * 10, answers), SIDES, Costs(310))
    assert 1 < len(groups) < 10
    assert sum(len(group.members) for group in groups) == 10
    assert len(grouped(ranking([1] * 10, answers), SIDES, Costs(10_000, place_cost=1.0))) == 1  # pairs repeat more


def test_turns_of_a_conversation_share_a_row_where_a_longer_line_pays():
    first, reply = [5] * 40, [6] * 10
    second = first + reply + [7] * 30
    pairs = [example(first, reply, [8] * 9), example([9] * 40, [3], [4]), example(second, [3] * 4, [4] * 4)]
    (conversation, other) = grouped(pairs, SIDES, Costs(1000))
    assert len(conversation.row.texts) == 4
    assert conversation.row.computed == 40 + 10 + 30 + 8 + 3 + 3
    assert len(other.row.texts) == 2
    assert len(grouped(pairs, SIDES, Costs(90))) == 3
    system = [example([5] * 30 + [n] * 170, [3], [4]) for n in (6, 7)]  # little in common for so long a line
    assert len(grouped(system, SIDES, Costs(1000))) == 1
    assert len(grouped(system, SIDES, Costs(1000, place_cost=1.0))) == 2


def groups_with(sizes):
    positions = itertools.count()
    return [[next(positions) for _ in range(size)] for size in sizes]


@given(sizes, st.integers(1, 8), st.integers(1, 3), st.integers(0, 3))
def test_each_example_comes_once_in_an_epoch_and_groups_stay_together(sizes, each, processes, epoch):
    groups, most = groups_with(sizes), each * processes
    samplers = [StepSampler(groups, most=most, seed=17, processes=processes, rank=rank) for rank in range(processes)]
    for sampler in samplers:
        sampler.set_epoch(epoch)
    shares = [list(sampler) for sampler in samplers]
    assert {len(share) for share in shares} == {len(samplers[0])}
    steps = [list(itertools.chain(*parts)) for parts in zip(*shares, strict=True)]
    assert sorted(itertools.chain(*steps)) == sorted(itertools.chain(*groups))
    assert all(0 < len(step) <= most for step in steps)
    for group in groups:
        holding = [step for step in steps if set(step) & set(group)]
        assert len(holding) == math.ceil(len(group) / most)
    assert [list(sampler) for sampler in samplers] == shares  # resumed: the same again


@given(st.integers(1, 40), st.integers(1, 9), st.integers(0, 4))
def test_pairs_of_their_own_prompts_come_in_the_order_of_a_seeded_permutation(rows, most, epoch):
    """As accelerate draws them for TRL's trainers: the tests of equality depend on it."""
    sampler = StepSampler([[n] for n in range(rows)], most=most, seed=17)
    sampler.set_epoch(epoch)
    order = torch.randperm(rows, generator=torch.Generator().manual_seed(17 + epoch)).tolist()
    assert list(sampler) == [order[start : start + most] for start in range(0, rows, most)]


def test_steps_of_uneven_groups_are_even():
    sampler = StepSampler(groups_with([6, 3, 3, 1, 1, 1, 1] * 12), most=8, seed=3)
    steps = list(sampler)
    assert len(steps) == 24
    assert {len(step) for step in steps} <= {7, 8}  # 192 pairs in 24 steps of 8 would be full


def test_steps_that_a_short_training_comes_to():
    sampler = StepSampler(groups_of("aabbccdd"), most=4, seed=1)
    assert len(sampler) == 2
    assert sampler.visited(1, 1.0) == sorted(next(iter(sampler)))
    assert sampler.visited(-1, 0.5) == sampler.visited(1, 9.0)
    assert sampler.visited(-1, 1.0) == sampler.visited(5, 1.0) == list(range(8))


def test_a_process_without_an_example_computes_one_that_counts_nothing():
    collator = preference.collator(Layout(pad_id=0, budget=100))
    stand_in = example([1, 2], [3], [4])
    from dataclasses import replace

    step = replace(collator, stand_in=stand_in)([])["step"]
    assert [part.idle for part in step.parts] == [True]
    assert step.totals["pairs"] == 0
