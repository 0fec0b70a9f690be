"""sha256 of large files, computed once: kept by path, size and times of the file in a small database."""

import hashlib
import logging
import sqlite3
from contextlib import closing
from pathlib import Path

log = logging.getLogger("konomi.engine")

FILE = "digests.sqlite3"


def file_sha256(path: Path, memory: Path | None = None) -> str:
    """The file's sha256 in hexadecimal.

    `memory` is a folder that remembers it as long as size, times of change (that of the inode, too, which a copy cannot
    set) and place of the file are the same. A memory that cannot be read or written costs time, and nothing else.
    """
    real = path.resolve()  # a hub's snapshot is made of links
    status = real.stat()
    key = (str(real), status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    if memory is None:
        return _compute(real)
    try:
        memory.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(memory / FILE, timeout=10)) as connection, connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS digests "
                "(path TEXT PRIMARY KEY, size INTEGER, mtime INTEGER, ctime INTEGER, sha256 TEXT)"
            )
            query = "SELECT sha256 FROM digests WHERE path = ? AND size = ? AND mtime = ? AND ctime = ?"
            found = connection.execute(query, key).fetchone()
            if found:
                return str(found[0])
            digest = _compute(real)
            connection.execute("INSERT OR REPLACE INTO digests VALUES (?, ?, ?, ?, ?)", (*key, digest))
            return digest
    except (sqlite3.Error, OSError) as error:
        log.info("digests are not remembered in %s: %s", memory, error)
        return _compute(real)


def _compute(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
