"""Moved blocks: the figures of sacrebleu's TER, and the alignment that its search would choose."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein
from sacrebleu.metrics import lib_ter

from annotation.text.moves import BEAM, edits_with_moves, fewest_steps, steps_in_beam, words_missing

few_words = st.text(alphabet="abcdef", min_size=1, max_size=40)


@st.composite
def moved_about(draw):
    """A text and the same with blocks moved, words replaced and words left out, as people edit."""
    text = draw(st.text(alphabet="abcdefghijklmnopqrstuvwxyz", min_size=2, max_size=60))
    edited = text
    for _ in range(draw(st.integers(0, 4))):
        start, end = sorted((draw(st.integers(0, len(edited))), draw(st.integers(0, len(edited)))))
        block, rest = edited[start:end], edited[:start] + edited[end:]
        target = draw(st.integers(0, len(rest)))
        edited = rest[:target] + block + rest[target:]
    cut = draw(st.integers(0, len(edited) - 1))
    return text, (edited[:cut] + draw(st.text(alphabet="abcxyz", max_size=3)) + edited[cut + 1 :]) or "a"


@settings(max_examples=400)
@given(st.one_of(st.tuples(few_words, few_words), moved_about()))
def test_it_counts_as_sacrebleu_does(texts):
    text, goal = texts
    distance = Levenshtein.distance(text, goal)
    assume(
        distance + abs(len(text) - len(goal)) < 2 * BEAM - 2
    )  # beyond, sacrebleu's own distance is no longer the least
    assert edits_with_moves(text, goal) == lib_ter.translation_edit_rate(list(text), list(goal))[0]


@settings(max_examples=300)
@given(st.one_of(st.tuples(few_words, few_words), moved_about()))
def test_the_alignment_is_the_one_that_sacrebleu_would_choose(texts):
    text, goal = texts
    assume(Levenshtein.distance(text, goal) + abs(len(text) - len(goal)) < 2 * BEAM - 2)
    steps = fewest_steps(text, goal)
    assert steps == steps_in_beam(text, goal)
    assert len(steps) - steps.count("=") == Levenshtein.distance(text, goal)


@given(few_words, few_words)
def test_no_move_adds_a_word(text, goal):
    assert words_missing(text, goal) <= edits_with_moves(text, goal) <= Levenshtein.distance(text, goal)


@pytest.mark.parametrize(
    ("text", "goal", "count"),
    [("abcdefgh", "efghabcd", 1), ("abc", "abc", 0), ("abc", "xyz", 3), ("a" * 30, "b" * 80, 80), ("abab", "baba", 1)],
)
def test_known_texts(text, goal, count):
    assert edits_with_moves(text, goal) == count
