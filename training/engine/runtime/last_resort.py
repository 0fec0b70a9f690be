"""result.json for a process whose memory is exhausted: reserved memory, and a file that is prepared beforehand.

When memory runs out, logging the traceback or writing result.json may fail for lack of memory too, and a run without
result.json looks like a killed one. So some address space is reserved at the start, in two parts: the first is
released before the failure is described, the second before the prepared file is written.
"""

import json
import os
from pathlib import Path
from typing import Any

from training.engine.runtime.failures import OUT_OF_MEMORY, is_out_of_memory

# Never written to, so that they take address space (which is what an allocation fails for), but no physical memory.
FIRST_BYTES, SECOND_BYTES = 16 << 20, 1 << 20


class LastResort:
    """Holds the reserved memory, and the bytes of a result.json that reports exhausted memory."""

    def __init__(self, path: Path, **values: Any) -> None:
        result = {"status": "failed", "error": OUT_OF_MEMORY, "metrics": {}, "tokens": 0, **values}
        self._content = (json.dumps(result, indent=2) + "\n").encode()
        self._path = os.fsencode(path)
        self._partial = os.fsencode(path.with_name(f".{path.name}.last-resort"))
        self._first: bytearray | None = bytearray(FIRST_BYTES)
        self._second: bytearray | None = bytearray(SECOND_BYTES)
        self.needed = False

    def release(self, error: BaseException) -> None:
        """Free the first part, for the description of this error, and note whether memory is what ran out."""
        self._first = None
        self.needed = is_out_of_memory(error)

    def write(self) -> None:
        """Write the prepared result.json with system calls only. Raises OSError."""
        self._first = self._second = None
        file = os.open(self._partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.write(file, self._content)
        os.fsync(file)
        os.close(file)
        os.replace(self._partial, self._path)
