"""Importing files that are good, or good in part: through the command, the jobs and the pages."""

import csv
import json
import re

import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command

from annotation.core import counts
from annotation.importing.run import import_file
from annotation.models import Candidate, Event, Import, Prompt
from annotation.text.digests import messages_digest
from tests.annotation.importing.helpers import EXPECTED, ROWS, as_csv, as_jsonl, as_parquet, loaded
from tests.factories import ProjectFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def hotel():
    return ProjectFactory(slug="hotel", held_out_share=0.5)


@pytest.fixture
def load(hotel, tmp_path, capsys):
    """Write a file and import it with the command; returns the last line of its output."""

    def run(name: str, content: bytes | str, *options: str) -> str:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        call_command("import_prompts", "hotel", str(path), *options)
        return capsys.readouterr().out.strip().splitlines()[-1]

    return run


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("rows.csv", as_csv(ROWS), []),
        ("windows.csv", "\ufeff" + as_csv(ROWS).replace("check in", "check in"), []),
        ("rows.tsv", as_csv(ROWS, "\t"), ["--quoted"]),
        ("semicolons.csv", as_csv(ROWS, ";"), ["--delimiter", ";"]),
        ("excel.tsv", as_csv(ROWS, "\t").encode("utf-16"), ["--quoted"]),
        ("japanese.csv", as_csv(ROWS).encode("cp932"), ["--encoding", "cp932"]),
        ("rows.jsonl", as_jsonl(ROWS), []),
        ("rows.parquet", as_parquet(ROWS), []),
        ("rows.dat", as_csv(ROWS), ["--format", "csv"]),
    ],
)
def test_the_same_rows_in_every_format(load, name, content, options):
    line = load(name, content, *options)
    assert re.fullmatch(r"import \d+: 3 rows, 3 prompts and 3 candidates added", line)
    assert loaded() == EXPECTED
    assert all(p.digest == messages_digest([{"role": "user", "content": p.text}]) for p in Prompt.objects.all())
    again = load(name, content, *options)
    assert again.endswith("3 rows, 0 prompts and 0 candidates added")
    event = Event.objects.filter(verb="prompts.imported").first()
    assert event.after["prompts"] == 3


def test_columns_named_on_the_command_line(load):
    rows = as_jsonl([{"en": "Hello", "polite": "こんにちは。", "plain": "やあ。", "domain": "chat", "id": 7}])
    load(
        "pairs.jsonl",
        rows,
        "--map",
        "text=en",
        "--map",
        "metadata.domain=domain",
        "--map",
        "external_id=",
        "--candidate",
        "polite=import:formal",
        "--candidate",
        "plain=informal",
    )
    assert loaded() == [
        ("", "Hello", "", "", {"domain": "chat"}, [("import:formal", "こんにちは。"), ("import:informal", "やあ。")])
    ]


def test_chats_and_listed_candidates(load):
    chat = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Good evening."},
        {"role": "user", "content": "Is the bar open?"},
    ]
    listed = [{"text": "It is.", "origin": "gpt"}, {"text": "It is.", "origin": "import:other"}]
    rows = [
        {"messages": chat, "candidates": listed},
        {"messages": [{"role": "user", "content": "One turn"}], "candidates": []},
    ]
    load("chats.jsonl", as_jsonl(rows))
    first, second = Prompt.objects.order_by("pk")
    assert (first.text, first.messages) == ("Is the bar open?", chat)
    assert (second.text, second.messages) == ("One turn", None)
    assert second.digest == messages_digest([{"role": "user", "content": "One turn"}])
    assert [(c.origin, c.text) for c in first.candidates.all()] == [
        ("import:gpt", "It is."),
        ("import:other", "It is."),
    ]
    assert load("chats.parquet", as_parquet(rows[:1])).endswith("1 row, 0 prompts and 0 candidates added")
    cells = as_csv([{"messages": json.dumps(chat), "candidates": json.dumps([{"text": "New.", "origin": "a"}])}])
    assert load("chats.csv", cells).endswith("1 row, 0 prompts and 1 candidate added")


def test_a_known_prompt_gains_new_candidates_and_keeps_the_rest(load):
    load("one.csv", "id,text,reference\na,Hello,Good day\n")
    line = load("two.csv", "text,reference,candidate_x\nHello,Good  day,Hallo\nHello,,Salut\nNew,,Neu\n")
    assert line.endswith("3 rows, 1 prompt and 3 candidates added")
    prompt = Prompt.objects.get(external_id="a")
    assert prompt.reference == "Good day"
    assert [c.text for c in prompt.candidates.order_by("pk")] == ["Hallo", "Salut"]


