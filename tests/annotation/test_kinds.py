"""Each kind: what the posted form becomes, what is refused and why, and how drafts come back."""

import pytest
from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st

from annotation.assignment import claim_next
from annotation.edits import edits_between, tokens
from annotation.errors import InvalidInput
from annotation.kinds import KINDS, show
from annotation.models import Kind, ReasonTag, Role
from tests.annotation.work_helpers import batch_of, hotel
from tests.factories import join


def shown_of(kind):
    project = hotel(prompts=1)
    return show(claim_next(batch=batch_of(project, kind), annotator=join(project, Role.ANNOTATOR)))


def read(shown, form, **options):
    return KINDS[shown.kind].read(QueryDict(form), shown, **options)


@pytest.mark.django_db
def test_writing_keeps_the_text_and_refuses_none():
    shown = shown_of(Kind.WRITING)
    assert read(shown, "text=%20静かな部屋%0D%0Aを%00%0D%0A") == {"text": "静かな部屋\nを"}
    with pytest.raises(InvalidInput) as error:
        read(shown, "text=%20%0A")
    assert error.value.problems == [("text", "Nothing is written yet.")]
    with pytest.raises(InvalidInput, match="too long"):
        read(shown, "text=" + "あ" * 200_001)
    assert read(shown, "text=%20half", complete=False) == {"text": " half"}


@pytest.mark.django_db
def test_postediting_knows_an_unchanged_text_however_it_is_sent():
    shown = shown_of(Kind.POSTEDITING)
    original = shown.sides[0]
    accepted = {"candidate": original.candidate, "text": original.text, "unchanged": True}
    assert read(shown, "unchanged=1") == accepted
    assert read(shown, f"text={original.text}%0D%0A") == accepted
    assert read(shown, "text=違う") == {"candidate": original.candidate, "text": "違う", "unchanged": False}
    with pytest.raises(InvalidInput, match="empty"):
        read(shown, "text=")


@pytest.mark.django_db
def test_scoring_names_each_aspect_that_is_missing_or_out_of_its_scale():
    shown = shown_of(Kind.SCORING)
    candidate = str(shown.sides[0].candidate)
    payload = read(shown, "score-a-meaning=5&score-a-register=1&comment=%20fine%20")
    assert payload == {"scores": {candidate: {"meaning": 5, "register": 1}}, "comment": "fine"}
    with pytest.raises(InvalidInput) as error:
        read(shown, "score-a-register=4")
    assert error.value.problems == [
        ("score-a-meaning", "Meaning has no score yet."),
        ("score-a-register", "Register: choose 1 to 3."),
    ]
    for nonsense in ("0", "-1", "²", "1e1", "٣", "99999999999"):
        with pytest.raises(InvalidInput):
            read(shown, f"score-a-register=1&score-a-meaning={nonsense}")
    assert read(shown, "score-a-meaning=9", complete=False)["scores"] == {candidate: {}}


@pytest.mark.django_db
def test_choosing_names_the_candidate_and_not_the_side():
    shown = shown_of(Kind.CHOOSING)
    ids = [side.candidate for side in shown.sides]
    assert read(shown, "choice=b&strength=2&reasons=Meaning&reasons=Register&reasons=Meaning") == {
        "choice": "one", "chosen": ids[1], "shown": ids, "strength": 2, "reasons": ["Meaning", "Register"],
    }  # fmt: skip
    assert read(shown, "choice=tie&strength=1") == {
        "choice": "tie", "chosen": None, "shown": ids, "strength": None, "reasons": [],
    }  # fmt: skip
    assert read(shown, "choice=both_bad")["choice"] == "both_bad"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("form", "field"),
    [
        ("", "choice"),
        ("choice=c", "choice"),
        ("choice=a&reasons=Taste", "reasons"),
        ("choice=a&strength=3", "strength"),
    ],
)
def test_choosing_refuses_what_it_does_not_know(form, field):
    shown = shown_of(Kind.CHOOSING)
    with pytest.raises(InvalidInput) as error:
        read(shown, form)
    assert [name for name, _ in error.value.problems] == [field]
    read(shown, form, complete=False)  # a draft is never refused


@pytest.mark.django_db
def test_a_reason_that_was_retired_meanwhile_is_accepted_but_not_offered():
    project = hotel(prompts=1)
    ReasonTag.objects.filter(name="Fluency").update(retired_at="2026-01-01T00:00Z")
    shown = show(claim_next(batch=batch_of(project), annotator=join(project, Role.ANNOTATOR)))
    assert [row["name"] for row in KINDS["choosing"].present(shown, None)["reasons"]] == ["Register", "Meaning"]
    assert read(shown, "choice=a&reasons=Fluency")["reasons"] == ["Fluency"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("kind", "form", "entered"),
    [
        (Kind.WRITING, "text=half", {"text": "half"}),
        (Kind.POSTEDITING, "text=半分", {"text": "半分"}),
        (Kind.CHOOSING, "choice=b&strength=1&reasons=Meaning", {"choice": "b", "strength": 1}),
        (Kind.CHOOSING, "reasons=Meaning", {"choice": None, "strength": None}),
        (Kind.SCORING, "score-a-register=2&comment=so", {"comment": "so"}),
    ],
)
def test_what_was_entered_comes_back(kind, form, entered):
    shown = shown_of(kind)
    context = KINDS[kind].present(shown, read(shown, form, complete=False))
    assert entered.items() <= context.items()
    if kind == Kind.CHOOSING:
        assert [row["name"] for row in context["reasons"] if row["checked"]] == ["Meaning"]
    if kind == Kind.SCORING:
        checked = [
            (row["field"], point["value"]) for row in context["rows"] for point in row["points"] if point["checked"]
        ]
        assert checked == [("score-a-register", 2)]


def test_edits_are_words_where_words_have_spaces_and_characters_where_not():
    assert edits_between("The room was noisy.", "The room was quiet.", "en").count == 1
    assert edits_between("The room was noisy.", "The room was quiet.", "en").rate == 1 / 5
    assert edits_between("静かな部屋", "静かなお部屋", "ja").count == 1
    assert tokens("it's 2 rooms", "en") == ["it's", "2", "rooms"]
    assert tokens("部屋 です", "ja-JP") == ["部", "屋", "で", "す"]


@given(st.text(), st.text(), st.sampled_from(["en", "ja"]))
def test_edits_are_a_distance(a, b, language):
    there, back = edits_between(a, b, language), edits_between(b, a, language)
    assert there.count == back.count
    assert edits_between(a, a, language).count == 0
    assert 0 <= there.count <= max(len(tokens(a, language)), len(tokens(b, language)))
