"""Style sheets and templates are laid out for reading: short lines, one rule a line."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
STYLE_SHEETS = sorted((ROOT / "static" / "css").glob("*.css"))
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
STYLE_COLUMNS = 120
TEMPLATE_COLUMNS = 160
# Braces in these do not open or close a rule.
COMMENT_OR_STRING = re.compile(r"/\*.*?\*/|\"[^\"\n]*\"|'[^'\n]*'", re.DOTALL)


def long_lines(path: Path, columns: int) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    name = path.relative_to(ROOT).as_posix()
    return [f"{name}:{number}: {len(line)}" for number, line in enumerate(lines, 1) if len(line) > columns]


def has_two_rules(line: str) -> bool:
    """Whether a rule starts behind another's start or end. `line` is free of comments and strings."""
    return line.count("{") > 1 or bool(re.search(r"}\s*[^\s}]", line)) or line.count("}") > 1


def without_comments_and_strings(text: str) -> str:
    """Lines stay where they are."""
    return COMMENT_OR_STRING.sub(lambda match: "\n" * match[0].count("\n"), text)


def test_the_folders_are_there():
    assert STYLE_SHEETS
    assert TEMPLATES


@pytest.mark.parametrize("path", STYLE_SHEETS, ids=lambda path: path.name)
def test_a_style_sheet_holds_one_rule_a_line_at_most(path):
    lines = without_comments_and_strings(path.read_text(encoding="utf-8")).splitlines()
    assert [number for number, line in enumerate(lines, 1) if has_two_rules(line)] == []
    assert long_lines(path, STYLE_COLUMNS) == []


def test_no_template_line_is_too_long():
    """Break between attributes or block elements, or at a space; `{% blocktranslate trimmed %}` wraps texts."""
    assert [line for path in TEMPLATES for line in long_lines(path, TEMPLATE_COLUMNS)] == []


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
    assert has_two_rules(line) is expected