def test_equal_candidates_are_added_once_wherever_they_are(load):
    """Twice in a row, in two rows of the file, and in the project."""
    one = {"text": "A room, please.", "candidates": [{"text": "はい。", "origin": "a"}] * 2}
    other = {
        "text": "A bed, please.",
        "candidates": [{"text": "はい。", "origin": "a"}, {"text": "うん。", "origin": "a"}],
    }
    line = load("rows.jsonl", as_jsonl([one, other, one]))
    assert line.endswith("3 rows, 2 prompts and 3 candidates added")
    new = {
        "text": "A bed, please.",
        "candidates": [{"text": "うん。", "origin": "a"}, {"text": "さあ。", "origin": "a"}] * 2,
    }
    assert load("more.jsonl", as_jsonl([new])).endswith("1 row, 0 prompts and 1 candidate added")
    assert list(Candidate.objects.order_by("prompt", "pk").values_list("text", flat=True)) == [
        "はい。",
        "はい。",
        "うん。",
        "さあ。",
    ]
    assert counts.differences() == []


def test_line_ends_do_not_make_another_prompt(load):
    load("unix.csv", 'text\n"one\ntwo"\n')
    assert load("windows.csv", 'text\r\n"one\r\ntwo"\r\n').endswith("0 prompts and 0 candidates added")


def test_tsv_takes_quotation_marks_as_they_are(load):
    load("marks.tsv", 'text\treference\n"Hello" she said\tHe said "no\n')
    assert Prompt.objects.values_list("text", "reference").get() == ('"Hello" she said', 'He said "no')


def test_all_or_nothing(load, hotel, settings):
    bad = "id,text\n1,One\n2,\n3,Three\n1,Other\n" + "".join(f"x{n},\n" for n in range(60))
    with pytest.raises(CommandError) as refusal:
        load("bad.csv", bad)
    message = str(refusal.value)
    assert "bad.csv: 62 faults in 62 of 64 rows; nothing was written" in message
    assert "row 3, column text: the text is empty" in message
    assert "… and 12 more" in message
    assert not Prompt.objects.exists()
    record = Import.objects.get()
    assert (record.status, record.fault_count, len(record.faults)) == ("refused", 62, 50)
    assert record.faults[0] == {
        "row": 3,
        "column": "text",
        "message": "the text is empty; fill it in or delete the row",
    }
    with (settings.VAR / record.faults_path).open() as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["row", "column", "message"]
    assert len(rows) == 63
    assert rows[-1][:2] == ["5", "id"], "faults between rows come last"
    assert Event.objects.get(object_id=record.pk, verb="import.refused")


@pytest.mark.parametrize(
    ("name", "content", "rest"),
    [
        ("a.csv", 'id,text\n1,"One, two"\n2,\n3,"Three"\n1,"A, ""b"""\n9\n', 'id,text\n2,\n1,"A, ""b"""\n9\n'),
        ("a.tsv", 'id\ttext\n1\t"One\n2\t\n3\tThree\n1\tA "b"\n9\n', 'id\ttext\n2\t\n1\tA "b"\n9\n'),
        (
            "a.jsonl",
            '{"id": 1, "text": "One"}\n{"id": 2, "text": ""}\n{"id": 3, "text": "T"}\n{"id": 1, "text": "A"}\n{oh\n',
            '{"id": 2, "text": ""}\n{"id": 1, "text": "A"}\n{oh\n',
        ),
    ],
)
def test_keep_good_writes_the_rest_in_the_same_format(load, settings, name, content, rest):
    line = load(name, content, "--keep-good")
    assert "5 rows, 2 prompts and 0 candidates added, 3 faults" in line
    record = Import.objects.get()
    written = (settings.VAR / record.rest_path).read_text().replace("\r\n", "\n")
    assert written == rest
    assert str(settings.VAR / record.rest_path) in line
    assert sorted(Prompt.objects.values_list("external_id", flat=True)) == ["1", "3"]


def test_keep_good_parquet(load, settings):
    load("a.parquet", as_parquet([{"id": n, "text": "" if n % 3 else f"Text {n}"} for n in range(2000)]), "--keep-good")
    record = Import.objects.get()
    rest = pq.read_table(settings.VAR / record.rest_path).to_pylist()
    assert rest == [{"id": n, "text": ""} for n in range(2000) if n % 3]
    assert Prompt.objects.count() == 667


