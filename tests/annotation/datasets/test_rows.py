"""Annotations → canonical rows, against literal answers."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.core.errors import InvalidInput
from annotation.datasets.rows import (
    AgreementTally,
    ExportOptions,
    LabelledPrompt,
    pair_rows,
    sft_rows,
    unpaired_rows,
)
from annotation.kinds import KINDS
from annotation.kinds.choosing.votes import ranked_pairs
from annotation.kinds.scoring.votes import weighted_score
from annotation.kinds.votes import Label

A, B, C = 11, 12, 13
TEXTS = {A: "Certainly, madam.", B: "Sure.", C: "Whatever."}
POINTS = {"meaning": 5, "register": 3}


def prompt(*labels: Label, texts=TEXTS) -> LabelledPrompt:
    return LabelledPrompt(prompt_id=1, messages=[], digest="", held_out=False, labels=list(labels), candidates=texts)


def label(number: int, kind: str, *, task: int = 1, weights=None, by: int | None = None, **payload) -> Label:
    """Annotation `number`, of annotator `by` (each of somebody else, where it does not say)."""
    return Label(
        annotation_id=number,
        annotator=number if by is None else by,
        task_id=task,
        kind=kind,
        payload=KINDS[kind].parse(payload),
        weights=weights,
    )


def chose(number, chosen, *, shown=(A, B), strength=None, task=1, by=None):
    values = {"choice": "one", "chosen": chosen, "shown": list(shown), "strength": strength}
    return label(number, "choosing", task=task, by=by, **values)


def tie(number, shown=(A, B), by=None):
    return label(number, "choosing", by=by, choice="tie", chosen=None, shown=list(shown), strength=None)


def both_bad(number, shown=(A, B), by=None):
    return label(number, "choosing", by=by, choice="both_bad", chosen=None, shown=list(shown), strength=None)


def scored(number, weights=None, task=1, by=None, **scores):
    """`a=(5, 3)`: candidate A has 5 points of meaning and 3 of register."""
    ids = {"a": A, "b": B, "c": C}
    points = {str(ids[key]): dict(zip(POINTS, values, strict=True)) for key, values in scores.items()}
    return label(number, "scoring", task=task, weights=weights, by=by, scores=points, comment="")


def edited(number, candidate, text, by=None):
    unchanged = text == TEXTS[candidate]
    return label(number, "postediting", by=by, candidate=candidate, text=text, unchanged=unchanged)


def pairs(*labels, options=None):
    left_out = Counter()
    rows = pair_rows(prompt(*labels), options or ExportOptions(), POINTS, left_out)
    return rows, left_out


# ---- pairs ----


def test_several_annotators_make_one_row_with_a_probability():
    (row,), _ = pairs(chose(1, A), chose(2, A, shown=(B, A), strength=2), chose(3, B, strength=1), tie(4))
    assert row.texts == (TEXTS[A], TEXTS[B])
    assert row.probability == pytest.approx((2 + 0.5) / 4)
    assert row.tie == 0.25
    assert row.strength == pytest.approx((1.0 - 0.5 + 0.0) / 3, abs=1e-6)
    assert (row.votes, row.annotation_ids, row.candidate_ids, row.kinds) == (4, (1, 2, 3, 4), (A, B), ("choosing",))


def test_the_majority_decides_the_direction():
    (row,), _ = pairs(chose(1, A), chose(2, B), chose(3, B))
    assert row.texts == (TEXTS[B], TEXTS[A])
    assert row.probability == pytest.approx(2 / 3, abs=1e-6)


def test_an_even_split_has_no_direction():
    for labels in [(chose(1, A), chose(2, B)), (tie(1),)]:
        rows, left_out = pairs(*labels)
        assert rows == []
        assert left_out == {"pairs evenly split or tied": 1}
        (kept,), left_out = pairs(*labels, options=ExportOptions(keep_ties=True))
        assert kept.probability == 0.5
        assert not left_out
    swapped, _ = pairs(chose(1, B), chose(2, A), options=ExportOptions(keep_ties=True))
    (again,), _ = pairs(chose(1, A), chose(2, B), options=ExportOptions(keep_ties=True))
    assert swapped[0].texts == again.texts, "the order of an even split does not depend on who came first"


def test_both_bad_prefers_nobody():
    assert pairs(both_bad(1))[0] == []
    (row,), _ = pairs(chose(1, A), both_bad(2))
    assert (row.probability, row.annotation_ids) == (1.0, (1,))


def test_an_edit_is_better_than_its_original():
    (row,), _ = pairs(edited(1, B, "With pleasure."))
    assert row.texts == ("With pleasure.", "Sure.")
    assert (row.probability, row.strength, row.kinds, row.candidate_ids) == (1.0, None, ("postediting",), (B,))
    rows, left_out = pairs(edited(1, B, "Sure."))
    assert (rows, left_out) == ([], {"post-edits that changed nothing": 1})


def test_each_edit_stands_alone_and_equal_edits_are_one_row():
    rows, _ = pairs(edited(1, B, "With pleasure."), edited(2, B, "Of course."), edited(3, B, "Of course."))
    assert [(row.texts[0], row.annotation_ids) for row in rows] == [("Of course.", (2, 3)), ("With pleasure.", (1,))]


def test_equal_texts_are_no_pair():
    rows, left_out = pairs(chose(1, A, shown=(A, C)), chose(2, B, shown=(A, B)))
    assert len(rows) == 2
    same = {A: "Same.", B: "Same."}
    left_out = Counter()
    assert pair_rows(prompt(chose(1, A), texts=same), ExportOptions(), POINTS, left_out) == []
    assert left_out == {"pairs of texts that read the same": 1}


def test_scores_that_differ_enough_make_pairs_with_the_difference_as_strength():
    rows, left_out = pairs(scored(1, a=(5, 3), b=(3, 2), c=(3, 2)))
    assert [(row.texts, row.strength, row.probability) for row in rows] == [
        ((TEXTS[A], TEXTS[B]), 0.5, 1.0),
        ((TEXTS[A], TEXTS[C]), 0.5, 1.0),
    ]
    assert left_out == {"pairs of scores that differ too little": 1}
    assert len(pairs(scored(1, a=(5, 3), b=(3, 2)), options=ExportOptions(score_difference=0.51))[0]) == 0
    assert len(pairs(scored(1, a=(5, 3), b=(3, 2)), options=ExportOptions(score_difference=0.5))[0]) == 1


def test_scores_of_one_task_each_are_compared_across_tasks():
    """A scoring task shows one candidate: the pair comes from two tasks, here by two people."""
    (row,), _ = pairs(scored(1, task=1, a=(5, 3)), scored(2, task=2, b=(1, 1)))
    assert (row.texts, row.strength, row.votes) == ((TEXTS[A], TEXTS[B]), 1.0, 1)
    assert row.annotation_ids == (1, 2)


def test_the_same_person_over_tasks_still_is_one_comparison():
    (row,), _ = pairs(scored(1, a=(5, 3), b=(1, 1)), scored(2, a=(1, 1), b=(2, 1)), scored(3, a=(5, 3), b=(1, 1)))
    assert row.texts == (TEXTS[A], TEXTS[B])
    assert row.probability == pytest.approx(2 / 3, abs=1e-6)


def test_scores_and_choices_on_one_pair_are_one_row():
    (row,), _ = pairs(chose(1, A), scored(2, a=(5, 3), b=(1, 1)))
    assert (row.votes, row.kinds, row.probability) == (2, ("choosing", "scoring"), 1.0)


def test_weights_are_those_of_the_label():
    meaning_only = {"meaning": 1, "register": 0}
    assert weighted_score({"meaning": 5, "register": 1}, meaning_only, POINTS) == 1.0
    assert weighted_score({"meaning": 5, "register": 1}, None, POINTS) == 0.5
    assert weighted_score({"meaning": 5, "register": 1}, {"meaning": 3, "register": 1}, POINTS) == 0.75
    assert weighted_score({"meaning": 5, "register": 1}, {"meaning": 0, "register": 0}, POINTS) == 0.5
    assert weighted_score({"unknown": 5}, None, POINTS) is None
    assert weighted_score({}, None, POINTS) is None


# ---- SFT ----


def sft(*labels, options=None):
    left_out = Counter()
    return [
        (row.texts[0], row.annotation_ids, row.kinds)
        for row in sft_rows(prompt(*labels), options or ExportOptions(), POINTS, left_out)
    ], left_out


def test_what_becomes_an_sft_row():
    rows, left_out = sft(
        label(1, "writing", text="Good evening."),
        edited(2, B, "With pleasure."),
        edited(3, A, TEXTS[A]),
        scored(4, a=(5, 3), b=(4, 2), c=(1, 1)),
        chose(5, A),
    )
    assert rows == [
        ("Certainly, madam.", (3, 4), ("postediting", "scoring")),
        ("Good evening.", (1,), ("writing",)),
        ("With pleasure.", (2,), ("postediting",)),
    ]
    assert left_out == {"scored below the bar for SFT": 2}


def test_the_chosen_side_only_if_asked_for():
    asked = ExportOptions(chosen_as_sft=True)
    assert sft(chose(1, A))[0] == []
    assert sft(chose(1, A), chose(2, A), chose(3, B), options=asked)[0] == [(TEXTS[A], (1, 2, 3), ("choosing",))]
    assert sft(chose(1, A), chose(2, B), options=asked)[0] == []
    assert sft(chose(1, A), both_bad(2), options=asked)[0] == [], "somebody called it bad"


def test_blank_texts_are_left_out():
    rows, left_out = sft(label(1, "writing", text=" \n"))
    assert (rows, left_out) == ([], {"empty texts": 1})


# ---- unpaired ----


def unpaired(*labels):
    left_out = Counter()
    rows = unpaired_rows(prompt(*labels), ExportOptions(), POINTS, left_out)
    return [(row.texts[0], row.label, row.probability) for row in rows], left_out


def test_what_is_desirable_and_what_is_not():
    rows, left_out = unpaired(edited(1, A, TEXTS[A]), edited(2, B, "Mended."), both_bad(3, shown=(B, C)), chose(4, A))
    assert rows == [(TEXTS[A], True, 1.0), (TEXTS[B], False, 1.0), (TEXTS[C], False, 1.0)]
    rows, left_out = unpaired(scored(1, a=(5, 3), b=(3, 2), c=(1, 1)))
    assert rows == [(TEXTS[A], True, 1.0), (TEXTS[C], False, 1.0)]
    assert left_out == {"scored neither well nor badly": 1}


def test_an_even_split_has_no_label():
    assert unpaired(edited(1, A, TEXTS[A]), both_bad(2))[0] == [(TEXTS[B], False, 1.0)]
    rows, left_out = unpaired(edited(1, A, TEXTS[A]), edited(2, A, TEXTS[A]), both_bad(3))
    assert rows[0] == (TEXTS[A], True, pytest.approx(2 / 3))
    assert left_out == {}


# ---- agreement and options ----


def test_observed_pairwise_agreement():
    tally = AgreementTally()
    tally.add([chose(1, A), chose(2, A), chose(3, B)])
    tally.add([tie(4), tie(5)])
    tally.add([chose(6, A, task=8), chose(7, B, task=9)])
    tally.add([scored(8, a=(5, 3)), scored(9, a=(5, 2))])
    tally.add([edited(10, A, "x"), edited(11, A, "y")])
    assert tally.summary() == {
        "choosing": {"observed_pairwise": 0.5, "pairs": 4},
        "postediting": {"observed_pairwise": 1.0, "pairs": 1},
        "scoring": {"observed_pairwise": 0.5, "pairs": 2},
    }


@pytest.mark.parametrize(
    "options", [{"score_difference": 0}, {"score_difference": 1.1}, {"score_good": 0.3}, {"score_bad": -0.1}]
)
def test_thresholds_are_checked(options):
    with pytest.raises(InvalidInput):
        ExportOptions(**options)


choices = st.sampled_from([A, B, "tie", "both_bad"])


@given(st.lists(st.tuples(choices, st.sampled_from([None, 1, 2]), st.booleans()), max_size=9), st.randoms())
def test_rows_do_not_depend_on_the_order_of_answers_or_sides(answers, random):
    make = {"tie": lambda n, s, _: tie(n, s), "both_bad": lambda n, s, _: both_bad(n, s)}
    labels = [
        make.get(choice, lambda n, s, how, chosen=choice: chose(n, chosen, shown=s, strength=how))(
            number, (B, A) if turned else (A, B), strength
        )
        for number, (choice, strength, turned) in enumerate(answers, 1)
    ]
    options = ExportOptions(keep_ties=True, chosen_as_sft=True)
    shuffled = random.sample(labels, len(labels))
    for make_rows in (pair_rows, sft_rows, unpaired_rows):
        rows = make_rows(prompt(*labels), options, POINTS, Counter())
        assert rows == make_rows(prompt(*shuffled), options, POINTS, Counter())
        for row in rows:
            assert 0.5 <= row.probability <= 1
            assert 0 <= row.tie <= 1
            assert set(row.annotation_ids) <= {item.annotation_id for item in labels}
    (row,) = pair_rows(prompt(*labels), options, POINTS, Counter()) or [None]
    counted = [choice for choice, _, _ in answers if choice != "both_bad"]
    if counted:
        share = (counted.count(A) + counted.count("tie") / 2) / len(counted)
        assert row.probability == pytest.approx(max(share, 1 - share), abs=1e-6)


# ---- rankings and fixes ----


def ranked(number, *groups, task=1, **more):
    shown = [key for group in groups for key in group]
    return label(
        number,
        "choosing",
        task=task,
        choice="ranking",
        chosen=None,
        shown=sorted(shown),
        strength=None,
        ranking=[list(group) for group in groups],
        **more,
    )


def all_bad(number, task=1):
    return label(number, "choosing", task=task, choice="both_bad", chosen=None, shown=[A, B, C], strength=None)


def test_a_ranking_yields_all_its_pairs():
    rows, left_out = pairs(ranked(1, [B], [A, C]))
    assert {(row.texts, row.probability, row.candidate_ids) for row in rows} == {
        ((TEXTS[B], TEXTS[A]), 1.0, (A, B)),
        ((TEXTS[B], TEXTS[C]), 1.0, (B, C)),
    }
    assert left_out == {"pairs evenly split or tied": 1}
    rows, _ = pairs(ranked(1, [B], [A, C]), options=ExportOptions(keep_ties=True))
    assert len(rows) == 3
    assert {row.tie for row in rows if row.probability == 0.5} == {1.0}


def test_rankings_and_choices_on_the_same_pair_are_one_row():
    rows, _ = pairs(ranked(1, [A], [B], [C]), chose(2, B), ranked(3, [A], [C], [B]))
    by_pair = {row.texts: row for row in rows}
    assert by_pair[TEXTS[A], TEXTS[B]].probability == pytest.approx(2 / 3, abs=1e-6)
    assert by_pair[TEXTS[A], TEXTS[C]].votes == 2
    assert (TEXTS[B], TEXTS[C]) not in by_pair, "an even split"


def test_all_bad_makes_every_text_undesirable():
    assert pairs(all_bad(1))[0] == []
    assert [(text, desirable) for text, desirable, _ in unpaired(all_bad(1))[0]] == [
        (TEXTS[A], False),
        (TEXTS[B], False),
        (TEXTS[C], False),
    ]


def test_only_the_best_of_a_ranking_is_an_sft_row():
    asked = ExportOptions(chosen_as_sft=True)
    assert sft(ranked(1, [B], [A], [C]))[0] == []
    assert sft(ranked(1, [B], [A], [C]), options=asked)[0] == [(TEXTS[B], (1,), ("choosing",))]
    assert sft(ranked(1, [A, B], [C]), options=asked)[0] == [], "half a first place each is no majority"


def test_a_fix_yields_what_a_post_edit_yields():
    fixed = label(1, "choosing", choice="one", chosen=A, shown=[A, B], strength=None, fixes={str(A): "At once, madam."})
    rows, _ = pairs(fixed)
    assert {row.texts for row in rows} == {("At once, madam.", TEXTS[A]), (TEXTS[A], TEXTS[B])}
    assert sft(fixed)[0] == [("At once, madam.", (1,), ("choosing",))]
    bad = label(2, "choosing", choice="both_bad", chosen=None, shown=[A, B], strength=None, fixes={str(B): "Gladly."})
    assert [row.texts for row in pairs(bad)[0]] == [("Gladly.", TEXTS[B])]
    assert [text for text, desirable, _ in unpaired(bad)[0] if not desirable] == [TEXTS[A], TEXTS[B]]


def test_agreement_of_rankings_is_by_pairs():
    tally = AgreementTally()
    tally.add([ranked(1, [A], [B], [C]), ranked(2, [A], [C], [B])])
    assert tally.summary() == {"choosing": {"observed_pairwise": round(2 / 3, 4), "pairs": 3}}
    tally = AgreementTally()
    tally.add([ranked(1, [A, B, C]), ranked(2, [C, B, A]), all_bad(3)])
    assert tally.summary() == {"choosing": {"observed_pairwise": round(3 / 9, 4), "pairs": 9}}
    tally = AgreementTally()
    tally.add([all_bad(1), all_bad(2)])
    assert tally.summary()["choosing"]["observed_pairwise"] == 1.0


@st.composite
def rankings(draw):
    """2 to 6 candidates in groups, best first."""
    ids = draw(st.permutations(range(1, draw(st.integers(2, 6)) + 1)))
    cuts = sorted(draw(st.sets(st.integers(1, len(ids) - 1))))
    return [ids[start:end] for start, end in zip([0, *cuts], [*cuts, len(ids)], strict=True)]


@given(rankings())
def test_each_two_of_a_ranking_are_one_pair_with_one_direction(groups):
    found = list(ranked_pairs(groups))
    n = sum(len(group) for group in groups)
    assert len(found) == n * (n - 1) // 2
    assert len({frozenset((one, other)) for one, other, _ in found}) == len(found)
    place = {key: at for at, group in enumerate(groups) for key in group}
    for one, other, value in found:
        assert value == (0.5 if place[one] == place[other] else 1)
        assert place[one] <= place[other], "never the worse before the better"


@given(rankings())
def test_the_rows_of_a_ranking_and_of_its_reverse_are_each_others_mirror(groups):
    texts = {key: f"text {key}" for group in groups for key in group}
    options = ExportOptions(keep_ties=True)

    def rows(ranking):
        made = pair_rows(prompt(ranked(1, *ranking), texts=texts), options, POINTS, Counter())
        return {(row.texts, row.probability) for row in made}

    turned = {(texts if share == 0.5 else texts[::-1], share) for texts, share in rows(groups)}
    assert rows(groups[::-1]) == turned


def test_split_pairs_call_the_chosen_text_desirable_and_the_rejected_one_undesirable():
    """As TRL's `unpair_preference_dataset` does, with one row for each text: annotators are counted."""

    def split(*labels):
        left_out = Counter()
        rows = unpaired_rows(prompt(*labels), ExportOptions(split_pairs=True), POINTS, left_out)
        return {row.texts[0]: (row.label, round(row.probability, 3), row.votes) for row in rows}, left_out

    assert split(chose(1, A)) == ({TEXTS[A]: (True, 1, 1), TEXTS[B]: (False, 1, 1)}, {})
    assert split(chose(1, A), chose(2, A), chose(3, B)) == (
        {TEXTS[A]: (True, 0.667, 3), TEXTS[B]: (False, 0.667, 3)},
        {},
    )
    rows, left_out = split(ranked(1, [A], [B], [C]))
    assert rows == {TEXTS[A]: (True, 1, 1), TEXTS[C]: (False, 1, 1)}
    assert left_out == {"texts called desirable and undesirable equally often": 1}, "the middle one"
    assert split(tie(1)) == ({}, {"texts called desirable and undesirable equally often": 2})
    # Answers about a text alone count, too.
    assert split(chose(1, A), both_bad(2)) == (
        {TEXTS[B]: (False, 1, 2)},
        {"texts called desirable and undesirable equally often": 1},
    )
    assert unpaired_rows(prompt(chose(1, A)), ExportOptions(), POINTS, Counter()) == []


@pytest.mark.parametrize(("option", "owner"), [("chosen_as_sft", "sft"), ("keep_ties", "dpo"), ("split_pairs", "kto")])
def test_a_switch_of_another_purpose_is_refused(option, owner):
    options = ExportOptions(**{option: True})
    options.check_purpose(owner)
    for other in {"sft", "dpo", "kto"} - {owner}:
        with pytest.raises(InvalidInput, match=f"--{option.replace('_', '-')} is for {owner.upper()} datasets"):
            options.check_purpose(other)
