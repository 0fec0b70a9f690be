"""Which rows are one prompt, and on which side of the held-out split they stand."""

from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command

from annotation.models import Candidate, Import, Prompt
from tests.annotation.importing.helpers import as_csv, as_jsonl
from tests.factories import ProjectFactory

pytestmark = pytest.mark.django_db

ALIKE = [
    ("Where is my order?", "Where is my order? "),
    ("Café au lait", "Cafe\u0301 au lait"),
    ("ＡＢＣ", "ABC"),
    ("Fish  and chips", "Fish and chips"),
    ("Fish\u00a0and chips", "Fish and chips"),
    ("がくせい", "か\u3099くせい"),
    ("Hello\u200b there", "Hello there"),
]


@pytest.fixture
def hotel():
    return ProjectFactory(slug="hotel", held_out_share=0.5)


@pytest.fixture
def load(hotel, tmp_path, capsys):
    def run(rows: list[dict] | str, *options: str) -> str:
        path = tmp_path / ("rows.csv" if isinstance(rows, str) else "rows.jsonl")
        path.write_text(rows if isinstance(rows, str) else as_jsonl(rows), encoding="utf-8")
        call_command("import_prompts", "hotel", str(path), *options)
        return capsys.readouterr().out

    return run


@pytest.mark.parametrize(("first", "second"), ALIKE)
def test_what_reads_the_same_is_one_prompt_and_stays_as_written(load, first, second):
    said = load([{"text": first, "candidate_a": "a"}, {"text": second, "candidate_b": "b"}])
    assert "1 row repeats the prompt of an earlier row and was merged with it: 2 = 1." in said
    assert "written differently" in said
    prompt = Prompt.objects.get()
    assert prompt.text == first
    assert prompt.candidates.count() == 2
    assert "1 prompt was already in the project" in load([{"text": second}])


@pytest.mark.parametrize(("first", "second"), ALIKE)
def test_marks_on_both_sides_of_the_split_are_named_as_equal(load, first, second):
    rows = [{"text": first, "split": "train"}, {"text": second, "split": "test"}]
    with pytest.raises(CommandError, match="row 2, column 'split': the same prompt is marked the other way in row 1"):
        load(rows)
    with pytest.raises(CommandError, match="there written"):
        load(rows)
    assert not Prompt.objects.exists()
    load(rows[:1])
    with pytest.raises(CommandError, match="this prompt is for training in this project"):
        load(rows[1:])


@pytest.mark.parametrize(
    ("first", "second"),
    [("Manual A", "Manual  A"), ("Manual A", "Manual\u00a0A"), ("Ｍａｎｕａｌ A", "Manual A"), ("Café", "Cafe\u0301")],
)
def test_documents_whose_names_read_the_same_are_one(load, hotel, first, second):
    rows = [
        {"text": "Fish", "document": first, "split": "train"},
        {"text": "Fish two", "document": second, "split": "test"},
    ]
    with pytest.raises(CommandError, match=r"is marked the other way in row 1 \(there written"):
        load(rows)
    load(rows[:1])
    with pytest.raises(CommandError, match="is for training in this project, and the file says otherwise"):
        load(rows[1:])
    hotel.held_out_share = 0.9
    hotel.save()
    load([{"text": f"More {n}", "document": second} for n in range(9)])
    assert not Prompt.objects.filter(held_out=True).exists(), "they join their document"
    assert set(Prompt.objects.values_list("source_document", flat=True)) == {first, second}, "as written"


def test_the_lot_is_drawn_by_how_a_text_reads(load, hotel):
    load([{"text": f"Sentence {n}"} for n in range(60)])
    sides = dict(Prompt.objects.values_list("text", "held_out"))
    assert 10 < sum(sides.values()) < 50
    Prompt.objects.all().delete()
    load([{"text": f"  Sentence\u00a0{n}"} for n in range(60)])
    again = Prompt.objects.values_list("text", "held_out")
    assert {text.strip().replace("\u00a0", " "): side for text, side in again} == sides


# ---- document, context and id ----


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (
            {"document": "door manual", "metadata": {"context": "verb"}},
            {"document": "city guide", "metadata": {"context": "near"}},
        ),
        ({"document": "door manual"}, {"document": "city guide"}),
        ({"metadata": {"context": "verb"}}, {"metadata": {"context": "near"}}),
        ({"context": "verb"}, {"context": "near"}),
        ({"metadata.context": "verb"}, {"metadata.context": "near"}),
        ({"id": "menu.close"}, {"id": "shop.close"}),
        ({"segment_id": 12}, {"segment_id": 57}),
    ],
)
def test_one_source_in_two_places_is_two_prompts(load, first, second):
    rows = [{"text": "Close", "reference": "Fermer", **first}, {"text": "Close", "reference": "Proche", **second}]
    said = load(rows)
    assert list(Prompt.objects.order_by("pk").values_list("reference", flat=True)) == ["Fermer", "Proche"]
    assert "2 prompts read the same as others and were kept apart by their documents, contexts or ids" in said
    assert "0 prompts and 0 candidates added" in load(rows)
    for row in reversed(rows):
        assert "0 prompts and 1 candidate added" in load([{**row, "candidate_x": row["reference"].lower()}])
    assert [c.text for c in Candidate.objects.order_by("prompt_id")] == ["fermer", "proche"]


