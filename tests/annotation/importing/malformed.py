"""Files that must not get in: each a name, its bytes, and what the error has to say (regular expressions).

`FILES` are refused by the command with the options given; nothing of them reaches the project.
"""

import gzip
import io
import json
import zipfile
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


@dataclass(frozen=True)
class Malformed:
    """`row` and `column` are the place of the first fault, where one row is to blame."""

    name: str
    content: bytes
    says: tuple[str, ...]
    row: int | None = None
    column: str | None = None
    options: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name


def bad(name: str, content: bytes | str, *says: str, **fields: Any) -> Malformed:
    return Malformed(name, content.encode() if isinstance(content, str) else content, says, **fields)


def line(**values: Any) -> str:
    return json.dumps(values, ensure_ascii=False) + "\n"


def parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def zipped(name: str, content: str) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr(name, content)
    return sink.getvalue()


GOOD_CSV = "id,text\n1,Is breakfast included?\n2,Is there a pool?\n"
GOOD = line(id="1", text="Is breakfast included?")
GOOD_PARQUET = parquet(pa.table({"id": ["1", "2"], "text": ["Is breakfast included?", "Is there a pool?"]}))
STRANGE_STRING = pa.Array.from_buffers(
    pa.string(), 2, [None, pa.py_buffer(b"\0\0\0\0\4\0\0\0\6\0\0\0"), pa.py_buffer(b"Hi!?\xff\xfe")]
)
DEEP = "[" * 100_000 + "]" * 100_000

ENCODINGS = [
    bad(
        "shift-jis.csv",
        b"text\n" + "朝食は付いていますか。プールはありますか。".encode("cp932") + b"\n",
        r"not UTF-8: byte 5 \(0x92",
        r"line 2",
        r"--encoding",
        row=2,
    ),
    bad(
        "latin-1.tsv",
        b"text\nA room\nUn caf\xe9 s'il vous pla\xeet, et l'addition\n",
        r"byte 18 \(0xe9",
        "line 3",
        "--encoding",
        row=3,
    ),
    bad(
        "utf-16-without-mark.csv", "text\nHello\n".encode("utf-16-le"), "NUL characters", "--encoding utf-16-le", row=1
    ),
    bad("utf-16-cut.csv", "text\nHello\n".encode("utf-16")[:-1], "not UTF-16", "save the file as UTF-8"),
    bad(
        "cut-in-a-character.jsonl", line(text="朝食").encode()[:-4], r"not UTF-8: byte 13", "cut off or damaged", row=1
    ),
    bad(
        "late-bad-byte.jsonl",
        (GOOD * 3000).encode() + b'{"text": "\xff"}\n',
        r"byte 138,010 \(0xff",
        "line 3,001",
        row=3001,
    ),
    bad("not-cp932.csv", b"text\n\x85\x40\xfd\xfe\n", "not CP932", options=("--encoding", "cp932")),
    bad(
        "no-such-encoding.csv",
        GOOD_CSV,
        "'utf-9' is no text encoding",
        "examples: utf-8",
        options=("--encoding", "utf-9"),
    ),
    bad("not-a-text-encoding.csv", GOOD_CSV, "'base64' is no text encoding", options=("--encoding", "base64")),
]

WRONG_KIND = [
    bad("empty.csv", b"", "is empty", "export it again"),
    bad("archive.csv", zipped("a.csv", GOOD_CSV), "ZIP archive", "unpack it"),
    bad("gzip.csv", gzip.compress(GOOD_CSV.encode()), "compressed with gzip", "unpack it first"),
    bad("picture.jsonl", b"\x89PNG\r\n\x1a\n" + bytes(100), "PNG picture"),
    bad("document.tsv", b"%PDF-1.7\n" + bytes(100), "PDF document"),
    bad("parquet.csv", GOOD_PARQUET, "Parquet file, not csv", "name it .parquet"),
    bad("workbook.xlsx", zipped("xl/workbook.xml", "<x/>"), "a ZIP archive", "save the sheet as CSV"),
    bad("array.json", '[{"text": "a"}', "the list is not closed", "Export the file again"),
    bad("noending", GOOD_CSV, "the name has no ending", "Readable are"),
]

