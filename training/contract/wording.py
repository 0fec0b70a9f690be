"""Counts in the English sentences of engines and training commands.

Django's `pluralize` and `ngettext` do this for pages and for the other commands; the engine imports no Django.
"""


def counted(number: int, noun: str, plural: str = "") -> str:
    """1, "row" → “1 row”; 2500, "row" → “2,500 rows”; an irregular plural is given."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
