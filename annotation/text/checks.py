"""Checks of a text against its source: warnings for whoever writes, never walls. Pure.

`check` returns the names of its findings with their values; who shows them has the sentences
(`annotation.reference.feedback`). The same rules serve the annotation page, imports and quality figures.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

from annotation.text.normalization import folded

# Relative width of a language: characters that a text of the same content takes, English being 1. A project's own
# median ratio, once it has one, is used instead.
WIDTH = {
    "ja": 0.48,
    "zh": 0.34,
    "yue": 0.34,
    "ko": 0.52,
    "th": 0.9,
    "he": 0.8,
    "ar": 0.85,
    "de": 1.15,
    "fr": 1.15,
    "es": 1.12,
    "pt": 1.1,
    "it": 1.12,
    "ru": 1.08,
    "el": 1.15,
    "vi": 1.1,
    "id": 1.1,
}
MINIMUM_LENGTH = 12  # shorter sources say nothing of the length to expect

PLACEHOLDER = re.compile(
    r"\{\{[^{}]*\}\}|\$?\{[A-Za-z0-9_]*\}|%(?:\d+\$|\([A-Za-z0-9_]+\))?[sdif](?![a-z])|</?[a-z][^<>]*>"
    r"|https?://[A-Za-z0-9_.~:/?#\[\]@!$&*+,;=%-]+|[A-Za-z0-9_.+-]+@[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+",
    re.IGNORECASE,
)
UNITS = {
    "万": 1e4,
    "萬": 1e4,
    "億": 1e8,
    "亿": 1e8,
    "兆": 1e12,
    "千": 1e3,
    "百": 100,
    "thousand": 1e3,
    "million": 1e6,
    "billion": 1e9,
}
NUMBER = re.compile(
    r"([0-9]{1,3}(?:[,.'’\u00a0\u202f ][0-9]{3})+(?![0-9])|[0-9]+)([.,][0-9]+)?"
    r"(?:\s?(万|萬|億|亿|兆|千|百|thousand|million|billion))?",
    re.IGNORECASE,
)
NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
ORDINALS = [
    "zeroth",
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
]
# Small numbers are words in good prose; those of these languages are known here.
NUMBER_WORDS = {"en", "ja", "zh"}
KANJI = {
    "〇": 0,
    "零": 0,
    "一": 1,
    "二": 2,
    "両": 2,
    "两": 2,
    "三": 3,
    "四": 4,
    "五": 5,
    "六": 6,
    "七": 7,
    "八": 8,
    "九": 9,
}
KANJI_UNITS = {"十": 10, "百": 100, "千": 1000}
KANJI_RUN = re.compile(r"[〇零一二両两三四五六七八九十百千万億兆]+")
AFTERNOON = re.compile(r"p\.?m(?![a-z0-9])|午後|下午", re.IGNORECASE)
NO_NUMBERS = re.compile(r"24\s*/\s*7|(?<![A-Za-z0-9])[123](?:st|nd|rd|th)(?![A-Za-z0-9])")

ENDINGS = {
    ".": "stop",
    "。": "stop",
    "．": "stop",
    "｡": "stop",
    "।": "stop",
    "۔": "stop",
    "။": "stop",
    "።": "stop",
    "!": "stop",
    "！": "stop",
    "…": "stop",
    "?": "question",
    "？": "question",
    "؟": "question",
    ":": "more",
    "：": "more",
}
CLOSING = set("\"'”’」』）)]】〉》»\ufe0f\u200d♪☆★")
WITHOUT_STOPS = {"th", "lo", "km", "my"}
EAST_ASIAN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff][^\w\s]*$")
JAPANESE_QUESTION = re.compile(r"(?:か|の|かな|かね|でしょう|ませんか|ね)[。！]?$")
HALF_WIDTH = {"。": ".", "？": "?", "！": "!"}

BRACKETS = [
    ("(（", ")）"),
    ("[［", "]］"),
    ("{｛", "}｝"),
    ("「", "」"),
    ("『", "』"),
    ("【", "】"),
    ("«", "»"),
    ("〈", "〉"),
    ("《", "》"),
]
SMILEY = re.compile(r"[:;=]['’]?-?[()]")
LIST_NUMBER = re.compile(r"^\s*\w{1,3}\)", re.MULTILINE)
DOUBLE_SPACE = re.compile(r"\S(?: {2,}|\u3000{2,})\S")
# Scripts whose words have endings: a term may be inflected.
INFLECTED = ("LATIN", "CYRILLIC", "GREEK")


@dataclass(frozen=True)
class Finding:
    """One warning: its name (such as `number`) and the values of its sentence."""

    name: str
    values: dict[str, str | int] = field(default_factory=dict)


def check(
    source: str,
    target: str,
    *,
    source_language: str = "en",
    target_language: str = "en",
    terms: Sequence[tuple[str, Sequence[str]]] = (),
    ratio: float | None = None,
    complete: bool = True,
    translation: bool = True,
) -> list[Finding]:
    """What a reader should look at again; nothing for a clean pair or an empty text.

    Args:
        terms: glossary terms of the source, each with its accepted translations.
        ratio: characters of a target per character of its source in this project; None uses `WIDTH`.
        complete: False while the text is being begun, so that what is not written yet is not reported missing.
        translation: False for answers, which share neither numbers nor length with the source.
    """
    if not target.strip():
        return []
    findings: list[Finding] = []
    if DOUBLE_SPACE.search(target) and not DOUBLE_SPACE.search(source):
        findings.append(Finding("spaces"))
    if complete:
        findings += bracket_findings(source if translation else "", target)
    if not translation:
        return findings
    from_base, to_base = base_language(source_language), base_language(target_language)
    letters = sum(sign.isalpha() for sign in PLACEHOLDER.sub("", source))
    if folded(source) == folded(target) and from_base != to_base and letters > 3:
        return [Finding("untranslated")]
    findings += placeholder_findings(source, target, complete=complete)
    if not complete:
        return findings
    findings += [
        Finding("number", {"text": number}) for number in missing_numbers(plain(source), plain(target), to_base)
    ]
    findings += ending_findings(source.strip(), target.strip(), from_base, to_base)
    findings += length_findings(source, target, from_base, to_base, ratio)
    folded_target = folded(target)
    findings += [
        Finding("term", {"term": term, "target": translations[0]})
        for term, translations in terms
        if not any(is_used(translation, folded_target) for translation in translations)
    ]
    return findings


def looks_complete(source: str, target: str, *, source_language: str, target_language: str) -> bool:
    """Whether a text that is still being typed is long enough, or closed by a mark, to be checked as a whole."""
    expected = visible_length(source) * width(target_language) / width(source_language)
    return visible_length(target) >= 0.8 * expected or ending_of(target)[0] != ""


def base_language(tag: str) -> str:
    """`pt` of `pt-BR`."""
    return re.split("[-_]", tag)[0].lower()


def width(language: str) -> float:
    return WIDTH.get(base_language(language), 1.0)


def visible_length(text: str) -> int:
    return len(" ".join(text.split()))


# ---- placeholders and numbers ----


def placeholders(text: str) -> list[str]:
    return [match.group().rstrip(".,;:!?") for match in PLACEHOLDER.finditer(text)]


def placeholder_findings(source: str, target: str, *, complete: bool) -> list[Finding]:
    extra, findings = placeholders(target), []
    for item in placeholders(source):
        if item in extra:
            extra.remove(item)
        elif complete:
            findings.append(Finding("placeholder.missing", {"text": item}))
    return findings + [Finding("placeholder.extra", {"text": item}) for item in extra]


def plain(text: str) -> str:
    """Half-width and without placeholders, whose digits are no numbers."""
    return PLACEHOLDER.sub(" ", unicodedata.normalize("NFKC", text))


def number_text(value: float) -> str:
    return f"{value:.12g}"


def numbers(text: str) -> list[tuple[str, float, set[str]]]:
    """Each number as written, its value, and the forms it may take: its digits, its value, its value in units."""
    rows = []
    for match in NUMBER.finditer(text):
        digits, fraction, unit = match.group(1), match.group(2) or "", match.group(3)
        whole = re.sub(r"[^0-9]", "", digits)
        value = float(whole + fraction.replace(",", "."))
        forms = {number_text(float(whole + re.sub(r"[^0-9]", "", fraction))), number_text(value)}
        if unit:
            forms.add(number_text(round(value * UNITS[unit.lower()])))
        rows.append((match.group().strip(), value, forms))
    return rows


def written_numbers(text: str) -> set[str]:
    """Values of numbers that are written in kanji or as English words."""
    values = {number_text(kanji_value(run)) for run in KANJI_RUN.findall(text)}
    for word in re.findall("[a-z]+", text.lower()):
        for names in (NAMES, ORDINALS):
            if word in names:
                values.add(str(names.index(word)))
    return values


def kanji_value(run: str) -> float:
    if not set(run) & set("十百千万億兆"):
        return float("".join(str(KANJI[sign]) for sign in run))
    total = part = 0.0
    digit: float | None = None
    for sign in run:
        if sign in KANJI:
            digit = (digit or 0) * 10 + KANJI[sign]
        elif sign in KANJI_UNITS:
            part += (1 if digit is None else digit) * KANJI_UNITS[sign]
            digit = None
        else:
            total += (part + (digit or 0) or 1) * UNITS[sign]
            part, digit = 0.0, None
    return total + part + (digit or 0)


def missing_numbers(source: str, target: str, target_language: str) -> list[str]:
    """Numbers of the source that the target has in no form, in order and without repeats."""
    present = written_numbers(target)
    if re.search("半|half", target, re.IGNORECASE):
        present.add("30")
    for _, _, forms in numbers(full_hours(target)):
        present |= forms
    may_be_words = target_language not in NUMBER_WORDS
    afternoon = AFTERNOON.search(source + target)
    missing = []
    for text, value, forms in numbers(NO_NUMBERS.sub(" ", full_hours(source))):
        if forms & present or (may_be_words and value <= 12):
            continue
        if afternoon and any(0 < hour < 24 and number_text(hour) in present for hour in (value + 12, value - 12)):
            continue
        missing.append(text)
    return list(dict.fromkeys(missing))


def full_hours(text: str) -> str:
    """7:00 is 7."""
    return re.sub(r"([0-9]):00(?![0-9A-Za-z])", r"\1", text)


# ---- endings, length, brackets ----


def ending_of(text: str) -> tuple[str, str, str]:
    """("stop" | "question" | "more" | "", the mark, the text up to it), without what closes after the mark."""
    end = len(text)
    while end and (text[end - 1].isspace() or text[end - 1] in CLOSING or unicodedata.category(text[end - 1]) == "So"):
        end -= 1
    bare = text[:end]
    return ENDINGS.get(bare[-1:], ""), bare[-1:], bare


def ending_findings(source: str, target: str, source_language: str, target_language: str) -> list[Finding]:
    if {source_language, target_language} & WITHOUT_STOPS:
        return []
    (before, _, asked), (after, mark, _) = ending_of(source), ending_of(target)
    if not before and not after:
        return []
    if not after:
        return [Finding("end.missing")] if before in ("stop", "question") else []
    if not before:
        return [Finding("end.extra", {"sign": mark})]
    if target_language in ("ja", "zh"):
        if mark in ".?!" and EAST_ASIAN.search(target):
            return [Finding("end.script", {"sign": mark, "right": "。"})] if mark == "." else []
    elif mark in HALF_WIDTH:
        return [Finding("end.script", {"sign": mark, "right": HALF_WIDTH[mark]})]
    # Japanese asks with か。 and answers a request with a statement.
    if before == "question" and after == "stop" and target_language not in ("ja", "ko", "zh"):
        return [Finding("end.question")]
    asks_without_mark = source_language == "ja" and JAPANESE_QUESTION.search(asked)
    if before == "stop" and after == "question" and not asks_without_mark:
        return [Finding("end.statement")]
    return []


def length_findings(
    source: str, target: str, source_language: str, target_language: str, ratio: float | None
) -> list[Finding]:
    before, after = visible_length(source), visible_length(target)
    expected = before * (ratio or width(target_language) / width(source_language))
    if before < MINIMUM_LENGTH or not after:
        return []
    slack = MINIMUM_LENGTH * width(target_language)
    percent = round(100 * after / expected)
    if after > expected * 2 + slack:
        return [Finding("long", {"percent": percent})]
    if after < expected * 0.45 - slack / 2:
        return [Finding("short", {"percent": percent})]
    return []


def bracket_findings(source: str, target: str) -> list[Finding]:
    """The first kind of bracket that the target leaves open and the source does not."""
    before, after = (LIST_NUMBER.sub("", SMILEY.sub("", text)) for text in (source, target))
    for opening, closing in BRACKETS:
        if is_unmatched(after, opening, closing) and not is_unmatched(before, opening, closing):
            return [Finding("brackets", {"pair": f"{opening[0]} {closing[0]}"})]
    return []


def is_unmatched(text: str, opening: str, closing: str) -> bool:
    return sum(sign in opening for sign in text) != sum(sign in closing for sign in text)


def is_used(term: str, folded_text: str) -> bool:
    """Whether the term occurs; an ending may differ in scripts whose words have endings."""
    wanted = folded(term)
    if wanted in folded_text:
        return True
    letters = [sign for sign in wanted if sign not in " '’-"]
    if not letters or not all(unicodedata.name(sign, "").startswith(INFLECTED) for sign in letters):
        return False
    return all(word[: max(3, -(-len(word) * 7 // 10))] in folded_text for word in wanted.split(" "))
