"""Lines of a text file."""

import io
from collections.abc import Generator, Sequence
from pathlib import Path

from annotation.preparation.encodings import undecodable, utf16_without_mark
from annotation.preparation.files import Unreadable

MAX_LINE = 8 * 1024 * 1024  # characters


class TextFile:
    """Lines of a text file, none longer than MAX_LINE; remembers how far it has read."""

    def __init__(self, path: Path, filename: str, encoding: str, languages: Sequence[str] = ()) -> None:
        self.path, self.filename, self.encoding, self.languages = path, filename, encoding, languages
        self.size = max(1, path.stat().st_size)
        self.position = 0

    def lines(self) -> Generator[str, None, None]:
        number = 0
        with self.path.open("rb") as raw, io.TextIOWrapper(raw, self.encoding, newline="") as file:
            try:
                while line := file.readline(MAX_LINE):
                    number += 1
                    if not number % 512:
                        self.position = raw.tell()
                    if len(line) == MAX_LINE and not line.endswith("\n"):
                        raise Unreadable(
                            f"{self.filename}: line {number:,} is longer than {MAX_LINE:,} characters; is it the "
                            "right file?",
                            row=number,
                        )
                    yield line
            except UnicodeError:
                raise undecodable(self.path, self.filename, self.encoding, self.languages) from None

    def pieces(self, size: int) -> Generator[str, None, None]:
        """The text in pieces of `size` characters."""
        with self.path.open("rb") as raw, io.TextIOWrapper(raw, self.encoding) as file:
            try:
                while piece := file.read(size):
                    self.position = raw.tell()
                    yield piece
            except UnicodeError:
                raise undecodable(self.path, self.filename, self.encoding, self.languages) from None

    def without_mark(self) -> Unreadable:
        """The error for a text with NUL characters where names or texts should be."""
        return utf16_without_mark(self.path, self.filename)

    def share_read(self) -> float:
        return min(1.0, self.position / self.size)
