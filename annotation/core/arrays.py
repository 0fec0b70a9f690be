"""Lists of ids as parameters of SQL."""

from collections.abc import Iterable


def id_array(ids: Iterable[int]) -> str:
    """For `%s::bigint[]`: psycopg looks at each number of a list on its own, which takes longer than to fetch its
    row."""
    return "{" + ",".join(map(str, ids)) + "}"
