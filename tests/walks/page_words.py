"""What a page says: the words of a template's source, and the words of a page as it was sent, with their language."""

import re
from html.parser import HTMLParser

from django.template.base import Lexer, TokenType

SPOKEN = ("aria-label", "title", "alt", "placeholder", "aria-description", "aria-roledescription")
SILENT = ("script", "style", "code", "pre", "kbd", "svg", "template")
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


class Words(HTMLParser):
    """Collects (language, text) of everything that a person sees or hears; what is no language's is left out."""

    def __init__(self, language: str = "") -> None:
        super().__init__()
        self.stack: list[tuple[str, str]] = [("", language)]
        self.found: list[tuple[str, str]] = []
        self.plain: list[dict[str, str | None]] = []

    @property
    def language(self) -> str:
        return self.stack[-1][1]

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        language = given.get("lang") or self.language
        for name in SPOKEN:
            if (given.get(name) or "").strip():
                self.found.append((language, given[name].strip()))
        if tag == "input" and given.get("type") in ("submit", "button") and given.get("value"):
            self.found.append((language, given["value"]))
        if tag not in VOID:
            self.stack.append((tag, language))

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.stack.pop()

    def handle_endtag(self, tag):
        if any(open_tag == tag for open_tag, _ in self.stack):
            while self.stack.pop()[0] != tag:
                pass

    def handle_data(self, data):
        text = " ".join(data.split())
        if text and not any(tag in (*SILENT, "bdi") for tag, _ in self.stack):
            self.found.append((self.language, text))


def of_page(html: str) -> list[tuple[str, str]]:
    parser = Words()
    parser.feed(html)
    return parser.found


def unwrapped(source: str) -> list[str]:
    """The words that a template says outside `translate` and `blocktranslate`."""
    html, inside = "", False
    for token in Lexer(source).tokenize():
        if token.token_type == TokenType.BLOCK:
            name = token.split_contents()[0]
            inside = name == "blocktranslate" or (inside and name != "endblocktranslate")
            html += " "
        elif token.token_type == TokenType.VAR:
            # A word that is a value's default is said as well.
            html += "" if inside else " ".join(re.findall(r'\|default:"([^"]*)"', token.contents))
        elif token.token_type == TokenType.TEXT and not inside:
            html += token.contents
    # What a template puts into a tag of its parent stands outside a tag here.
    said = (re.sub(r"""[\w-]+=("[^"]*"|'[^']*')""", "", text) for _, text in of_page(html))
    return [text for text in said if re.search(r"[A-Za-z]{2}", text)]
