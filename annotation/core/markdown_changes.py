"""What changed between two versions of a Markdown text, as a reader sees it: rendered, with what came and what went."""

import re

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from lxml.html.diff import htmldiff
from rapidfuzz import fuzz
from rapidfuzz.distance import Indel

from annotation.core.markdown import CHANGES_CLEANER, render_blocks
from annotation.text.normalization import UNSPACED

ALIKE = 50  # from 0 to 100: how alike two blocks must be to be one that was changed
NEAR = 20  # among so many blocks that went is looked for the one that a new one was
LONG_BLOCKS = 40_000  # characters of two blocks, beyond which comparing their words takes too long
TAGS = re.compile(r"(<[^>]*>)")
LINKS = re.compile(r'<a href="([^"]*)"[^>]*>(.*?)</a>', re.DOTALL)
EMPTY = re.compile(r"<(ins|del)>\s*</\1>")
# A kind of space that nobody types: lxml compares words, and signs of scripts without spaces become words by it.
APART = "\u2005"


def markdown_changes(old: str, new: str, *, context: int | None = None) -> SafeString:
    """The new text as HTML with `ins` and `del`, each beginning with a word for those who do not see them.

    With `context`, of unchanged blocks only so many stay around each change; "…" is in the place of the others.
    """
    before, after = render_blocks(old), render_blocks(new)
    blocks: list[tuple[bool, str]] = []  # (whether it is the same, HTML)
    gone: list[str] = []
    come: list[str] = []
    for step in Indel.opcodes(before, after):
        if step.tag == "equal":
            blocks += [(False, html) for html in changed(gone, come)]
            gone, come = [], []
            blocks += [(True, html) for html in after[step.dest_start : step.dest_end]]
        else:
            gone += before[step.src_start : step.src_end]
            come += after[step.dest_start : step.dest_end]
    blocks += [(False, html) for html in changed(gone, come)]
    html = CHANGES_CLEANER.clean("".join(shortened(blocks, context)))
    for tag, word in (("ins", _("added:")), ("del", _("removed:"))):
        html = html.replace(f"<{tag}>", f'<{tag}><span class="visually-hidden">{escape(word)} </span>')
    return mark_safe(html)  # noqa: S308 - cleaned above


def changed(gone: list[str], come: list[str]) -> list[str]:
    """The blocks that replace others, in order: those alike are one with its changes inside."""
    rows: list[str] = []
    at = 0
    for html in come:
        found = next((place for place in range(at, min(at + NEAR, len(gone))) if are_alike(gone[place], html)), None)
        if found is None:
            rows.append(within("", html))
        else:
            rows += [within(old, "") for old in gone[at:found]]
            rows.append(within(gone[found], html))
            at = found + 1
    return rows + [within(old, "") for old in gone[at:]]


def are_alike(old: str, new: str) -> bool:
    if TAGS.match(old).group() != TAGS.match(new).group():  # type: ignore[union-attr]  # each block is an element
        return False
    return fuzz.ratio(TAGS.sub("", old), TAGS.sub("", new), score_cutoff=ALIKE) > 0


def within(old: str, new: str) -> str:
    """One block with what went and came in it; very long ones are replaced as a whole."""
    if old and new and len(old) + len(new) > LONG_BLOCKS:
        return within(old, "") + within("", new)
    html = str(htmldiff(apart(old), apart(new))).replace(APART, "")
    return EMPTY.sub(" ", html)


def apart(html: str) -> str:
    """A space between the signs of scripts without spaces, in the text of the HTML; links with their addresses."""
    parts = TAGS.split(LINKS.sub(r"\2 (\1)", html))
    parts[::2] = [UNSPACED.sub(lambda run: "".join(f"{sign}{APART}" for sign in run[0]), text) for text in parts[::2]]
    return "".join(parts)


def shortened(blocks: list[tuple[bool, str]], context: int | None) -> list[str]:
    if context is None:
        return [html for _same, html in blocks]
    near = {
        place + offset
        for place, (same, _html) in enumerate(blocks)
        if not same
        for offset in range(-context, context + 1)
    }
    rows: list[str] = []
    for place, (_same, html) in enumerate(blocks):
        if place in near:
            rows.append(html)
        elif not rows or rows[-1] != GAP:
            rows.append(GAP)
    return rows


GAP = "<p>…</p>"
