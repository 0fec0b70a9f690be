"""Rows that a thread reads ahead come in order, from the same transaction, and nothing is left behind."""

import gc
import threading
from contextlib import closing

import pytest
from django.db import connection

from annotation.core.collection import OBJECTS, rare_collection
from annotation.core.read_ahead import read_ahead
from annotation.models import User

pytestmark = pytest.mark.django_db


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "read-ahead"]


def test_a_thread_reads_in_the_same_transaction_and_in_order():
    User.objects.create_user("hana@example.org", None, name="Hana")  # not committed

    def read():
        with connection.chunked_cursor() as cursor:
            cursor.execute("SELECT n, (SELECT max(name) FROM annotation_user) FROM generate_series(1, 500) AS n")
            while rows := cursor.fetchmany(7):
                yield rows

    seen = []
    for rows in read_ahead(read):
        seen += rows
        assert User.objects.count() == 1  # both threads use the connection
    assert seen == [(n, "Hana") for n in range(1, 501)]
    assert threads() == []


def test_what_the_thread_raises_is_raised_and_a_loop_that_ends_early_ends_the_thread():
    def broken():
        yield 1
        raise ValueError("the second row")

    items = read_ahead(broken)
    assert next(items) == 1
    with pytest.raises(ValueError, match="the second row"):
        next(items)
    closed = []

    def endless():
        try:
            while True:
                yield 1
        finally:
            closed.append(True)

    with closing(read_ahead(endless)) as ones:
        assert next(ones) == 1
    assert (closed, threads()) == ([True], [])


def test_blocks_of_rare_collection_may_overlap():
    usual = gc.get_threshold()
    with rare_collection():
        with rare_collection():
            assert gc.get_threshold()[0] == OBJECTS
        assert gc.get_threshold()[0] == OBJECTS
    assert gc.get_threshold() == usual
