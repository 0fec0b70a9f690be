"""Whether the target uses the glossary's translations."""

import unicodedata
from collections.abc import Iterator, Sequence

from annotation.text.checks.finding import Finding
from annotation.text.typography import lookup_form

# Scripts whose words have endings: a term may be inflected.
INFLECTED = ("LATIN", "CYRILLIC", "GREEK")


def term_findings(target: str, terms: Sequence[tuple[str, Sequence[str]]]) -> Iterator[Finding]:
    text = lookup_form(target)
    for term, translations in terms:
        if not any(is_used(translation, text) for translation in translations):
            yield Finding("term", {"term": term, "target": translations[0]})


def is_used(term: str, text: str) -> bool:
    """Whether the term occurs in a text in its `lookup_form`; an ending may differ in scripts whose words have
    endings."""
    wanted = lookup_form(term)
    if wanted in text:
        return True
    letters = [sign for sign in wanted if sign not in " '-"]
    if not letters or not all(unicodedata.name(sign, "").startswith(INFLECTED) for sign in letters):
        return False
    return all(word[: max(3, -(-len(word) * 7 // 10))] in text for word in wanted.split(" "))
