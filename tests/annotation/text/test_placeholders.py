"""Parts of a text that a program reads are kept, and nothing else is taken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.text.checks.placeholders import placeholder_findings, placeholders, without_placeholders

FOUND = {
    "Hello %@!": ["%@"],
    "Total: %.2f kg": ["%.2f"],
    "Dear {name}, see https://example.org/a?b=1.": ["{name}", "https://example.org/a?b=1"],
    "50% soft": [],
    "100% sure, 20%-30% off, 50%de descuento": [],
    "100 % de coton": [],
    "%s guests and %(count)d rooms": ["%s", "%(count)d"],
    "%1$s of %2$d": ["%1$s", "%2$d"],
    "{{ user.name }} and {{x|upper}}": ["{{user.name}}", "{{x|upper}}"],
    "${x} $HOME $USER costs $5, US$5, $CAD 5, $1,000.50": ["${x}", "$HOME", "$USER"],
    '<a href="x" title="Go">here</a><br/>': ['<a href="x">', "</a>", "<br/>"],
    "a < b and c > d": [],
    "[[x]] and @name@ and :name, :count.": ["[[x]]", "@name@", ":name", ":count"],
    "Note: this :) and 10:30 and a::b and http://x.org/:y": ["http://x.org/:y"],
    "{count, plural, one {# room} other {# rooms}}": ["{count, plural}"],
    "You have {n, plural, =0 {no {thing}} other {# things}}.": ["{n, plural}"],
    "%ds ago": ["%d"],
    "%d%% done": ["%d"],
    "{0:.2f} {1!r} {} {:>10}": ["{0:.2f}", "{1!r}", "{}", "{:>10}"],
    "%username% and %PATH%": ["%username%", "%PATH%"],
    "Hello %name": ["%name"],
    "Get 20 %off": [],
    "Save 10%off": [],
    "%d%s%": ["%d", "%s"],
    "mail a@example.org, @konomi": ["a@example.org", "@konomi"],
    "{see below} {a, b}": [],
    "\\textbf{Enter}": [],
    "C\\nD": ["\\n"],
    "%Y-%m-%d": ["%Y", "%m", "%d"],
    "%1 of %2": ["%1", "%2"],
    "[b]bold[/b] [1] [see]": ["[b]", "[/b]"],
    "#{x} %{count} %<name>s @{x}": ["#{x}", "%{count}", "%<name>s", "@{x}"],
    "{ $name } { -brand }": ["{$name}", "{-brand}"],
    "<0>text</0>": ["<0>", "</0>"],
    "%s様、%d個": ["%s", "%d"],
    "%ld bytes %5.1f %-10s %05d %zu": ["%ld", "%5.1f", "%-10s", "%05d", "%zu"],
    "{0,number,integer}": ["{0, number}"],
    "(see www.example.org).": ["www.example.org"],
    "(https://en.wikipedia.org/wiki/A_(b))": ["https://en.wikipedia.org/wiki/A_(b)"],
    "Attention : lisez": [],
    "5:30pm": [],
    "snake_case_name and a_b_c": [],
    "~5 and ~10~": [],
    "it's 5% alcohol": [],
    "I give 110%.": [],
    "50 %c": [],
    "e-mail: x": [],
    ":smile:": [":smile:"],
    "$t(key)": ["$t(key)"],
    "{{#if x}}a{{/if}}": ["{{#ifx}}", "{{/if}}"],
    "&nbsp;": [],
    "100%!": [],
    "%": [],
    "5%d": [],
    "*bold* _it_": [],
    "x^2^": [],
    "#tag# #1": ["#tag#"],
    "__name__ ##x## %%xy%%": ["##x##", "%%xy%%"],
}


@pytest.mark.parametrize("text", FOUND)
def test_notations_of_many_programs(text):
    assert placeholders(text) == FOUND[text]


def names(source, target, from_language="en", to_language="ja"):
    findings = placeholder_findings(source, target, from_language, to_language, complete=True)
    return [(finding.name.removeprefix("placeholder."), finding.values["text"]) for finding in findings]


def test_each_is_kept_as_often_as_the_source_has_it():
    assert names("%s and %s", "%sと%s") == []
    assert names("%s and %s", "%s") == [("missing", "%s")]
    assert names("Hello", "{name}様") == [("extra", "{name}")]
    assert names("%d rooms for @name@ in $CITY, :count", "$CITYで@name@に%d室、:count件") == []
    assert names("Hello %@!", "こんにちは！") == [("missing", "%@")]


@pytest.mark.parametrize(
    "written",
    ["{{ user.name }}", "{{#if x}}", "{% url 'x' %}", "{{{raw}}}", "{name|upper}", "{{ x|default:'y' }}", "{ $n }"],
)
def test_what_is_missing_is_named_as_it_is_written(written):
    assert names(f"Hello {written}!", "こんにちは！") == [("missing", written)]
    assert names(f"Hello {written}!", f"{written}こんにちは！") == []
    assert names("Hello!", f"{written}こんにちは！") == [("extra", written)]


def test_the_words_of_a_tag_are_translated_and_its_blanks_do_not_count():
    assert names('<img src="a.png" alt="A room"/>', '<img src="a.png"  alt="部屋" />') == []
    assert names('<img src="a.png" alt="A room"/>', '<img src="b.png" alt="部屋"/>') != []
    assert names("{{ name }}", "{{name}}様") == []


def test_a_plural_has_as_many_branches_as_its_language_needs():
    source = "{count, plural, one {# room} other {# rooms}} for {name}"
    assert names(source, "{name}様に{count, plural, other {#室}}") == []
    assert names(source, "{name}様に部屋") == [("missing", "{count, plural}")]


def test_a_percentage_that_begins_with_its_sign_is_no_placeholder():
    assert names("50% off", "%50 indirim", "en", "tr") == []
    assert names("%50 indirim", "50% off", "tr", "en") == []
    assert names("%1 of %2", "%2 / %1", "en", "tr") == []
    assert without_placeholders("%50 indirim", "tr") == "%50 indirim"


@given(st.text(alphabet="%{}$@#:<>[]()abs d1,\\n.", max_size=80))
def test_any_text_is_read(text):
    assert len(without_placeholders(text)) == len(text)
    assert names(text, text, "en", "en") == []