def test_keep_good_with_no_good_row_is_a_refusal(load):
    with pytest.raises(CommandError, match="nothing was written"):
        load("bad.csv", "id,text\n1,\n2,\n", "--keep-good")


def test_a_dry_run_writes_nothing(load, settings):
    line = load("rows.csv", as_csv(ROWS), "--dry-run")
    assert line == "dry run, nothing written; 3 rows, 3 prompts and 3 candidates added"
    with pytest.raises(CommandError, match="the text is empty"):
        load("bad.csv", "id,text\n1,\n", "--dry-run")
    assert not Import.objects.exists()
    assert not Prompt.objects.exists()
    assert not Event.objects.exists()
    assert not list((settings.VAR / "imports").glob("*"))


def test_unknown_project_names_the_known(hotel):
    with pytest.raises(CommandError, match=r"there is no project 'motel'\. Projects: hotel"):
        call_command("import_prompts", "motel", "x.csv")


# ---- ids and splits against what the project has ----


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ("id,text\na,Other\n", r"the id 'a' belongs to another prompt of this project \(prompt \d+\); give this"),
        ("text,document,split\nNew,mail,train\n", "the document 'mail' is held out in this project"),
        ("text,split\nOne,train\n", "this prompt is held out in this project"),
    ],
)
def test_faults_against_the_project(load, second, message):
    load("first.csv", "id,text,document,split\na,One,mail,held_out\n")
    with pytest.raises(CommandError, match=message):
        load("second.csv", second)
    assert Prompt.objects.count() == 1


def test_documents_are_held_out_whole_and_the_same_way_everywhere(load, hotel):
    rows = [{"text": f"Sentence {n}", "document": f"doc {n // 5}"} for n in range(500)]
    load("a.jsonl", as_jsonl(rows))
    sides = dict(Prompt.objects.values_list("source_document", "held_out"))
    for document, held_out in Prompt.objects.values_list("source_document", "held_out"):
        assert sides[document] == held_out
    assert 30 <= sum(sides.values()) <= 70, "about half of the 100 documents"
    other = ProjectFactory(slug="other", held_out_share=0.5)
    assert other.slug != hotel.slug
    new = [{"text": f"Another {n}", "document": f"doc {n}"} for n in range(100)]
    load("b.jsonl", as_jsonl(new))
    for document, held_out in Prompt.objects.values_list("source_document", "held_out"):
        assert sides[document] == held_out


def test_a_later_row_joins_its_document_even_against_the_seed(load, hotel):
    load(
        "a.csv", "text,document,split\n" + "".join(f"T{n},doc {n},{'test' if n % 2 else 'train'}\n" for n in range(20))
    )
    hotel.held_out_share = 0.0
    hotel.save()
    load("b.csv", "text,document\n" + "".join(f"U{n},doc {n}\n" for n in range(20)))
    assert all(prompt.held_out == bool(int(prompt.source_document.split()[1]) % 2) for prompt in Prompt.objects.all())


def test_without_documents_each_prompt_is_drawn(load):
    load("a.csv", "text\n" + "".join(f"Sentence {n}\n" for n in range(400)))
    assert 150 <= Prompt.objects.filter(held_out=True).count() <= 250


def test_ids_follow_the_file(load):
    load("a.csv", "text,candidate_a\n" + "".join(f"S{n},C{n}\n" for n in reversed(range(50))))
    assert [p.text for p in Prompt.objects.order_by("pk")] == [f"S{n}" for n in reversed(range(50))]
    assert [c.text for c in Candidate.objects.order_by("pk")] == [f"C{n}" for n in reversed(range(50))]


def test_faults_are_neutralised_for_spreadsheets(load, settings):
    with pytest.raises(CommandError):
        load("f.csv", "text,=cmd|x\nOne,\a\n", "--map", "reference==cmd|x")
    cells = (settings.VAR / Import.objects.get().faults_path).read_text().splitlines()[1]
    assert cells.startswith("2,'=cmd|x,")


def test_progress_is_told(hotel, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text\n" + "".join(f"Sentence {n}\n" for n in range(12_000)))
    told: list[tuple[int, float]] = []
    record = import_file(project=hotel, path=path, filename="a.csv", actor=None, progress=lambda *p: told.append(p))
    assert [rows for rows, _ in told] == [5000, 10000, 12000]
    assert all(0 <= share <= 1 for _, share in told)
    assert record.prompts_added == 12_000
