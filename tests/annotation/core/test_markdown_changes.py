"""Two versions of a Markdown text in one: rendered, safe, and with what is far from a change left out."""

import re

import pytest

from annotation.core.markdown import render_blocks, render_markdown
from annotation.core.markdown_changes import markdown_changes


def plain(html):
    """Without the words for those who do not see the marks, and without needless blanks."""
    return " ".join(re.sub(r'<span class="visually-hidden">\w+: </span>', "", html).split())


def test_the_blocks_of_a_text_are_the_text():
    text = "# One\n\ntwo [x]\n\n- a\n  - b\n\n> c\n\n---\n\n[x]: https://example.org\n"
    assert "".join(render_blocks(text)) == render_markdown(text)
    assert len(render_blocks(text)) == 5


def test_a_changed_paragraph_has_its_changes_inside():
    old = "Guests are greeted by name and with *due respect* in every answer."
    html = plain(markdown_changes(old, old.replace("by name", "by their name")))
    assert "greeted by <ins>their</ins> name and with <em>due respect</em>" in html
    assert "<del>" not in html


def test_blocks_that_come_and_go_are_marked_whole():
    html = plain(markdown_changes("One is here.\n\nLast.", "Last.\n\nQuite another thing."))
    assert html == "<p><del>One is here.</del></p><p>Last.</p> <p><ins>Quite another thing.</ins></p>"
    assert plain(markdown_changes("", "# New")) == "<h2><ins>New</ins></h2>"


def test_a_changed_address_is_shown_beside_its_link():
    html = plain(markdown_changes("See [the list](https://a.example).", "See [the list](https://b.example)."))
    assert "the list" in html
    assert "<ins>(https://b.example).</ins>" in html
    assert "<del>(https://a.example).</del>" in html


def test_what_people_wrote_stays_text():
    html = markdown_changes(
        "a <ins>x</ins> b", 'a <script>alert(1)</script> <b onclick="x">b</b> [y](javascript:alert)'
    )
    assert "<script" not in html
    assert "<b " not in html
    assert 'href="javascript' not in html
    assert "&lt;script&gt;" in html


@pytest.mark.parametrize(
    ("context", "expected"),
    [(None, "abcdNEWefgh"), (0, "…NEW…"), (1, "…dNEWe…"), (3, "…bcdNEWefg…"), (9, "abcdNEWefgh")],
)
def test_what_is_far_from_a_change_is_left_out(context, expected):
    before = "\n\n".join("abcdefgh")
    html = markdown_changes(before, before.replace("d", "d\n\nNEW"), context=context)
    assert "".join(re.sub("<[^>]*>", "", plain(html)).split()) == expected


def test_a_very_long_block_is_replaced_as_a_whole():
    old = "word " * 6000
    html = plain(markdown_changes(old, old + "more"))
    assert html.count("<del>") == html.count("<ins>") == 1
