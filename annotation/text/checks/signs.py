"""Whether a number keeps its sign: −5 is not 5, ±5 is no 5, and a telephone number begins with its +."""

from collections.abc import Iterator, Sequence

import regex

from annotation.text.checks.numerals import DIGITS, Number
from annotation.text.languages import base_language

# Directly before digits (or the sign of money), at the beginning or after a space or an opening mark: else it is a
# hyphen (COVID-19) or a range (10-12). After letters without spaces only where degrees or percents follow.
BEFORE = r"(?:(?<=^|[\s(\[{\"'“„«=:<>~≤≥])(?<!\d\s)|(?<=[\p{Han}\p{Hiragana}\p{Katakana}])(?=.\d[\d.,]*\s?[°℃℉%]))"
SIGNED = regex.compile(
    rf"{BEFORE}(?P<sign>[-−–﹣]|\+/[-−–]|±|\+)(?P<gap>(?<=[±−])\s)?(?P<number>\p{{Sc}}?{DIGITS})", regex.MULTILINE
)
INVISIBLE = regex.compile(r"\p{Cf}")
MINUS = regex.compile(r"[-−–﹣](?=\s?\p{Sc}?\s?\d)|(?<=\d)[-−](?!\w)|\(\p{Sc}?\d[\d.,]*\p{Sc}?\)")
PLUS_MINUS = regex.compile(r"±|\+\s?/?\s?[-−–]")
PLUS = regex.compile(r"\+|(?<!\d)00(?=[1-9])")
# Words for less than nothing, by language, as they begin; “below zero” is one of them.
NEGATIVE = {
    "en": "minus negativ below sub-zero subzero",
    "de": "minus negativ unter unterhalb",
    "fr": "moins négati dessous sous inférieur",
    "es": "menos negativ bajo debajo",
    "pt": "menos negativ abaixo",
    "it": "meno negativ sotto",
    "nl": "min negatie onder",
    "sv": "minus negativ under",
    "da": "minus negativ under",
    "nb": "minus negativ under",
    "no": "minus negativ under",
    "fi": "miinus negatiiv pakka alle",
    "pl": "minus ujemn poniżej mróz mroz",
    "cs": "minus záporn pod mráz mraz",
    "ru": "минус отрицательн ниже мороз",
    "uk": "мінус від'ємн нижче мороз",
    "tr": "eksi negatif sıfırın",
    "id": "minus negatif bawah",
    "vi": "âm trừ dưới",
    "ar": "ناقص سالب تحت دون",
    "he": "מינוס שלילי מתחת",
    "hi": "ऋण माइनस शून्य",
    "ko": "영하 마이너스 음수",
    "ja": "マイナス 氷点下 零下 負",
    "zh": "负 負 零下 零度以下 下降 减",
    "yue": "負 零下",
    "th": "ลบ ติดลบ",
}
# How far off a value may be, in words.
TOLERANCE = regex.compile(
    r"plus|minus|toleran|give or take|approx|about|circa|etwa|ungefähr|environ|aprox|más o menos|più o meno|около|плюс"
    r"|プラスマイナス|前後|誤差|上下|左右|約|约|正负|正負|오차|플러스",
    regex.IGNORECASE,
)
PHONE_DIGITS = 7


def lost_signs(source: str, target: str, present: Sequence[Number], languages: tuple[str, str]) -> Iterator[str]:
    """Signed numbers of the source, as written, that the target has without any sign or word for it.

    Both texts are `prepared`. A minus is asked for in languages whose words for it are known; a plus only in telephone
    numbers, since +3 % is as well 3 % more.
    """
    source, target = INVISIBLE.sub("", source), INVISIBLE.sub("", target)
    words = NEGATIVE.get(base_language(languages[1]))
    for match in SIGNED.finditer(source):
        digits = regex.sub(r"\D", "", match["number"])
        sign = match["sign"]
        if sign == "+":
            is_phone = (
                len(regex.sub(r"\D", "", source[match.start() : match.end() + 20].split("\n")[0])) >= PHONE_DIGITS
            )
            if is_phone and digits in regex.sub(r"\D", "", target) and not PLUS.search(target):
                yield match.group().strip()
        elif not any(has_digits(number, match["number"]) for number in present):
            continue
        elif sign in "-−–﹣":
            if words and not MINUS.search(target) and not has_word(words, target):
                yield match.group().strip()
        elif not PLUS_MINUS.search(target) and not TOLERANCE.search(target):
            yield match.group().strip()


def has_digits(number: Number, written: str) -> bool:
    """Whether the target's number may be the source's."""
    plain = regex.sub(r"[^\d.,]", "", written)
    readings = {plain.replace(",", ""), plain.replace(".", "").replace(",", ".")}
    return any(float(text) in number.values for text in readings if regex.fullmatch(r"\d+(?:\.\d+)?", text))


def has_word(words: str, text: str) -> bool:
    beginnings = "|".join(map(regex.escape, words.split()))
    bound = "" if regex.search(r"[\p{Han}\p{Katakana}\p{Thai}\p{Hangul}\p{Arabic}\p{Hebrew}]", words) else r"(?<!\p{L})"
    return regex.search(f"{bound}(?:{beginnings})", text, regex.IGNORECASE) is not None
