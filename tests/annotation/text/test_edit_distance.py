"""Edits and HTER: sacrebleu's TER on our tokens, quickly; what reads the same is no edit."""

import json
import statistics
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics import lib_ter

from annotation.kinds.postediting.describe import describe
from annotation.kinds.postediting.payload import PosteditingPayload
from annotation.reference.feedback import edits_sentence
from annotation.text.edit_distance import CHARACTER, MAX_TOKENS, WORD, edits_between, is_edited, tokens
from annotation.text.normalization import normal_form
from tests.conftest import DATA

MOVED = [
    ("en", "a b c d e f g h", "e f g h a b c d", 1, 0.125),
    ("ja", "お問い合わせはこちら", "こちらへお問い合わせください", 6, 6 / 14),
    ("en", "Tomorrow we leave at eight.", "We leave at eight tomorrow.", 3, 0.5),
    ("de", "morgen fahren wir um acht", "wir fahren morgen um acht", 2, 0.4),
    ("en", "the old town of Kyoto", "the town of Kyoto", 1, 0.25),
]
THE_SAME = [
    ("ja", "がくせい", "か\u3099くせい"),
    ("en", "Yes, please.", "Yes,\u00a0please."),
    ("en", "Hello there", "Hello\u200b there"),
    ("ja", "ﾊﾟｰﾃｨｰ １２", "パーティー 12"),
]


@pytest.mark.parametrize(("language", "original", "edited", "count", "rate"), MOVED)
def test_a_moved_block_is_one_edit(language, original, edited, count, rate):
    edits = edits_between(original, edited, language)
    assert (edits.count, edits.is_ter) == (count, True)
    assert edits.rate == pytest.approx(rate)
    assert is_edited(original, edited, language)


@pytest.mark.parametrize(("language", "original", "edited"), THE_SAME)
def test_what_reads_the_same_is_no_edit(language, original, edited):
    assert edits_between(original, edited, language).count == 0
    assert not is_edited(original, edited, language)


few_words = st.lists(st.sampled_from("abcdef"), max_size=24)


@settings(max_examples=300)
@given(few_words, few_words)
def test_it_is_sacrebleus_ter(before, after):
    edits = edits_between(" ".join(before), " ".join(after), "en")
    assert edits.count == lib_ter.translation_edit_rate(before, after)[0] or (not before and not after)
    assert is_edited(" ".join(before), " ".join(after), "en") == bool(edits.count)


@given(st.text(alphabet="aé \u0301か\u3099’'.-\ufeff\u0e34กิ\U000e0101", max_size=12), st.sampled_from(["en", "ja"]))
def test_texts_without_marks_have_the_tokens_that_the_whole_expression_finds(text, language):
    whole = CHARACTER if language == "ja" else WORD
    assert tokens(text, language) == whole.findall(normal_form(text))


def test_post_edits_of_professionals_have_the_published_hter():
    path = DATA / "mlqe_pe_ende.jsonl"
    if not path.exists():
        pytest.skip(f"needs {path}: set PREFERENCE_DATA to the folder of real data")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[:600]]
    rates = [edits_between(row["mt_tok"], row["post_edit_tok"], "de").rate for row in rows]
    assert statistics.correlation(rates, [row["hter"] for row in rows]) > 0.97
    for row in rows[:200]:
        before, after = tokens(row["mt_tok"], "de"), tokens(row["post_edit_tok"], "de")
        count = edits_between(row["mt_tok"], row["post_edit_tok"], "de").count
        assert count == lib_ter.translation_edit_rate(before, after)[0]


def test_a_long_text_is_counted_while_somebody_types_and_named_for_what_it_is():
    original = " ".join(f"w{number * 7919 % 503}" for number in range(MAX_TOKENS))
    edited = " ".join(f"w{number * 7907 % 509}" for number in range(MAX_TOKENS))
    start = time.perf_counter()
    assert edits_between(original, edited, "en").is_ter
    assert time.perf_counter() - start < 5, "seconds, on a busy machine; minutes without rapidfuzz"
    longer = edits_between(f"{original} {original}", f"{edited} {original}", "en")
    assert (longer.is_ter, longer.count > 0) == (False, True)


def test_answers_and_drafts_have_the_same_figure_under_the_same_name():
    """A submitted post-edit in words, and the line under the editor."""
    original, edited = "a b c d e f g h", "e f g h a b c d"
    long = " ".join(["word"] * (MAX_TOKENS + 1))
    for before, after, language, words, line in (
        (original, edited, "en", "1 edit, HTER 12%", "1 edit · HTER 12 %"),
        ("がくせい", "か\u3099くせい", "ja", "No visible change", "No visible change"),
        (long, f"{long} x", "en", "1 edit, edit rate 0%", "1 edit · edit rate 0 %"),
    ):
        answer = PosteditingPayload(candidate=1, text=after, unchanged=False)
        assert describe(answer, {1: before}, language)["headline"] == words
        assert edits_sentence(before, after, language) == line
