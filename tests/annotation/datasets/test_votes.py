"""Annotators are counted, not answers; a first place needs a majority; what reads the same is never a pair."""

import unicodedata
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.datasets.rows import ExportOptions, pair_rows, sft_rows, unpaired_rows
from tests.annotation.datasets.test_rows import (
    POINTS,
    TEXTS,
    A,
    B,
    C,
    both_bad,
    chose,
    edited,
    label,
    pairs,
    prompt,
    ranked,
    scored,
    sft,
    tie,
    unpaired,
)

ASKED = ExportOptions(chosen_as_sft=True)
TIES = ExportOptions(keep_ties=True)
BEST, MIDDLE, WORST = (5, 3), (3, 2), (1, 1)


def side_by_side(people):
    return [scored(person, by=person, a=a, b=b) for person, (a, b) in enumerate(people, 1)]


def one_text_a_task(people):
    first = [scored(person, by=person, task=1, a=a) for person, (a, _) in enumerate(people, 1)]
    return first + [scored(100 + person, by=person, task=2, b=b) for person, (_, b) in enumerate(people, 1)]


def in_two_batches(people):
    """Everybody scores both texts twice, once in each way."""
    again = [scored(200 + person, by=person, task=3, a=a, b=b) for person, (a, b) in enumerate(people, 1)]
    return one_text_a_task(people) + again


@pytest.mark.parametrize("asked", [side_by_side, one_text_a_task, in_two_batches])
@pytest.mark.parametrize(
    ("people", "probability", "tie", "strength"),
    [
        ([(BEST, WORST), (BEST, WORST), (WORST, BEST)], 2 / 3, 0, 1 / 3),
        ([(BEST, WORST), (BEST, WORST), (BEST, BEST)], 5 / 6, 1 / 3, 2 / 3),
        ([(BEST, WORST), (MIDDLE, WORST), (BEST, MIDDLE)], 1, 0, 2 / 3),
        ([(BEST, WORST), (MIDDLE, BEST), (MIDDLE, WORST)], 2 / 3, 0, 1 / 3),
        ([(BEST, WORST)], 1, 0, 1),
    ],
)
def test_scores_count_people_however_they_were_asked(asked, people, probability, tie, strength):
    (row,), left_out = pairs(*asked(people), options=TIES)
    assert not left_out
    assert row.votes == len(people)
    assert row.probability == pytest.approx(probability, abs=1e-6)
    assert row.tie == pytest.approx(tie, abs=1e-6)
    assert row.strength == pytest.approx(strength, abs=1e-6)
    assert row.texts == (TEXTS[A], TEXTS[B])
    assert row.annotation_ids == tuple(sorted(item.annotation_id for item in asked(people)))


def test_a_person_who_scored_in_two_batches_counts_once_in_a_mean():
    """Twice 0 by one person and once 1 by another is a mean of a half, not of a third."""
    labels = [scored(1, by=1, a=WORST), scored(2, by=1, task=2, a=WORST), scored(3, by=2, a=BEST)]
    bar = ExportOptions(score_good=0.5)
    assert sft(*labels, options=bar)[0] == [(TEXTS[A], (1, 2, 3), ("scoring",))]
    (row,) = sft_rows(prompt(*labels), bar, POINTS, Counter())
    assert row.votes == 2
    # Somebody's mean over batches is what they say: 1 and 0.5 against 0.5 is for A.
    (row,), _ = pairs(scored(1, by=1, a=BEST, b=MIDDLE), scored(2, by=1, a=MIDDLE, b=MIDDLE))
    assert (row.texts, row.votes, row.probability, row.strength) == ((TEXTS[A], TEXTS[B]), 1, 1.0, 0.25)


def test_who_scored_only_one_of_the_two_takes_no_side():
    labels = [scored(1, by=1, a=BEST, b=WORST), scored(2, by=2, a=BEST), scored(3, by=3, b=WORST)]
    (row,), _ = pairs(*labels)
    assert (row.votes, row.annotation_ids) == (1, (1,))


@pytest.mark.parametrize(
    ("answers", "probability", "ties", "votes"),
    [
        ([(1, A), (1, A), (2, B)], 0.5, 0, 2),  # twice in two batches is one vote
        ([(1, A), (1, B), (2, A)], 0.75, 0.5, 2),  # who contradicts themselves is undecided
        ([(1, A), (1, A), (1, B), (2, A)], 1, 0, 2),  # two of their three answers
        ([(1, A), (1, None), (2, B), (3, A)], 2 / 3, 0, 3),  # a tie and a choice are a choice
        ([(1, A), (1, A), (1, A)], 1, 0, 1),
    ],
)
def test_choices_in_several_batches_are_one_vote_for_each_person(answers, probability, ties, votes):
    labels = [
        tie(number, by=person) if chosen is None else chose(number, chosen, by=person, task=number)
        for number, (person, chosen) in enumerate(answers, 1)
    ]
    (row,), _ = pairs(*labels, options=TIES)
    assert (row.votes, row.annotation_ids) == (votes, tuple(range(1, len(answers) + 1)))
    assert row.probability == pytest.approx(probability, abs=1e-6)
    assert row.tie == pytest.approx(ties, abs=1e-6)


