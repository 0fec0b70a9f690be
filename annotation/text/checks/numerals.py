"""Numbers in signs: digits of any script with their separators, compound numerals, magnitudes.

What they are worth comes from Unicode and CLDR; what neither has is listed here.
"""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import regex

from annotation.text.languages import base_language, magnitudes, separators

# 〇 to 九 also in the writing of contracts, with the units of Chinese writing; Unicode has the value of each.
HAN = "〇零一二三四五六七八九十百千万萬億亿兆壱壹弌弐貳贰弍参參叁肆伍陸陆漆柒捌玖拾佰仟廿卅"
HAN_VALUES = {sign: unicodedata.numeric(sign) for sign in HAN} | {"両": 2.0, "两": 2.0, "兩": 2.0}
# Chinese writing stands inside texts of any language, and Korean reads the same units; hundred and dozen are no
# compact formats of CLDR, lakh and crore not in its English.
UNITS = {sign: value for sign, value in HAN_VALUES.items() if value >= 10 and sign not in "廿卅"}
MORE_UNITS = {
    "en": {"hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12}
    | {"lakh": 1e5, "crore": 1e7, "dozen": 12.0, "mn": 1e6, "bn": 1e9, "tn": 1e12},
    "ko": {"십": 10.0, "백": 1e2, "천": 1e3},
    "bn": {"লক্ষ": 1e5, "লাখ": 1e5, "কোটি": 1e7},
    "as": {"লাখ": 1e5, "কোটি": 1e7},
    "or": {"ଲକ୍ଷ": 1e5, "କୋଟି": 1e7},
    "si": {"ලක්ෂ": 1e5, "කෝටි": 1e7},
    # As words begin: endings follow.
    "ta": {"லட்ச": 1e5, "இலட்ச": 1e5, "கோடி": 1e7, "ஆயிர": 1e3},
    "te": {"లక్ష": 1e5, "కోట": 1e7, "వేల": 1e3, "వెయ్యి": 1e3},
    "kn": {"ಲಕ್ಷ": 1e5, "ಕೋಟಿ": 1e7, "ಸಾವಿರ": 1e3},
    "ml": {"ലക്ഷ": 1e5, "കോടി": 1e7, "ആയിര": 1e3},
}
# Languages that write the magnitude before the digits: milioni 5, මිලියන 5.
UNIT_FIRST = {"sw", "si", "ha", "ak", "dz", "ee", "om"}
KOREAN_MYRIADS = {"만", "억", "조"}  # a space goes after them
MONEY = {"k": 1e3, "m": 1e6, "b": 1e9, "tn": 1e12}  # after an amount of money, £5m
# After digits, 千 and 兆 before a unit are a part of it: 5千克 is 5 kg.
KILO = r"(?<=\d\s?)[千兆](?:克|米|瓦|卡|焦|帕|赫|伏|字节|字節|位元)"
# Short forms that mean other things as well: K, M, B of English; 10 m are also ten metres.
MAX_AMBIGUOUS = 2

# Words of these have no spaces around them, or endings without a space.
UNSPACED = regex.compile(
    r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
    r"\p{Tamil}\p{Telugu}\p{Kannada}\p{Malayalam}]"
)
DIGITS = r"\d+(?:[.,'’٬٫]\d+|[\u00a0\u202f\u2009 ]\d{3}(?!\d))*"
VULGAR = "¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞"


@dataclass(frozen=True)
class Number:
    """`values` are the readings of the whole; `parts` are those of its digits as separate numbers, where the whole may
    also be a date, a fraction or a list (03.05.2024, 1/2)."""

    text: str
    start: int
    end: int
    values: frozenset[float]
    parts: tuple[float, ...] = ()
    is_sequence: bool = False  # digits in a fixed order that are neither a number nor a date, such as a version


@dataclass(frozen=True)
class Unit:
    value: float
    start: int
    end: int
    is_han: bool
    is_ambiguous: bool


def prepared(text: str) -> str:
    """NFC, with digits of all scripts and full-width signs as their ASCII forms, and ㎏, ㎡ and ㍿ as several signs."""
    return "".join(map(_plain_sign, unicodedata.normalize("NFC", text)))


@lru_cache(maxsize=4096)
def _plain_sign(sign: str) -> str:
    if sign.isascii():
        return sign
    if (digit := unicodedata.decimal(sign, None)) is not None:
        return str(digit)
    if "\u3300" <= sign <= "\u33ff":  # ㎡ is m²
        return unicodedata.normalize("NFKC", sign).replace("m2", "m²").replace("m3", "m³")
    return chr(ord(sign) - 0xFEE0) if "\uff01" <= sign <= "\uff5e" else sign


@lru_cache(maxsize=64)
def units_of(language: str) -> dict[str, float]:
    """Magnitudes of the language, words in lower case; English ones occur in texts of all languages; the language's
    own sense comes first."""
    words = (
        UNITS | magnitudes("en") | MORE_UNITS["en"] | magnitudes(language) | MORE_UNITS.get(base_language(language), {})
    )
    return {word if is_short(word) else word.lower(): value for word, value in words.items()}


def is_short(word: str) -> bool:
    """Whether the word is a letter or two, of which K is no k."""
    return len(word) <= MAX_AMBIGUOUS and word.isascii()


@lru_cache(maxsize=64)
def token_pattern(language: str) -> regex.Pattern[str]:
    words = sorted(units_of(language).keys() - UNITS.keys(), key=len, reverse=True)
    units = "|".join(word_pattern(word, case=is_short(word)) for word in words)
    return regex.compile(
        rf"(?P<digits>{DIGITS})(?P<vulgar>[{VULGAR}])?|(?P<vulgar>[{VULGAR}])|(?P<han>(?:(?!{KILO})[{''.join(HAN_VALUES)}])+)"
        rf"|(?P<unit>{units})|(?P<money>(?<=\p{{Sc}}\s?\d[\d.,]{{0,15}}\s?)(?:[mkb]|tn)(?!\p{{L}}))|(?P<numeral>[\p{{Nl}}\p{{No}}]+)"
    )


def word_pattern(word: str, *, case: bool = False) -> str:
    """The word by itself; scripts without spaces show no ends of words, and digits may come at either end."""
    escaped: str = regex.escape(word)
    if UNSPACED.match(word):
        return escaped
    bounded = rf"(?<!\p{{L}}){escaped}s?(?![\p{{L}}\p{{M}}])"
    return bounded if case else f"(?i:{bounded})"


def tokens_of(text: str, language: str) -> Iterator[Number | Unit]:
    known = units_of(language)
    for match in token_pattern(language).finditer(text):
        start, end, written = match.start(), match.end(), match.group()
        if match["digits"]:
            number = digits_number(match["digits"], start, language)
            if match["vulgar"]:
                fraction = unicodedata.numeric(match["vulgar"])
                number = replace(number, values=frozenset(value + fraction for value in number.values))
            yield replace(number, text=written, end=end)
        elif match["vulgar"]:
            yield Number(written, start, end, frozenset({unicodedata.numeric(written)}))
        elif match["han"]:
            yield from han_tokens(written, start)
        elif match["unit"]:
            forms = (written, written.removesuffix("s"), written.lower(), written.lower().removesuffix("s"))
            word = next(form for form in forms if form in known)
            yield Unit(known[word], start, end, False, is_short(word))
        elif match["money"]:
            yield Unit(MONEY[written], start, end, False, False)
        elif (value := numeral_value(written)) is not None:
            yield Number(written, start, end, frozenset({value}))


def han_tokens(run: str, start: int) -> Iterator[Number | Unit]:
    """Runs of digits are one number, 二〇二四; each unit is a token, so that 二千 and 2千 are read alike."""
    for match in regex.finditer(rf"[{''.join(UNITS)}]|[^{''.join(UNITS)}]+", run):
        at, end, written = start + match.start(), start + match.end(), match.group()
        if written in UNITS:
            yield Unit(UNITS[written], at, end, True, False)
        else:
            values = [HAN_VALUES[sign] for sign in written]
            value = float("".join(f"{value:.0f}" for value in values)) if max(values) < 10 else sum(values)
            yield Number(written, at, end, frozenset({value}))


def numeral_value(run: str) -> float | None:
    """Numerals that are signs of their own: Ⅻ, ①, and ፲፭, whose tens, hundreds and ten thousands work as in Chinese.
    None for exponents and indices: m² is a unit."""
    total = part = 0.0
    for sign in run:
        if unicodedata.decomposition(sign).startswith(("<super>", "<sub>")):
            return None
        value = unicodedata.numeric(sign, None)
        if value is None:  # younger than this Python's Unicode
            return None
        if value in (100, 10_000):
            total, part = total + max(part, 1) * value, 0.0
        else:
            part += value
    return total + part


def digits_number(token: str, start: int, language: str) -> Number:
    """The readings of digits with separators, by what the language writes."""
    pieces = regex.split(r"(\D)", token)
    digits, signs = pieces[::2], pieces[1::2]
    own = separators(language)
    parts = tuple(float(part) for at, part in enumerate(digits) if not (at and set(part) == {"0"}))
    number = Number(token, start, start + len(token), frozenset(), parts)
    if not signs:
        return replace(number, values=frozenset({float(token)}), parts=())
    grouped = is_grouped(digits) and len(set(signs)) == 1
    last = signs[-1]
    fraction = last in ".,٫" and (
        len(signs) == 1 or (len(set(signs[:-1])) == 1 and last not in signs[:-1] and is_grouped(digits[:-1]))
    )
    if grouped and fraction and len(signs) == 1:
        grouped, fraction = (last in own.group or last not in own.decimal, last in own.decimal or last not in own.group)
    values = set()
    if grouped:
        values.add(float("".join(digits)))
    if fraction:
        values.add(float(f"{''.join(digits[:-1])}.{digits[-1]}"))
    # A fraction that is written as the language writes it is no date; millions in groups and round thousands are no
    # lists.
    is_round = last in own.group and set(digits[-1]) == {"0"}
    is_plain = (fraction and last in own.decimal and not grouped) or (
        grouped and (len(signs) > 1 or (is_round and not fraction))
    )
    is_sequence = not values and len(signs) > 1 and not may_be_date(digits)
    return replace(number, values=frozenset(values), parts=() if is_plain else parts, is_sequence=is_sequence)


def may_be_date(digits: list[str]) -> bool:
    return (
        len(digits) == 3
        and any(len(part) == 4 or (len(part) == 2 and int(part) > 31) for part in digits[::2])
        and 1 <= int(digits[1]) <= 31
    )


def is_grouped(digits: list[str]) -> bool:
    """1,234,567 or, in India, 12,34,567."""
    first, *middle, last = digits if len(digits) > 1 else [digits[0], "000"]
    return (
        len(first) <= 3
        and not (len(first) > 1 and first[0] == "0")
        and first != "0"
        and len(last) == 3
        and all(2 <= len(part) <= 3 for part in middle)
    )


def units_after(text: str, tokens: list[Number | Unit], language: str) -> Iterator[Number | Unit]:
    """In languages that write the magnitude first, each such pair as one number: milioni 5."""
    at = 0
    while at < len(tokens):
        unit, number = tokens[at], tokens[at + 1] if at + 1 < len(tokens) else None
        if (
            base_language(language) in UNIT_FIRST
            and isinstance(unit, Unit)
            and isinstance(number, Number)
            and text[unit.end : number.start].strip() == ""
        ):
            values = frozenset(value * unit.value for value in number.values)
            yield replace(number, text=text[unit.start : number.end], start=unit.start, values=values, parts=())
            at += 2
        else:
            yield unit
            at += 1


def compounds(text: str, tokens: list[Number | Unit]) -> Iterator[Number]:
    """Numbers with the units that follow them: 2万4千, 1億2000万, 2 crore 50 lakh, 二千四百, 3 thousand million."""
    at = 0
    while at < len(tokens):
        end = at + 1
        while end < len(tokens) and continues(text, tokens, at, end):
            end += 1
        yield compound(text, tokens[at:end])
        at = end


def continues(text: str, tokens: list[Number | Unit], first: int, at: int) -> bool:
    """Whether the token belongs to the number that began at `first`."""
    before, token = tokens[at - 1], tokens[at]
    gap = text[before.end : token.start]
    if gap.strip("\u00a0 ") or len(gap) > 1:
        return False
    if isinstance(token, Unit):
        return isinstance(before, Number) or token.is_han == before.is_han
    if not isinstance(before, Unit) or max(token.values, default=0) >= before.value:
        # 3千500万: a smaller unit before a greater one.
        return False
    if before.is_han or not gap:
        return before.value >= 10 and not gap
    if text[before.start : before.end] in KOREAN_MYRIADS:
        return True  # 12만 3456
    following = tokens[at + 1] if at + 1 < len(tokens) else None
    return isinstance(following, Unit) and following.value < before.value and continues(text, tokens, first, at + 1)


def compound(text: str, tokens: list[Number | Unit]) -> Number:
    start, end = tokens[0].start, tokens[-1].end
    whole = Number(text[start:end], start, end, frozenset())
    if len(tokens) == 1 and isinstance(tokens[0], Number):
        return tokens[0]
    readings = tokens[0].values if isinstance(tokens[0], Number) else frozenset({1.0})
    values = {compound_value(tokens, reading) for reading in readings}
    if any(isinstance(token, Unit) and token.is_ambiguous for token in tokens):
        values |= readings
    return replace(whole, values=frozenset(values))


def compound_value(tokens: list[Number | Unit], first: float) -> float:
    """Units below ten thousand add up to a part, which a greater unit multiplies."""
    total = part = 0.0
    digit: float | None = None
    for at, token in enumerate(tokens):
        if isinstance(token, Number):
            digit = first if at == 0 else min(token.values, default=0.0)
        elif token.value < 1e4:
            part += (1 if digit is None else digit) * token.value
            digit = None
        else:
            total += (part + (digit or 0) or 1) * token.value
            part, digit = 0.0, None
    # What is multiplied is rounded: 1.1 million is no 1100000.0000000002.
    return round(total + part + (digit or 0), 6)
