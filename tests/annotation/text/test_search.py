"""What a search finds: what reads alike, however it is typed."""

import unicodedata

import pytest

from annotation.text.search import Search

TEXT = "Ｃａｆé  ‘Ｍüller’ — ﾎﾃﾙの朝食、10² Straße\u200b."


@pytest.mark.parametrize(
    "query",
    [
        "cafe\u0301 'müller'",
        "CAFÉ",
        unicodedata.normalize("NFD", "café"),
        "ｃａｆé\u3000\u3000‘müller’",
        "ホテルの朝食",
        unicodedata.normalize("NFD", "ホテル"),
        "ﾎﾃﾙ",
        "STRASSE",
        "stra\u00adße.",
        "'müller' - ホテル",
        "10²",
    ],
)
def test_what_reads_alike_is_found(query):
    assert Search(query).matches("another", TEXT)


@pytest.mark.parametrize("query", ["102", "cafe", "caféx", "ホテルノ", "%", "_", "\\"])
def test_what_reads_differently_is_not(query):
    assert not Search(query).matches("another", TEXT)


def test_texts_within_lists_and_objects_are_searched_and_keys_are_not():
    payload = {"fixes": {"12": "Ｑuiet room"}, "reasons": ["Register"], "chosen": 12, "note": None}
    assert Search("quiet").matches(payload)
    assert Search("register").matches(payload)
    assert not Search("fixes").matches(payload)
    assert not Search("12").matches(payload)


@pytest.mark.parametrize("query", ["", "  \u3000", "\u200b", "\0"])
def test_a_query_without_ink_asks_for_nothing(query):
    assert not Search(query)