def test_a_choice_and_scores_of_one_person_are_one_vote():
    rows, _ = pairs(chose(1, A, by=1), scored(2, by=1, a=BEST, b=WORST), ranked(3, [A], [B], [C], by=1))
    assert [(row.texts, row.votes, row.kinds) for row in rows] == [
        ((TEXTS[A], TEXTS[B]), 1, ("choosing", "scoring")),
        ((TEXTS[A], TEXTS[C]), 1, ("choosing",)),
        ((TEXTS[B], TEXTS[C]), 1, ("choosing",)),
    ]
    (row,), _ = pairs(chose(1, A, by=1), scored(2, by=1, a=BEST, b=WORST), chose(3, B, by=2), options=TIES)
    assert (row.votes, row.probability) == (2, 0.5)


def test_unpaired_rows_count_people():
    assert unpaired(*[both_bad(n, by=1) for n in (1, 2)], edited(3, A, TEXTS[A], by=2))[0] == [
        (TEXTS[B], False, 1.0)
    ], "one says bad, twice, and one good"
    rows, _ = unpaired(scored(1, by=1, a=BEST), scored(2, by=2, a=BEST), scored(3, by=3, a=MIDDLE))
    assert rows == [(TEXTS[A], True, pytest.approx(5 / 6))]


# ---- the first place ----


@pytest.mark.parametrize(
    ("rankings", "first"),
    [
        ([([A], [B], [C]), ([A], [B], [C]), ([B], [A], [C])], [A]),
        ([([A], [B], [C]), ([B], [A], [C]), ([C], [A], [B])], []),  # a plurality at best
        ([([A], [B], [C]), ([A], [C], [B]), ([B], [A], [C]), ([C], [B], [A])], []),  # exactly half
        ([([A, B], [C]), ([A, B], [C])], []),  # ties split the first place
        ([([A, B], [C]), ([A], [B, C])], [A]),  # 1½ of 2
        ([([A, B, C],), ([A], [B], [C])], [A]),
        ([([B], [A], [C])] * 5 + [([A], [B], [C])] * 4, [B]),
    ],
)
def test_an_sft_row_was_put_first_by_more_than_half(rankings, first):
    labels = [ranked(number, *groups) for number, groups in enumerate(rankings, 1)]
    everybody = tuple(range(1, len(rankings) + 1))
    rows, left_out = sft(*labels, options=ASKED)
    assert rows == [(TEXTS[key], everybody, ("choosing",)) for key in first]
    put_first = {key for groups in rankings for key in groups[0]}
    assert left_out["put first by half of the annotators or fewer, or called bad"] == len(put_first - set(first))


def test_an_sft_row_says_how_many_were_counted():
    (row,) = sft_rows(prompt(*[chose(n, A) for n in (1, 2, 3)]), ASKED, POINTS, Counter())
    assert row.votes == 3


def test_a_text_that_won_one_pair_and_lost_another_has_no_majority():
    assert [text for text, *_ in sft(chose(1, A, shown=(A, B)), chose(2, B, shown=(B, C)), options=ASKED)[0]] == [
        TEXTS[A]
    ]


def test_first_places_count_people():
    """Three answers of one person against two people."""
    labels = [chose(n, A, by=1, task=n) for n in (1, 2, 3)] + [chose(4, B, by=2), chose(5, B, by=3)]
    assert [text for text, *_ in sft(*labels, options=ASKED)[0]] == [TEXTS[B]]


@given(st.lists(st.tuples(st.integers(1, 4), st.permutations([A, B, C]), st.integers(1, 3)), max_size=8))
def test_at_most_one_text_has_the_majority_of_one_question(answers):
    labels = [
        ranked(number, order[:cut], *[[key] for key in order[cut:]], by=person)
        for number, (person, order, cut) in enumerate(answers, 1)
    ]
    assert len(sft(*labels, options=ASKED)[0]) <= 1


# ---- what reads the same ----

LOOK_ALIKES = [
    ("Yes, please.", "Yes,\u00a0please."),
    ("Hello there", "Hello\u200b there"),
    ("がくせい", unicodedata.normalize("NFD", "がくせい")),
    ("Ｒｏｏｍ　１２", "Room 12"),
    ("Two  blanks ", "Two blanks"),
]


@pytest.mark.parametrize(("one", "other"), LOOK_ALIKES)
def test_what_reads_the_same_is_no_pair(one, other):
    texts = {A: one, B: other, C: "Something else."}

    def made(*labels, rows_of=pair_rows):
        left_out = Counter()
        return rows_of(prompt(*labels, texts=texts), TIES, POINTS, left_out), left_out

    assert made(chose(1, B)) == ([], {"pairs of texts that read the same": 1})
    assert made(scored(1, a=BEST, b=WORST))[0] == []
    (row,), left_out = made(ranked(1, [A], [C], [B]))
    assert (set(row.texts), row.tie) == ({one, texts[C]}, 1.0), "better and worse than the same is undecided"
    assert left_out == {"pairs of texts that read the same": 1}


