"""What differs between the texts of a task: computed with the page that shows them, marked by its script on a key."""

import json
import re
from itertools import pairwise

import pytest
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from annotation.models import Candidate, Kind, Qualification, QualificationItem, Role
from annotation.reference.feedback import MAX_PAIRS, differing_passages
from annotation.text.edit_distance import CHARACTER, WORD, is_unspaced
from annotation.text.normalization import normal_form
from tests.annotation.helpers import batch_of, hotel
from tests.factories import CandidateFactory, join


def passages(language, *texts):
    """The passages themselves, text by text."""
    found = differing_passages(texts, language)
    return [
        None if ranges is None else [text[start:end] for start, end in ranges]
        for text, ranges in zip(texts, found, strict=True)
    ]


@pytest.mark.parametrize(
    ("language", "one", "other", "expected"),
    [
        ("en", "A quiet room, with a view.", "A quieter room, with view.", [["quiet", "a"], ["quieter"]]),
        ("ja", "🙂 静かなお部屋です。", "🙂 静かな部屋でございます。", [["お"], ["ございま"]]),
        ("en", "one two", "one two", [[], []]),
        ("en", "one  two\n", "one two", [[], []]),  # blanks are left aside
        ("en", "", "new text.", [[], ["new text."]]),
        ("en", "the guest’s room", "the guests' room", [["guest’s"], ["guests'"]]),
        ("th", "ห้องเงียบ", "ห้องใหญ่", [["เงียบ"], ["ใหญ่"]]),
        ("ar", "غرفة هادئة", "غرفة كبيرة", [["هادئة"], ["كبيرة"]]),
        ("de-AT", "Zimmer mit Blick", "Zimmer ohne jeden Blick", [["mit"], ["ohne jeden"]]),
        ("fr", "cafe\u0301 noir", "café vert", [["noir"], ["vert"]]),  # accents encoded in two ways
        ("en", "a quiet\u200b room", "a quiet room", [[], []]),  # what has no ink
        ("ja", "ＷｉＦｉと\u3000お部屋", "WiFi と部屋", [["お"], []]),  # width
    ],
)
def test_what_two_texts_do_not_share(language, one, other, expected):
    assert passages(language, one, other) == expected
    assert passages(language, other, one) == expected[::-1]


def test_of_several_texts_each_is_compared_with_the_first():
    texts = ["A quiet room.", "A large room.", "A quiet room, please.", "A quiet room."]
    assert passages("en", *texts) == [[], ["large"], [", please"], []]
    assert differing_passages(texts[:1], "en") == [[]]
    assert differing_passages([], "en") == []


def test_texts_that_are_too_long_are_said_to_be():
    words = " ".join(map(str, range(int(MAX_PAIRS**0.5) + 1)))
    assert differing_passages([words, words], "en") == [[], None]
    assert passages("en", "short", words, "short text") == [[], [words], ["text"]]
    assert passages("en", words, words, "0 2") == [[], None, []]


@given(st.lists(st.text(max_size=40), min_size=2, max_size=4), st.sampled_from(["en", "ja", "th", "hi"]))
def test_without_the_passages_both_texts_have_the_same_words(texts, language):
    pattern = CHARACTER if is_unspaced(language) else WORD
    found = differing_passages(texts, language)

    def rest(at):
        spans = [token.span() for token in pattern.finditer(texts[at])]
        kept = [texts[at][a:b] for a, b in spans if not any(a < end and b > start for start, end in found[at])]
        return [word for token in kept if (word := normal_form(token))]

    for ranges, text in zip(found, texts, strict=True):
        assert ranges == sorted(ranges)
        assert all(
            0 <= start < end <= len(text) and text[start:end] == text[start:end].strip() for start, end in ranges
        )
        assert all(one[1] <= two[0] for one, two in pairwise(ranges))
    if len(texts) == 2:
        assert rest(0) == rest(1)
    else:
        whole = [normal_form(token[0]) for token in pattern.finditer(texts[0])]
        for at in range(1, len(texts)):
            remaining = iter(whole)
            assert all(word in remaining for word in rest(at)), "what is left occurs in the first, in this order"


def differing(page):
    return json.loads(re.search(r'data-differing="([^"]*)"', page)[1])


@pytest.mark.django_db
def test_the_page_of_a_task_carries_them_in_the_order_shown(sign_in):
    project = hotel(prompts=1, target_language="en")
    one, two = Candidate.objects.order_by("pk")
    # A browser makes one sign of a line's end: so must the offsets.
    Candidate.objects.filter(pk=one.pk).update(text="Sure!\r\nA quiet room.")
    Candidate.objects.filter(pk=two.pk).update(text="Sure!\r\nA large room.")
    client = sign_in(join(project, Role.ANNOTATOR))
    page = client.get(reverse("work", args=[batch_of(project).pk])).text
    assert differing(page) == [[[8, 13]], [[8, 13]]]
    CandidateFactory(prompt=one.prompt, text="Sure!\r\nA quiet and large room.", origin="checkpoint:9")
    page = client.get(reverse("work", args=[batch_of(project, alternatives=3).pk])).text
    assert differing(page)[0] == []
    shown = re.findall(r"data-text=.*?>(.*?)</", page, re.DOTALL)
    for text, ranges in zip(shown[1:], differing(page)[1:], strict=True):
        normal = text.replace("\r\n", "\n")
        assert {normal[a:b] for a, b in ranges} <= {"quiet", "large", "quiet and large", "and large", "quiet and"}
    assert "data-differing" not in client.get(reverse("work", args=[batch_of(project, Kind.SCORING).pk])).text


@pytest.mark.django_db
def test_an_item_of_a_test_has_them_too(sign_in):
    project = hotel(prompts=1, target_language="en")
    one, two = Candidate.objects.order_by("pk")
    Candidate.objects.filter(pk=one.pk).update(text="A quiet room.")
    Candidate.objects.filter(pk=two.pk).update(text="A large room.")
    test = Qualification.objects.create(project=project, name="Test", kind=Kind.CHOOSING, seed=1)
    expected = {"choice": "one", "chosen": one.pk, "shown": [one.pk, two.pk], "strength": None, "reasons": []}
    QualificationItem.objects.create(
        qualification=test, prompt=one.prompt, candidate_ids=[one.pk, two.pk], position=0, expected=expected
    )
    batch_of(project, qualification=test)
    client = sign_in(join(project, Role.ANNOTATOR))
    client.post(reverse("qualification_start", args=[test.pk]))
    page = client.get(reverse("qualification_item", args=[test.pk])).text
    assert differing(page) == [[[2, 7]], [[2, 7]]]
