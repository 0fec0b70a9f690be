"""CSV, TSV, JSONL, JSON and Parquet as one stream of numbered rows, in memory that does not grow with the file.

table      what they have in common
text_file  lines of a text file
delimited  CSV and TSV
quoting    whether the cells of a TSV are quoted: from the whole of its content
jsonl      one JSON object a line
json_values  JSON in other layouts: a list of objects, columns
parquet    Parquet
"""

from collections.abc import Sequence
from pathlib import Path

from annotation.preparation.encodings import detect_encoding, with_escapes
from annotation.preparation.files import ReadOptions, Unreadable, identify
from annotation.preparation.formats.delimited import DelimitedTable
from annotation.preparation.formats.json_values import JsonTable, is_lines
from annotation.preparation.formats.jsonl import JsonlTable
from annotation.preparation.formats.parquet import ParquetTable
from annotation.preparation.formats.table import Row, Table

__all__ = ["DelimitedTable", "JsonlTable", "ParquetTable", "Row", "Table", "open_table"]


def open_table(
    path: Path, filename: str, options: ReadOptions, size_limit: int | None = None, languages: Sequence[str] = ()
) -> Table:
    """Open a file for reading; Unreadable when it cannot be trusted as a whole. Of a file that is not UTF-8, the
    error suggests encodings in which texts of these languages are written."""
    format = identify(path, filename, options, size_limit)
    if format == "parquet":
        return ParquetTable(path, filename)
    encoding = detect_encoding(path, options.encoding)
    if not options.encoding and (error := with_escapes(path, filename, encoding)):
        raise error
    if format == "jsonl":
        return (JsonlTable if is_lines(path, filename, encoding) else JsonTable)(path, filename, encoding, languages)
    delimiter = {"tab": "\t", "\\t": "\t"}.get(options.delimiter, options.delimiter)
    if delimiter and (len(delimiter) != 1 or delimiter in '"\r\n' or ord(delimiter) > 127):
        raise Unreadable(f"{options.delimiter!r} is no delimiter; give one character such as ; or the word tab")
    return DelimitedTable(path, filename, format, encoding, delimiter, options.quoted, languages)
