"""Language tags against the registry; a wrong one is answered with the right one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.text.edit_distance import is_unspaced
from annotation.text.language_tags import choices, is_registered, name_of, right_tag
from annotation.text.languages import base_language, direction

REGISTERED = [
    "ja",
    "en-GB",
    "pt-BR",
    "zh-Hant-TW",
    "sr-Latn-RS",
    "de-1996",
    "ain",
    "ryu",
    "yue",
    "es-419",
    "EN-us",
    "tl",
    "no",
]
REGISTERED += ["qaa", "x-own", "en-x-house", "ja-JP-u-ca-japanese", "mn-Mong-CN", "sl-rozaj", "de-CH-1901", "zh-CN"]
MEANT = {
    "jp": "ja",
    "jpn": "ja",
    "en-UK": "en-GB",
    "English": "en",
    "jp-JP": "ja-JP",
    "cn": "zh",
    "cz": "cs",
    "gr": "el",
    "ua": "uk",
    "dk": "da",
    "deu": "de",
    "ger": "de",
    "fra": "fr",
    "chi": "zh",
    "kor": "ko",
    "en_US": "en-US",
    "ja_JP.UTF-8": "ja-JP",
    "iw": "he",
    "in": "id",
    "mo": "ro",
    "i-klingon": "tlh",
    "art-lojban": "jbo",
    "日本語": "ja",
    "英語": "en",
    "Deutsch": "de",
    "Français": "fr",
    "Ελληνικά": "el",
    "suomi": "fi",
    "japanese": "ja",
    "Englsh": "en",
    "Chinese (Simplified)": "zh-Hans",
    "Portuguese (Brazil)": "pt-BR",
    "English (UK)": "en-GB",
    "British English": "en-GB",
    "ja-Japan": "ja-JP",
    "ja-Nihon": "ja",
    "en-EN": "en",
    " ja ": "ja",
}


@pytest.mark.parametrize("tag", REGISTERED)
def test_registered_tags(tag):
    assert is_registered(tag)
    assert right_tag(tag) == tag


@pytest.mark.parametrize("wrong", MEANT)
def test_the_right_tag_is_named(wrong):
    assert not is_registered(wrong)
    assert right_tag(wrong) == MEANT[wrong]


@pytest.mark.parametrize("tag", ["", "?", "xx", "zz", "a", "Mandalorian", "ja,en", "12", "-", "x-", "日本"])
def test_nothing_is_guessed_from_afar(tag):
    assert not is_registered(tag)
    assert right_tag(tag) is None


@given(st.text(max_size=20) | st.from_regex(r"[a-z]{2,3}(-[A-Za-z0-9]{1,8}){0,3}", fullmatch=True))
def test_what_is_named_is_registered(text):
    right = right_tag(text)
    assert right is None or is_registered(right)


def test_a_wrong_tag_of_an_older_project_means_what_was_meant():
    assert (base_language("jp"), is_unspaced("jp"), direction("jp")) == ("ja", True, "ltr")
    assert (base_language("English"), base_language("en-UK"), direction("Arabic")) == ("en", "en", "rtl")
    assert base_language("zzz") == "zzz"


@pytest.mark.parametrize(
    ("tag", "base", "unspaced", "side"),
    [
        ("cmn", "zh", True, "ltr"),
        ("cmn-Hant", "zh", True, "ltr"),
        ("wuu", "wuu", True, "ltr"),
        ("nan", "nan", True, "ltr"),
        ("arb", "ar", False, "rtl"),
        ("pes", "fa", False, "rtl"),
        ("prs", "fa", False, "rtl"),
        ("ydd", "yi", False, "rtl"),
        ("zsm", "ms", False, "ltr"),
        ("ja-Latn", "ja", False, "ltr"),  # romaji has spaces
        ("zh-Latn-pinyin", "zh", False, "ltr"),
        ("ja-JP", "ja", True, "ltr"),
        ("th", "th", True, "ltr"),
        ("dz", "dz", True, "ltr"),
        ("shn", "shn", True, "ltr"),
        ("ko", "ko", False, "ltr"),
        ("vi", "vi", False, "ltr"),
    ],
)
def test_a_tag_of_one_language_of_a_group_is_laid_out_and_counted_like_the_group(tag, base, unspaced, side):
    assert is_registered(tag)
    assert (base_language(tag), is_unspaced(tag), direction(tag)) == (base, unspaced, side)


def test_choices_are_registered_and_named_in_the_interfaces_language():
    english, japanese = dict(choices("en")), dict(choices("ja"))
    assert english["ja"] == "Japanese"
    assert japanese["ja"] == "日本語"
    assert {"en-GB", "pt-BR", "zh-Hant"} <= english.keys()
    assert all(is_registered(tag) for tag in english)
    assert (name_of("de-AT", "en"), name_of("fr-BE", "ja"), name_of("qaa", "en")) == (
        "Austrian German",
        "フランス語 (ベルギー)",
        "",
    )