CELLS = [
    bad("header-only.csv", "id,text\n", r"column names \(row 1\) and no rows", row=1),
    bad("blank-header.csv", ",,\n1,2,3\n", "row 1 is empty", row=1),
    bad("blank-first-line.csv", "\nid,text\n1,Hello\n", "row 1 is empty", row=1),
    bad(
        "missing-column.csv",
        "id,body\n1,Hello\n",
        "no column is the prompt's text",
        "'id', 'body'",
        "--map text=",
    ),
    bad("semicolons.csv", "id;text|x\n1;Hello|y\n", "no column is the prompt's text", "--delimiter ';'"),
    bad(
        "mapped-to-nothing.csv",
        GOOD_CSV,
        "there is no column 'sentence'",
        "'id', 'text'",
        options=("--map", "text=sentence"),
    ),
    bad("unknown-field.csv", GOOD_CSV, "--map prose=text: write FIELD=COLUMN", options=("--map", "prose=text")),
    bad(
        "duplicate-header.csv",
        "text,id,text\na,1,b\n",
        "columns 1 and 3 are both called 'text'",
        "rename one",
        row=1,
        column="text",
    ),
    bad("only-spaces.csv", "id,text\n1,Hello\n2,   \n", "the text is empty", row=3, column="text"),
    bad("too-few-cells.csv", "id,text\n1,Hello\n2\n", "1 cell where the header has 2", "add the missing", row=3),
    bad("too-many-cells.csv", "id,text\n1,Hello, you\n", "3 cells where the header has 2", "not quoted", row=2),
    bad("too-many-cells.tsv", "id\ttext\n1\tHello\tyou\n", "3 cells where the header has 2", "tab in a text", row=2),
    bad("unclosed-quote.csv", 'id,text\n1,"Hello\n2,There\n', r"row 2 \(from line 2\)", "none closes it", row=2),
    bad("text-after-quote.csv", 'id,text\n1,Hi\n2,"Hel"lo\n', r"row 3 \(from line 3\)", "written twice", row=3),
    bad(
        "megabyte-cell.csv",
        f"id,text\n1,Hi\n2,{'x' * 1_048_576}\n",
        "1,048,576 characters, more than 100,000",
        row=3,
        column="text",
    ),
    bad("endless-line.csv", "text\n" + "x" * (9 * 1024 * 1024), r"line 2 is longer than 8,388,608 characters", row=2),
    bad("nul.csv", b"id,text\n1,He\0llo\n", "a NUL character at character 3; remove it", row=2, column="text"),
    bad(
        "bell.tsv",
        "text\tref\nHello\tDing\a\n",
        "the control character U\\+0007 at character 5",
        row=2,
        column="ref",
        options=("--map", "reference=ref"),
    ),
    bad(
        "duplicate-ids.csv",
        "id,text\na,One\nb,Two\na,Three\n",
        "the id 'a' is already that of row 2",
        "an id of its own|each an id",
        row=4,
        column="id",
    ),
    bad("long-id.csv", f"id,text\n{'9' * 201},One\n", "201 characters, more than 200", row=2, column="id"),
    bad("broken-id.csv", 'id,text\n"a\nb",One\n', "write it on one line", row=2, column="id"),
    bad(
        "split-of-a-document.csv",
        "text,document,split\nOne,mail,train\nTwo,mail,test\n",
        "the document 'mail' is marked the other way in row 2",
        row=3,
        column="split",
    ),
    bad(
        "unknown-split.csv",
        "text,split\nOne,maybe\n",
        "'maybe' is no split; write train or held_out",
        row=2,
        column="split",
    ),
    bad("forged-column.csv", "text,a\nOne,Two\n", "cannot come from a file", options=("--candidate", "a=checkpoint:7")),
    bad("broken-json-cell.csv", 'text,metadata\nOne,"{""a"": "\n', "the cell is not JSON", row=2, column="metadata"),
    bad("long-name.csv", "text," + "n" * 1001 + "\n", "name of column 2 has 1,001 characters, more than 1,000", row=1),
    bad("long-key.jsonl", GOOD + line(text="One", **{"n" * 1001: 1}), "name of column \\d has 1,001 characters"),
    bad("wide.csv", ",".join(f"c{n}" for n in range(1001)) + "\n", "1,001 columns; at most 1,000", row=1),
    bad("bad-delimiter.csv", GOOD_CSV, "'ab' is no delimiter", options=("--delimiter", "ab")),
]

