"""docs/exports.md describes the columns that there are."""

from annotation.exchange.column_table import guide, written
from annotation.exchange.columns import COLUMNS


def test_the_guide_has_the_columns_as_they_are_declared():
    text = guide().read_text(encoding="utf-8")
    assert written(text) == text, "run `manage.py export_columns --write`"
    assert all(f"| `{column.name}` |" in text for column in COLUMNS)