@pytest.mark.parametrize(("one", "other"), LOOK_ALIKES)
def test_what_reads_the_same_is_one_text(one, other):
    """The same person on A against C, and on B against C, where A and B read the same."""
    labels = [chose(1, A, shown=(A, C), by=1), chose(2, B, shown=(B, C), by=1), chose(3, C, shown=(B, C), by=2)]
    (row,) = pair_rows(prompt(*labels, texts={A: one, B: other, C: "Something else."}), TIES, POINTS, Counter())
    assert set(row.texts) == {one, "Something else."}
    assert (row.votes, row.candidate_ids, row.probability) == (2, (A, B, C), 0.5)


@pytest.mark.parametrize(
    ("original", "edited_text", "language"),
    [
        *[(one, other, "ja" if one.startswith("が") else "en") for one, other in LOOK_ALIKES],
        ("One line. Another.", "One line.\nAnother.", "en"),  # 0 edits: words are the same
        ("静かなお部屋です。", "静かな お部屋です。", "ja"),
    ],
)
def test_an_edit_of_nothing_is_no_pair(original, edited_text, language):
    edit = label(1, "postediting", candidate=A, text=edited_text, unchanged=False)
    fix = label(2, "choosing", choice="one", chosen=A, shown=[A, C], fixes={str(A): edited_text})
    texts = {A: original, C: "Something else."}
    asked = prompt(edit, fix, texts=texts)._replace(language=language)
    left_out = Counter()
    assert [row.texts for row in pair_rows(asked, ExportOptions(), POINTS, left_out)] == [(original, texts[C])]
    assert left_out == {"post-edits that changed nothing": 2}
    assert [row.texts for row in sft_rows(asked, ExportOptions(), POINTS, Counter())] == [(edited_text,)]
    assert unpaired_rows(asked, ExportOptions(), POINTS, Counter()) == []


def test_one_edit_is_a_pair():
    for original, text in [("Yes, please.", "Yes please."), ("Room 12", "Room 13"), ("がくせい", "かくせい")]:
        edit = label(1, "postediting", candidate=A, text=text, unchanged=False)
        (row,) = pair_rows(prompt(edit, texts={A: original}), ExportOptions(), POINTS, Counter())
        assert row.texts == (text, original)


# ---- agreement: the share that is for the row's side, ties not counted ----


@pytest.mark.parametrize(
    ("votes", "agreement", "taken"),
    [
        ([chose(1, A, by=1), chose(2, A, by=2), chose(3, B, by=3)], 2 / 3, {0.66, 0.67}),
        ([chose(1, A, by=1), chose(2, A, by=2), tie(3, by=3)], 2 / 3, {0.66, 0.67}),
        ([chose(1, B, by=1), chose(2, B, by=2), chose(3, B, by=3)], 1, {0.66, 0.67, 0.68, 1.0}),
        ([chose(1, A, by=1), tie(2, by=2), tie(3, by=3)], 1 / 3, set()),
        ([chose(1, A, by=1), chose(2, B, by=2)], 1 / 2, set()),
        ([chose(1, A, by=1)], 1, {0.66, 0.67, 0.68, 1.0}),
        ([tie(1, by=1)], 0, {0.66, 0.67, 0.68, 1.0}),  # one annotator: whatever they say
    ],
)
def test_a_pair_is_taken_by_the_share_that_is_for_its_side(votes, agreement, taken):
    (row,), _ = pairs(*votes, options=TIES)
    assert row.agreement == pytest.approx(agreement)
    for share in (0.66, 0.67, 0.68, 1.0):
        assert ExportOptions(min_agreement=share).takes(row) == (share in taken), share
    assert ExportOptions().takes(row)


def test_single_texts_are_taken_by_who_is_for_them():
    good, bad = (5, 3), (1, 1)
    labels = [scored(1, by=1, a=good), scored(2, by=2, a=good), scored(3, by=3, a=bad)]
    (row,) = sft_rows(prompt(*labels), ExportOptions(score_good=0.6), POINTS, Counter())
    assert (row.votes, row.agreement) == (3, pytest.approx(2 / 3))
    labels = [chose(1, A, by=1), chose(2, A, by=2), tie(3, by=3)]
    (row,) = sft_rows(prompt(*labels), ASKED, POINTS, Counter())
    assert (row.texts, row.votes, row.agreement) == ((TEXTS[A],), 3, pytest.approx(2 / 3))
    labels = [scored(1, by=1, a=bad), scored(2, by=2, a=bad), scored(3, by=3, a=good)]
    (row,) = unpaired_rows(prompt(*labels), ExportOptions(score_bad=0.4), POINTS, Counter())
    assert (row.label, row.votes, row.agreement) == (False, 3, pytest.approx(2 / 3))
