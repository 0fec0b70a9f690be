"""Python's collector of reference cycles, while much is read or written at once."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

# Objects that are made and not yet freed before the collector looks for cycles; Python's own is 700.
OBJECTS = 100_000
_lock = Lock()
_loops = 0
_usual = gc.get_threshold()


@contextmanager
def rare_collection() -> Iterator[None]:
    """Look for cycles rarely in the block.

    Loops over 100,000 rows make millions of objects that reference counts free at once, and no cycles: passing over
    what a chunk of rows holds finds nothing and takes a fifth of the time. Blocks of several threads may overlap.
    """
    global _loops, _usual
    with _lock:
        if not _loops:
            _usual = gc.get_threshold()
            gc.set_threshold(OBJECTS, *_usual[1:])
        _loops += 1
    try:
        yield
    finally:
        with _lock:
            _loops -= 1
            if not _loops:
                gc.set_threshold(*_usual)
