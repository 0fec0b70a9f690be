"""One normal form: what reads the same is the same, what reads differently stays apart."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from annotation.text.normalization import folded, has_ink, normal_form

ALIKE = [
    ("a blank at the end", "Where is my order?", "Where is my order? "),
    ("a line feed at the end", "Where is my order?", "Where is my order?\n"),
    ("two blanks", "Manual A", "Manual  A"),
    ("composed and decomposed", "Café au lait", "Cafe\u0301 au lait"),
    ("kana with a voicing mark", "がくせい", "か\u3099くせい"),
    ("Hangul", "한국어", unicodedata.normalize("NFD", "한국어")),
    ("full width", "ＡＢＣ１２３", "ABC123"),
    ("half-width kana", "ｶﾞｲﾄﾞ", "ガイド"),
    ("a full-width blank", "東京\u3000大阪", "東京 大阪"),
    ("a no-break space", "Yes,\u00a0please.", "Yes, please."),
    ("a narrow no-break space", "10\u202f000", "10 000"),
    ("a zero-width space", "Hello\u200b there", "Hello there"),
    ("a zero-width space in a word", "Hel\u200blo", "Hello"),
    ("a word joiner", "Hello\u2060", "Hello"),
    ("a byte order mark", "\ufeffHello", "Hello"),
    ("a soft hyphen", "hotel\u00adroom", "hotelroom"),
    ("a direction mark", "שלום\u200f!", "שלום!"),
    ("a variation selector", "☎\ufe0f", "☎"),
    ("a grapheme joiner", "e\u034f\u0301", "é"),
    ("a joiner between Latin letters", "a\u200db\u200cc", "abc"),
    ("a joiner at the end", "سلام\u200c", "سلام"),
    ("a doubled joiner", "می\u200c\u200cخواهم", "می\u200cخواهم"),
    ("an emoji without selectors", "👩\u200d❤\ufe0f\u200d👨", "👩\u200d❤\u200d👨"),
    ("hidden tags", "Hello\U000e0041\U000e0042", "Hello"),
    ("a Braille blank", "a\u2800b", "a b"),
    ("a hyphen that does not break", "e\u2011mail", "e-mail"),
    ("a ligature", "ﬁne", "fine"),
    ("a paragraph separator", "one\u2029two", "one two"),
]
APART = [
    ("a power", "What is 10²?", "What is 102?"),
    ("an index", "H₂O", "H2O"),
    ("a fraction", "1½ cups", "11⁄2 cups"),
    ("a circled number", "①", "1"),
    ("case", "Turkey", "turkey"),
    ("Persian spelling", "می\u200cخواهم", "میخواهم"),
    ("a half letter of Hindi", "क्\u200dष", "क्ष"),
    ("a family and three people", "👨\u200d👩\u200d👧", "👨👩👧"),
    ("flags", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "🏴"),
    ("quotation marks", "“yes”", '"yes"'),
    ("words joined", "Hello there", "Hellothere"),
    ("an accent", "cafe", "café"),
    ("a minus and a dash", "5−3", "5–3"),
]


@pytest.mark.parametrize(("first", "second"), [row[1:] for row in ALIKE], ids=[row[0] for row in ALIKE])
def test_what_reads_the_same_is_the_same(first, second):
    assert first != second
    assert normal_form(first) == normal_form(second)


@pytest.mark.parametrize(("first", "second"), [row[1:] for row in APART], ids=[row[0] for row in APART])
def test_what_reads_differently_stays_apart(first, second):
    assert normal_form(first) != normal_form(second)


@given(
    st.text(alphabet=st.sampled_from("aé\u0301か\u3099 \u00a0\u200b\u200c\u200d\ufe0f\u034f²½ﬁﾞ한ی\u3000👩❤\n☎ﺍ\u2011"))
)
@example("\u200d²\u0301\u200b")
@example("ﺍ\u200cﺏ")
def test_once_is_enough_among_difficult_characters(text):
    assert normal_form(normal_form(text)) == normal_form(text)


@given(st.text())
def test_once_is_enough(text):
    normal = normal_form(text)
    assert normal_form(normal) == normal
    assert normal == normal.strip()
    assert "  " not in normal


@given(st.text())
def test_composed_and_decomposed_are_the_same(text):
    """Canonically equivalent texts; NFC itself is not in question."""
    assert normal_form(unicodedata.normalize("NFD", text)) == normal_form(unicodedata.normalize("NFC", text))


@given(st.text(), st.sampled_from("\u200b\u2060\ufeff\u00ad\u200e\u202a"), st.integers(0, 50))
def test_a_character_without_ink_changes_nothing(text, character, place):
    assert normal_form(text[:place] + character + text[place:]) == normal_form(text)


@given(st.text(alphabet=st.characters(codec="ascii")))
def test_plain_texts_take_the_same_way_as_others(text):
    assert normal_form(text) == normal_form(text + "é")[:-1].rstrip()


def test_what_has_no_ink_has_no_normal_form():
    characters = [chr(code) for code in (*range(0xD800), *range(0xE000, 0x20000), *range(0xE0000, 0xE1000))]
    assert [c for c in characters if has_ink(c) != bool(normal_form(c))] == []
    assert not has_ink(" \u3000\u200b\u2800\u3164\n")
    assert has_ink(" \u200b.")


def test_searching_ignores_case_as_well():
    assert folded("Guest\u00a0Room") == folded("guest  room") == "guest room"
    assert folded("STRASSE") == folded("straße")
