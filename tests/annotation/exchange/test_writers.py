"""What is written is what is read: each format by its own reader, for any values that the columns may have."""

import csv
import io
import json
import sys
import unicodedata
from datetime import UTC, datetime

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotation.exchange.columns import ANSWER_COLUMNS, COLUMNS, TASK_COLUMNS
from annotation.exchange.types import INTEGER, JSON, NUMBER, TEXT, TIME, TRUTH, Parts, Several, has_json, without_json
from annotation.exchange.writers import WRITERS, Record, written
from annotation.preparation.rejected_rows import FORMULA_MARK, FORMULA_MARKS, formula_mark, neutral_cell, neutral_json

# PostgreSQL's texts have no NUL and no half of a surrogate pair. What spreadsheets and CSV find special comes often.
texts = st.text(
    st.one_of(
        st.sampled_from("=+-@−＝\"',;|\t\r\n \u200b\\{[0日é"),
        st.characters(exclude_characters="\0", exclude_categories=["Cs"]),
    ),
    max_size=20,
)
numbers = st.floats(allow_nan=False, allow_infinity=False)
whole = st.integers(-(2**63), 2**63 - 1)
times = st.datetimes(datetime(1970, 1, 1), datetime(2999, 1, 1)).map(
    lambda at: f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06}Z"
)
free = st.recursive(
    st.one_of(st.booleans(), whole, numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=5,
)
SIMPLE = {TEXT: texts, INTEGER: whole, NUMBER: numbers, TRUTH: st.booleans(), TIME: times, JSON: free}


def values(kind):
    match kind:
        case Several(of):
            return st.none() | st.lists(
                values(of) if isinstance(of, Parts) else SIMPLE.get(of) or values(of), max_size=2
            )
        case Parts(keys):
            return st.fixed_dictionaries({key: values(of) for key, of in keys})
    return st.none() | SIMPLE[kind]


@st.composite
def rows(draw, columns):
    """A row of which a few columns have a value: all of 56 would take seconds to make up."""
    filled = draw(st.lists(st.sampled_from(columns), max_size=6, unique=True))
    return {column.name: None for column in columns} | {column.name: draw(values(column.type)) for column in filled}


@st.composite
def records(draw):
    """A few tasks with up to three answers each."""
    found = []
    for task in draw(st.lists(rows(TASK_COLUMNS), max_size=2)):
        found += [Record(task, answer) for answer in draw(st.lists(rows(ANSWER_COLUMNS), max_size=3))]
    return found


def file_of(format, found, at_once=2):
    file = io.BytesIO()
    writer = WRITERS[format](file)
    chunks = (found[start : start + at_once] for start in range(0, len(found), at_once))
    assert [0, *written(writer, chunks)][-1] == len(found)
    return io.BytesIO(file.getvalue())


def flat(found):
    return [{**record.task, **record.answer} for record in found]


@settings(max_examples=60)
@given(records())
def test_jsonl_has_every_value_as_it_is(found):
    lines = file_of("jsonl", found).getvalue().split(b"\n")
    assert lines.pop() == b""
    read = [json.loads(line) for line in lines]
    assert read == flat(found)
    assert all(list(row) == [column.name for column in COLUMNS] for row in read)


@settings(max_examples=40)
@given(records())
def test_parquet_has_every_value_in_its_type(found):
    table = pq.read_table(file_of("parquet", found))
    assert table.column_names == [column.name for column in COLUMNS]

    def plain(kind, value):
        """As it was before Arrow made times of it."""
        if value is None:
            return None
        match kind:
            case Several(of):
                return [plain(of, part) for part in value]
            case Parts(keys):
                return {key: plain(of, value[key]) for key, of in keys}
        if kind == TIME:
            assert isinstance(value, datetime)
            return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return value

    read = [{column.name: plain(column.type, row[column.name]) for column in COLUMNS} for row in table.to_pylist()]
    expected = [{column.name: without_json(column.type, row[column.name]) for column in COLUMNS} for row in flat(found)]
    assert read == expected


@settings(max_examples=60)
@given(records())
def test_csv_has_every_value_and_no_formula(found):
    text = io.TextIOWrapper(file_of("csv", found), encoding="utf-8-sig", newline="")
    read = list(csv.DictReader(text))
    assert len(read) == len(found)
    for row, expected in zip(read, flat(found), strict=True):
        for column in COLUMNS:
            cell, value = row[column.name], expected[column.name]
            if value is None:
                assert cell == ""
            elif column.type == TEXT:
                assert cell == neutral_cell(value)
            elif column.type == TRUTH:
                assert cell == ("true" if value else "false")
            elif column.type in (INTEGER, NUMBER, TIME):
                assert type(value)(cell) == value
            else:
                assert json.loads(cell) == value


@given(free)
def test_json_in_a_cell_is_the_same_json_and_no_formula(value):
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    cell = neutral_json(text)
    assert json.loads(cell) == value
    for part in csv_parts(cell):
        mark = formula_mark(part)
        assert not mark or (mark == "-" and is_number(part)), part


def csv_parts(cell):
    """What another delimiter would make cells of it."""
    found = [cell]
    for delimiter in ",;|\t\r\n":
        found = [part for whole in found for part in whole.split(delimiter)]
    return found


def is_number(part):
    """A negative number, with what closes the lists and objects around it."""
    try:
        float(part.rstrip("]}"))
    except ValueError:
        return False
    return True


def test_every_sign_that_reads_like_a_mark_of_a_formula_is_known():
    every = map(chr, range(sys.maxunicode + 1))
    assert [sign for sign in every if unicodedata.normalize("NFKC", sign) in FORMULA_MARKS] == sorted(
        sign for sign in map(chr, range(sys.maxunicode + 1)) if FORMULA_MARK.match(sign)
    )


@pytest.mark.parametrize("text", ["=1+1", "\u200b=1", "a;=1", "a\t@x", "'=x", '"-x'])
def test_a_text_that_is_a_formula_gets_an_apostrophe(text):
    cell = neutral_cell(text)
    assert cell != text
    assert cell.replace("'", "") == text.replace("'", "")


def test_free_json_is_in_columns_of_the_task_only():
    assert [column.name for column in ANSWER_COLUMNS if has_json(column.type)] == []


def test_columns_have_names_of_their_own_and_a_meaning():
    names = [column.name for column in COLUMNS]
    assert len(set(names)) == len(names)
    assert all(column.meaning.endswith(".") for column in COLUMNS)
