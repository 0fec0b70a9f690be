"""Each kind: what the posted form becomes, what is refused and why, and how drafts come back."""

import json

import pytest
from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st

from annotation.core.errors import InvalidInput
from annotation.kinds import KINDS, show
from annotation.kinds.spans import Positions
from annotation.models import Candidate, Kind, Prompt, ReasonTag, Role
from annotation.queue.claims import claim_next
from annotation.text.edit_distance import edits_between, tokens
from tests.annotation.helpers import batch_of, hotel
from tests.factories import CandidateFactory, join


def shown_of(kind):
    project = hotel(prompts=1)
    return show(claim_next(batch=batch_of(project, kind), annotator=join(project, Role.ANNOTATOR)))


def loaded_anew(assignment):
    return claim_next(batch=assignment.batch, annotator=assignment.annotator)


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
        "choice": "one",
        "chosen": ids[1],
        "shown": ids,
        "strength": 2,
        "reasons": ["Meaning", "Register"],
    }
    assert read(shown, "choice=tie&strength=1") == {
        "choice": "tie",
        "chosen": None,
        "shown": ids,
        "strength": None,
        "reasons": [],
    }
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


# ---- rankings, fixes, marks, several texts ----


def several(count, kind=Kind.CHOOSING, **fields):
    """A task that shows `count` texts."""
    project = hotel(prompts=1, **fields)
    prompt = Prompt.objects.get(project=project)
    for n in range(2, count):
        CandidateFactory(prompt=prompt, text=f"三つ目より後の訳、{n}番。", origin=f"checkpoint:{n}")
    batch = batch_of(project, kind, alternatives=count)
    return show(claim_next(batch=batch, annotator=join(project, Role.ANNOTATOR)))


def form(**fields):
    made = QueryDict(mutable=True)
    for name, value in fields.items():
        made[name.replace("_", "-")] = value if isinstance(value, str) else json.dumps(value)
    return made


def answer(shown, *, complete=True, **fields):
    return KINDS[shown.kind].read(form(**fields), shown, complete=complete)


@pytest.mark.django_db
def test_a_ranking_is_groups_of_candidates_best_first():
    shown = several(4)
    a, b, c, d = (side.candidate for side in shown.sides)
    assert answer(shown, rank_a="2", rank_b="1", rank_c="4", rank_d="2") == {
        "choice": "ranking",
        "chosen": None,
        "shown": [a, b, c, d],
        "strength": None,
        "reasons": [],
        "ranking": [[b], [a, d], [c]],
    }
    with pytest.raises(InvalidInput, match="not both"):
        answer(shown, choice="both_bad", rank_a="1")
    assert answer(shown, choice="both_bad") == {
        "choice": "both_bad",
        "chosen": None,
        "shown": [a, b, c, d],
        "strength": None,
        "reasons": [],
    }
    with pytest.raises(InvalidInput) as error:
        answer(shown, rank_a="1", rank_b="0", rank_c="²", rank_d="2")
    assert error.value.problems == [("rank-b", "B has no place yet."), ("rank-c", "C has no place yet.")]
    draft = answer(shown, rank_a="1", rank_b="1", complete=False)
    assert (draft["choice"], draft["ranking"]) == (None, [[a, b]])
    ranks = [side["rank"] for side in KINDS["choosing"].present(shown, draft)["alternatives"]]
    assert ranks == [1, 1, None, None]


@pytest.mark.django_db
def test_two_of_three_is_an_ordinary_choice_and_one_is_none():
    project = hotel(prompts=1)
    prompt = Prompt.objects.get()
    CandidateFactory(prompt=prompt, text=prompt.candidates.first().text + "\r\n", origin="checkpoint:9")
    shown = show(claim_next(batch=batch_of(project, alternatives=3), annotator=join(project, Role.ANNOTATOR)))
    assert len(shown.sides) == 2
    assert not KINDS["choosing"].present(shown, None)["ranked"]
    # Texts that became the same after the batch was opened are not asked about, either.
    Candidate.objects.update(text="Cafe\u0301 \r\n")
    Candidate.objects.filter(pk=shown.sides[0].candidate).update(text="\u3000Caf\u00e9")
    same = show(loaded_anew(shown.assignment))
    assert len(same.sides) == 1
    assert KINDS["choosing"].present(same, None)["identical"]
    assert answer(same, choice="tie")["choice"] == "tie"
    with pytest.raises(InvalidInput):
        answer(same, choice="a")


@pytest.mark.django_db
def test_a_fix_follows_the_choice_and_an_unchanged_one_is_none():
    shown = shown_of(Kind.CHOOSING)
    a, b = shown.sides
    both = {"fix_a": "直した文。", "fix_b": "もう一つ。"}
    assert answer(shown, choice="a", **both)["fixes"] == {str(a.candidate): "直した文。"}
    assert answer(shown, choice="both_bad", **both)["fixes"].keys() == {str(a.candidate), str(b.candidate)}
    assert "fixes" not in answer(shown, choice="a", fix_a=f" {a.text}\r\n", fix_b="もう一つ。")
    assert "fixes" not in answer(shown, choice="a", fix_a=" ")
    draft = answer(shown, complete=False, **both)
    assert KINDS["choosing"].present(shown, draft)["alternatives"][1]["fix"] == "もう一つ。"
    described = KINDS["choosing"].describe(
        answer(shown, choice="a", **both), {side.candidate: side.text for side in shown.sides}, "ja", {}
    )
    assert "".join(text for what, text in described["fixes"][0]["changes"] if what != "del") == "直した文。"


