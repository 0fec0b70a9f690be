"""Whole numbers in addresses and posted fields: anybody may write anything there."""

from annotation.core.access import MAX_ID


def whole_number(text: str, *, most: int = MAX_ID) -> int | None:
    """The number in `text`, or None if that is not a number from 0 to `most`, written in at most as many digits.

    The default is the largest that the database stores.
    """
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(most))):
        return None
    number = int(text)
    return number if number <= most else None


def row_id(text: str) -> int:
    """The id or version in `text`, for a filter; 0, which no row has, if there is none."""
    return whole_number(text) or 0
