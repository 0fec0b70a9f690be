"""What a search box looks for: texts that read alike are found alike.

A database's own search compares code points: it knows neither full width, nor composed letters, nor doubled blanks, and
what it takes for upper and lower case depends on how it was set up. So texts are folded here, as they are compared
everywhere else (`normalization.folded`), with one form of each apostrophe, quotation mark and hyphen.
"""

from collections.abc import Iterable
from typing import Any

from annotation.text.typography import lookup_form

LONGEST = 200  # characters of a query


class Search:
    """A query. It is false where there is nothing to look for (empty, blank, or only characters without ink)."""

    def __init__(self, query: str) -> None:
        self.wanted = lookup_form(query.replace("\0", "")[:LONGEST])

    def __bool__(self) -> bool:
        return bool(self.wanted)

    def matches(self, *values: Any) -> bool:
        """Whether one of the values has the query in it; of lists and objects, one of the texts within."""
        return any(self.wanted in lookup_form(text) for value in values for text in texts_in(value))


def texts_in(value: Any) -> Iterable[str]:
    """The strings of a JSON value; keys of objects are not texts."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts_in(item)
