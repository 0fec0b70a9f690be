"""Spaces, brackets and length: what a text's form tells without its words."""

import regex

from annotation.text.checks.finding import Finding
from annotation.text.languages import base_language

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
SMILEY = regex.compile(r"[:;=]['’]?-?[()]")
LIST_NUMBER = regex.compile(r"^\s*\w{1,3}\)", regex.MULTILINE)
DOUBLE_SPACE = regex.compile(r"\S(?:[ \u00a0\u202f]{2,}|\u3000{2,})\S")


def width(language: str) -> float:
    return WIDTH.get(base_language(language), 1.0)


def visible_length(text: str) -> int:
    return len(" ".join(text.split()))


def space_findings(source: str, target: str) -> list[Finding]:
    return [Finding("spaces")] if DOUBLE_SPACE.search(target) and not DOUBLE_SPACE.search(source) else []


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
