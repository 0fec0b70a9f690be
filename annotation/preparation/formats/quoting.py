"""Whether the cells of a TSV are in quotation marks: shown by the whole file, or taken as they are."""

import csv
from collections.abc import Callable, Iterable


def is_quoted(lines: Callable[[], Iterable[str]], delimiter: str) -> tuple[bool, bool]:
    """(whether quotation marks enclose cells, whether there are any).

    Programs that quote cells (Excel's “Unicode text” is one) quote those that hold a comma, a quotation mark, a tab
    or a line break, or all of a column, and double the marks inside. A file is taken to be such a one when every line
    of it keeps to that and at least one cell needs its marks; otherwise a mark is part of its text.
    """
    if not any('"' in line for line in lines()):
        return False, False
    needed = False
    width = 0
    plain: list[bool] = []  # by column: whether a cell without quotation marks was seen below the header
    enclosed: list[int] = []
    header: list[bool] = []
    try:
        for number, (record, marks) in enumerate(strict_records(lines(), delimiter)):
            if not record:
                continue
            width = width or len(record)
            if len(record) != width:
                return False, True
            plain = plain or [False] * width
            enclosed = enclosed or [0] * width
            header = header or marks
            for at, (cell, marked) in enumerate(zip(record, marks, strict=True)):
                if not marked:
                    if '"' in cell:
                        return False, True
                    plain[at] |= bool(cell) and number > 0
                    continue
                enclosed[at] += number > 0
                needed |= any(mark in cell for mark in ',"\t\r\n') or delimiter in cell
    except csv.Error:
        return False, True
    columns = zip(enclosed, plain, header, strict=True)  # a column's name may be in marks, too
    return needed or any(count + marked > 1 and not mixed for count, mixed, marked in columns), True


def strict_records(lines: Iterable[str], delimiter: str) -> Iterable[tuple[list[str], list[bool]]]:
    """Records, read strictly, and which of their cells were enclosed in quotation marks."""
    taken: list[str] = []

    def remembered() -> Iterable[str]:
        for line in lines:
            taken.append(line)
            yield line

    for record in csv.reader(remembered(), delimiter=delimiter, strict=True):
        source = "".join(taken)
        taken.clear()
        if '"' not in source:
            yield record, [False] * len(record)
            continue
        marks, position = [], 0
        for cell in record:
            marked = source.startswith('"', position)
            marks.append(marked)
            position += len(cell) + (2 + cell.count('"') if marked else 0) + len(delimiter)
        yield record, marks