LINES = [
    bad("array.jsonl", '[{"text": "One"}, {"text": "Two"}] x', "more follows after the end of the list"),
    bad("not-json.jsonl", GOOD + '{"text": "Two"\n', "not JSON: Expecting ',' delimiter at character 15", row=2),
    bad("a-number.jsonl", GOOD + "42\n", "not an object", row=2),
    bad("an-array-later.jsonl", GOOD + '["Two"]\n', "not an object", row=2),
    bad("deep.jsonl", GOOD + '{"text": "Two", "metadata": ' + DEEP + "}\n", "nested too deeply", row=2),
    bad(
        "deep-metadata.jsonl",
        line(text="One", metadata={"a": json.loads("[" * 30 + "]" * 30)}),
        "more than 20 levels",
        row=1,
        column="metadata",
    ),
    bad("nan.jsonl", GOOD + '{"text": "Two", "metadata": {"score": NaN}}\n', "NaN is no JSON value", row=2),
    bad(
        "infinite.jsonl",
        '{"text": "Two", "metadata": {"score": 1e999}}\n',
        "not finite; write null",
        row=1,
        column="metadata",
    ),
    bad(
        "lone-surrogate.jsonl",
        '{"text": "Hi \\ud83d there"}\n',
        r"half a surrogate pair \(U\+D83D\) at character 4",
        row=1,
        column="text",
    ),
    bad(
        "surrogate-in-metadata.jsonl",
        '{"text": "Hi", "metadata": {"\\udc00": 1}}\n',
        "half a surrogate pair",
        row=1,
        column="metadata",
    ),
    bad("escaped-nul.jsonl", '{"text": "Hi\\u0000"}\n', "a NUL character at character 3", row=1, column="text"),
    bad("repeated-key.jsonl", '{"text": "One", "text": "Two"}\n', "the key 'text' occurs twice", row=1),
    bad("number-for-text.jsonl", GOOD + line(text=7), "the text is a number, not a text", row=2, column="text"),
    bad(
        "list-for-text.jsonl",
        line(text=["One"]),
        "the text is a list, not a text; write one text, or take the column as a list of candidates",
        row=1,
        column="text",
    ),
    bad("bool-id.jsonl", line(id=True, text="One"), "the name is true or false, not a text", row=1, column="id"),
    bad(
        "float-id.jsonl",
        line(id=1.5, text="One"),
        "the name is a number, not a text; put it in quotation marks",
        row=1,
        column="id",
    ),
    bad("huge-id.jsonl", line(id=10**30, text="One"), "more than 64 bits", row=1, column="id"),
    bad(
        "endless-number.jsonl",
        '{"text": "One", "id": ' + "9" * 5000 + "}\n",
        "JSON: a number of thousands of digits; put it in quo",
        row=1,
    ),
    bad(
        "huge-number-in-metadata.jsonl",
        line(text="One", metadata={"n": 10**30}),
        "more than 64 bits",
        row=1,
        column="metadata",
    ),
    bad(
        "wrong-role.jsonl",
        line(messages=[{"role": "robot", "content": "Hi"}]),
        "the role 'robot'; roles are system, user, assistant",
        row=1,
        column="messages",
    ),
    bad(
        "assistant-first.jsonl",
        line(messages=[{"role": "assistant", "content": "Hello"}, {"role": "user", "content": "Hi"}]),
        "must take turns",
        row=1,
        column="messages",
    ),
    bad(
        "pictures.jsonl",
        line(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]),
        "message 1 has a part that is no text",
        row=1,
        column="messages",
    ),
    bad(
        "another-conversation.jsonl",
        line(
            chosen=[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}],
            rejected=[{"role": "user", "content": "Bye"}, {"role": "assistant", "content": "Bye"}],
        ),
        "this answers another conversation than 'chosen' has",
        row=1,
        column="rejected",
    ),
    bad(
        "no-answer.jsonl",
        line(prompt="Hi", chosen=[{"role": "user", "content": "Hi"}], rejected="No"),
        "does not end with the assistant's answer",
        row=1,
        column="chosen",
    ),
    bad(
        "text-beside-another-chat.jsonl",
        line(prompt="Hi", messages=[{"role": "user", "content": "Bye"}]),
        "both a text and messages",
        "leave one of the columns out",
        row=1,
        column="prompt",
    ),
    bad(
        "object-without-text.jsonl",
        line(text="One", candidates=[{"score": 3}]),
        "an object without a text",
        row=1,
        column="candidates",
    ),
    bad(
        "late-system.jsonl",
        line(messages=[{"role": "user", "content": "Hi"}, {"role": "system", "content": "Be kind"}]),
        "only the first message",
        row=1,
        column="messages",
    ),
    bad("no-messages.jsonl", line(messages=[]), r"column names \(row 1\) and no rows"),
    bad("messages-as-text.jsonl", line(messages="Hello"), "the cell is not JSON", row=1, column="messages"),
    bad(
        "forged-checkpoint.jsonl",
        line(text="One", candidates=[{"text": "Two", "origin": "checkpoint:3"}]),
        "candidate 1: the origin 'checkpoint:3' cannot come from a file",
        row=1,
        column="candidates",
    ),
    bad(
        "forged-human.jsonl",
        line(text="One", candidates=[{"text": "Two", "origin": "import:ok"}, {"text": "Three", "origin": "human:1"}]),
        "candidate 2: the origin 'human:1' cannot come from a file",
        row=1,
        column="candidates",
    ),
    bad(
        "candidates-as-object.jsonl",
        line(text="One", candidates={"a": "b"}),
        "an object, not a list",
        row=1,
        column="candidates",
    ),
    bad("unseen-column.jsonl", GOOD, "no row has the key 'source'", options=("--map", "text=source")),
]

