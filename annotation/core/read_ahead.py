"""Rows read by a thread while the last ones are worked on: the database and Python then work at the same time."""

from collections.abc import Callable, Generator, Iterator
from queue import Full, Queue
from threading import Event, Thread
from typing import TypeVar

from django.db import DEFAULT_DB_ALIAS, connection, connections

T = TypeVar("T")
ITEMS = 2  # read and not yet worked on
END = object()
SECONDS = 0.1


def read_ahead(read: Callable[[], Iterator[T]]) -> Generator[T]:
    """The items of `read()`, which is called and iterated in a thread of its own, on this thread's database connection
    and so in its transaction. What it raises is raised here. At most `ITEMS` items wait; give it chunks of rows.

    Both threads may use the connection: psycopg lets one statement wait for the other. Where the loop may end early,
    close the generator (`contextlib.closing`) before the transaction ends: then the thread has ended, too.
    """
    items: Queue[tuple[T | object, BaseException | None]] = Queue(ITEMS)
    stopped = Event()
    shared = connections[DEFAULT_DB_ALIAS]

    def put(item: T | object, error: BaseException | None = None) -> bool:
        while not stopped.is_set():
            try:
                items.put((item, error), timeout=SECONDS)
                return True
            except Full:
                continue
        return False

    def run() -> None:
        connections[DEFAULT_DB_ALIAS] = shared  # each thread has its own otherwise
        try:
            rows = read()
            for item in rows:
                if not put(item):
                    break
            if close := getattr(rows, "close", None):
                close()
            put(END)
        except BaseException as error:
            put(END, error)

    connection.inc_thread_sharing()
    thread = Thread(target=run, name="read-ahead", daemon=True)
    thread.start()
    try:
        while True:
            item, error = items.get()
            if error is not None:
                raise error
            if item is END:
                return
            yield item  # type: ignore[misc]
    finally:
        stopped.set()
        thread.join()
        connection.dec_thread_sharing()
