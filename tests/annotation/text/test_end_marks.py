"""Source and target end alike, each by the marks of its own language."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.text.checks.end_marks import ending_findings

ROWS = [
    ("en", "el", "Where is it?", "Πού είναι;", ""),
    ("en", "el", "Where is it?", "Πού είναι?", "end.script"),
    ("en", "el", "It is here.", "Είναι εδώ;", "end.statement"),
    ("en", "el", "Where is it?", "Είναι εδώ.", "end.question"),
    ("el", "en", "Πού είναι;", "Where is it?", ""),
    ("en", "de", "Wait;", "Warte;", ""),
    ("en", "ar", "Where?", "أين المحطة؟", ""),
    ("en", "ar", "Where?", "أين المحطة?", "end.script"),
    ("en", "ar", "Here.", "هنا.", ""),
    ("en", "ur", "Here.", "یہاں۔", ""),
    ("en", "ar", "Is it Wi-Fi?", "هل هو Wi-Fi?", ""),
    ("en", "hi", "Here.", "यहाँ।", ""),
    ("en", "hi", "Here.", "यहाँ.", ""),
    ("en", "hi", "Here.", "यहाँ |", ""),
    ("en", "hi", "Here.", "यहाँ", "end.missing"),
    ("en", "hi", "Here?", "यहाँ?", ""),
    ("en", "hy", "Here.", "Այստեղ։", ""),
    ("en", "hy", "Here.", "Այստեղ:", ""),
    ("en", "hy", "Where is it?", "Որտե՞ղ է։", ""),
    ("en", "hy", "Where is it?", "Որտե՞ղ է:", ""),
    ("en", "hy", "Where is it?", "Որտեղ է։", "end.question"),
    ("en", "am", "Here.", "እዚህ።", ""),
    ("en", "am", "Where?", "የት ነው?", ""),
    ("en", "am", "Where?", "የት ነው፧", ""),
    ("en", "am", "Here.", "እዚህ፡፡", ""),
    ("en", "th", "Quiet.", "ห้องนี้เงียบ", ""),
    ("en", "th", "Is it quiet?", "ห้องนี้เงียบไหม", ""),
    ("th", "en", "ห้องนี้เงียบ", "The room is quiet.", ""),
    ("en", "ja", "Quiet.", "静かです.", "end.script"),
    ("en", "ja", "Quiet.", "静かです。", ""),
    ("en", "ja", "Quiet...", "静かです...", ""),
    ("ja", "en", "静かです。", "Quiet。", "end.script"),
    ("en", "ko", "Quiet!", "조용해！", "end.script"),
    ("en", "de", "Quiet?", "Ruhig?“", ""),
    ("en", "de", "“Quiet.”", "„Ruhig.“", ""),
    ("en", "de", "Wait.</b>", "Warte.</b>", ""),
    ("en", "de", "Wait.</b>", "Warte</b>", "end.missing"),
    ("en", "ja", "Thanks! :)", "ありがとう！", ""),
    ("en", "ja", "Really?!", "本当！？", ""),
    ("en", "de", "Really?!", "Wirklich.", "end.question"),
    ("en", "ja", "Hi 👋🏽", "やあ👋🏽", ""),
    ("en", "ja", "Done. ✅", "完了。✅", ""),
    ("en", "my", "Here.", "ဒီမှာ။", ""),
    ("en", "km", "Here.", "នៅទីនេះ", ""),
    ("en", "bn", "Here.", "এখানে।", ""),
    ("en", "ja", "Here.", "ここだよ…", ""),
    ("ja", "en", "静かですか。", "Is it quiet?", ""),
    ("ja", "en", "静かです。", "Is it quiet?", "end.statement"),
    ("en", "ja", "Is it quiet?", "静かですか。", ""),
    ("en", "ja", "Is it quiet?", "静かですか", "end.missing"),
    ("en", "ja", "Quiet room", "静かな部屋。", "end.extra"),
    ("en", "ja", "As follows:", "次のとおり：", ""),
    ("en", "ja", "As follows:", "次のとおり", ""),
    ("en", "es", "Here.", "Aquí", "end.missing"),
    ("es", "en", "¿Dónde está?", "Where is it?", ""),
    ("en", "he", "Here.", "כאן.", ""),
    ("en", "he", "Where?", "איפה?", ""),
    ("en", "fa", "Where?", "کجا؟", ""),
    ("en", "fa", "Here.", "این\u200cجا.", ""),
    ("hi", "en", "Here.", "Here।", "end.script"),
    ("en", "ja", "Here.", "ここです．", ""),
    ("en", "zh-TW", "Here.", "这里。", ""),
    ("en", "bo", "Here.", "འདིར།", ""),
    # the point is the abbreviation's, and the text no sentence
    ("en", "ja", "half past 7 p.m.", "午後7時半", ""),
    ("ja", "en", "午前7時～10時", "7–10 a.m.", ""),
    ("de", "fr", "z. B.", "par exemple", ""),
    ("en", "ja", "We open at 7 a.m.", "午前7時に開きます", "end.missing"),
    ("en", "ja", "the end.", "終わり", "end.missing"),
]


@pytest.mark.parametrize(("from_language", "to_language", "source", "target", "name"), ROWS)
def test_ends_of_many_languages(from_language, to_language, source, target, name):
    findings = ending_findings(source, target, from_language, to_language)
    assert [finding.name for finding in findings] == ([name] if name else [])


def test_the_right_mark_is_named():
    for language, target, right in (
        ("ar", "أين المحطة?", "؟"),
        ("el", "Πού είναι?", ";"),
        ("ja", "静かです.", "。"),
        ("ko", "조용합니다。", "."),
        ("en", "Quiet।", "."),
        ("hy", "Այստեղ。", "։"),
    ):
        (finding,) = ending_findings("Is it?", target, "en", language)
        assert (finding.name, finding.values["right"]) == ("end.script", right)


@given(
    st.text(max_size=40), st.text(max_size=40), st.sampled_from(["en", "ja", "el", "hy", "am", "th", "ko", "qaa", "?"])
)
def test_any_text_is_read(source, target, language):
    ending_findings(source, target, language, language)
