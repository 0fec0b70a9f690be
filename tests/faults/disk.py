"""A file system so small that it can be filled."""

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path


class NoSmallDisk(Exception):
    """None can be mounted here; the message says why."""


@contextlib.contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """A folder on a file system of its own. Raises NoSmallDisk."""
    with tempfile.TemporaryDirectory(prefix="konomi-disk-") as folder:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0711", "tmpfs", folder]
        try:
            subprocess.run(mount, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise NoSmallDisk("no small file system can be mounted here (it takes root)") from error
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=False, capture_output=True)


def fill(path: Path) -> None:
    """Take all the space that is left, to the last block."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * (1 << 20))
    for size in (1 << 16, 512):
        with path.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"\0" * size)
