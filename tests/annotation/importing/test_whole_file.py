"""A file's columns are those of the whole file, however late they occur; what was not read is said."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command

from annotation import jobs
from annotation.answers.exclusions import restore_prompt, withdraw_prompt
from annotation.models import Candidate, Import, Prompt, Role
from tests.annotation.importing.helpers import as_jsonl
from tests.factories import ProjectFactory, join

pytestmark = pytest.mark.django_db

EARLY = [{"text": f"q{n}", "candidate_a": "a"} for n in range(1000)]


@pytest.fixture
def hotel():
    return ProjectFactory(slug="hotel", held_out_share=0.0)


@pytest.fixture
def load(hotel, tmp_path, capsys):
    def run(name: str, content: bytes | str, *options: str) -> str:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        call_command("import_prompts", "hotel", str(path), *options)
        return capsys.readouterr().out

    return run


def late(**values) -> str:
    return as_jsonl([*EARLY, {"text": "q1000", "candidate_a": "a", **values}])


def test_a_key_that_first_occurs_after_row_1000(load):
    """The example: held out, with a second candidate and a reference."""
    said = load("late.jsonl", late(candidate_b="b", reference="r", split="test"))
    assert "1,001 prompts and 1,002 candidates added" in said
    assert list(Prompt.objects.filter(held_out=True).values_list("text", "reference")) == [("q1000", "r")]


@pytest.mark.parametrize(
    ("values", "field", "value"),
    [
        ({"id": "x9"}, "external_id", "x9"),
        ({"document": "mail 3"}, "source_document", "mail 3"),
        ({"metadata.domain": "law"}, "metadata", {"domain": "law"}),
        ({"metadata": {"domain": "law"}}, "metadata", {"domain": "law"}),
        ({"context": "verb"}, "metadata", {"context": "verb"}),
        ({"ref": "r"}, "reference", "r"),
        (
            {"system": "Be brief."},
            "messages",
            [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "q1000"}],
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_every_late_key_counts(load, values, field, value):
    load("late.jsonl", late(**values))
    assert getattr(Prompt.objects.get(text="q1000"), field) == value


def test_a_late_list_of_candidates_and_a_late_chat(load):
    rows = [*EARLY, {"text": "q1000", "responses": ["x", "y"]}]
    rows.append({"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]})
    load("late.jsonl", as_jsonl(rows))
    assert Candidate.objects.filter(origin="import:responses").count() == 2
    assert Prompt.objects.get(text="Hi").reference == "Hello"


def test_a_late_key_without_a_meaning_is_named(load):
    said = load("late.jsonl", late(mood="calm"))
    assert "Column “mood” was not read: 1 row has a value there (first in row 1001)." in said
    note = next(note for note in Import.objects.get().report["notes"] if note["kind"] == "unmapped")
    assert note == {"kind": "unmapped", "count": 1, "name": "mood", "rows": [1001]}


def test_a_late_key_beside_what_was_said_on_the_command_line(load):
    load("late.jsonl", late(polite="b", split="test"), "--candidate", "polite=import:formal")
    assert Prompt.objects.get(held_out=True).candidates.filter(origin="import:formal").exists()


def test_late_row_groups_of_parquet(load, tmp_path):
    """A column that is empty in the first row groups, and a struct field that is."""
    rows = [{"text": f"q{n}", "reference": None, "metadata": {"domain": None}} for n in range(3000)]
    rows.append({"text": "last", "reference": "r", "metadata": {"domain": "law"}})
    path = tmp_path / "groups.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=500)
    load("again.parquet", path.read_bytes())
    assert Prompt.objects.get(reference="r").metadata == {"domain": "law"}


# ---- the page's column chooser ----


def upload(client, path):
    with path.open("rb") as file:
        return client.post("/projects/hotel/import/", {"file": file})


def values_of(form) -> dict[str, str]:
    return {name: form[name].value() or "" for name in form.fields if name != "keep_good"}


@pytest.mark.parametrize("format", ["jsonl", "csv", "parquet"])
def test_the_page_offers_late_columns_with_a_value(hotel, sign_in, tmp_path, format):
    path = tmp_path / f"late.{format}"
    rows = [*EARLY, {"text": "q1000", "candidate_a": "a", "split": "test", "mood": "calm"}]
    if format == "jsonl":
        path.write_text(as_jsonl(rows))
    elif format == "csv":
        path.write_text("text,candidate_a,split,mood\n" + "q,a,,\n" * 1000 + "q1000,a,test,calm\n")
    else:
        pq.write_table(pa.Table.from_pylist([{"split": None, "mood": None, **row} for row in rows]), path)
    client = sign_in(join(hotel, Role.MANAGER))
    upload(client, path)
    record = Import.objects.get()
    page = client.get(f"/imports/{record.pk}/")
    heads = {head["name"]: head for head in page.context["form"].heads()}
    assert heads["split"]["meaning"].value() == "held_out"
    assert heads["mood"]["sample"] == (1002 if format == "csv" else 1001, "calm")
    assert "Column “mood” was not read: 1 row has a value there" in page.content.decode()
    client.post(f"/imports/{record.pk}/columns/", values_of(page.context["form"]))
    jobs.import_file(record.pk)
    assert Prompt.objects.get(held_out=True).text == "q1000"
    assert "Column “mood” was not read" in client.get(f"/imports/{record.pk}/").content.decode()


def test_columns_that_nobody_was_shown_are_asked_about(hotel, sign_in, tmp_path, monkeypatch):
    """A file too long to be looked at as a whole while a person waits."""
    monkeypatch.setattr("annotation.importing.survey.SECONDS", -1.0)
    monkeypatch.setattr("annotation.importing.survey.survey.__defaults__", (None, -1.0))
    path = tmp_path / "long.jsonl"
    path.write_text(late(split="test"))
    client = sign_in(join(hotel, Role.MANAGER))
    upload(client, path)
    record = Import.objects.get()
    page = client.get(f"/imports/{record.pk}/")
    assert "The file is long." in page.content.decode()
    client.post(f"/imports/{record.pk}/columns/", values_of(page.context["form"]))
    jobs.import_file(record.pk)
    assert not Prompt.objects.exists()
    page = client.get(f"/imports/{record.pk}/columns/")
    assert "split" in [head["name"] for head in page.context["form"].heads()]
    refused = client.get(f"/imports/{record.pk}/").content.decode()
    assert "not shown when the columns were chosen: &#x27;split&#x27;. Look at the columns again" in refused
    form = values_of(page.context["form"])
    number = [head["name"] for head in page.context["form"].heads()].index("split")
    client.post(f"/imports/{record.pk}/columns/", {**form, f"meaning-{number}": "held_out"})
    jobs.import_file(record.pk)
    assert Prompt.objects.filter(held_out=True).count() == 1


# ---- what was left out, merged or skipped ----


def test_unmapped_columns_merged_rows_and_empty_candidates_are_counted(load):
    rows = [
        {"text": "One", "candidates": ["a", "", "b"], "score": 3},
        {"text": "One ", "candidates": ["a", "c"], "score": 4, "note": ""},
        {"text": "Two", "candidates": ["  "], "note": "x"},
        {},
        {"messages": [{"role": "user", "content": "Three", "name": "Ann"}]},
    ]
    said = load("rows.jsonl", as_jsonl(rows))
    for sentence in [
        "Column “score” was not read: 2 rows have a value there (first in row 1).",
        "Column “note” was not read: 1 row has a value there (first in row 3).",
        "“messages: name” was not read (1 value).",
        "1 blank row was skipped: row 4.",
        "2 empty candidates were skipped.",
        "1 row repeats the prompt of an earlier row and was merged with it: 2 = 1.",
        "1 of them reads the same but is written differently (spaces, width, accents): 2 = 1.",
        "1 candidate was there already: same prompt, origin and text.",
        "5 rows, 3 prompts and 3 candidates added",
    ]:
        assert sentence in said
    again = load("rows.jsonl", as_jsonl(rows))
    assert "3 prompts were already in the project and were left as they are." in again
    assert "0 prompts and 0 candidates added" in again


def test_rows_of_withdrawn_prompts_are_named(load):
    load("rows.jsonl", as_jsonl([{"text": f"Line {n}\nof the reply", "candidates": ["a"]} for n in (1, 2, 3)]))
    first, second, _third = Prompt.objects.order_by("pk")
    said = load("more.jsonl", as_jsonl([{"text": first.text, "candidates": ["b"]}]))
    assert "withdrawn" not in said
    withdraw_prompt(prompt=first, reason="Personal data.", actor=None)
    said = load("more.jsonl", as_jsonl([{"text": "New"}, {"text": first.text, "candidates": ["c"]}]))
    assert (
        "1 row is of a prompt that is withdrawn, “Line 1 of the reply”: it gets no tasks, and its answers do not "
        "count, until it is restored (row 2)."
    ) in said
    withdraw_prompt(prompt=second, reason="Personal data.", actor=None)
    said = load("more.jsonl", as_jsonl([{"text": second.text}, {"text": first.text}]))
    assert "2 rows are of prompts that are withdrawn, the first of “Line 2 of the reply”" in said
    restore_prompt(prompt=first, actor=None)
    restore_prompt(prompt=second, actor=None)
    assert "withdrawn" not in load("more.jsonl", as_jsonl([{"text": second.text}, {"text": first.text}]))


@pytest.mark.parametrize(
    ("rows", "column"),
    [
        ([{"text": "One", "reference": "a"}, {"text": "One", "reference": "b"}], "reference"),
        ([{"text": "One", "target": "a"}, {"text": " One", "target": "b"}], "target"),
        ([{"text": "One", "metadata": {"x": 1}}, {"text": "One", "metadata": {"x": 2}}], "metadata"),
        ([{"text": "One", "metadata.x": "1"}, {"text": "One", "metadata.x": "2"}], "metadata.x"),
    ],
)
def test_rows_that_differ_in_a_mapped_field_are_not_merged(load, rows, column):
    with pytest.raises(CommandError, match=rf"column '{column}': the prompt of row 1 with (another|other)"):
        load("rows.jsonl", as_jsonl(rows))
    assert not Prompt.objects.exists()
    # Its remedies: a context, an id, a document, or the column left out.
    load("rows.jsonl", as_jsonl(rows), "--map", f"context={column}", "--map", "reference=", "--map", "metadata_object=")
    assert Prompt.objects.count() == 2
    Prompt.objects.all().delete()
    load("rows.jsonl", as_jsonl([{**row, "id": n} for n, row in enumerate(rows)]))
    assert Prompt.objects.count() == 2
    Prompt.objects.all().delete()
    load("rows.jsonl", as_jsonl([{**row, "document": f"d{n}"} for n, row in enumerate(rows)]))
    assert Prompt.objects.count() == 2
    Prompt.objects.all().delete()
    assert "merged with it: 2 = 1" in load("rows.jsonl", as_jsonl(rows), "--ignore", column)


def test_the_preview_counts_and_checks_other_columns(hotel, sign_in, tmp_path):
    path = tmp_path / "alpaca.jsonl"
    rows = [{"instruction": "Translate.", "input": word, "output": word.upper()} for word in ("one", "two", "three")]
    path.write_text(as_jsonl([*rows, {"instruction": ""}]))
    client = sign_in(join(hotel, Role.MANAGER))
    upload(client, path)
    record = Import.objects.get()
    page = client.get(f"/imports/{record.pk}/")
    assert page.context["preview"].survey.prompts == 3
    assert "1 blank row was skipped: row 4." in page.content.decode()
    form = values_of(page.context["form"])
    checked = client.post(f"/imports/{record.pk}/columns/", {**form, "meaning-1": "", "check": "1"})
    assert checked.status_code == 200
    text = checked.content.decode()
    assert checked.context["preview"].survey.prompts == 1
    assert "Column “input” was not read: 3 rows have a value there (first in row 1)." in text
    assert "2 rows repeat the prompt of an earlier row" in text
    assert checked.context["form"]["meaning-1"].value() == ""
    assert not Prompt.objects.exists()


def test_the_event_has_the_report(load):
    from annotation.models import Event

    load("rows.jsonl", as_jsonl([{"text": "One", "score": 3}]))
    after = Event.objects.get(verb="prompts.imported").after
    assert json.loads(json.dumps(after["report"])) == [{"kind": "unmapped", "count": 1, "name": "score", "rows": [1]}]


@pytest.mark.parametrize("blank", ["\u200b", "\u3164", " \u3000", "\u2800", "\ufeff\u00ad"])
def test_what_cannot_be_seen_is_no_text(load, blank):
    """Neither a candidate nor a prompt; a row of nothing else is blank."""
    rows = [{"text": "q", "candidate_a": blank, "candidate_b": "x"}, {"text": blank, "candidate_a": blank}]
    said = load("blank.jsonl", as_jsonl(rows))
    assert "1 empty candidate was skipped." in said
    assert "1 blank row was skipped: row 2." in said
    assert list(Candidate.objects.values_list("text", flat=True)) == ["x"]
    with pytest.raises(CommandError, match="row 1, column 'text': the text is empty"):
        load("empty.jsonl", as_jsonl([{"text": blank, "candidate_a": "x"}]))


def test_a_column_without_a_name_is_named_as_one(load):
    said = load("unnamed.csv", "text,candidate_a,\nhello,a,extra\n")
    assert "Column “(no name)” was not read: 1 row has a value there (first in row 2)." in said


def test_several_columns_without_a_name_are_counted_row_by_row(load):
    said = load("unnamed.csv", "text,candidate_a,,\none,a,,\ntwo,a,x,\nthree,a,,y\n")
    assert said.count("(no name)") == 1
    assert "Column “(no name)” was not read: 2 rows have a value there (first in row 3)." in said


@pytest.mark.parametrize("value", [b"caf\xc3\xa9", 7, True, 1.5])
def test_the_remedy_fits_the_format(hotel, tmp_path, value):
    """Parquet has no quotation marks; a column of strings loads."""
    path = tmp_path / "typed.parquet"
    pq.write_table(pa.table({"text": [value]}), path)
    with pytest.raises(CommandError, match="convert the column to strings"):
        call_command("import_prompts", "hotel", str(path))
    pq.write_table(pa.table({"text": [str(value)]}), path)
    call_command("import_prompts", "hotel", str(path))
    assert Prompt.objects.get().text == str(value)