COLUMNS = [
    bad("truncated.parquet", GOOD_PARQUET[: len(GOOD_PARQUET) // 2], "damaged or incomplete Parquet", "copy it again"),
    bad("not.parquet", GOOD_CSV, "is not Parquet", "PAR1"),
    bad("only-magic.parquet", b"PAR1PAR1", "damaged or incomplete Parquet"),
    bad(
        "garbled.parquet",
        GOOD_PARQUET[:8] + bytes(60) + GOOD_PARQUET[68:],
        "damaged or incomplete Parquet|cannot be read",
    ),
    bad(
        "nested-text.parquet",
        parquet(pa.table({"text": [{"en": "One"}]})),
        "the text is an object, not a text",
        row=1,
        column="text",
    ),
    bad(
        "binary-text.parquet",
        parquet(pa.table({"text": pa.array([b"One"], pa.binary())})),
        "the text is bytes, not a text",
        row=1,
        column="text",
    ),
    bad(
        "numbers.parquet", parquet(pa.table({"text": [1, 2]})), "the text is a number, not a text", row=1, column="text"
    ),
    bad(
        "bytes-that-are-no-text.parquet",
        parquet(pa.table({"text": STRANGE_STRING})),
        "column 'text' cannot be read",
        row=2,
    ),
    bad(
        "date-in-metadata.parquet",
        parquet(pa.table({"text": ["One"], "metadata.day": pa.array([1], pa.date32())})),
        "the type date, which JSON has not",
        row=1,
        column="metadata.day",
    ),
    bad(
        "no-rows.parquet", parquet(pa.table({"text": pa.array([], pa.string())})), r"column names \(row 1\) and no rows"
    ),
    bad("no-text.parquet", parquet(pa.table({"body": ["One"]})), "no column is the prompt's text"),
]

FILES = [*ENCODINGS, *WRONG_KIND, *CELLS, *LINES, *COLUMNS]