def test_a_row_that_says_less_is_the_only_prompt_that_fits(load):
    load(
        [
            {"id": "a", "text": "Hello", "document": "mail"},
            {"text": "Close", "document": "x"},
            {"text": "Close", "document": "y"},
        ]
    )
    assert "0 prompts and 1 candidate added" in load([{"text": "Hello", "candidate_x": "Hallo"}])
    assert "0 prompts and 1 candidate added" in load([{"id": "a", "text": "Hello ", "candidate_x": "Salut"}])
    said = load([{"text": "Close", "candidate_x": "Zu"}])
    assert "1 prompt and 1 candidate added" in said, "two fit: it is one of its own"
    assert "kept apart" in said
    assert "0 prompts and 0 candidates" in load([{"text": "Close", "candidate_x": "Zu"}]), "the same file adds nothing"


def test_an_id_belongs_to_one_prompt(load):
    load([{"id": "a", "text": "Hello", "document": "mail"}])
    with pytest.raises(CommandError, match="the id 'a' belongs to another prompt of this project"):
        load([{"id": "a", "text": "Hello", "document": "letter"}])
    with pytest.raises(CommandError, match="the id 'b' is already that of row 1"):
        load([{"id": "b", "text": "One", "document": "x"}, {"id": "b", "text": "One", "document": "y"}])


def test_texts_of_both_sides_in_documents_are_said(load):
    rows = [
        {"text": "OK", "document": "one"},
        {"text": "First", "document": "one", "split": "train"},
        {"text": "OK", "document": "two"},
        {"text": "Second", "document": "two", "split": "test"},
    ]
    said = load(rows)
    assert list(Prompt.objects.filter(held_out=True).values_list("text", flat=True)) == ["OK", "Second"]
    assert "2 of them read the same as prompts on the other side of the held-out split" in said


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 0, 1)])
def test_a_mark_on_a_text_elsewhere_does_not_part_a_document(load, hotel, order):
    hotel.held_out_share = 0
    hotel.save()
    rows = [
        {"text": "Close", "split": "test"},
        {"text": "Close ", "document": "door manual"},
        {"text": "Open", "document": "door manual"},
    ]
    said = load([rows[n] for n in order])
    assert set(Prompt.objects.filter(source_document="door manual").values_list("held_out", flat=True)) == {False}
    assert Prompt.objects.get(source_document="").held_out
    assert "2 of them read the same as prompts on the other side of the held-out split" in said


def test_a_reference_that_the_project_lacks_is_counted(load):
    load([{"text": "Hello"}])
    said = load([{"text": "Hello", "reference": "Hallo", "metadata": {"x": 1}}])
    assert "1 reference was not added: the project has this prompt without one." in said
    assert "Metadata of 1 prompt were not added" in said
    assert Prompt.objects.get().reference == ""
    Prompt.objects.update(reference="Guten Tag")
    with pytest.raises(CommandError, match="in the project with another reference"):
        load([{"text": "Hello", "reference": "Hallo"}])


# ---- ids, blank rows and blank candidates ----


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1.0, "1"), (0.0, "0"), (-7.0, "-7"), (123456789012.0, "123456789012"), (12, "12"), ("1.0", "1.0"), (None, "")],
)
def test_whole_numbers_are_ids(load, value, expected):
    load([{"text": "f1", "id": value}])
    assert Prompt.objects.get().external_id == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(Decimal(5), "5"), (Decimal("5.00"), "5"), (Decimal("12345678901234567"), "12345678901234567")],
)
def test_whole_numbers_of_databases_are_ids(load, tmp_path, value, expected):
    path = tmp_path / "decimal.parquet"
    pq.write_table(pa.table({"text": ["f1"], "id": [value]}), path)
    call_command("import_prompts", "hotel", str(path))
    assert Prompt.objects.get().external_id == expected


@pytest.mark.parametrize("blank", ["\u200b", " \u00a0", "\u3164", "\ufeff"])
def test_an_id_that_cannot_be_seen_is_none(load, blank):
    load([{"text": "f1", "id": blank, "document": blank}])
    assert (Prompt.objects.get().external_id, Prompt.objects.get().source_document) == ("", "")


