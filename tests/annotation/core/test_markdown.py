"""Whatever a guideline holds, the page that shows it stays ours."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.core.markdown import render_markdown

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "[click](JaVaScRiPt&#58;alert(1))",
    "[click](  javascript:alert(1))",
    "[click](data:text/html;base64,PHNjcmlwdD4=)",
    "[click](vbscript:msgbox)",
    "![x](https://tracker.example/pixel.png)",
    '![x](x" onerror="alert(1))',
    '[a](https://example.org "t\\" onmouseover=\\"alert(1)")',
    "<a href='https://example.org' onclick='alert(1)'>x</a>",
    "<svg/onload=alert(1)>",
    "<style>body{display:none}</style>",
    "<iframe src='https://example.org'></iframe>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "```html\n<script>alert(1)</script>\n```",
    "<https://example.org/<script>>",
    "[x]: javascript:alert(1)\n\n[x]",
    "| a |\n|:-:|\n| <b onclick=alert(1)>x</b> |",
    "<form action='/accounts/logout/' method=post><button>x</button></form>",
    "\x00<scr\x00ipt>alert(1)</script>",
    "> " * 5000 + "deep",
    "[" * 5000,
]
TAGS = {
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


class Inspector(HTMLParser):
    def handle_starttag(self, tag, attrs):
        assert tag in TAGS, tag
        for name, value in attrs:
            assert (tag, name) in {("a", "href"), ("a", "title"), ("a", "rel"), ("ol", "start")}, (tag, name)
            if name == "href":
                head = value.strip().lower().split(":")[0] if ":" in value.split("/")[0] else ""
                assert head in ("", "http", "https", "mailto"), value


def inspect(html):
    inspector = Inspector()
    inspector.feed(str(html))
    inspector.close()


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_input_yields_no_active_content(text):
    inspect(render_markdown(text))


@given(st.lists(st.sampled_from([*HOSTILE[:-2], "<", ">", "[", "](", ")", "`", "\n", "*", '"', "&#x6a;", "# "])))
def test_no_mixture_of_it_does_either(parts):
    inspect(render_markdown("".join(parts)))


def test_markdown_is_rendered():
    html = render_markdown("# Register\n\nBe *polite*, **always**.\n\n1. a\n2. b\n\n| x | y |\n|---|---|\n| 1 | 2 |\n")
    assert "<h2>Register</h2>" in html, "the page's own title is the only h1"
    assert "<em>polite</em>, <strong>always</strong>" in html
    assert "<ol>" in html
    assert "<td>1</td>" in html


def test_links_carry_no_weight_and_no_handle():
    html = render_markdown("[a](https://example.org/x?a=1&b=2)")
    assert html == '<p><a href="https://example.org/x?a=1&amp;b=2" rel="nofollow noopener">a</a></p>\n'


def test_raw_html_is_shown_as_text():
    assert "&lt;script&gt;" in render_markdown("use <script> here")
