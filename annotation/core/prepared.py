"""Prepared SQL statements for what runs with every task: planned once per connection.

The ORM builds, compiles and binds each query again, which costs an annotation page more than the database does. Use the
ORM for whatever runs once per page or less.
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

    Django binds parameters on the client, so a statement of forty lines would be parsed and planned each time; bound on
    the server it is prepared. Outside a transaction the statement is a transaction of its own. Inside one, `savepoint`
    lets the caller continue after a failure.
    """
    default = connections[DEFAULT_DB_ALIAS]
    default.ensure_connection()
    if savepoint and default.in_atomic_block:
        with transaction.atomic():
            return run(default, sql, params)
    return run(default, sql, params)


def run(database: BaseDatabaseWrapper, sql: str, params: Mapping[str, Any]) -> list[Row]:
    start = time.perf_counter()
    with database.wrap_database_errors, psycopg.Cursor(database.connection) as cursor:
        cursor.execute(sql, params, prepare=True)
        # `description` would build an object for every column only to tell whether there are any.
        rows = cursor.fetchall() if cursor.pgresult is not None and cursor.pgresult.nfields else []
    if database.queries_logged:  # as Django's own cursor does: tests count the queries of a page
        database.queries_log.append({"sql": sql, "time": f"{time.perf_counter() - start:.3f}"})
    return rows


def select_list(model: type[Model], alias: str) -> str:
    """All columns of the model, for a SELECT whose rows `hydrate` reads."""
    return ", ".join(f'{alias}."{field.column}"' for field in model._meta.concrete_fields)


@cache
def columns_of(model: type[Model]) -> tuple[list[str], list[tuple[int, Any]]]:
    """The names of the fields, and the fields (with their position) whose values are converted after reading (JSON)."""
    fields = model._meta.concrete_fields
    converted = [(at, field) for at, field in enumerate(fields) if hasattr(field, "from_db_value")]
    return [field.attname for field in fields], converted


def hydrate(row: Row, *models: type[Model]) -> list[Any]:
    """One object of each model from a row that holds their columns in this order."""
    objects, start = [], 0
    for model in models:
        names, converted = columns_of(model)
        values = list(row[start : start + len(names)])
        for at, field in converted:
            values[at] = field.from_db_value(values[at], None, connection)
        objects.append(model.from_db(DEFAULT_DB_ALIAS, names, values))
        start += len(names)
    return objects


# The texts of the candidates of a task `t`, for a SELECT whose last column `texts_of` reads.
TASK_TEXTS = "(SELECT json_object_agg(c.id, c.text) FROM annotation_candidate c WHERE c.id = ANY(t.candidate_ids))"


def texts_of(column: dict[str, str] | None) -> dict[int, str]:
    return {int(key): text for key, text in (column or {}).items()}


def select(model: type[ModelT], condition: str, params: Mapping[str, Any]) -> list[ModelT]:
    """The model's rows for which the condition (our own SQL, over the alias `m`) holds."""
    sql = f'SELECT {select_list(model, "m")} FROM "{model._meta.db_table}" AS m WHERE {condition}'  # noqa: S608
    return [hydrate(row, model)[0] for row in execute(sql, params)]


__all__: Sequence[str] = ["TASK_TEXTS", "execute", "hydrate", "select", "select_list", "texts_of"]
