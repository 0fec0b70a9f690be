"""Agreement against published examples, a literal computation, and repeated sampling."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotation.quality import agreement as agreed
from annotation.quality.agreement import Ratings, agreement, alpha, cohen, fleiss, krippendorff, percent
from annotation.quality.figures import NO_VARIATION, TOO_FEW, mean_of
from annotation.quality.matrix import matrix

# Krippendorff (2011), “C. Nominal data, any number of observers, missing data”: 4 observers, 12 units.
OBSERVERS = (
    "1 2 3 3 2 1 4 1 2 . . .",
    "1 2 3 3 2 2 4 1 2 5 . 3",
    ". 3 3 3 2 3 4 2 2 5 1 .",
    "1 2 3 3 2 4 4 1 2 5 1 .",
)
# The same paper, “A. Binary data, two observers, no missing data”: 10 units.
BINARY = ("0 1 0 0 0 0 0 0 1 0", "1 1 1 0 0 1 0 0 0 0")
# Fleiss (1971): 30 patients, six psychiatrists each, five diagnoses.
DIAGNOSES = """
    00060 03003 01401 00006 03030 20400 00402 20310 20040 00006 10050 11040 03300 10050 02031
    00501 30012 51000 02040 10203 00006 01050 02013 20040 10041 05010 40002 02040 10500 00006
"""


def ratings(observers):
    rows = [
        (unit, person, int(value))
        for person, line in enumerate(observers)
        for unit, value in enumerate(line.split())
        if value != "."
    ]
    unit, person, value = np.array(rows).T
    return Ratings(unit, person, value, unit)


def literal_alpha(found, metric):
    """Krippendorff's definition, pair by pair."""
    by_unit = {unit: found.value[found.unit == unit].tolist() for unit in np.unique(found.unit)}
    by_unit = {unit: values for unit, values in by_unit.items() if len(values) > 1}
    values = [value for own in by_unit.values() for value in own]
    n = len(values)

    def difference(one, other):
        if metric == "nominal":
            return float(one != other)
        if metric == "interval":
            return float(one - other) ** 2
        low, high = sorted((one, other))
        between = sum(low <= value <= high for value in values)
        return (between - (values.count(low) + values.count(high)) / 2) ** 2

    observed = sum(sum(difference(*pair) for pair in permutations(own, 2)) / (len(own) - 1) for own in by_unit.values())
    expected = sum(difference(*pair) for pair in permutations(values, 2))
    return None if not expected else 1 - (n - 1) * observed / expected


def test_alpha_is_that_of_the_textbook():
    for metric, value in (("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)):
        assert krippendorff(ratings(OBSERVERS), metric=metric).value == pytest.approx(value, abs=5e-4), metric
    assert krippendorff(ratings(BINARY)).value == pytest.approx(0.095, abs=5e-4)
    assert alpha(agreed.counted(ratings(OBSERVERS))[0]) == pytest.approx(0.743, abs=5e-4)


def test_kappas_are_those_of_the_papers():
    counts = np.array([[int(digit) for digit in patient] for patient in DIAGNOSES.split()])
    assert counts.sum(axis=1).tolist() == [6] * 30
    unit, value = (np.repeat(axis, counts.ravel()) for axis in np.indices(counts.shape).reshape(2, -1))
    found = fleiss(Ratings(unit, np.arange(len(unit)), value, unit))
    assert found.value == pytest.approx(0.430, abs=5e-4)
    assert found.low < 0.430 < found.high
    for table, kappa in (((20, 5, 10, 15), 0.4), ((45, 15, 25, 15), 0.1304), ((25, 35, 5, 35), 0.2593)):
        one, other = (np.repeat(side, table) for side in ([0, 0, 1, 1], [0, 1, 0, 1]))
        assert cohen(one, other, np.arange(len(one))).value == pytest.approx(kappa, abs=5e-5)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 4) | st.none(), min_size=4, max_size=4), min_size=2, max_size=12),
    st.sampled_from(["nominal", "ordinal", "interval"]),
)
def test_alpha_is_its_definition(table, metric):
    rows = [
        (unit, person, value)
        for unit, line in enumerate(table)
        for person, value in enumerate(line)
        if value is not None
    ]
    if not rows:
        return
    unit, person, value = np.array(rows).T
    made = Ratings(unit, person, value, unit)
    found, expected = krippendorff(made, metric=metric, paths=5), literal_alpha(made, metric)
    shuffled = krippendorff(made.where(np.random.default_rng(1).permutation(len(unit))), metric=metric, paths=5)
    assert shuffled.value == pytest.approx(found.value)
    if expected is None:
        assert (found.value, found.undefined) in {(None, NO_VARIATION), (None, TOO_FEW)}
    else:
        assert found.value == pytest.approx(expected, abs=1e-9)
        assert found.undefined == ""


