"""Edits, HTER and what differs, in any script."""

import random
import re
import unicodedata

from annotation.text.differences import differences
from annotation.text.edit_distance import edits_between

PAIRS = [
    ("en", "The room was quiet.", "The rooms were very quiet!"),
    ("en", "It's  a “quiet” room\nhere", "It’s a quiet room, here."),
    ("en", "", "something"),
    ("en", "one two three four", ""),
    ("ja", "静かなお部屋をお願いできますか。", "静かな部屋をお願いします。"),
    ("ja", "が　ぎ ぐ", "か\u3099き\u3099"),  # composed and not: the same letters
    ("zh", "我们想要安静的房间。", "我想要一个安静的房间"),
    ("th", "ห้องนี้เงียบมาก", "ห้องนั้นเงียบ"),
    ("ko", "조용한 방을 부탁합니다.", "더 조용한 방으로 부탁드립니다."),
    ("ar", "أُريدُ غُرْفَةً هادِئَةً.", "أريد غرفة هادئة."),
    ("hi", "मुझे शांत कमरा चाहिए।", "मुझे एक शान्त कमरा चाहिए"),
    ("fr", "L’hôtel n'est pas cher.", "L'hôtel n’est vraiment pas cher !"),
    ("de", "Cafe\u0301 👩‍👩‍👧 schön", "Café 👩‍👧 scho\u0308n"),
    ("en", "snake_case и 12 ½ ² \ufeff x\x1cy\x85z", "snake case и 12 ½ ² x yz"),
]


def bare(text):
    return unicodedata.normalize("NFC", re.sub(r"[\s\ufeff]", "", text))


def random_pairs():
    """Many small texts from few signs, so that all kinds of edit meet."""
    some = random.Random(7)
    signs = "aab é \n'’_-。、静か がกี้2 "
    for n in range(300):
        language = ("en", "ja", "th")[n % 3]
        yield language, *("".join(some.choices(signs, k=some.randrange(40))) for _ in range(2))


def test_without_what_went_the_difference_is_the_new_text_and_without_what_came_the_old():
    for language, original, edited in [*PAIRS, *random_pairs()]:
        segments = differences(original, edited)
        assert "".join(text for kind, text in segments if kind != "del") == edited
        kept = "".join(text for kind, text in segments if kind != "ins")
        assert bare(kept) == bare(original)
        if bare(original) == bare(edited):
            assert edits_between(original, edited, language).count == 0


def test_two_thousand_words_are_compared_and_counted():
    words = [f"word{(n * 7919) % 500}" for n in range(2000)]
    edited = [word if n % 40 else f"{word}x" for n, word in enumerate(words)]
    assert edits_between(" ".join(words), " ".join(edited), "en").count == 50
    segments = differences(" ".join(words), " ".join(edited))
    assert sum(kind == "ins" for kind, _ in segments) == 50
