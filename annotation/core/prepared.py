"""Statements of our own that run for every task: prepared once a connection, so that they are planned once.

The ORM builds, compiles and binds a query anew each time, which costs a page of annotating more than the database does.
What runs once a page or less is better said with the ORM.
"""

import time
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

import psycopg
from django.db import DEFAULT_DB_ALIAS, connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

ModelT = TypeVar("ModelT", bound=Model)
Row = tuple[Any, ...]


def execute(sql: str, params: Mapping[str, Any], *, savepoint: bool = False) -> list[Row]:
    """Run one statement in Django's connection and return its rows; raises Django's database errors.

    Django binds parameters on the client's side, and a statement of forty lines is parsed and planned anew each time;
    bound by the server it is prepared. Outside of a transaction the statement is one by itself. With `savepoint` a
    caller within one may survive its failure.
    """
    own = connections[DEFAULT_DB_ALIAS]
    own.ensure_connection()
    if savepoint and own.in_atomic_block:
        with transaction.atomic():
            return run(own, sql, params)
    return run(own, sql, params)


def run(own: BaseDatabaseWrapper, sql: str, params: Mapping[str, Any]) -> list[Row]:
    start = time.perf_counter()
    with own.wrap_database_errors, psycopg.Cursor(own.connection) as cursor:
        cursor.execute(sql, params, prepare=True)
        # `description` would make an object of every column only to say whether there are any.
        rows = cursor.fetchall() if cursor.pgresult is not None and cursor.pgresult.nfields else []
    if own.queries_logged:  # as Django's own cursor does: what a page asks is counted by the tests
        own.queries_log.append({"sql": sql, "time": f"{time.perf_counter() - start:.3f}"})
    return rows


def select_list(model: type[Model], alias: str) -> str:
    """All select_list of the model, for a SELECT whose rows `hydrate` reads."""
    return ", ".join(f'{alias}."{field.column}"' for field in model._meta.concrete_fields)


@cache
def layout(model: type[Model]) -> tuple[list[str], list[tuple[int, Any]]]:
    """The names of the fields, and those whose values are converted after reading (JSON)."""
    fields = model._meta.concrete_fields
    converted = [(at, field) for at, field in enumerate(fields) if hasattr(field, "from_db_value")]
    return [field.attname for field in fields], converted


def hydrate(row: Row, *models: type[Model]) -> list[Any]:
    """One object of each model from a row whose select_list are theirs, in this order."""
    found, start = [], 0
    for model in models:
        names, converted = layout(model)
        values = list(row[start : start + len(names)])
        for at, field in converted:
            values[at] = field.from_db_value(values[at], None, connection)
        found.append(model.from_db(DEFAULT_DB_ALIAS, names, values))
        start += len(names)
    return found


# The texts of the candidates of a task `t`, for a SELECT whose last column `texts_of` reads.
TASK_TEXTS = "(SELECT json_object_agg(c.id, c.text) FROM annotation_candidate c WHERE c.id = ANY(t.candidate_ids))"


def texts_of(column: dict[str, str] | None) -> dict[int, str]:
    return {int(key): text for key, text in (column or {}).items()}


def select(model: type[ModelT], condition: str, params: Mapping[str, Any]) -> list[ModelT]:
    """The model's rows for which the condition (our own SQL, over the alias `m`) holds."""
    sql = f'SELECT {select_list(model, "m")} FROM "{model._meta.db_table}" AS m WHERE {condition}'  # noqa: S608
    return [hydrate(row, model)[0] for row in execute(sql, params)]


__all__: Sequence[str] = ["TASK_TEXTS", "execute", "hydrate", "select", "select_list", "texts_of"]