@pytest.mark.django_db
def test_reasons_by_side_name_the_candidate():
    shown = several(2, reasons_by_side=True)
    data = QueryDict("choice=a&reasons-a=Meaning&reasons-b=Fluency&reasons-b=Register")
    payload = KINDS["choosing"].read(data, shown)
    a, b = (str(side.candidate) for side in shown.sides)
    assert payload["reasons_by_side"] == {a: ["Meaning"], b: ["Fluency", "Register"]}
    sides = KINDS["choosing"].present(shown, payload)["alternatives"]
    assert [row["key"] for side in sides for row in side["reasons"]] == ["q", "w", "e", "y", "u", "i"]
    assert [row["name"] for row in sides[1]["reasons"] if row["checked"]] == ["Register", "Fluency"]


@pytest.mark.django_db
def test_marks_count_code_points_of_the_text_as_it_is_stored():
    shown = shown_of(Kind.SCORING)
    Candidate.objects.update(text="👍🏽 One\r\ntwo three\r\n")
    shown = show(loaded_anew(shown.assignment))
    text = shown.sides[0].text
    page = text.replace("\r\n", "\n")
    at = page.index("two")
    mark = {"start": at, "end": at + 3, "category": "Grammar", "severity": "major"}
    payload = answer(shown, score_a_meaning="3", score_a_register="1", spans_a=[mark, mark, {**mark, "end": at + 9}])
    first, second = payload["spans"][str(shown.sides[0].candidate)]
    assert (text[first["start"] : first["end"]], text[second["start"] : second["end"]]) == ("two", "two three")
    shown_again = json.loads(KINDS["scoring"].present(shown, payload)["sides"][0]["spans"])
    assert shown_again == [mark, {**mark, "end": at + 9}]
    (side,) = KINDS["scoring"].describe(payload, {shown.sides[0].candidate: text}, "en", {})["sides"]
    assert "".join(piece["text"] for piece in side["pieces"]) == text
    assert [(piece["text"], len(piece["marks"])) for piece in side["pieces"] if piece["marks"]] == [
        ("two", 2),
        (" three", 1),
    ]


MARK = {"start": 0, "end": 2, "category": "Grammar", "severity": "minor"}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("marks", "message"),
    [
        ("{", "cannot be read"),
        ('{"start": 1}', "cannot be read"),
        ("[" * 90_000, "cannot be read"),
        ("[1]", "lies outside"),
        ([{**MARK, "start": -1}], "lies outside"),
        ([{**MARK, "end": 10_000}], "lies outside"),
        ([{**MARK, "start": 2}], "lies outside"),
        ([{**MARK, "end": True}], "lies outside"),
        ([{**MARK, "category": "Taste"}], "“Taste”"),
        ([{**MARK, "severity": ["minor"]}], "does not know"),
        ([{**MARK, "severity": None}], "does not know"),
        ([{**MARK, "start": n} for n in (0, 1)] * 2 + [{**MARK, "category": ""}], "does not know"),
    ],
)
def test_a_mark_that_cannot_be_is_refused_with_words_and_a_draft_goes_without(marks, message):
    shown = shown_of(Kind.SCORING)
    fields = {"score_a_meaning": "3", "score_a_register": "1", "spans_a": marks}
    with pytest.raises(InvalidInput, match=message) as error:
        answer(shown, **fields)
    assert {field for field, _ in error.value.problems} == {"spans-a"}
    answer(shown, complete=False, **fields)


@pytest.mark.django_db
def test_good_and_bad_passages_of_a_choice_are_kept_by_candidate():
    shown = shown_of(Kind.CHOOSING)
    marks = [{"start": 0, "end": 2, "quality": "good"}]
    payload = answer(shown, choice="a", spans_b=marks)
    assert payload["spans"] == {str(shown.sides[1].candidate): marks}
    with pytest.raises(InvalidInput, match="“fine”"):
        answer(shown, choice="a", spans_a=[{**marks[0], "quality": "fine"}])


@pytest.mark.django_db
def test_several_texts_are_scored_side_by_side():
    shown = several(2, Kind.SCORING, show_total=True)
    context = KINDS["scoring"].present(shown, None)
    assert json.loads(context["weights"]) == {"meaning": 2, "register": 1}
    assert [row["field"] for row in context["rows"]] == [
        "score-a-meaning",
        "score-a-register",
        "score-b-meaning",
        "score-b-register",
    ]
    with pytest.raises(InvalidInput) as error:
        answer(shown, score_a_meaning="1", score_a_register="1", score_b_meaning="6")
    assert error.value.problems == [
        ("score-b-meaning", "B, Meaning: choose 1 to 5."),
        ("score-b-register", "B, Register has no score yet."),
    ]


@given(st.text(), st.data())
def test_positions_go_to_the_page_and_back(text, data):
    page = text.replace("\r\n", "\n")
    positions = Positions(text)
    assert positions.length == len(page)
    start = data.draw(st.integers(0, len(page)))
    end = data.draw(st.integers(start, len(page)))
    stored = text[positions.to_stored(start) : positions.to_stored(end)]
    assert stored.replace("\r\n", "\n") == page[start:end]
    assert positions.to_shown(positions.to_stored(start)) == start


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