def test_a_corpus_without_variation_says_so():
    same = ratings(("1 1 1", "1 1 1"))
    for found in (*(krippendorff(same, metric=metric) for metric in ("nominal", "ordinal", "interval")), fleiss(same)):
        assert (found.value, found.low, found.undefined) == (None, None, NO_VARIATION)
    assert cohen(np.ones(9), np.ones(9), np.arange(9)).undefined == NO_VARIATION
    assert percent(same).value == 1.0
    alone = ratings(("1 . 2", ". 1 ."))
    assert {krippendorff(alone).undefined, percent(alone).undefined, fleiss(alone).undefined} == {TOO_FEW}
    assert cohen(np.array([]), np.array([]), np.array([])).undefined == TOO_FEW
    assert percent(ratings(("1 2", "1 1")), fewest=10).undefined == TOO_FEW
    assert alpha(np.array([[2, 0], [3, 0]])) is None
    assert alpha(np.array([[1, 0], [0, 1]])) is None
    assert agreement(np.array([[1, 0], [0, 1]]), np.arange(2)) is None
    counts = agreement(np.array([[2, 0], [3, 0]]), np.arange(2))
    assert (counts.percent, counts.alpha, counts.alpha_low) == (1.0, None, None)


def drawn(random, *, tasks, overlap, shares, correlation):
    own = random.dirichlet(np.array(shares) * (1 - correlation) / correlation, size=tasks)
    return random.multinomial(overlap, own)


def test_intervals_of_agreement_cover_the_truth_and_widen_where_questions_share_a_task():
    random, hits = np.random.default_rng(3), 0
    for _ in range(100):
        found = agreement(drawn(random, tasks=80, overlap=2, shares=(0.45, 0.4, 0.15), correlation=0.5), np.arange(80))
        hits += found.alpha_low <= 0.5 <= found.alpha_high
    assert 88 <= hits <= 100
    counts = drawn(random, tasks=60, overlap=3, shares=(0.5, 0.5), correlation=0.4)
    apart = agreement(np.repeat(counts, 4, axis=0), np.arange(240))
    together = agreement(np.repeat(counts, 4, axis=0), np.repeat(np.arange(60), 4))
    assert together.tasks == 60
    width = together.alpha_high - together.alpha_low
    assert width == pytest.approx(2 * (apart.alpha_high - apart.alpha_low), rel=0.15)


def test_intervals_of_scores_cover_the_truth():
    random, hits = np.random.default_rng(4), 0
    for _ in range(100):
        # A common part of variance 2 and each person's own of variance 1: interval alpha is 2/3.
        value = random.normal(0, 2**0.5, (120, 1)) + random.normal(0, 1, (120, 3))
        unit, person = np.indices(value.shape).reshape(2, -1)
        found = krippendorff(Ratings(unit, person, value.ravel(), unit), metric="interval", paths=200)
        hits += found.low <= 2 / 3 <= found.high
    assert 89 <= hits <= 99


def test_more_clusters_than_are_kept_apart_give_the_same_interval(monkeypatch):
    values = np.random.default_rng(5).normal(size=4_000)
    whole = mean_of(values, np.arange(4_000))
    monkeypatch.setattr("annotation.quality.figures.MOST_CLUSTERS", 800)
    grouped = mean_of(values, np.arange(4_000))
    assert grouped.value == pytest.approx(whole.value)
    assert grouped.high - grouped.low == pytest.approx(whole.high - whole.low, rel=0.1)
    assert (grouped.n, grouped.tasks) == (4_000, 4_000)


def test_the_matrix_has_each_two_people_and_says_where_they_share_too_little():
    random = np.random.default_rng(6)
    truth = random.integers(0, 2, 40)
    answers = np.stack([truth, truth, random.integers(0, 2, 40)])
    person, unit = np.indices(answers.shape).reshape(2, -1)
    made = Ratings(unit, person + 7, answers.ravel(), unit)
    use = ~((made.person == 9) & (made.unit >= 9))  # the third person answered nine units
    cells = {(cell.one, cell.other): cell for cell in matrix(made.where(use))}
    assert cells[7, 8].percent.value == cells[7, 8].coefficient.value == 1.0
    assert {key: cell.percent.n for key, cell in cells.items()} == {(7, 8): 40, (7, 9): 9, (8, 9): 9}
    assert {cells[7, 9].percent.undefined, cells[7, 9].coefficient.undefined} == {TOO_FEW}
    whole = {(cell.one, cell.other): cell for cell in matrix(made)}
    assert whole[7, 9].coefficient.low < 0.2 < whole[7, 8].coefficient.value
    ordinal = {(cell.one, cell.other): cell for cell in matrix(made, metric="ordinal")}
    assert ordinal[7, 8].coefficient.value == 1.0
    assert not list(matrix(made.where(made.person == 7)))
