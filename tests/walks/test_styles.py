"""Style sheets and templates are laid out for reading (tests/lint/layout.py)."""

import pytest

from tests.lint import layout


def test_the_folders_are_there():
    assert layout.style_sheets()
    assert layout.templates()


@pytest.mark.parametrize("path", layout.style_sheets(), ids=lambda path: path.name)
def test_a_style_sheet_holds_one_rule_a_line_at_most(path):
    assert layout.problems_of_style_sheet(path) == []


def test_no_template_line_is_too_long():
    assert [problem for path in layout.templates() for problem in layout.problems_of_template(path)] == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a { color: red }", False),
        ("@media (pointer: coarse) {", False),
        ("}", False),
        ("a { color: red } b { color: blue }", True),
        ("@media print { a { color: red } }", True),
        ("} b {", True),
    ],
)
def test_two_rules_on_one_line_are_noticed(line, expected):
    assert layout.has_two_rules(line) is expected
