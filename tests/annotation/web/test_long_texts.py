"""What a page costs does not grow with what people wrote: lists show extracts, and differences come when asked for."""

import random
import sys

import pytest
from django.test import Client
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from annotation.answers.submission import submit
from annotation.members.accounts import BACKEND
from annotation.models import Kind, Role
from annotation.queue.claims import claim_next
from annotation.text.differences import differences
from annotation.text.extracts import LIST_LIMIT, extract, shortened, size_of
from annotation.web import task_rows
from tests.annotation.helpers import batch_of, hotel
from tests.factories import join

LENGTH = 150_000
postediting = sys.modules["annotation.kinds.postediting.describe"]  # the package has a function of this name


def long_text(seed, mark=" "):
    made = random.Random(seed)
    text = mark.join("".join(made.choices("abcdefghij", k=made.randint(1, 9))) for _ in range(LENGTH // 5))
    return text[:LENGTH]


@pytest.fixture(scope="module", params=[" ", "\n"], ids=["words", "lines"])
def texts(request):
    return [long_text(seed, request.param) for seed in range(3)]


@pytest.fixture
def long_answers(db, texts):
    """A batch of post-edits, three of which are long and differ in every word."""
    batch = batch_of(hotel(prompts=4), Kind.POSTEDITING)
    person = join(batch.project, Role.ANNOTATOR)
    for n in range(4):
        assignment = claim_next(batch=batch, annotator=person)
        original = assignment.task.candidate_ids[0]
        text = texts[n] if n < 3 else "A short answer"
        submit(assignment=assignment, payload={"candidate": original, "text": text, "unchanged": False})
    return batch, person


def client_of(person):
    client = Client()
    client.force_login(person, backend=BACKEND)
    return client


def test_lists_show_extracts_and_lead_to_the_whole(long_answers, texts, monkeypatch):
    """Nothing is computed from a long text: that took 13 seconds a page."""
    batch, person = long_answers
    compared = []
    for module, name in ((task_rows, "differences"), (postediting, "edits_between")):
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *texts, real=real: compared.append(texts) or real(*texts))
    manager = join(batch.project, Role.MANAGER)
    for who, address in ((person, reverse("my_work")), (manager, reverse("batch", args=[batch.pk]))):
        client = client_of(who)
        page = client.get(address)
        assert page.text.count("the beginning of a long answer") == 3
        assert texts[0][:500] in page.text
        assert len(page.text) < 80_000
        assert "A short answer" in page.text
    assert compared
    assert all(len(text) < LIST_LIMIT for texts in compared for text in texts)


def test_a_long_answer_is_shown_whole_when_asked_for(long_answers, texts):
    batch, person = long_answers
    client = client_of(join(batch.project, Role.MANAGER))
    page = client.get(reverse("batch", args=[batch.pk]))
    answers = [slot for row in page.context["tasks"] for slot in row["slots"] if "annotation" in slot]
    (task,) = [slot["slot"].task_id for slot in answers if slot["annotation"].payload["text"] == texts[1]]
    address = reverse("task", args=[task])
    assert f'<a href="{address}">Show it whole</a>' in page.text
    whole = client.get(address)
    assert texts[1][-500:] in whole.text
    assert "the beginning of a long answer" not in whole.text
    assert texts[1][-500:] in client_of(person).get(reverse("my_answer", args=[answers[1]["annotation"].pk])).text


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (long_text(1), long_text(2)),
        (long_text(1, "\n"), long_text(2, "\n")),
        ("\n" * LENGTH, "\n" * (LENGTH - 1) + "x\n"),
        ("a" * LENGTH, "b" * LENGTH),
        ("日" * LENGTH, "本" * LENGTH),
    ],
    ids=["words", "lines", "blank lines", "one word", "no spaces"],
)
def test_long_texts_are_compared_within_the_time_of_a_test(old, new):
    segments = differences(old, new)
    assert "".join(text for kind, text in segments if kind != "del") == new
    assert "".join(text for kind, text in segments if kind != "ins") == old


lines = st.text(alphabet="ab \n", max_size=60)


@given(lines, lines)
def test_segments_make_up_both_texts(old, new):
    segments = differences(old, new)
    assert "".join(text for kind, text in segments if kind != "del") == new
    assert "".join(text for kind, text in segments if kind != "ins") == old


nested = st.recursive(
    st.text(max_size=300) | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner)
)


@given(nested, st.integers(1, 400))
def test_an_extract_has_at_most_so_many_characters(value, limit):
    short = shortened(value, limit)
    if size_of(value) <= limit:
        assert short == value
    assert type(short) is type(value)


@given(st.text(), st.integers(1, 50))
def test_an_extract_is_a_beginning(text, limit):
    short = extract(text, limit)
    assert short == text or (short.endswith(" …") and text.startswith(short.removesuffix(" …")))
    assert len(short) <= max(limit + 2, 0)


def test_texts_of_usual_length_are_whole():
    assert extract("x" * LIST_LIMIT) == "x" * LIST_LIMIT
