"""Majority and Dawid-Skene against a literal EM, planted truth, and what must not matter."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotation.quality.aggregation import CONVERGED, FLOOR, SMOOTHING, Answers, accuracies, dawid_skene, majority
from tests.annotation.quality.planted import Person, crowd

TABLES = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 3), st.integers(0, 2), st.booleans()), min_size=1, max_size=30
)


def answers_of(rows, classes=3):
    unit, person, answer, mirrored = (np.array(column) for column in zip(*rows, strict=True))
    return Answers(unit, person, answer, classes, mirrored)


def literal_em(rows, classes, iterations, smoothing):
    """The same model, in loops."""
    units, people = max(row[0] for row in rows) + 1, max(row[1] for row in rows) + 1
    votes = [[sum(u == unit and a == c for u, _, a, _ in rows) for c in range(classes)] for unit in range(units)]
    posterior = [[v / sum(own) if sum(own) else 1 / classes for v in own] for own in votes]
    for _ in range(iterations):
        counts = np.zeros((people, classes, classes))
        for u, p, a, m in rows:
            for c in range(classes):
                counts[p][c][classes - 1 - a if m else a] += posterior[u][classes - 1 - c if m else c]
        everybody = counts.sum(axis=0) + FLOOR
        everybody /= everybody.sum(axis=1, keepdims=True)
        confusion = counts + smoothing * everybody
        confusion /= confusion.sum(axis=2, keepdims=True)
        prior = [(sum(own[c] for own in posterior) + 1 / classes) / (units + 1) for c in range(classes)]
        updated = []
        for unit in range(units):
            score = list(prior)
            for u, p, a, m in rows:
                if u == unit:
                    for c in range(classes):
                        sides = (classes - 1 - c, classes - 1 - a) if m else (c, a)
                        score[c] *= confusion[p][sides[0]][sides[1]]
            updated.append([value / sum(score) for value in score])
        posterior = updated
    return np.array(posterior), confusion


@settings(max_examples=40, deadline=None)
@given(TABLES, st.integers(1, 6))
def test_em_is_its_definition(rows, iterations):
    found = dawid_skene(answers_of(rows), max_iterations=iterations)
    posterior, confusion = literal_em(rows, 3, found.iterations, SMOOTHING)
    assert found.posterior == pytest.approx(posterior, abs=1e-9)
    assert found.confusion == pytest.approx(confusion, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(TABLES, st.randoms(use_true_random=False), st.permutations(range(3)))
def test_order_and_names_mean_nothing(rows, random, names):
    found = dawid_skene(answers_of(rows))
    shuffled = list(rows)
    random.shuffle(shuffled)
    again = dawid_skene(answers_of(shuffled))
    assert np.array_equal(again.posterior, found.posterior), "the same to the bit"
    assert np.array_equal(again.confusion, found.confusion)
    plain = [(unit, person, answer, False) for unit, person, answer, _ in rows]
    renamed = dawid_skene(answers_of([(unit, person, names[answer], m) for unit, person, answer, m in plain]))
    assert renamed.posterior[:, list(names)] == pytest.approx(dawid_skene(answers_of(plain)).posterior, abs=CONVERGED)
    turned = dawid_skene(answers_of([(unit, person, 2 - answer, not m) for unit, person, answer, m in rows]))
    assert turned.posterior[:, ::-1] == pytest.approx(found.posterior, abs=CONVERGED)
    assert turned.confusion == pytest.approx(found.confusion, abs=CONVERGED), "the same sides"


def test_majority_is_the_shares_of_votes():
    made = Answers(np.array([0, 0, 0, 2]), np.array([0, 1, 2, 0]), np.array([0, 0, 2, 1]), 3)
    assert majority(made).tolist() == [[2 / 3, 0, 1 / 3], [1 / 3, 1 / 3, 1 / 3], [0, 1, 0]]
    empty = dawid_skene(Answers(*(np.zeros(0, dtype=np.int64),) * 3, 3))
    assert (empty.posterior.shape, empty.confusion.shape, empty.converged) == ((0, 3), (0, 3, 3), True)


def test_it_beats_majority_and_finds_who_guesses_and_who_follows_the_left():
    people = [Person(0.05), Person(0.2), Person(0.1, left=0.4), Person(guess=True), Person(0.1)]
    made = crowd(np.random.default_rng(2), people, units=1_500, overlap=3)
    found = dawid_skene(made.answers)
    right = [(rows.argmax(axis=1) == made.truth).mean() for rows in (majority(made.answers), found.posterior)]
    assert right[1] > right[0] + 0.03
    assert found.converged
    rows = accuracies(made.answers, found.posterior)
    guesser = rows[3]
    assert guesser.high < min(row.low for row in rows if row is not guesser) - 0.1
    # Given that the right text is better, who follows the left says left; by texts nothing of this would show.
    sides = found.confusion[:, 2, 0]
    assert sides[2] > 0.3 > 0.25 > max(sides[[0, 1, 4]])
    assert found.confusion[2, 0, 2] < 0.1


def test_intervals_of_accuracy_cover_what_is_planted():
    random, hits, total = np.random.default_rng(8), 0, 0
    people = [Person(0.05), Person(0.15), Person(0.25), Person(0.1, left=0.2), Person(0.4)]
    for _ in range(25):
        made = crowd(random, people, units=400, overlap=4)
        expected = crowd(np.random.default_rng(0), people, units=60_000, overlap=5)
        right = expected.answers.answer == expected.truth[expected.answers.unit]
        for number, row in enumerate(accuracies(made.answers, dawid_skene(made.answers).posterior)):
            hits += row.low <= right[expected.answers.person == number].mean() <= row.high
            total += 1
    assert 0.9 <= hits / total <= 0.99


def test_who_answers_alone_is_not_judged():
    made = Answers(np.array([0, 1, 1]), np.array([0, 1, 2]), np.array([0, 0, 0]), 3)
    assert [row is None for row in accuracies(made, dawid_skene(made).posterior)] == [True, False, False]
