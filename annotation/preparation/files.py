"""What a file really is, whatever its name says, and in which encoding its text is written."""

import codecs
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
    ".parquet": "parquet",
    ".pq": "parquet",
}
FORMATS = ("csv", "tsv", "jsonl", "parquet")

# (first bytes, what it is, what to do)
SIGNATURES = [
    (b"PK\x03\x04", "a ZIP archive (an .xlsx workbook is one, too)", "unpack it, or save the sheet as CSV in UTF-8"),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word document", "save the sheet as CSV in UTF-8"),
    (b"\x1f\x8b", "compressed with gzip", "unpack it first: gunzip FILE"),
    (b"BZh", "compressed with bzip2", "unpack it first: bunzip2 FILE"),
    (b"\xfd7zXZ\x00", "compressed with xz", "unpack it first: unxz FILE"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "unpack it first: unzstd FILE"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it first"),
    (b"\x89PNG\r\n", "a PNG picture", "choose the file with the texts"),
    (b"\xff\xd8\xff", "a JPEG picture", "choose the file with the texts"),
    (b"%PDF-", "a PDF document", "extract its texts into CSV or JSONL first"),
    (b"SQLite format 3\x00", "an SQLite database", "export its table as CSV"),
    (b"\x7fELF", "a program", "choose the file with the texts"),
    (b"ARROW1", "an Arrow (Feather) file", "write it as Parquet"),
]
BYTE_ORDER_MARKS = [
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16: its mark begins with the same two bytes
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
]


class Unreadable(InvalidInput):
    """The file as a whole cannot be read: no row of it can be trusted, so none can be kept."""

    def __init__(self, message: str, *, row: int | None = None, column: str = "") -> None:
        super().__init__(message, [(f"row {row}" if row else "file", message)])
        self.row = row
        self.column = column


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """How to read a file. What is empty is found out: the format from the name's ending, the encoding from a byte
    order mark (else UTF-8), the delimiter from the format; CSV cells are quoted, TSV cells are not."""

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
            "KONOMI_UPLOAD_LIMIT_MB"
        )
    format = options.format or SUFFIXES.get(Path(filename).suffix.lower(), "")
    if format not in FORMATS:
        suffix = Path(filename).suffix.lower()
        hint = f"the ending {suffix!r} is not known" if suffix else "the name has no ending"
        if suffix == ".json":
            hint = "a .json file is one value; write one object a line (jq -c '.[]' FILE > FILE.jsonl)"
        raise Unreadable(f"{filename}: {hint}. Readable are .csv, .tsv, .jsonl and .parquet")
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise Unreadable(f"{filename}: cannot be opened ({error.strerror}); check its permissions") from error
    for signature, what, remedy in SIGNATURES:
        if head.startswith(signature):
            raise Unreadable(f"{filename} is {what}, not {format}; {remedy}")
    if head.startswith(b"PAR1") != (format == "parquet"):
        if format == "parquet":
            raise Unreadable(f"{filename} is not Parquet: it does not begin with PAR1; check how it was written")
        raise Unreadable(f"{filename} is a Parquet file, not {format}; name it .parquet, or choose that format")
    return format


def detect_encoding(path: Path, told: str = "") -> str:
    """The encoding told, else the one that a byte order mark announces, else UTF-8. Nothing is guessed."""
    if told:
        try:
            codec = codecs.lookup(told)
            "".encode(told)
        except (LookupError, UnicodeError) as error:
            raise Unreadable(f"{told!r} is no text encoding; examples: utf-8, utf-16-le, cp932, cp1252") from error
        return codec.name
    with path.open("rb") as file:
        head = file.read(4)
    return next((encoding for mark, encoding in BYTE_ORDER_MARKS if head.startswith(mark)), "utf-8")


def undecodable(path: Path, filename: str, encoding: str) -> Unreadable:
    """The error for a file that is not in `encoding`: at which byte, and what else it may be."""
    offset = lines = 0
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    with path.open("rb") as file:
        while True:
            chunk = file.read(1 << 20)
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                # The decoder holds back an unfinished character: count from the chunk's end.
                start = offset + len(chunk) - len(error.object) + error.start
                lines += chunk[: max(0, start - offset)].count(b"\n")
                found = " ".join(f"0x{byte:02x}" for byte in error.object[error.start : error.start + 3])
                break
            except UnicodeError as error:
                return Unreadable(f"{filename} is not {encoding}: {error}; give its encoding (--encoding)")
            if not chunk:
                return Unreadable(f"{filename} changed while it was read; try again")
            offset += len(chunk)
            lines += chunk.count(b"\n")
        file.seek(max(0, start - 2000))
        sample = file.read(32_000)
    guess = likely_encoding(sample)
    likely = f"It may be {guess}: " if guess else ""
    name = encoding.removesuffix("-sig").upper()
    return Unreadable(
        f"{filename} is not {name}: byte {start:,} ({found}, line {lines + 1:,}) is no "
        f"such character. {likely}give its encoding (--encoding {guess or 'cp932'}), or save it as UTF-8",
        row=lines + 1,
    )


def likely_encoding(sample: bytes) -> str:
    """A suggestion for the person, never used on its own."""
    import charset_normalizer

    best = charset_normalizer.from_bytes(sample, threshold=0.4).best()
    return best.encoding.replace("_", "-") if best and best.encoding not in ("ascii", "utf_8") else ""
