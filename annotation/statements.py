"""Statements of our own that run for every task: prepared once a connection, so that they are planned once."""

import time
from collections.abc import Mapping
from typing import Any

import psycopg
from django.db import connection, transaction


def execute(sql: str, params: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Run one statement in Django's connection and return its rows; raises Django's database errors.

    Django binds parameters on the client's side, and a statement of forty lines is parsed and planned anew each time;
    bound by the server it is prepared after a few calls. Outside of a transaction the statement is one by itself; in
    one it is a savepoint, which a caller may survive.
    """
    if connection.in_atomic_block:
        with transaction.atomic():
            return run(sql, params)
    connection.ensure_connection()
    return run(sql, params)


def run(sql: str, params: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    start = time.perf_counter()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(sql, params, prepare=True)
        rows = cursor.fetchall() if cursor.description else []
    if connection.queries_logged:  # as Django's own cursor does: what a page asks is counted by the tests
        connection.queries_log.append({"sql": sql, "time": f"{time.perf_counter() - start:.3f}"})
    return rows
