"""Read a file that somebody sent in a process of its own, with limits of memory and of time.

A file of some hundred bytes may unpack to gigabytes (a Parquet dictionary, JSON of empty lists). The site opens uploads
here: whatever the file does to the process that reads it, the site gets rows of bounded size, or an `Unreadable`.
"""

import contextlib
import multiprocessing
import os
import pickle
import resource
import threading
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from annotation.preparation.files import ReadOptions, Unreadable
from annotation.preparation.formats import Row, Table, open_table

MEMORY = 1 << 30  # bytes that reading a file may take, besides the program itself
ROW_LIMIT = 8 << 20  # bytes of one row, as it is handed over
PARTS_LIMIT = 100_000  # lists and objects within one row: an empty list is 2 bytes in a file and 64 in memory
SECONDS = 30  # for the next piece of a file
PIECE_ROWS = 256
PIECE_BYTES = 1 << 20
AT_ONCE = 4  # files that one process of the site has open

# Forked from a small process that has the modules and nothing else: a fork of a web process would copy its threads'
# locks, and a fresh interpreter takes a second.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["annotation.preparation.apart", "pyarrow.parquet"])
_open = threading.BoundedSemaphore(AT_ONCE)


@contextlib.contextmanager
def memory_limit(filename: str, size: int = MEMORY) -> Iterator[None]:
    """Within this block the process gets at most `size` bytes more; what needs more raises Unreadable.

    For processes of one thread (jobs, commands): the limit is the whole process's.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = memory_in_use() + size
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    if soft == resource.RLIM_INFINITY or limit < soft:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    try:
        yield
    except MemoryError:
        raise too_large(filename, size) from None
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def memory_in_use() -> int:
    """Bytes of writable memory that this process has; what a library only reserves is not among them."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[5]) * os.sysconf("SC_PAGE_SIZE")


def too_large(filename: str, size: int = MEMORY) -> Unreadable:
    return Unreadable(
        f"{filename} needs more than {size >> 20:,} MB of memory to be unpacked; check how it was written, or write it "
        "as JSONL or CSV"
    )


class TableApart:
    """An open file, as `formats.open_table` returns it, that another process reads. `raw` of its rows is None.

    Close it, or use it as a context manager: until then the process waits.
    """

    def __init__(
        self, path: Path, filename: str, options: ReadOptions, size_limit: int | None, languages: Sequence[str] = ()
    ) -> None:
        self.filename = filename
        self.read = 0.0
        _open.acquire()
        try:
            self.pipe, other = CONTEXT.Pipe()
            self.process = CONTEXT.Process(
                target=serve, args=(other, (path, filename, options, size_limit, tuple(languages))), daemon=True
            )
            self.process.start()
            other.close()
        except BaseException:
            _open.release()
            raise
        self.closed = False
        try:
            self.format, self.encoding = self.ask("open")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "TableApart":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.process.kill()
            self.process.join()
            self.process.close()
            self.pipe.close()
            _open.release()

    def ask(self, what: str) -> Any:
        """The child's answer; every answer says which columns, and what share of the file, it has read."""
        try:
            self.pipe.send(what)
            if not self.pipe.poll(SECONDS):
                raise Unreadable(
                    f"{self.filename}: a piece of it takes longer than {SECONDS} s to read; check how it was written"
                )
            outcome, value, self.columns, self.words, self.read = self.pipe.recv()
        except (EOFError, ConnectionError):  # the kernel stopped it, or a library ended the process
            raise too_large(self.filename) from None
        if outcome == "error":
            raise value
        return value

    def reading(self) -> list[str]:
        return list(self.words)

    def rows(self) -> Iterator[Row]:
        piece = self.ask("rows")
        while piece is not None:
            for row in piece:
                number, values, fault = pickle.loads(row)  # noqa: S301  # from our own program
                yield Row(number, values, fault, None)
            piece = self.ask("next")

    def share_read(self) -> float:
        return self.read


def serve(pipe: Connection, opened: tuple[Any, ...]) -> None:
    """The child: open the file and answer until the pipe is closed."""
    filename = opened[1]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    table: Table | None = None
    pieces: Iterator[list[bytes]] = iter(())
    with contextlib.suppress(EOFError, ConnectionError), contextlib.ExitStack() as stack:
        while True:
            what = pipe.recv()
            try:
                with memory_limit(filename):
                    if what == "open":
                        table = open_table(*opened)
                        value: Any = (table.format, table.encoding)
                    else:
                        assert table is not None
                        if what == "rows":
                            pieces = in_pieces(table.rows())
                        value = next(pieces, None)
                outcome = "value"
            except Unreadable as error:
                outcome, value = "error", error
            seen = (table.columns, table.reading(), table.share_read()) if table is not None else ([], [], 0.0)
            pipe.send((outcome, value, *seen))
        stack.close()


def in_pieces(rows: Iterator[Row]) -> Iterator[list[bytes]]:
    """Rows, each pickled, in lists of bounded size; a row that is too large is a row at fault."""
    piece: list[bytes] = []
    size = 0
    for row in rows:
        packed = pickle.dumps((row.number, row.values, row.fault), protocol=5)
        if fault := excess(packed):
            packed = pickle.dumps((row.number, None, fault), protocol=5)
        piece.append(packed)
        size += len(packed)
        if len(piece) >= PIECE_ROWS or size >= PIECE_BYTES:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece


def excess(packed: bytes) -> str:
    if len(packed) > ROW_LIMIT:
        return f"the row is larger than {ROW_LIMIT >> 20} MB; shorten or leave it out"
    # The marks of an empty list and an empty object; in a text they count, too, which the limit leaves room for.
    if len(packed) > PARTS_LIMIT and packed.count(b"]") + packed.count(b"}") > PARTS_LIMIT:
        return f"the row has more than {PARTS_LIMIT:,} lists and objects; leave that column out"
    return ""
