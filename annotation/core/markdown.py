"""People's Markdown as safe HTML."""

from typing import Any

import nh3
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.token import Token

_PARSER = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
_TAGS = {
    "a",
    "blockquote",
    "br",
    "code",
    "em",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "li",
    "ol",
    "p",
    "pre",
    "s",
    "strong",
    "table",
    "tbody",
    "td",
    "th",
    "thead",
    "tr",
    "ul",
}
_REST: dict[str, Any] = {
    "attributes": {"a": {"href", "title"}, "ol": {"start"}},
    "url_schemes": {"http", "https", "mailto"},
    "link_rel": "nofollow noopener",
}
_CLEANER = nh3.Cleaner(tags=_TAGS, **_REST)
# For two versions of a text in one: what came and what went.
CHANGES_CLEANER = nh3.Cleaner(tags=_TAGS | {"ins", "del"}, **_REST)


def render_markdown(text: str) -> SafeString:
    """CommonMark with tables and strikethrough; raw HTML is shown as text, images and unknown schemes are dropped.

    Headings start at h2, because the page's own title is the h1. The result carries no script, style, class or id.
    """
    return _safe_html(_tokens(text))


def render_blocks(text: str) -> list[SafeString]:
    """The same in pieces: a paragraph, a heading, a whole list or table each."""
    blocks: list[list[Token]] = []
    for token in _tokens(text):
        if token.level == 0 and token.nesting >= 0:
            blocks.append([])
        blocks[-1].append(token)
    return [_safe_html(block) for block in blocks]


def _tokens(text: str) -> list[Token]:
    tokens = _PARSER.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1]) + 1, 6)}"
    return tokens


def _safe_html(tokens: list[Token]) -> SafeString:
    html = _PARSER.renderer.render(tokens, _PARSER.options, {})
    return mark_safe(_CLEANER.clean(html))  # noqa: S308 - cleaned in this line
