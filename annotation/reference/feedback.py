"""What the annotation page says of a text while it is being written: warnings, edits so far, and what differs.

Computed here and not in the browser, so that the page, imports and quality figures follow the same rules. The page
asks with each draft that it saves.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from django.core.cache import caches
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from rapidfuzz.distance import Indel

from annotation.kinds import PresentedTask
from annotation.kinds.presentation import normal
from annotation.models import Project
from annotation.reference.glossary import terms_in
from annotation.reference.translation_memory import length_ratio
from annotation.text.checks import Finding, check, looks_complete
from annotation.text.differences import Segment, differences
from annotation.text.edit_distance import CHARACTER, WORD, edits_between, is_unspaced
from annotation.text.normalization import normal_form

MAX_WARNINGS = 6
# The ratio is a median over 200 answers: it moves slowly, and a draft is saved twice a second.
RATIO_SECONDS = 600

SENTENCES = {
    "spaces": gettext_lazy("Two spaces in a row."),
    "brackets": gettext_lazy("Unmatched bracket: {pair}"),
    "untranslated": gettext_lazy("This is still the source text, not a translation."),
    "placeholder.missing": gettext_lazy("{text} is in the source and missing here."),
    "placeholder.extra": gettext_lazy("{text} is not in the source."),
    "number": gettext_lazy("The number {text} is missing or different here."),
    "unit": gettext_lazy("{text}: the unit is missing or different here."),
    "sign": gettext_lazy("{text}: the sign is missing here."),
    "end.missing": gettext_lazy("The source ends with a punctuation mark; this does not."),
    "end.extra": gettext_lazy("This ends with “{sign}”; the source has no mark at its end."),
    "end.script": gettext_lazy("Ends with “{sign}”; this language uses “{right}”."),
    "end.question": gettext_lazy("The source asks a question; this does not."),
    "end.statement": gettext_lazy("This asks a question; the source does not."),
    # xgettext:no-python-format
    "long": gettext_lazy("Long for its source: {percent} % of the usual length."),
    # xgettext:no-python-format
    "short": gettext_lazy("Short for its source: {percent} % of the usual length."),
    "term": gettext_lazy("The glossary translates “{term}” as “{target}”."),
}


@dataclass(frozen=True)
class Feedback:
    """`warnings` are sentences; `edits` and `differences` are None where there is no original to compare with."""

    warnings: list[SafeString] = field(default_factory=list)
    edits: str | None = None
    differences: list[Segment] | None = None


def feedback_on(
    *, project: Project, source: str, text: str, original: str | None = None, resting: bool = True
) -> Feedback:
    """Feedback on `text`, an answer to `source`, or an edited form of `original`.

    `resting` is False while somebody types: what is not written yet is then not reported missing, unless the text
    looks complete. An unchanged original was written to be complete.
    """
    languages = {"source_language": project.source_language, "target_language": project.target_language}
    translation = project.goal == Project.Goal.TRANSLATION
    complete = resting or original is not None or looks_complete(source, text, **languages)
    findings = check(
        source,
        text,
        **languages,
        terms=_terms(project, source) if translation and complete else (),
        ratio=project_ratio(project) if translation and complete else None,
        complete=complete,
        translation=translation,
    )
    warnings = list(dict.fromkeys(sentence(finding) for finding in findings))[:MAX_WARNINGS]
    if original is None:
        return Feedback(warnings)
    return Feedback(warnings, edits_sentence(original, text, project.target_language), differences(original, text))


def sentence(finding: Finding) -> SafeString:
    """The warning in the reader's language, as HTML: quoted texts are isolated, so that right-to-left letters do not
    reorder it."""
    values = {
        name: format_html("<bdi>{}</bdi>", value) if isinstance(value, str) else value
        for name, value in finding.values.items()
    }
    return format_html(str(SENTENCES[finding.name]), **values)


def edits_sentence(original: str, text: str, language: str) -> str:
    """Edits so far with HTER, as the submitted answer will be counted; in a long text, the edit rate without moves."""
    edits = edits_between(original, text, language)
    if not edits.count:
        return _("Unchanged") if original == text else _("No visible change")
    count = ngettext("{n} edit", "{n} edits", edits.count).format(n=edits.count)
    if edits.is_ter and is_unspaced(language):
        sentence = _("{edits} · HTER {rate} %, counted by characters")
    elif edits.is_ter:
        sentence = _("{edits} · HTER {rate} %")
    elif is_unspaced(language):
        sentence = _("{edits} · edit rate {rate} %, counted by characters")
    else:
        sentence = _("{edits} · edit rate {rate} %")
    return sentence.format(edits=count, rate=f"{edits.rate:.0%}".rstrip("%"))


# ---- the texts that are compared ----

Passage = tuple[int, int]
# Comparing two texts of 2,000 words takes about ten milliseconds; a page that shows longer ones must not wait for it.
MAX_PAIRS = 4_000_000


def differing_json(shown: PresentedTask) -> str:
    """`differing_passages` of the texts of a task, for judging.js."""
    texts = [normal(side.text) for side in shown.sides]
    return json.dumps(differing_passages(texts, shown.project.target_language), separators=(",", ":"))


def differing_passages(texts: Sequence[str], language: str) -> list[list[Passage] | None]:
    """For each text the passages (from, to; in code points) that the text compared with it does not have.

    Two texts are compared with each other; of more, each with the first, which has no passages then. By words, or by
    characters where words have no spaces; what reads the same is no difference, blanks and invisible characters
    included. None for a text that is too long to compare.
    """
    pattern = CHARACTER if is_unspaced(language) else WORD
    tokens = [[token for token in pattern.finditer(text) if _as_read(token[0])] for text in texts]
    words = [[_as_read(token[0]) for token in one] for one in tokens]
    passages: list[list[Passage] | None] = [[] for _text in texts]
    for at in range(1, len(texts)):
        if len(words[0]) * len(words[at]) > MAX_PAIRS:
            passages[at] = None
            continue
        steps = [step for step in Indel.opcodes(words[0], words[at]) if step.tag != "equal"]
        passages[at] = _passages(tokens[at], [(step.dest_start, step.dest_end) for step in steps])
        if len(texts) == 2:
            passages[0] = _passages(tokens[0], [(step.src_start, step.src_end) for step in steps])
    return passages


# Most tokens are a few words, or signs, that come again and again.
_as_read = lru_cache(maxsize=20_000)(normal_form)


def _passages(tokens: Sequence[re.Match[str]], ranges: Iterable[tuple[int, int]]) -> list[Passage]:
    """Ranges of tokens as passages of the text; those that touch are one."""
    merged: list[tuple[int, int]] = []
    for first, end in ranges:
        if first == end:
            continue
        if merged and merged[-1][1] == first:
            first = merged.pop()[0]
        merged.append((first, end))
    return [(tokens[first].start(), tokens[end - 1].end()) for first, end in merged]


def project_ratio(project: Project) -> float | None:
    """`length_ratio`, at most ten minutes old."""
    key = f"length-ratio:{project.pk}"
    ratio: float | None = caches["memory"].get_or_set(key, lambda: length_ratio(project), RATIO_SECONDS)
    return ratio


def _terms(project: Project, source: str) -> list[tuple[str, list[str]]]:
    return [(hit.source, [target for target, _note in hit.targets]) for hit in terms_in(project=project, text=source)]
