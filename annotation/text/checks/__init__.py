"""Checks of a text against its source: warnings for whoever writes, never walls. Pure.

`check` returns the names of its findings with their values; who shows them has the sentences
(`annotation.reference.feedback`). The same rules serve the annotation page, imports and quality figures.

    placeholders   what a program replaces goes into the target as it is
    numbers        each number of the source is in the target, with its unit and sign; numerals: how people write them
    end_marks      both end with the same kind of mark, of their own language
    form           spaces, brackets, length
    terms          the glossary's translations are used
"""

from collections.abc import Sequence

import regex

from annotation.text.checks.end_marks import ending_findings, ending_of
from annotation.text.checks.finding import Finding
from annotation.text.checks.form import bracket_findings, length_findings, space_findings, visible_length, width
from annotation.text.checks.numbers import number_findings
from annotation.text.checks.placeholders import placeholder_findings, without_placeholders
from annotation.text.checks.terms import term_findings
from annotation.text.languages import base_language
from annotation.text.typography import lookup_form

# A sign as HTML writes it (&#160;): its digits are no number. Which sign is used for it is up to the language.
ENTITY = regex.compile(r"&(?:#\d{1,7}|#x[0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,30});")

__all__ = ["Finding", "check", "looks_complete"]


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
        ratio: characters of a target per character of its source in this project; None uses the languages' widths.
        complete: False while the text is being begun, so that what is not written yet is not reported missing.
        translation: False for answers, which share neither numbers nor length with the source.
    """
    if not target.strip():
        return []
    languages = source_language, target_language
    findings = space_findings(source, target)
    if complete:
        findings += bracket_findings(source if translation else "", target)
    if not translation:
        return findings
    if is_untranslated(source, target, *languages):
        return [Finding("untranslated")]
    findings += placeholder_findings(source, target, *languages, complete=complete)
    if not complete:
        return findings
    findings += number_findings(
        ENTITY.sub(" ", without_placeholders(source, source_language)),
        ENTITY.sub(" ", without_placeholders(target, target_language)),
        *languages,
    )
    findings += ending_findings(source.strip(), target.strip(), *languages)
    findings += length_findings(source, target, *languages, ratio)
    return [*findings, *term_findings(target, terms)]


def is_untranslated(source: str, target: str, source_language: str, target_language: str) -> bool:
    if base_language(source_language) == base_language(target_language):
        return False
    letters = sum(sign.isalpha() for sign in without_placeholders(source))
    return letters > 3 and lookup_form(source) == lookup_form(target)


def looks_complete(source: str, target: str, *, source_language: str, target_language: str) -> bool:
    """Whether a text that is still being typed is long enough, or closed by a mark, to be checked as a whole."""
    expected = visible_length(source) * width(target_language) / width(source_language)
    return visible_length(target) >= 0.8 * expected or ending_of(target, target_language).kind != ""
