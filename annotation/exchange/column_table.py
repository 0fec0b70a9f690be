"""The columns of an export as tables in Markdown, for docs/exports.md."""

import re
from pathlib import Path

from django.conf import settings

from annotation.exchange.columns import GROUPS

GUIDE = "docs/exports.md"
BEGIN, END = "<!-- columns: begin (manage.py export_columns --write) -->", "<!-- columns: end -->"


def tables() -> str:
    """One table for each group of columns: name, type, kinds that fill it, meaning."""
    parts = []
    for group in GROUPS:
        rows = [f"**{group.title}**", "", "| column | type | kinds | meaning |", "|---|---|---|---|"]
        rows += [
            f"| `{column.name}` | {column.type} | {', '.join(column.kinds) or 'all'} | {column.meaning} |"
            for column in group.columns
        ]
        parts.append("\n".join(rows))
    return "\n\n".join(parts)


def guide() -> Path:
    return Path(settings.BASE_DIR) / GUIDE


def written(text: str) -> str:
    """The guide's text with its tables as declared now. Raises ValueError if the marks are missing."""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"{GUIDE} must contain each of these lines once: {BEGIN} and {END}")
    return re.sub(
        re.escape(BEGIN) + ".*?" + re.escape(END),
        lambda _match: f"{BEGIN}\n\n{tables()}\n\n{END}",
        text,
        flags=re.DOTALL,
    )