@pytest.mark.parametrize("value", [1.5, 1e300, float(2**60), True])
def test_other_numbers_are_no_ids(load, value):
    with pytest.raises(CommandError, match="column 'id': the name is"):
        load([{"text": "f1", "id": value}])


def test_parquet_ids_beside_empty_ones(load, tmp_path):
    import pandas as pd

    frame = pd.DataFrame({"text": ["a", "b"], "id": [7, None], "document": [3.0, None]})
    assert frame["id"].dtype == float
    path = tmp_path / "frame.parquet"
    frame.to_parquet(path)
    call_command("import_prompts", "hotel", str(path))
    assert list(Prompt.objects.order_by("pk").values_list("external_id", "source_document")) == [("7", "3"), ("", "")]


@pytest.mark.parametrize(
    "content",
    [
        "text,candidate_a,candidate_b\nhello,a,b\n,,\n",
        "text,candidate_a,candidate_b\nhello,a,b\n,,\n,,\n\n",
        "text,candidate_a,candidate_b\n,,\nhello,a,b\n",
        "text,candidate_a,candidate_b\n  ,\t,\u3000\nhello,a,b\n",
        "text,candidate_a,candidate_b\n\nhello,a,b\n",
    ],
)
def test_a_row_without_content_is_blank(load, content):
    assert "blank row" in load(content)
    assert (Prompt.objects.count(), Candidate.objects.count()) == (1, 2)
    assert Import.objects.get().fault_count == 0


def test_a_file_of_blank_rows_has_no_rows(load):
    with pytest.raises(CommandError, match=r"has column names \(row 1\) and no rows"):
        load("text,candidate_a\n,\n , \n")


@pytest.mark.parametrize("blank", [" ", "\u3000", "\t", "\u00a0 "])
def test_a_candidate_of_blanks_is_none(load, blank):
    said = load(as_csv([{"text": "hello", "candidate_a": blank, "candidate_b": "b"}]))
    assert [c.text for c in Candidate.objects.all()] == ["b"]
    assert "1 empty candidate was skipped." in said


@pytest.mark.parametrize(
    "listed",
    [
        ["", "yes"],
        [{"text": " ", "origin": "a"}, {"text": "yes", "origin": "a"}],
        [{"answer": None, "model": "m"}, {"answer": "yes", "model": "n"}],
        [None, "yes", "\u3000"],
    ],
)
def test_an_empty_text_in_a_list_does_not_lose_the_prompt(load, listed):
    said = load([{"text": "hello", "candidates": listed}])
    assert [c.text for c in Candidate.objects.all()] == ["yes"]
    assert "empty candidate" in said


# ---- recognised columns can be switched off, and pairs never are by themselves ----


def test_columns_can_be_switched_off(load):
    row = {"text": "hello", "candidate_a": "a", "chosen": "x", "rejected": "y", "metadata.k": "v", "id": "1"}
    load([row], "--candidate", "candidate_a=", "--ignore", "chosen", "--map", "metadata.k=", "--map", "external_id=")
    prompt = Prompt.objects.get()
    assert (prompt.external_id, prompt.metadata) == ("", {})
    assert [c.origin for c in prompt.candidates.all()] == ["import:rejected"]


@pytest.mark.parametrize("name", ["candidate_ids", "candidate_id", "candidate_count"])
def test_what_is_no_candidate(load, name):
    said = load([{"text": "hello", name: [1, 2] if name.endswith("s") else 7}])
    assert not Candidate.objects.exists()
    assert f"Column “{name}” was not read" in said


@pytest.mark.parametrize("format", ["standard", "conversational"])
@pytest.mark.parametrize("purpose", ["sft", "dpo", "kto"])
def test_konomi_reads_back_what_it_froze(hotel, load, tmp_path, purpose, format):
    """The rows of a frozen file are the prompts that they were made of: loading them adds candidates only."""
    from annotation.datasets.files import canonical_row
    from annotation.datasets.rows import LabelledPrompt
    from annotation.kinds.votes import Row
    from annotation.text.conversation import conversation

    hotel.persona = "A clerk."
    hotel.save()
    load([{"text": "hello"}, {"text": "good  bye", "document": "mail"}])
    rows = []
    for prompt in Prompt.objects.order_by("pk"):
        labelled = LabelledPrompt(
            prompt.pk,
            conversation(prompt.text, prompt.messages, hotel.persona),
            prompt.digest,
            False,
            [],
            {},
            prompt.reference,
            prompt.source_document,
        )
        texts = ("x", "y") if purpose == "dpo" else ("x",)
        row = Row(texts=texts, kinds=("choosing",), annotation_ids=(1,), candidate_ids=(1, 2), votes=1)
        rows.append(canonical_row(row, labelled, purpose, format))
    said = load(rows)
    assert f"0 prompts and {0 if purpose == 'sft' else 2 * len(texts)} candidates added" in said
