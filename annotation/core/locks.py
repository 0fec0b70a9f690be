"""PostgreSQL advisory locks: their classes, declared once, so that no two rooms use one number for different things.

A lock of a session is let go when its connection dies, whatever kills the process: who gets it knows that nobody else
is at work. (The journal's and the embedded server's locks are one-number locks, which never meet these of two.)
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

from django.db import connection


class Lock(IntEnum):
    """The class of a lock; its second number is the row's id."""

    IMPORT = 0x4B6D_0001  # an import is read by one worker
    PROJECT = 0x4B6D_0002  # a project is written by one import
    JUDGEMENTS = 0x4B6D_0003  # one file of judgements at a time in a project
    ANSWER_EXPORT = 0x4B6D_0004  # an export is written by one worker
    COUNTS = 0x4B6D_0005  # counts are folded or rebuilt by one connection
    TASKS = 0x4B6D_0006  # a project's tasks are made (shared), or its prompts withdrawn and restored
    BATCHES = 0x4B6D_0007  # one form at a time opens a batch of a project
    ANALYSIS = 0x4B6D_0008  # a project's answers are analysed by one connection
    CONSENT = 0x4B6D_0009  # consent is withdrawn in a project, or a dataset of it is registered


@contextmanager
def try_lock(lock: Lock, row_id: int) -> Iterator[bool]:
    """Hold the lock in the block; False, at once, where another connection has it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [lock, key_of(row_id)])
        mine = bool(cursor.fetchone()[0])
    try:
        yield mine
    finally:
        if mine:
            unlock(lock, row_id)


@contextmanager
def hold_lock(lock: Lock, row_id: int) -> Iterator[None]:
    """Hold the lock in the block; waits until no other connection has it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s, %s)", [lock, key_of(row_id)])
    try:
        yield
    finally:
        unlock(lock, row_id)


def lock_until_commit(lock: Lock, row_id: int) -> None:
    """Take the lock for the rest of the transaction; waits until no other connection has it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [lock, key_of(row_id)])


def unlock(lock: Lock, row_id: int) -> None:
    if not connection.needs_rollback and connection.is_usable():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [lock, key_of(row_id)])


def key_of(row_id: int) -> int:
    return row_id % 2**31
