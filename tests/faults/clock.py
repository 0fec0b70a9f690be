"""A wall clock that can be set while a site runs: a small library of ours that the site's processes preload.

It shifts what web, worker, PostgreSQL and engines read as the time of day, all at once, as when somebody sets the clock
of the machine. It does not shift monotonic clocks and timers (which do not jump in life either), nor the times that the
kernel writes to files (which would).
"""

import mmap
import shutil
import struct
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).with_name("clock.c")


class NoClock(Exception):
    """The clock cannot be set here; the message says why."""


class SettableClock:
    """`environment` belongs into the site's; `set` shifts the time of all its processes from that moment on."""

    def __init__(self, folder: Path) -> None:
        """Builds the library in `folder`, which every system user must be able to enter."""
        compiler = shutil.which("cc")
        if compiler is None or sys.platform != "linux":
            raise NoClock("the clock is set through a preloaded library, which takes Linux and a C compiler")
        self.library, shift = folder / "clock.so", folder / "clock.offset"
        shift.write_bytes(struct.pack("q", 0))
        shift.chmod(0o644)
        command = [compiler, "-shared", "-fPIC", "-O2", f'-DOFFSET_FILE="{shift}"', "-o", str(self.library)]
        done = subprocess.run([*command, str(SOURCE), "-ldl"], capture_output=True, text=True, check=False)
        if done.returncode:
            raise NoClock(f"the library that shifts the clock does not compile: {done.stderr[:300]}")
        self.library.chmod(0o755)
        with shift.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 8)

    @property
    def environment(self) -> dict[str, str]:
        return {"LD_PRELOAD": str(self.library)}

    def set(self, seconds: int) -> None:
        """The site's clock differs by so many seconds from the machine's."""
        self._memory[:8] = struct.pack("q", seconds)
