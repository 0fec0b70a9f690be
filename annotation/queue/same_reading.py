"""Candidates of a prompt that read the same: one text to whoever chooses, ranks or scores."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from operator import itemgetter

from django.db import connection

from annotation.text.normalization import normal_form

# The candidates that read like an earlier one of their prompt. `words` is what both have in common, where the texts
# differ; else NULL.
CREATE = """CREATE TEMPORARY TABLE reads_like (id bigint PRIMARY KEY, prompt_id bigint NOT NULL, words text)
    ON COMMIT DROP"""
# Only prompts with several texts: nothing reads like the only one.
SEVERAL_TEXTS = """
    SELECT c.prompt_id, c.id, c.text FROM annotation_candidate c
    JOIN (SELECT k.prompt_id FROM annotation_candidate k JOIN chosen ON chosen.id = k.prompt_id
        WHERE %(origins)s::text[] IS NULL OR k.origin = ANY(%(origins)s::text[])
        GROUP BY k.prompt_id HAVING count(*) > 1) several USING (prompt_id)
    WHERE %(origins)s::text[] IS NULL OR c.origin = ANY(%(origins)s::text[])
    ORDER BY c.prompt_id, c.id
"""
INSERT = "INSERT INTO reads_like SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::text[])"
AT_ONCE = 10_000


def find_same_reading(*, compared: bool, origins: Sequence[str] | None) -> None:
    """Make the temporary table `reads_like` of the candidates of `chosen(id)`; an empty one where nothing is
    `compared`. The normal form is Python's: PostgreSQL has no function that knows characters without ink."""
    with connection.cursor() as cursor:
        cursor.execute(CREATE)
    if not compared:
        return
    with connection.chunked_cursor() as rows, connection.cursor() as cursor:
        rows.execute(SEVERAL_TEXTS, {"origins": None if origins is None else list(origins)})
        # Django's cursor fetches a hundred rows a trip.
        alike = look_alikes(row for some in iter(lambda: rows.fetchmany(AT_ONCE), []) for row in some)
        while chunk := list(islice(alike, AT_ONCE)):
            cursor.execute(INSERT, [list(column) for column in zip(*chunk, strict=True)])


def look_alikes(rows: Iterable[tuple[int, int, str]]) -> Iterator[tuple[int, int, str | None]]:
    """Rows of `reads_like`, of (prompt, candidate, text) by prompt; `words` is the md5 of the prompt's first text that
    reads like it."""
    for prompt, candidates in groupby(rows, key=itemgetter(0)):
        first: dict[str, str] = {}
        for _, candidate, text in candidates:
            form = normal_form(text)
            if (other := first.get(form)) is None:
                first[form] = text
            else:
                words = None if other == text else hashlib.md5(other.encode(), usedforsecurity=False).hexdigest()
                yield candidate, prompt, words
