"""What a file really is, whatever its name says."""

import stat
from dataclasses import dataclass
from pathlib import Path

from annotation.core.errors import InvalidInput

SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",  # one object a line, or one value: the content shows it
    ".parquet": "parquet",
    ".pq": "parquet",
}
FORMATS = ("csv", "tsv", "jsonl", "parquet")

# (first bytes, what it is, what to do)
SIGNATURES = [
    (b"PK\x03\x04", "a ZIP archive (an .xlsx workbook is one, too)", "unpack it, or save the sheet as CSV in UTF-8"),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word document", "save the sheet as CSV in UTF-8"),
    (b"\x1f\x8b", "compressed with gzip", "unpack it first"),
    (b"BZh", "compressed with bzip2", "unpack it first"),
    (b"\xfd7zXZ\x00", "compressed with xz", "unpack it first"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it first"),
    (b"\x89PNG\r\n", "a PNG picture", "choose the file with the texts"),
    (b"\xff\xd8\xff", "a JPEG picture", "choose the file with the texts"),
    (b"%PDF-", "a PDF document", "extract its texts into CSV or JSONL first"),
    (b"SQLite format 3\x00", "an SQLite database", "export its table as CSV"),
    (b"\x7fELF", "a program", "choose the file with the texts"),
    (b"ARROW1", "an Arrow (Feather) file", "write it as Parquet"),
]


class Unreadable(InvalidInput):
    """The file as a whole cannot be read: no row of it can be trusted, so none can be kept.

    The message is for everybody. What helps on the command line only is beside it: `options` of import_prompts, any one
    of which may be the remedy, and `commands` of a shell. `encodings` are likely ones, with a sample of the text in
    each: a person decides.
    """

    def __init__(
        self,
        message: str,
        *,
        row: int | None = None,
        column: str = "",
        options: tuple[str, ...] = (),
        commands: tuple[str, ...] = (),
        encodings: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(message, [(f"row {row}" if row else "file", message)])
        self.row = row
        self.column = column
        self.options = options
        self.commands = commands
        self.encodings = encodings


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """How to read a file. What is empty is found out: the format from the name's ending, the encoding from a byte
    order mark (else UTF-8), the delimiter from a first line `sep=;` or the format; CSV cells are quoted, TSV cells when
    the content shows it."""

    format: str = ""
    encoding: str = ""
    delimiter: str = ""
    quoted: bool | None = None


def identify(path: Path, filename: str, options: ReadOptions, size_limit: int | None = None) -> str:
    """The file's format, one of FORMATS; Unreadable when it is not a readable file of that format."""
    try:
        status = path.stat()
    except OSError as error:
        raise Unreadable(f"{filename}: cannot be read ({error.strerror or error}); check the path") from error
    if stat.S_ISDIR(status.st_mode):
        raise Unreadable(f"{filename} is a folder; name one file in it")
    if not stat.S_ISREG(status.st_mode):
        raise Unreadable(f"{filename} is not a regular file; save its content to a file first")
    if status.st_size == 0:
        raise Unreadable(f"{filename} is empty (0 bytes); export it again")
    if size_limit is not None and status.st_size > size_limit:
        raise Unreadable(
            f"{filename} has {status.st_size:,} bytes and the limit is {size_limit:,}; split it, or raise "
            "the site's setting KONOMI_UPLOAD_LIMIT_MB"
        )
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        raise Unreadable(f"{filename}: cannot be opened ({error.strerror}); check its permissions") from error
    format = options.format or SUFFIXES.get(Path(filename).suffix.lower(), "")
    for signature, what, remedy in SIGNATURES:
        if head.startswith(signature):
            raise Unreadable(f"{filename} is {what}, not {format or 'a table of texts'}; {remedy}")
    if format not in FORMATS:
        suffix = Path(filename).suffix.lower()
        hint = f"the ending {suffix!r} is not known" if suffix else "the name has no ending"
        like = looks_like(head)
        raise Unreadable(
            f"{filename}: {hint}. Readable are .csv, .tsv, .jsonl, .json and .parquet; this one looks like {like}: "
            "give it that ending",
            options=(f"--format {like}",),
        )
    if head.startswith(b"PAR1") != (format == "parquet"):
        if format == "parquet":
            raise Unreadable(f"{filename} is not Parquet: it does not begin with PAR1; check how it was written")
        raise Unreadable(f"{filename} is a Parquet file, not {format}; name it .parquet, or choose that format")
    return format


def looks_like(head: bytes) -> str:
    """The format that a file's beginning looks like."""
    if head.startswith(b"PAR1"):
        return "parquet"
    text = head.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    if text.startswith((b"{", b"[{")):
        return "jsonl"
    return "tsv" if b"\t" in text.split(b"\n")[0] else "csv"


def reason_of(error: ValueError) -> str:
    """Why a JSON value cannot be read, in words that name no remedy of a programmer."""
    return "a number of thousands of digits; put it in quotation marks" if "digits" in str(error) else str(error)
