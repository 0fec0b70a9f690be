"""Style sheets and templates are laid out for reading: short lines, one rule a line.

`python -m tests.lint.layout` prints what is not, and fails; part of `make lint`.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
STYLE_COLUMNS = 120
TEMPLATE_COLUMNS = 160
# Braces in these do not open or close a rule.
COMMENT_OR_STRING = re.compile(r"/\*.*?\*/|\"[^\"\n]*\"|'[^'\n]*'", re.DOTALL)


def style_sheets() -> list[Path]:
    return sorted((ROOT / "static" / "css").glob("*.css"))


def templates() -> list[Path]:
    return sorted((ROOT / "templates").rglob("*.html"))


def long_lines(path: Path, columns: int) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    name = path.relative_to(ROOT).as_posix()
    return [
        f"{name}:{number}: {len(line)} characters, at most {columns}"
        for number, line in enumerate(lines, 1)
        if len(line) > columns
    ]


def has_two_rules(line: str) -> bool:
    """Whether a rule starts behind another's start or end. `line` is free of comments and strings."""
    return line.count("{") > 1 or bool(re.search(r"}\s*[^\s}]", line)) or line.count("}") > 1


def without_comments_and_strings(text: str) -> str:
    """Lines stay where they are."""
    return COMMENT_OR_STRING.sub(lambda match: "\n" * match[0].count("\n"), text)


def crowded_lines(path: Path) -> list[str]:
    lines = without_comments_and_strings(path.read_text(encoding="utf-8")).splitlines()
    name = path.relative_to(ROOT).as_posix()
    return [f"{name}:{number}: two rules on a line" for number, line in enumerate(lines, 1) if has_two_rules(line)]


def problems_of_style_sheet(path: Path) -> list[str]:
    return [*crowded_lines(path), *long_lines(path, STYLE_COLUMNS)]


def problems_of_template(path: Path) -> list[str]:
    """Break between attributes or block elements, or at a space; `{% blocktranslate trimmed %}` wraps texts."""
    return long_lines(path, TEMPLATE_COLUMNS)


def main() -> int:
    problems = [problem for path in style_sheets() for problem in problems_of_style_sheet(path)]
    problems += [problem for path in templates() for problem in problems_of_template(path)]
    print("\n".join(problems) or f"layout: {len(style_sheets())} style sheets, {len(templates())} templates")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
