"""Numbers that somebody wrote into an address or a posted field: refused or unknown, never an error of the site."""

import pytest
from django.urls import get_resolver, reverse
from django.urls.converters import IntConverter
from hypothesis import given
from hypothesis import strategies as st

from annotation.core.access import MAX_ID
from annotation.models import Assignment, Kind, Qualification, Role
from annotation.queue.claims import claim_next
from annotation.web.parameters import row_id, whole_number
from tests.annotation.helpers import batch_of, hotel
from tests.factories import join

# Too large for a bigint, for a file, for Python's own conversion of digits; and what is no whole number at all.
TOO_LARGE = [str(MAX_ID + 1), "9" * 31, "9" * 5001]
NO_NUMBERS = [*TOO_LARGE, "-1", "1.5", "1e3", "x", "²", "٣", " 3", "0x10", "1_000"]


@given(st.integers(0, MAX_ID))
def test_a_number_is_read_as_it_is_written(number):
    assert whole_number(str(number)) == number
    assert whole_number(str(number), most=number) == number
    if number:
        assert whole_number(str(number), most=number - 1) is None


@given(st.text() | st.integers().map(str) | st.from_regex(r"\d+", fullmatch=True))
def test_anything_else_is_none(text):
    number = whole_number(text)
    assert number is None or (text.isascii() and text.isdecimal() and number == int(text))


def test_the_edges():
    assert [whole_number(text) for text in NO_NUMBERS] == [None] * len(NO_NUMBERS)
    assert whole_number("") is None
    assert [row_id(text) for text in [*NO_NUMBERS, "", "0", "12"]] == [0] * (len(NO_NUMBERS) + 2) + [12]
    assert whole_number("007") == 7
    assert (whole_number("100", most=100), whole_number("0100", most=100)) == (100, None)


@pytest.mark.django_db
@pytest.mark.parametrize("number", [*TOO_LARGE, "-1", "1.5", "x"], ids=lambda number: number[:21])
def test_no_page_breaks_on_a_number(sign_in, number):
    project = hotel(prompts=1)
    batch = batch_of(project, Kind.SCORING)
    test = Qualification.objects.create(project=project, name="Test", kind=Kind.SCORING, seed=1)
    claim_next(batch=batch, annotator=join(project, Role.ANNOTATOR))
    client, slug = sign_in(join(project, Role.MANAGER)), project.slug
    task = batch.tasks.first()
    opened = {"kind": "writing", "name": "More", "overlap": "1", "which": "all", "priority": "0"}
    posts = [
        (reverse("batch_new", args=[slug]), opened | {"limit": number}, {422}),
        (reverse("batch_new", args=[slug]), opened | {"overlap": number}, {422}),
        (reverse("batch_new", args=[slug]), opened | {"qualification": number}, {422}),
        (reverse("batch_change", args=[batch.pk]), {"name": "B", "priority": number}, {302 if number == "-1" else 422}),
        (reverse("batch_release_person", args=[batch.pk]), {"annotator": number}, {302}),
        (reverse("task_give", args=[task.pk]), {"annotator": number}, {302}),
        (reverse("settings_tests_grant", args=[slug, test.pk]), {"user": number}, {404}),
        (reverse("guideline_panel", args=[slug]), {"version": number}, {404}),
    ]
    for url, data, expected in posts:
        assert client.post(url, data).status_code in expected, (url, data)
    gets = [
        (reverse("my_work"), {"batch": number}, 200),
        (reverse("my_work"), {"page": number}, 200),
        (reverse("guideline", args=[slug]), {"version": number}, 404),
        (reverse("settings_tests_new", args=[slug]), {"batch": number}, 404),
        (reverse("batch", args=[batch.pk]), {"page": number}, 200),
        (reverse("time_sheets", args=[slug]), {"person": number}, 200),
        (reverse("remarks", args=[slug]), {"page": number}, 200),
        (reverse("glossary", args=[slug]), {"page": number}, 200),
        (reverse("prompts", args=[slug]), {"page": number}, 200),
        (reverse("datasets", args=[slug]), {"page": number}, 200),
    ]
    for url, data, expected in gets:
        assert client.get(url, data).status_code == expected, (url, data)
    held = Assignment.objects.filter(batch=batch, state="held").count()
    assert (held, project.batches.count()) == (1, 1), "nothing was released or opened"


def numbered(patterns, prefix=""):
    """(name, converters) of every address with a whole number in it."""
    for pattern in patterns:
        if hasattr(pattern, "url_patterns"):
            if "administration" not in str(pattern.pattern):
                yield from numbered(pattern.url_patterns)
        elif any(isinstance(converter, IntConverter) for converter in pattern.pattern.converters.values()):
            yield pattern.name, pattern.pattern.converters


ADDRESSES = dict(numbered(get_resolver().url_patterns))


@pytest.mark.django_db
@pytest.mark.parametrize("name", sorted(ADDRESSES))
def test_an_address_with_such_a_number_is_not_found(sign_in, name):
    project = hotel(prompts=1)
    client = sign_in(join(project, Role.MANAGER))
    for number in TOO_LARGE:
        values = {
            key: number if isinstance(converter, IntConverter) else project.slug
            for key, converter in ADDRESSES[name].items()
        }
        url = reverse(name, kwargs=values)
        assert {client.get(url).status_code, client.post(url).status_code} <= {404, 405}, url[:60]
