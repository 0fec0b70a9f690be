"""result.json for a process whose memory is exhausted: reserved memory, and files that are prepared beforehand.

When memory runs out, logging the traceback or writing result.json may fail for lack of memory too, and a run without
result.json looks like a killed one. So some memory is reserved at the start, in three parts: the first is released
before the last steps (writing the model, the card, the result), the second before a failure is described, the third
before a prepared file is written.
"""

import json
import mmap
import os
from pathlib import Path
from typing import Any

from training.contract.errors import LOST
from training.engine.runtime.failures import OUT_OF_MEMORY, is_out_of_memory

# Mapped and never written to, so that they take address space (which is what an allocation fails for), but no physical
# memory: a bytearray would be filled with zeros.
END_BYTES, FIRST_BYTES, SECOND_BYTES = 32 << 20, 16 << 20, 1 << 20
UNREPORTED = f"The engine failed, and reporting why failed too. {LOST}."


class LastResort:
    """Holds the reserved memory, and the bytes of a result.json for exhausted memory and of one for anything else."""

    def __init__(self, path: Path, **values: Any) -> None:
        result = {"status": "failed", "error": OUT_OF_MEMORY, "metrics": {}, "tokens": 0, **values}
        self._content = (json.dumps(result, indent=2) + "\n").encode()
        self._unreported = (json.dumps({**result, "error": UNREPORTED}, indent=2) + "\n").encode()
        self._path = os.fsencode(path)
        self._partial = os.fsencode(path.with_name(f".{path.name}.last-resort"))
        self._end: mmap.mmap | None = mmap.mmap(-1, END_BYTES)
        self._first: mmap.mmap | None = mmap.mmap(-1, FIRST_BYTES)
        self._second: mmap.mmap | None = mmap.mmap(-1, SECOND_BYTES)
        self.needed = False

    def release_for_the_end(self) -> None:
        """Free the part that is kept for the last steps; again is nothing."""
        self._end = None

    def release(self, error: BaseException) -> None:
        """Free all but the last part, for the description of this error, and note whether memory is what ran out."""
        self._end = self._first = None
        self.needed = self.needed or is_out_of_memory(error)

    def write(self, error: BaseException) -> None:
        """Write a prepared result.json with system calls only. Raises OSError."""
        self._end = self._first = self._second = None
        try:
            memory = self.needed or is_out_of_memory(error)
        except MemoryError:  # of reading the error's text
            memory = True
        file = os.open(self._partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.write(file, self._content if memory else self._unreported)
        os.fsync(file)
        os.close(file)
        os.replace(self._partial, self._path)
